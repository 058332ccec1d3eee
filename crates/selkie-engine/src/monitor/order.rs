//! Orders to a monitor, and how one is started.

use std::ffi::CString;
use std::io::{Seek, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use rustix::fs::{MemfdFlags, Mode, OFlags};
use selkie_plan::{Process, Request};
use selkie_runtime::cgroup::Hierarchy;
use selkie_sys::process::{Pid, SingleThreaded, Strings};
use selkie_sys::spawn::spawn_descriptor;
use selkie_sys::{Context, mount, socket};
use serde::{Deserialize, Serialize};

use super::log::LogTarget;
use super::message;
use crate::create::has_own_namespaces;
use crate::error::{Error, Result};

/// What a monitor is to do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) task: Task,
    pub(crate) after: After,
}

/// What a monitor needs to begin a container before its orders come.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PlanNote {
    /// The directory with the plan.
    pub(crate) records: PathBuf,
    /// Where the host has the cgroups that the container is put into.
    pub(crate) hierarchies: Vec<Hierarchy>,
}

/// Its two jobs.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Task {
    /// Start a container.
    Start(Box<StartOrder>),
    /// Run a process in one.
    Session(Box<SessionOrder>),
}

/// How to start a container.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct StartOrder {
    pub(crate) id: String,
    /// Directory of the records.
    pub(crate) container: PathBuf,
    /// Directory of the running state; holds the generated files and the filter.
    pub(crate) running: PathBuf,
    pub(crate) staging: PathBuf,
    /// The engine's binary on the host.
    pub(crate) engine: PathBuf,
    pub(crate) log: Option<LogTarget>,
    /// The client wants the output and gives the input.
    pub(crate) attached: bool,
    pub(crate) interactive: bool,
    pub(crate) size: Option<(u16, u16)>,
    pub(crate) restarts: u32,
    /// Seconds after which the container is killed.
    pub(crate) timeout: Option<u32>,
    /// The container has a filter, in the file `filter` of `running`.
    pub(crate) filtered: bool,
    /// A second filter shows calls to a tracer, in the file `trace-filter` of `running`.
    pub(crate) traced: bool,
    /// Denied checks are counted for this store, if that is possible: see [`crate::recording`].
    pub(crate) recorded: Option<u64>,
    /// The client wants to know the process before it executes its program.
    pub(crate) held: bool,
    /// Nothing of the host is mounted in the container but what is the engine's own.
    pub(crate) own_mounts: bool,
    /// The container ends when nobody is attached any more.
    pub(crate) bound: bool,
}

/// What happens after the container has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct After {
    /// Arguments of `selkie` that find the same store again.
    pub(crate) globals: Vec<String>,
    /// `--rm`.
    pub(crate) remove: bool,
    /// `--restart`: most restarts; `None` never restarts.
    pub(crate) restart: Option<Restart>,
}

/// A restart policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Restart {
    /// Whatever the exit status.
    Always,
    /// On a status other than 0, at most so often (0: without end).
    OnFailure(u32),
}

impl Restart {
    /// Returns whether a container that ended like this starts again.
    pub(crate) fn applies(self, code: i32, restarts: u32) -> bool {
        match self {
            Self::Always => true,
            Self::OnFailure(limit) => code != 0 && (limit == 0 || restarts < limit),
        }
    }
}

/// How to run a process in a container.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SessionOrder {
    pub(crate) id: String,
    pub(crate) session: String,
    /// In a mount namespace of its own.
    pub(crate) apart: bool,
    pub(crate) process: Process,
    pub(crate) namespaces: u64,
    pub(crate) running: PathBuf,
    pub(crate) cgroup: Option<String>,
    pub(crate) filtered: bool,
    pub(crate) attached: bool,
    pub(crate) interactive: bool,
    pub(crate) size: Option<(u16, u16)>,
}

/// The monitor that was started before anything was known.
static AHEAD: Mutex<Option<Waiting>> = Mutex::new(None);

/// Starts a monitor for the first container or session that this process starts. What is wrong is found out, and told, when that
/// one is started.
pub fn start_ahead() {
    if rustix::process::geteuid().is_root() {
        *AHEAD.lock().unwrap_or_else(PoisonError::into_inner) = Waiting::spawn().ok();
    }
}

/// A monitor that has been started and waits for its orders.
///
/// Starting a program takes as long as planning a container: the two go on at the same time.
#[derive(Debug)]
pub(crate) struct Waiting {
    control: OwnedFd,
    /// The monitor.
    pub(crate) pid: Pid,
}

impl Waiting {
    /// Returns a monitor: the one that was [started ahead](start_ahead), if there is one. Without orders it ends when this value goes
    /// out of scope.
    pub(crate) fn start() -> Result<Self> {
        let ahead = AHEAD.lock().unwrap_or_else(PoisonError::into_inner).take();
        ahead.map_or_else(Self::spawn, Ok)
    }

    /// Starts one that makes namespaces and file systems of a container while it waits.
    pub(crate) fn start_for(request: &Request) -> Result<Self> {
        let monitor = Self::start()?;
        if has_own_namespaces(request) {
            socket::send(&monitor.control, message::AHEAD, b"", false)
                .call(|| "sendmsg(monitor)")
                .map_err(Error::system("start a monitor"))?;
        }
        Ok(monitor)
    }

    /// It runs from a read-only copy of our own mount, so that nothing in a container can ever write to the engine's binary.
    fn spawn() -> Result<Self> {
        let action = || Error::system("start a monitor");
        let proof = SingleThreaded::check().map_err(action())?;
        let engine = mount::protected_self().map_err(Error::system("protect the engine's own binary"))?;
        let null =
            rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).call(|| "open(\"/dev/null\")").map_err(action())?;
        let arguments = Strings::new(&["selkie", "__monitor"]).map_err(action())?;
        let environment = Strings::new::<&str>(&[]).map_err(action())?;
        let (control, theirs) = socket::pair().map_err(action())?;
        let null = null.as_fd();
        let keep = [null, null, null, theirs.as_fd(), engine.as_fd()];
        let child = spawn_descriptor(proof, engine.as_fd(), arguments, environment, &keep).map_err(action())?;
        Ok(Self { control, pid: child.pid })
    }

    /// Says that the plan of the container is there, and that its start has been noted: a monitor that waits begins the cgroups
    /// meanwhile.
    pub(crate) fn planned(&self, note: &PlanNote) -> Result<()> {
        socket::send(&self.control, message::PLANNED, &to_json(note)?, false)
            .call(|| "sendmsg(monitor)")
            .map_err(Error::system("tell a monitor the plan"))
    }

    /// Gives it its orders, the descriptor that they are about, and those that go to the program. Returns the connection to it.
    pub(crate) fn order(self, order: &Order, subject: BorrowedFd<'_>, further: &[BorrowedFd<'_>]) -> Result<OwnedFd> {
        let memory = memory_file(order)?;
        let mut fds = vec![memory.as_fd(), subject];
        fds.extend_from_slice(further);
        socket::send_descriptors(&self.control, &[message::ORDERS], &fds).map_err(Error::system("give a monitor its orders"))?;
        Ok(self.control)
    }
}

fn to_json(said: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(said).map_err(|source| Error::Record { path: "orders of the monitor".into(), source })
}

fn memory_file(order: &Order) -> Result<OwnedFd> {
    let failed = |source: std::io::Error| Error::File { action: "write", path: "orders of the monitor".into(), source };
    let text = to_json(order)?;
    let name = CString::default();
    let memory = rustix::fs::memfd_create(&name, MemfdFlags::CLOEXEC).map_err(|errno| failed(errno.into()))?;
    let mut file = std::fs::File::from(memory);
    file.write_all(&text).and_then(|()| file.rewind()).map_err(failed)?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_failure_with_status_zero_does_not_restart() {
        assert!(!Restart::OnFailure(0).applies(0, 0));
    }

    #[test]
    fn on_failure_stops_at_its_limit() {
        assert_eq!([Restart::OnFailure(2).applies(1, 1), Restart::OnFailure(2).applies(1, 2)], [true, false]);
    }
}
