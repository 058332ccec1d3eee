//! Progress: on standard error, for a person who waits in front of a terminal, and nowhere else.
#![expect(clippy::print_stderr, reason = "this is where progress is printed")]

use std::io::IsTerminal;

/// Says something beside the data, also where no terminal is.
pub(crate) fn say(text: &str) {
    eprintln!("{}", crate::ui::text::one_line(text));
}

/// Prints one line of progress.
pub(crate) fn line(text: &str) {
    if std::io::stderr().is_terminal() {
        eprintln!("{}", crate::ui::text::one_line(text));
    }
}
