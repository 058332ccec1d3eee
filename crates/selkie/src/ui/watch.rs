//! A view that is shown again and again: redrawn on a terminal, one after another elsewhere. Ctrl-C ends it, and is no failure.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::ui::error::Failure;
use crate::ui::{out, text};

/// SIGHUP, SIGINT and SIGTERM.
const ENDS: [i32; 3] = [1, 2, 15];

/// Shows what `view` returns every `interval`, until a signal ends it.
pub(crate) fn every(interval: Duration, view: impl Fn() -> Result<String, Failure>) -> Result<ExitCode, Failure> {
    let signals = selkie_sys::signal::descriptor(&ENDS)?;
    let terminal = std::io::stdout().is_terminal();
    let timeout = Timespec { tv_sec: i64::try_from(interval.as_secs()).unwrap_or(i64::MAX), tv_nsec: 0 };
    loop {
        let shown = view()?;
        if terminal {
            // To the first place, and away with what is left of the last view.
            out::painted(&format!("\x1b[H\x1b[2J{}", text::printable(&shown)))?;
        } else {
            out::print(&shown)?;
        }
        match poll(&mut [PollFd::new(&signals, PollFlags::IN)], Some(&timeout)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => return Ok(ExitCode::SUCCESS),
            Err(errno) => return Err(Failure::engine(format!("poll(): {errno}"))),
        }
    }
}
