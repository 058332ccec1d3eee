//! Adds a process to a running container (`exec`), confined by the same function as its first one.

use std::os::fd::{BorrowedFd, OwnedFd};

use selkie_plan::Process;
use selkie_sys::process::{self, Forked, SingleThreaded};
use selkie_sys::seccomp::Instruction;
use selkie_sys::{Context, socket, terminal};

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
    /// The container's session keyring has this name.
    pub id: &'a str,
    /// The container's `cgroup.procs` files.
    pub procs: &'a [OwnedFd],
    /// The container's devpts, for a terminal.
    pub devpts: Option<BorrowedFd<'a>>,
    /// Standard streams.
    pub stdio: Stdio<'a>,
    /// How many descriptors from 3 on the program keeps.
    pub preserve: u32,
}

/// Runs a process in a container. The calling process is in the container's namespaces afterwards, its PID namespace
/// excepted, and must not resolve paths any more.
///
/// # Errors
/// What could not be joined or made.
pub fn join(proof: SingleThreaded, join: Join<'_>) -> Result<Started, Error> {
    process::set_dumpable(false).during(|| "exec")?;
    let (ours, theirs) = socket::pair().during(|| "exec")?;
    let program = Program::new(join.process)?;
    let pair = match (join.stdio, join.devpts) {
        (Stdio::Terminal { size }, Some(devpts)) => {
            let (master, replica, _) = terminal::open_pair(devpts).during(|| "terminal")?;
            if let Some((rows, columns)) = size {
                terminal::resize(&master, rows, columns).during(|| "terminal")?;
            }
            Some((master, replica))
        }
        (Stdio::Terminal { .. }, None) => return Err(Error::refused("terminal", "the container has no devpts")),
        (Stdio::Descriptors { .. }, _) => None,
    };
    process::join_namespaces(proof, join.target, join.namespaces).during(|| "namespaces of the container")?;
    let (master, replica) = pair.map_or((None, None), |(master, replica)| (Some(master), Some(replica)));
    match process::fork(proof, 0, None).during(|| "exec")? {
        Forked::Child => {
            drop(ours);
            drop(master);
            let error = become_program(&join, &program, replica.as_ref());
            report::fail(&theirs, &error);
            process::exit_now(if error.kind == Kind::NotFound { 127 } else { 126 })
        }
        Forked::Parent(child) => {
            drop(theirs);
            Ok(Started::new(child, master, ours))
        }
    }
}

fn become_program(join: &Join<'_>, program: &Program, replica: Option<&OwnedFd>) -> Error {
    match prepare(join, replica) {
        Ok(()) => program.execute(),
        Err(error) => error,
    }
}

fn prepare(join: &Join<'_>, replica: Option<&OwnedFd>) -> Result<(), Error> {
    let wanted = join.process;
    selkie_sys::signal::reset_all();
    rustix::process::setsid().call(|| "setsid()").during(|| "exec")?;
    init::join_cgroups(join.procs)?;
    let _ = selkie_sys::keyring::join_session(&format!("_ses.{}", join.id));
    match (join.stdio, replica) {
        (Stdio::Descriptors { stdin, stdout, stderr }, _) => init::use_descriptors(stdin, stdout, stderr)?,
        (Stdio::Terminal { .. }, Some(replica)) => init::use_terminal(replica)?,
        (Stdio::Terminal { .. }, None) => return Err(Error::refused("terminal", "is missing")),
    }
    init::set_limits(&wanted.rlimits)?;
    init::enter_directory(&wanted.cwd)?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(wanted.user.umask));
    process::close_above_on_exec(3 + join.preserve).during(|| "descriptors")?;
    confine(Confinement { user: &wanted.user, sets: &wanted.sets, no_new_privileges: wanted.no_new_privileges, filter: join.filter })
}
