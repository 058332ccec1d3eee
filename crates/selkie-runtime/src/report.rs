//! What init tells its parent, over a socket that closes by itself when execve(2) succeeds.
//!
//! ```text
//! init -> parent   'M' + fd   master of the terminal
//!                  'P' + fd   (exec, joined user namespace) pid of the process, with a descriptor of it
//!                  'R'        (others see init) device nodes are made: the device rules may come into force
//!                             (held) everything is made, and init waits for its last 'G'
//!                  'E' ...    an error, then init ends
//!                  'X'        (first process) everything is made: only its confinement and the execve are left
//!                  (closed)   execve succeeded, or the process was killed
//! parent -> init   'G'        go on: the user namespace has its maps (first, if it has one), the container is written down and,
//!                             if others see init, its cgroups and device rules are in force (then)
//!                  'C' + fds  (others do not see init) its cgroups are made: the way into those of v1, with the device rules in force
//! ```

use std::os::fd::{AsFd, OwnedFd};

use selkie_sys::process::{Child, Pid};
use selkie_sys::{Errno, describe, socket};

use crate::cgroup::Entry;
use crate::error::{During, Error};

const MASTER: u8 = b'M';
const ERROR: u8 = b'E';
const READY: u8 = b'R';
const PROCESS: u8 = b'P';
const MADE: u8 = b'X';
const GO: u8 = b'G';
const CGROUPS: u8 = b'C';

/// What is wrong when the parent says nothing any more.
const ENDED: &str = "the engine ended in between";

/// What init has to say.
#[derive(Debug)]
pub(crate) enum Report {
    /// The master of its terminal.
    Master(Option<OwnedFd>),
    /// The device nodes are made.
    Ready,
    /// The process that joins a container: its pid for the sender, and a descriptor of it.
    Process(i32, Option<OwnedFd>),
    /// Everything is made.
    Made,
    /// The program runs, or the process was killed.
    Executed,
}

/// Waits for the next report.
///
/// # Errors
/// What init says has failed.
pub(crate) fn next(socket: impl AsFd) -> Result<Report, Error> {
    let mut buffer = [0; 4096];
    let received = match socket::receive_with_descriptors(&socket, &mut buffer) {
        // Init has ended and has not read our last word. The error comes once and first; what it said before is behind it.
        Err(Errno::CONNRESET) => socket::receive_with_descriptors(&socket, &mut buffer),
        received => received,
    };
    let (length, mut fds) = received.map_err(|errno| Error::refused("container init", describe(errno)))?;
    match buffer.get(..length).and_then(<[u8]>::split_first) {
        None => Ok(Report::Executed),
        Some((&MASTER, _)) => Ok(Report::Master(fds.pop())),
        Some((&READY, _)) => Ok(Report::Ready),
        Some((&MADE, _)) => Ok(Report::Made),
        Some((&PROCESS, body)) => Ok(Report::Process(body.first_chunk().map_or(0, |pid| i32::from_ne_bytes(*pid)), fds.pop())),
        Some((&ERROR, body)) => Err(Error::decode(body)),
        Some(_) => Err(Error::refused("container init", "unexpected message")),
    }
}

/// Receives the process that the sender has made.
///
/// # Errors
/// What the sender says has failed.
pub(crate) fn receive_process(socket: impl AsFd, stage: &str) -> Result<Child, Error> {
    match next(socket)? {
        Report::Process(pid, Some(pidfd)) => match Pid::from_raw(pid) {
            Some(pid) => Ok(Child { pid, pidfd }),
            None => Err(Error::refused(stage, "the joiner sent no pid")),
        },
        _ => Err(Error::refused(stage, "the joiner ended without a word")),
    }
}

/// Tells the parent that the device nodes are made, and waits until cgroups and device rules are in force.
pub(crate) fn ready(socket: impl AsFd) -> Result<(), Error> {
    socket::send(&socket, READY, &[], false).map_err(|errno| Error::refused("container init", describe(errno)))?;
    await_go(socket)
}

/// Tells the parent that everything is made: an end without a word before this was no execve.
pub(crate) fn made(socket: impl AsFd) -> Result<(), Error> {
    socket::send(&socket, MADE, &[], false).map_err(|errno| Error::refused("container init", describe(errno)))
}

/// Tells the parent why init ends.
pub(crate) fn fail(socket: impl AsFd, error: &Error) {
    // Nobody is left to tell when this fails; the exit status is the fallback.
    let _ = socket::send(socket, ERROR, &error.encode(), false);
}

/// Gives the parent the process that was made for it.
pub(crate) fn send_process(socket: impl AsFd, child: &Child) -> Result<(), Error> {
    let mut message = vec![PROCESS];
    message.extend(child.pid.as_raw_nonzero().get().to_ne_bytes());
    socket::send_descriptors(socket, &message, &[child.pidfd.as_fd()]).during(|| "exec")
}

/// Gives the parent the master of the terminal.
pub(crate) fn send_master(socket: impl AsFd, master: impl AsFd) -> Result<(), Error> {
    socket::send_descriptors(socket, &[MASTER], &[master.as_fd()]).during(|| "terminal")
}

/// Lets init go on.
pub(crate) fn go(socket: impl AsFd) -> Result<(), Error> {
    socket::send(socket, GO, &[], false).map_err(|errno| Error::refused("container init", describe(errno)))
}

/// Tells init that its cgroups are made.
pub(crate) fn send_entry(socket: impl AsFd, Entry(tasks): &Entry) -> Result<(), Error> {
    let tasks: Vec<_> = tasks.iter().map(AsFd::as_fd).collect();
    socket::send_descriptors(socket, &[CGROUPS], &tasks).during(|| "cgroup")
}

/// Waits until the cgroups are made.
pub(crate) fn await_entry(socket: impl AsFd) -> Result<Entry, Error> {
    let mut buffer = [0; 1];
    match socket::receive_with_descriptors(socket, &mut buffer) {
        Ok((1, tasks)) if buffer == [CGROUPS] => Ok(Entry(tasks)),
        _ => Err(Error::refused("container init", ENDED)),
    }
}

/// Waits until the parent lets init go on.
pub(crate) fn await_go(socket: impl AsFd) -> Result<(), Error> {
    let mut buffer = [0; 1];
    match socket::receive(socket, &mut buffer, false) {
        Ok(1) if buffer == [GO] => Ok(()),
        _ => Err(Error::refused("container init", ENDED)),
    }
}
