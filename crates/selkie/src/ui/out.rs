//! Standard output: data, and nothing else. To a program it goes as it is; to a terminal only what is fit for one, since names,
//! labels and command lines are an image's or a container's (CVE-2021-25743). Not for the output of containers.

use std::io::{IsTerminal, Write};

use crate::ui::error::Failure;
use crate::ui::text::printable;

/// Writes `text` to standard output. A reader that has enough is no error.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    if std::io::stdout().is_terminal() { painted(&printable(text)) } else { painted(text) }
}

/// Writes many parts, one after the other, as [`print`] does.
pub(crate) fn printer() -> impl FnMut(&str) -> Result<(), Failure> {
    let terminal = std::io::stdout().is_terminal();
    move |text| if terminal { painted(&printable(text)) } else { painted(text) }
}

/// Writes `value` as JSON for a person or a program.
pub(crate) fn json(value: &(impl serde::Serialize + ?Sized)) -> Result<(), Failure> {
    line(&serde_json::to_string_pretty(value).map_err(|error| Failure::engine(error.to_string()))?)
}

/// Writes text with emphasis of our own; what is not ours in it has been made fit for a terminal by the caller.
pub(crate) fn painted(text: &str) -> Result<(), Failure> {
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
