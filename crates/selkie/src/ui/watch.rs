//! A view that is shown again and again: redrawn on a terminal, one after another elsewhere. Ctrl-C ends it, and is no failure.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::ui::attach::terminal_size;
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
            let shown = text::printable(&shown);
            let shown = match terminal_size() {
                Some((rows, columns)) => fit(&shown, rows.into(), columns.into()),
                None => shown,
            };
            out::painted(&format!("\x1b[H\x1b[2J{shown}"))?;
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

/// Cuts a view to what a terminal shows at once, where it breaks long lines: what scrolls by is seen by nobody, and the first lines
/// are the ones to see.
fn fit(text: &str, rows: usize, columns: usize) -> String {
    let height = |line: &str| line.chars().count().div_ceil(columns.max(1)).max(1);
    // The cursor stands on a line of its own.
    if rows < 3 || text.lines().map(height).sum::<usize>() < rows {
        return text.to_owned();
    }
    let mut free = rows - 2;
    let mut shown = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.clone().next().filter(|line| height(line) <= free) {
        free -= height(line);
        shown.push_str(line);
        shown.push('\n');
        lines.next();
    }
    format!("{shown}… and {} more\n", lines.count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn view_that_fits_is_shown_whole() {
        assert_eq!(fit("head\nline\n", 3, 4), "head\nline\n");
    }

    #[test]
    fn view_is_cut_to_the_rows_of_the_terminal_and_says_so() {
        assert_eq!(fit("head\na line\nb\nc\nd\n", 5, 30), "head\na line\nb\n… and 2 more\n");
        assert_eq!(fit("head\na line\nb\nc\nd\n", 5, 4), "head\na line\n… and 3 more\n");
    }
}
