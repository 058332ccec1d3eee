//! Runs one more process in a running container.

use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags};
use selkie_plan::{ExecRequest, Namespace, Needs, Plan, Running, UserNamespace, plan_exec};
use selkie_sys::{Context, process};

use crate::client::Attached;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::facts::account_file;
use crate::files;
use crate::id::random_id;
use crate::monitor::{After, Order, SessionOrder, Task, Waiting};
use crate::process::Identity;
use crate::record::{Container, Live, STARTING};
use crate::start::{FILTER, await_started};

const NOT_RUNNING: &str = "can only create exec sessions on running containers";

/// An exec session that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionInfo {
    /// Its id, 64 hexadecimal digits.
    pub id: String,
    /// Its process.
    pub process: Identity,
}

impl Engine {
    /// Runs a process in `container`. Returns the session's id and the connection to it.
    ///
    /// # Errors
    /// [`Error::State`] when the container does not run; what could not be planned or executed.
    pub fn exec(
        &self,
        container: &Container,
        request: &ExecRequest,
        size: Option<(u16, u16)>,
        preserve: &[BorrowedFd<'_>],
    ) -> Result<(String, Attached)> {
        let live = container.running(NOT_RUNNING)?;
        if self.store.running(container.id()).join(STARTING).exists() {
            // Its monitor has died over the start: whoever makes the container still holds the lock.
            drop(self.store.lock(container.id())?);
        }
        self.exec_in(container, live, request, size, preserve).map_err(|error| {
            // Nothing can be joined any more once it has ended; a process that is just ending has no root.
            let is_there = live.init.is_alive() && std::fs::read_link(format!("/proc/{}/root", live.init.pid)).is_ok();
            if is_there { error } else { Error::State { operation: NOT_RUNNING.to_owned() } }
        })
    }

    fn exec_in(
        &self,
        container: &Container,
        live: &Live,
        request: &ExecRequest,
        size: Option<(u16, u16)>,
        preserve: &[BorrowedFd<'_>],
    ) -> Result<(String, Attached)> {
        let monitor = Waiting::start()?;
        let damaged = || Error::State { operation: format!("container {} has no plan", container.id()) };
        let plan = container.plan(&self.store)?.ok_or_else(damaged)?;
        let gone = || Error::State { operation: NOT_RUNNING.to_owned() };
        let target = live.init.open()?.ok_or_else(gone)?;

        let root_path = format!("/proc/{}/root", live.init.pid);
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(&root_path, flags, Mode::empty())
            .call(|| format!("open({root_path:?})"))
            .map_err(Error::system("look into the container"))?;
        let mut facts = self.host_facts(&Needs::default())?;
        facts.passwd = account_file(&root, "/etc/passwd")?;
        facts.group = account_file(&root, "/etc/group")?;
        let running = Running { request: &container.record.request, image: &container.record.image_config, plan: &plan };
        let planned = plan_exec(request, &running, &facts)?;

        let session = random_id()?;
        let directory = self.store.running(container.id());
        make_sessions(&directory.join("sessions"))?;
        let devpts = if request.tty { Some(open_devpts(&root)?) } else { None };
        let order = Order {
            task: Task::Session(Box::new(SessionOrder {
                id: container.id().to_string(),
                session: session.clone(),
                process: planned,
                namespaces: namespaces(&plan),
                filtered: directory.join(FILTER).exists(),
                running: directory,
                cgroup: plan.cgroup.path.clone().filter(|_| !request.apart),
                apart: request.apart,
                attached: !request.detach,
                interactive: request.interactive,
                size,
            })),
            after: After::default(),
        };
        let mut extra: Vec<BorrowedFd<'_>> = devpts.iter().map(AsFd::as_fd).collect();
        extra.extend_from_slice(preserve);
        let ours = monitor.order(&order, target.as_fd(), &extra)?;
        let pid = await_started(&ours, container.id().as_str(), None)?;
        Ok((session, Attached::new(ours, pid, !request.detach)))
    }

    /// Returns the exec sessions of a container that run.
    #[must_use]
    pub fn sessions(&self, container: &Container) -> Vec<SessionInfo> {
        let directory = self.store.running(container.id()).join("sessions");
        let mut sessions: Vec<SessionInfo> = std::fs::read_dir(directory)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| {
                let process: Identity = files::read_json(&entry.path()).ok()??;
                Some(SessionInfo { id: entry.file_name().to_str()?.to_owned(), process })
            })
            .filter(|session| session.process.is_alive())
            .collect();
        sessions.sort_by(|a, b| a.id.cmp(&b.id));
        sessions
    }
}

/// Makes the directory of sessions, but none above it: a container that has just been removed must not come back.
fn make_sessions(path: &Path) -> Result<()> {
    match std::fs::DirBuilder::new().mode(0o700).create(path) {
        Err(source) if source.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(Error::File { action: "create directory", path: path.to_path_buf(), source })
        }
        _ => Ok(()),
    }
}

/// Opens the container's devpts, which has to be one: a container could have put something else there.
fn open_devpts(root: impl AsFd) -> Result<std::os::fd::OwnedFd> {
    const DEVPTS_SUPER_MAGIC: i64 = 0x1cd1;
    let action = || Error::system("open a terminal in the container");
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let found = rustix::fs::openat2(root, Path::new("/dev/pts"), flags, Mode::empty(), resolve)
        .call(|| "openat2(\"/dev/pts\")")
        .map_err(action())?;
    let kind = rustix::fs::fstatfs(&found).call(|| "fstatfs(\"/dev/pts\")").map_err(action())?.f_type;
    if kind == DEVPTS_SUPER_MAGIC {
        Ok(found)
    } else {
        Err(Error::State { operation: "/dev/pts of the container is not a devpts; cannot open a terminal in it".to_owned() })
    }
}

/// Returns the namespaces that the container does not share with the engine, as flags of setns(2).
fn namespaces(plan: &Plan) -> u64 {
    let spaces = &plan.namespaces;
    let own = |space: &Namespace, flag: u64| if *space == Namespace::Host { 0 } else { flag };
    process::NEW_MOUNT
        | own(&spaces.pid, process::NEW_PID)
        | own(&spaces.network, process::NEW_NETWORK)
        | own(&spaces.ipc, process::NEW_IPC)
        | own(&spaces.uts, process::NEW_UTS)
        | own(&spaces.cgroup, process::NEW_CGROUP)
        | if spaces.user == UserNamespace::Host { 0 } else { process::NEW_USER }
}
