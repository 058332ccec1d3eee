//! The init of `--init`: PID 1 of a container that starts one program, passes signals on, and reaps orphans.
//!
//! It is selkie's own binary under the name `podman-init`, called as `podman-init -- COMMAND...`.

use std::ffi::{CString, OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

use rustix::event::{PollFd, PollFlags, poll};
use selkie_sys::process::{Child, Forked, SingleThreaded, Strings};
use selkie_sys::{Errno, process, signal};

const SIGCHLD: i32 = 17;
/// Signals that are about the receiver itself, or cannot be caught.
const OWN: [i32; 7] = [4, 5, 7, 8, 9, 11, 19];

/// Runs the program behind `--` and returns its status.
pub(crate) fn main(arguments: &[OsString]) -> ExitCode {
    let command: Vec<&OsStr> = arguments.iter().skip(1).skip_while(|word| *word == "--").map(OsString::as_os_str).collect();
    match start(&command) {
        Ok((child, signals)) => serve(&child, &signals),
        Err(code) => ExitCode::from(code),
    }
}

/// Starts the program; the error is an exit code.
fn start(command: &[&OsStr]) -> Result<(Child, OwnedFd), u8> {
    let program = command.first().ok_or(127)?;
    let environment: Vec<OsString> = std::env::vars_os()
        .map(|(mut key, value)| {
            key.push("=");
            key.push(value);
            key
        })
        .collect();
    let arguments = Strings::new(command).map_err(|_| 126)?;
    let environment = Strings::new(&environment).map_err(|_| 126)?;
    let candidates = candidates(program)?;
    let proof = SingleThreaded::check().map_err(|_| 126)?;
    let caught: Vec<i32> = (1..=31).filter(|signal| !OWN.contains(signal)).collect();
    let signals = signal::descriptor(&caught).map_err(|_| 126)?;
    match process::fork(proof, 0, None).map_err(|_| 126)? {
        Forked::Parent(child) => Ok((child, signals)),
        Forked::Child => {
            signal::reset_all();
            // Its own process group, so that a signal for it is not one for us.
            let _ = rustix::process::setpgid(None, None);
            let errno = candidates.iter().map(|path| process::execute(path, &arguments, &environment)).find(|errno| *errno != Errno::NOENT);
            process::exit_now(if errno.is_none() { 127 } else { 126 })
        }
    }
}

/// Where the program may be: itself with a slash in its name, otherwise beneath each directory of PATH.
fn candidates(program: &OsStr) -> Result<Vec<CString>, u8> {
    let path = |bytes: Vec<u8>| CString::new(bytes).map_err(|_| 126_u8);
    if program.as_bytes().contains(&b'/') {
        return Ok(vec![path(program.as_bytes().to_vec())?]);
    }
    let directories = std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into());
    let directories = directories.as_bytes().split(|byte| *byte == b':').filter(|directory| !directory.is_empty());
    directories.map(|directory| path([directory, b"/", program.as_bytes()].concat())).collect()
}

/// Passes signals on and reaps until the program has ended.
fn serve(child: &Child, signals: &OwnedFd) -> ExitCode {
    loop {
        // An interrupted wait is as good as one that has ended.
        let _ = poll(&mut [PollFd::new(signals, PollFlags::IN)], None);
        while let Some(number) = signal::next(signals) {
            if number != SIGCHLD {
                // It may have ended just now.
                let _ = process::send_signal(&child.pidfd, number);
            }
        }
        while let Some((pid, ended)) = process::reap_any() {
            if pid == child.pid {
                return crate::exit::of_status(ended.code());
            }
        }
    }
}
