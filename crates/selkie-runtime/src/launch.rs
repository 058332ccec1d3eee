//! Starts the first process of a container.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use selkie_plan::{Namespace, Plan, UserNamespace};
use selkie_sys::process::{self, Child, Forked, SingleThreaded};
use selkie_sys::seccomp::Instruction;
use selkie_sys::{Context, socket};

use crate::ahead::{Ahead, Entered};
use crate::cgroup::{Cgroup, Hierarchy};
use crate::error::{During, Error};
use crate::init;
use crate::report::{self, Report};
use crate::user_namespace;

/// A plan with the descriptors that it needs.
#[derive(Clone, Copy, Debug)]
pub struct Launch<'a> {
    /// The container's id.
    pub id: &'a str,
    /// What to make.
    pub plan: &'a Plan,
    /// The compiled system call filter of the plan.
    pub filter: Option<&'a [Instruction]>,
    /// A filter beside it that shows calls to the tracer of the process.
    pub trace: Option<&'a [Instruction]>,
    /// The root file system, a detached mount.
    pub root: BorrowedFd<'a>,
    /// An empty directory of the host, over which the root lies for a moment in the container's own mount namespace.
    pub staging: &'a Path,
    /// The directory with the generated files of the plan.
    pub files: &'a Path,
    /// The engine's own binary on the host, for the init of `--init`.
    pub engine: &'a Path,
    /// The cgroups, [begun](Cgroup::begin); `None` runs in the caller's.
    pub cgroup: Option<&'a Cgroup>,
    /// Hierarchies to show in the container.
    pub hierarchies: &'a [Hierarchy],
    /// Standard streams.
    pub stdio: Stdio<'a>,
    /// What has been made already, for as far as the plan wants such.
    pub ahead: Option<&'a Ahead>,
    /// Descriptors that the program gets as 3, 4, ...
    pub preserve: &'a [BorrowedFd<'a>],
    /// [`Started::made`] returns only when everything is made, so that the container can be looked at before its program runs.
    pub held: bool,
}

impl Launch<'_> {
    /// Returns whether others see init, as it joins their PID namespace: it must not hold files of the host's cgroups then.
    pub(crate) fn is_seen(&self) -> bool {
        matches!(self.plan.namespaces.pid, Namespace::Path(_))
    }

    /// Returns whether init puts the device rules in force: it is in its cgroup of v2 from the beginning, and makes nodes first.
    pub(crate) fn init_enforces_devices(&self) -> bool {
        !self.is_seen() && self.cgroup.is_some_and(|cgroup| cgroup.devices_of_v1().is_none())
    }

    /// Puts the device rules in force, which do not allow for the nodes that init makes before.
    pub(crate) fn enforce_devices(&self) -> Result<(), Error> {
        self.cgroup.map_or(Ok(()), |cgroup| cgroup.enforce_devices(&self.plan.device_rules))
    }
}

/// What the process gets as standard input, output and error.
#[derive(Clone, Copy, Debug)]
pub enum Stdio<'a> {
    /// These three.
    Descriptors {
        /// 0.
        stdin: BorrowedFd<'a>,
        /// 1.
        stdout: BorrowedFd<'a>,
        /// 2.
        stderr: BorrowedFd<'a>,
    },
    /// A new terminal; [`Started::executed`] returns its master.
    Terminal {
        /// Rows and columns.
        size: Option<(u16, u16)>,
    },
}

/// A process of a container that has just been made.
#[derive(Debug)]
pub struct Started {
    /// The process.
    pub child: Child,
    master: Option<OwnedFd>,
    report: OwnedFd,
    /// It waits for a word from us, and ends when none comes: nothing of a container runs before its engine knows of it.
    held: bool,
}

impl Started {
    /// Bundles what was made; a process that is `held` waits for [`Self::executed`].
    pub(crate) fn new(child: Child, master: Option<OwnedFd>, report: OwnedFd, held: bool) -> Self {
        Self { child, master, report, held }
    }

    /// Ends the process instead of letting it execute its program. Returns why it had failed already, if it had.
    pub fn abandon(self) -> Option<Error> {
        self.end();
        loop {
            match report::next(&self.report) {
                Ok(Report::Executed) => return None,
                Ok(_) => {}
                // That it was killed before it heard the last word is what was wanted.
                Err(error) => return Some(error),
            }
        }
    }

    /// Does for init what it cannot do itself, the id maps and hard limits in a user namespace, and what takes time that init has
    /// other work for: its cgroups. Where others can see it, it must have no files of the host's cgroups, and is put there.
    ///
    /// # Errors
    /// What could not be done, by init or for it; the process has ended then and has been reaped.
    pub fn accompanied(mut self, launch: &Launch<'_>) -> Result<Self, Error> {
        let accompanied = accompany(launch, &mut self);
        self.unless(accompanied)
    }

    /// Waits until everything is made, if that was wanted.
    ///
    /// # Errors
    /// What init could not do; the process has ended then and has been reaped.
    pub fn made(mut self, launch: &Launch<'_>) -> Result<Self, Error> {
        let made = if launch.held && !launch.is_seen() { await_ready(&mut self) } else { Ok(()) };
        self.unless(made)
    }

    /// Ends the process on an error.
    fn unless(self, done: Result<(), Error>) -> Result<Self, Error> {
        match done {
            Ok(()) => Ok(self),
            Err(error) => {
                self.end();
                Err(error)
            }
        }
    }

    /// Lets the process go on, and waits until the program has been executed. Returns the master of its terminal, if it has one.
    ///
    /// # Errors
    /// Why it was not executed; the process has ended then and has been reaped.
    pub fn executed(mut self) -> Result<(Child, Option<OwnedFd>), Error> {
        let mut is_made = !self.held;
        if self.held {
            // It may have ended; what it said before tells why.
            let _ = report::go(&self.report);
        }
        loop {
            match report::next(&self.report) {
                Ok(Report::Master(master)) => self.master = master,
                Ok(Report::Made) => is_made = true,
                Ok(Report::Ready | Report::Process(..)) => {}
                Ok(Report::Executed) if is_made => return Ok((self.child, self.master)),
                Ok(Report::Executed) => {
                    self.end();
                    return Err(Error::refused("container init", "was killed before it executed the program"));
                }
                Err(error) => {
                    self.end();
                    return Err(error);
                }
            }
        }
    }

    /// Makes sure that the process is gone; it has failed or waits for us.
    fn end(&self) {
        let _ = process::send_signal(&self.child.pidfd, 9);
        let _ = process::wait(&self.child.pidfd);
    }
}

/// Makes the first process of a container. It needs [`Started::accompanied`], and waits short of its program for
/// [`Started::executed`], which says whether it could be executed.
///
/// # Errors
/// What could not be made; nothing is left behind, except that the caller's cgroup stays for the caller to remove.
pub fn launch(proof: SingleThreaded, launch: &Launch<'_>) -> Result<Started, Error> {
    let (ours, theirs) = socket::pair().during(|| "container init")?;
    let spaces = &launch.plan.namespaces;
    let joined = match &spaces.user {
        UserNamespace::Path { path, .. } => Some(user_namespace::open(Path::new(path))?),
        _ => None,
    };
    if joined.is_none() {
        join_if_there(proof, "pid", &spaces.pid)?;
    }
    let unified = launch.cgroup.filter(|_| !launch.is_seen()).map(Cgroup::unified).transpose()?.flatten();
    let stage = || "new namespaces";
    let wanted = new_namespaces(launch.plan);
    let ahead = launch.ahead.filter(|_| spaces.user == UserNamespace::Host);
    let entered = ahead.map(|ahead| ahead.enter(proof, wanted)).transpose().during(stage)?;
    let there = entered.as_ref().map_or(0, Entered::kinds);
    let forked = process::fork(proof, if joined.is_some() { 0 } else { wanted & !there }, unified.as_ref().map(AsFd::as_fd));
    if let Ok(Forked::Child) = forked {
        drop(ours);
        if let Some(namespace) = &joined {
            fork_within(proof, launch.plan, namespace, &theirs);
        }
        init::run(launch, proof, there, &theirs)
    }
    let left = entered.map_or(Ok(()), |entered| entered.leave(proof)).during(stage);
    match forked.during(stage)? {
        // It has gone its way above.
        Forked::Child => process::exit_now(126),
        Forked::Parent(child) => {
            drop(theirs);
            let child = if joined.is_some() { init_of(&child, &ours)? } else { child };
            let started = Started::new(child, None, ours, true);
            match left {
                Ok(()) => Ok(started),
                Err(error) => {
                    started.end();
                    Err(error)
                }
            }
        }
    }
}

/// Joins the user namespace `namespace` and returns in a child of the caller's parent, which has the new namespaces and is init.
///
/// New namespaces belong to the user namespace that their maker is in, and a process cannot put itself into another PID namespace.
/// The caller keeps the host's ids meanwhile, as init does at first, so nobody in there may look into it.
fn fork_within(proof: SingleThreaded, plan: &Plan, namespace: &OwnedFd, report: &OwnedFd) {
    let forked = process::set_dumpable(false)
        .during(|| "user namespace")
        // It may be the host's, over which nobody in the user namespace has a right.
        .and_then(|()| join_if_there(proof, "pid", &plan.namespaces.pid))
        .and_then(|()| process::join_namespace(proof, namespace).during(|| "user namespace"))
        .and_then(|()| process::fork(proof, new_namespaces(plan) | process::SIBLING, None).during(|| "new namespaces"));
    let error = match forked {
        Ok(Forked::Child) => return,
        Ok(Forked::Parent(child)) => match report::send_process(report, &child) {
            Ok(()) => process::exit_now(0),
            Err(error) => error,
        },
        Err(error) => error,
    };
    report::fail(report, &error);
    process::exit_now(126)
}

/// Receives init from the process that has joined its user namespace, which has nothing left to do then.
fn init_of(joiner: &Child, report: &OwnedFd) -> Result<Child, Error> {
    let made = report::receive_process(report, "container init");
    let _ = process::wait(&joiner.pidfd);
    made
}

fn accompany(launch: &Launch<'_>, started: &mut Started) -> Result<(), Error> {
    set_id_maps(launch, started)?;
    if let Some(cgroup) = launch.cgroup {
        cgroup.complete(&launch.plan.cgroup)?;
        if launch.is_seen() {
            cgroup.admit(started.child.pid)?;
        } else {
            if !launch.init_enforces_devices() {
                launch.enforce_devices()?;
            }
            // It may have ended; what it said before tells why.
            let _ = report::send_entry(&started.report, &cgroup.entry()?);
        }
    }
    if launch.is_seen() {
        await_ready(started)?;
        launch.enforce_devices()?;
    }
    Ok(())
}

fn await_ready(started: &mut Started) -> Result<(), Error> {
    loop {
        match report::next(&started.report)? {
            Report::Master(master) => started.master = master,
            Report::Ready => return Ok(()),
            Report::Process(..) | Report::Made | Report::Executed => return Err(Error::refused("container init", "ended without a word")),
        }
    }
}

fn set_id_maps(launch: &Launch<'_>, started: &Started) -> Result<(), Error> {
    let pid = started.child.pid;
    match &launch.plan.namespaces.user {
        UserNamespace::Host => return Ok(()),
        UserNamespace::Private(maps) => user_namespace::write_maps(pid, maps)?,
        UserNamespace::Path { .. } => {}
    }
    init::allow_limits(Some(pid), &launch.plan.process.rlimits)?;
    // It may have ended; what it said before tells why.
    let _ = report::go(&started.report);
    Ok(())
}

/// Joins the namespace `space` of this `kind` if it is one that is there; a PID namespace is that of the children only.
pub(crate) fn join_if_there(proof: SingleThreaded, kind: &str, space: &Namespace) -> Result<(), Error> {
    let Namespace::Path(path) = space else { return Ok(()) };
    let stage = || format!("{kind} namespace `{path}`");
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = rustix::fs::open(path.as_str(), flags, Mode::empty()).call(|| format!("open({path:?})")).during(stage)?;
    process::join_namespace(proof, file).during(stage)
}

fn new_namespaces(plan: &Plan) -> u64 {
    let spaces = &plan.namespaces;
    let private = |space: &Namespace, flag: u64| if *space == Namespace::Private { flag } else { 0 };
    let user = if matches!(spaces.user, UserNamespace::Private(_)) { process::NEW_USER } else { 0 };
    process::NEW_MOUNT
        | private(&spaces.pid, process::NEW_PID)
        | private(&spaces.network, process::NEW_NETWORK)
        | private(&spaces.ipc, process::NEW_IPC)
        | private(&spaces.uts, process::NEW_UTS)
        | user
}
