//! Adds a process to a running container (`exec`), confined by the same function as its first one.
//!
//! A container may hold `CAP_SYS_PTRACE`, and then sees into every process of its PID namespace. So nothing of the host
//! is ever in there: a joiner enters the cgroups, gives up all descriptors, joins every namespace (and with the mount
//! namespace a new root), and only then makes the process, as a child of the caller.
//!
//! ```text
//! caller --fork--> joiner: cgroups, descriptors closed, setns --fork (sibling)--> process: confine, execve
//!   | <------------- pid and descriptor of it ------------|
//! ```

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use selkie_plan::Process;
use selkie_sys::process::{self, Forked, SingleThreaded};
use selkie_sys::seccomp::Instruction;
use selkie_sys::{Context, socket, terminal};

use crate::cgroup::{Cgroup, Entry};
use crate::confine::{Confinement, confine};
use crate::error::{During, Error, Kind};
use crate::init;
use crate::launch::{Started, Stdio};
use crate::program::Program;
use crate::report;

/// What to run, and where.
#[derive(Clone, Copy, Debug)]
pub struct Join<'a> {
    /// The container's first process.
    pub target: BorrowedFd<'a>,
    /// Namespaces to join, flags of setns(2).
    pub namespaces: u64,
    /// What to run.
    pub process: &'a Process,
    /// The container's own filter.
    pub filter: Option<&'a [Instruction]>,
    /// In a mount namespace of its own.
    pub apart: bool,
    /// The container's session keyring has this name.
    pub id: &'a str,
    /// The container's cgroups.
    pub cgroup: Option<&'a Cgroup>,
    /// The container's devpts, for a terminal.
    pub devpts: Option<BorrowedFd<'a>>,
    /// Standard streams.
    pub stdio: Stdio<'a>,
    /// Descriptors that the program gets as 3, 4, ...
    pub preserve: &'a [BorrowedFd<'a>],
}

/// Runs a process in a container, as a child of the caller, who stays where he is.
///
/// # Errors
/// What could not be joined or made; nothing is left behind.
pub fn join(proof: SingleThreaded, join: Join<'_>) -> Result<Started, Error> {
    let (ours, theirs) = socket::pair().during(|| "exec")?;
    let program = Program::new(join.process)?;
    let terminal = open_terminal(&join)?;
    let (master, replica) = terminal.map_or((None, None), |(master, replica)| (Some(master), Some(replica)));
    let entry = join.cgroup.map(Cgroup::entry).transpose()?;
    let unified = join.cgroup.map(Cgroup::unified).transpose()?.flatten();
    match process::fork(proof, 0, unified.as_ref().map(AsFd::as_fd)).during(|| "exec")? {
        Forked::Child => be_joiner(proof, &join, &program, entry, replica.as_ref(), &theirs),
        Forked::Parent(joiner) => {
            drop((theirs, replica));
            let made = report::receive_process(&ours, "exec");
            // It has nothing left to do.
            let _ = process::wait(&joiner.pidfd);
            Ok(Started::new(made?, master, ours, false))
        }
    }
}

fn open_terminal(join: &Join<'_>) -> Result<Option<(OwnedFd, OwnedFd)>, Error> {
    let (Stdio::Terminal { size }, devpts) = (join.stdio, join.devpts) else { return Ok(None) };
    let devpts = devpts.ok_or_else(|| Error::refused("terminal", "the container has no devpts"))?;
    let (master, replica, _) = terminal::open_pair(devpts).during(|| "terminal")?;
    if let Some((rows, columns)) = size {
        terminal::resize(&master, rows, columns).during(|| "terminal")?;
    }
    Ok(Some((master, replica)))
}

/// Descriptors of the joiner and the process behind those that the program gets.
const REPORT: i32 = 0;
const TARGET: i32 = 1;

fn be_joiner(
    proof: SingleThreaded,
    join: &Join<'_>,
    program: &Program,
    entry: Option<Entry>,
    replica: Option<&OwnedFd>,
    report: &OwnedFd,
) -> ! {
    if let Err(error) = entry.map_or(Ok(()), |entry| entry.enter()) {
        report::fail(report, &error);
        process::exit_now(126);
    }
    let streams = match (join.stdio, replica) {
        (Stdio::Descriptors { stdin, stdout, stderr }, _) => [stdin, stdout, stderr],
        (Stdio::Terminal { .. }, Some(replica)) => [replica.as_fd(); 3],
        (Stdio::Terminal { .. }, None) => process::exit_now(126),
    };
    let first_own = i32::try_from(3 + join.preserve.len()).unwrap_or(3);
    let mut keep: Vec<BorrowedFd<'_>> = streams.to_vec();
    keep.extend_from_slice(join.preserve);
    keep.extend([report.as_fd(), join.target]);
    let kept = process::keep_descriptors(&keep).during(|| "descriptors");
    let report = process::kept(first_own + REPORT);
    let error = match kept.and_then(|()| make_process(proof, join, first_own)) {
        Ok(Forked::Parent(child)) => match report::send_process(report, &child) {
            Ok(()) => process::exit_now(0),
            Err(error) => error,
        },
        Ok(Forked::Child) => match prepare(proof, join, first_own) {
            Ok(()) => program.execute(),
            Err(error) => error,
        },
        Err(error) => error,
    };
    report::fail(report, &error);
    process::exit_now(if error.kind == Kind::NotFound { 127 } else { 126 })
}

fn make_process(proof: SingleThreaded, join: &Join<'_>, first_own: i32) -> Result<Forked, Error> {
    process::set_dumpable(false).during(|| "exec")?;
    init::allow_limits(None, &join.process.rlimits)?;
    process::join_namespaces(proof, process::kept(first_own + TARGET), join.namespaces).during(|| "namespaces of the container")?;
    process::fork(proof, process::SIBLING, None).during(|| "exec")
}

fn prepare(proof: SingleThreaded, join: &Join<'_>, first_own: i32) -> Result<(), Error> {
    let wanted = join.process;
    selkie_sys::signal::reset_all();
    if join.apart {
        process::unshare(proof, process::NEW_MOUNT).during(|| "exec")?;
    }
    rustix::process::setsid().call(|| "setsid()").during(|| "exec")?;
    if matches!(join.stdio, Stdio::Terminal { .. }) {
        terminal::make_controlling(process::kept(0)).during(|| "terminal")?;
    }
    let _ = selkie_sys::keyring::join_session(&format!("_ses.{}", join.id));
    init::set_limits(&wanted.rlimits)?;
    init::enter_directory(&wanted.cwd)?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(wanted.user.umask));
    process::close_above_on_exec(first_own.cast_unsigned()).during(|| "descriptors")?;
    confine(Confinement {
        user: &wanted.user,
        sets: &wanted.sets,
        no_new_privileges: wanted.no_new_privileges,
        filter: join.filter,
        // What is added to a container has no tracer.
        trace: None,
    })
}
