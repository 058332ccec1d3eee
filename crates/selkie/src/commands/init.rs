//! The init of `--init`: PID 1 of a container that starts one program, passes signals on, and reaps orphans.
//!
//! It is selkie's own binary under the name `podman-init`, called as `podman-init -- COMMAND...`.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use rustix::event::{PollFd, PollFlags, poll};

const SIGCHLD: i32 = 17;

/// Runs the program behind `--` and returns its status.
pub(crate) fn main(arguments: &[OsString]) -> ExitCode {
    let command: Vec<&OsString> = arguments.iter().skip(1).skip_while(|word| *word == "--").collect();
    let Some((program, rest)) = command.split_first() else { return ExitCode::from(127) };
    let signals: Vec<i32> = (1..=31).filter(|signal| !matches!(signal, 4 | 5 | 7 | 8 | 9 | 11 | 19)).collect();
    let Ok(pending) = selkie_sys::signal::descriptor(&signals) else { return ExitCode::from(126) };
    let mut command = Command::new(program);
    // Its own process group, so that a signal for it is not one for us.
    let child = match command.args(rest).process_group(0).spawn() {
        Ok(child) => child,
        Err(error) => return ExitCode::from(if error.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 }),
    };
    let main = child.id();
    loop {
        if poll(&mut [PollFd::new(&pending, PollFlags::IN)], None).is_err() {
            continue;
        }
        while let Some(signal) = selkie_sys::signal::next(&pending) {
            if signal != SIGCHLD {
                if let (Some(pid), Some(signal)) =
                    (rustix::process::Pid::from_raw(main.cast_signed()), rustix::process::Signal::from_named_raw(signal))
                {
                    let _ = rustix::process::kill_process(pid, signal);
                }
                continue;
            }
            while let Some((pid, ended)) = selkie_sys::process::reap_any() {
                if pid.as_raw_nonzero().get() == main.cast_signed() {
                    return crate::exit::of_status(ended.code());
                }
            }
        }
    }
}
