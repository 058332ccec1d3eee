//! Standard output: data, and nothing else.

use std::io::Write;

use crate::ui::error::Failure;

/// Writes `text` to standard output. A reader that has enough is no error.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::engine(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Writes `line` and the end of a line.
pub(crate) fn line(line: &str) -> Result<(), Failure> {
    print(&format!("{line}\n"))
}
