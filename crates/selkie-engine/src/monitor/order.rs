//! Orders to a monitor, and how one is started.

use std::ffi::CString;
use std::io::{Seek, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{MemfdFlags, Mode, OFlags};
use selkie_plan::{Plan, Process};
use selkie_sys::process::{Child, SingleThreaded, Strings};
use selkie_sys::{Context, mount, process};
use serde::{Deserialize, Serialize};

use super::log::LogTarget;
use crate::error::{Error, Result};

/// What a monitor is to do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) task: Task,
    pub(crate) after: After,
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
    pub(crate) plan: Plan,
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
    pub(crate) preserve: u32,
    pub(crate) restarts: u32,
    /// Seconds after which the container is killed.
    pub(crate) timeout: Option<u32>,
    /// The container has a filter, in the file `filter` of `running`.
    pub(crate) filtered: bool,
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
    pub(crate) process: Process,
    pub(crate) namespaces: u64,
    pub(crate) running: PathBuf,
    pub(crate) cgroup: Option<String>,
    pub(crate) filtered: bool,
    pub(crate) attached: bool,
    pub(crate) interactive: bool,
    pub(crate) size: Option<(u16, u16)>,
    pub(crate) preserve: u32,
}

/// Starts a monitor with `order`, a control socket and the descriptor that the order is about.
///
/// It runs from a read-only copy of our own mount, so that nothing in a container can ever write to the engine's binary.
pub(crate) fn spawn(order: &Order, control: BorrowedFd<'_>, subject: BorrowedFd<'_>, preserved: &[BorrowedFd<'_>]) -> Result<Child> {
    let proof = SingleThreaded::check().map_err(Error::system("start a monitor"))?;
    let engine = mount::protected_self().map_err(Error::system("protect the engine's own binary"))?;
    let program = mount_file(&engine)?;
    let memory = memory_file(order)?;
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .call(|| "open(\"/dev/null\")")
        .map_err(Error::system("start a monitor"))?;
    let arguments = Strings::new(&["selkie", "__monitor"]).map_err(Error::system("start a monitor"))?;
    let environment = Strings::new::<&str>(&[]).map_err(Error::system("start a monitor"))?;
    let null = null.as_fd();
    let mut keep = vec![null, null, null, control, memory.as_fd(), program, subject];
    keep.extend_from_slice(preserved);
    process::spawn_descriptor(proof, program, &arguments, &environment, &keep).map_err(Error::system("start a monitor"))
}

/// The protected copy is a mount of the file itself: its descriptor is the file's.
fn mount_file(engine: &OwnedFd) -> Result<BorrowedFd<'_>> {
    Ok(engine.as_fd())
}

fn memory_file(order: &Order) -> Result<OwnedFd> {
    let failed = |source: std::io::Error| Error::File { action: "write", path: "orders of the monitor".into(), source };
    let text = serde_json::to_vec(order).map_err(|source| Error::Record { path: "orders of the monitor".into(), source })?;
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
