//! Errors as people see them: once, on standard error, in one shape.
//!
//! ```text
//! on a terminal                         elsewhere, for scripts that know Podman
//! Error: what failed                    Error: what failed: cause: cause
//! Caused by: cause
//! Hint: what to do
//! ```
use std::error::Error;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use selkie_plan::PlanError;

use super::out;
use super::text::printable;
use crate::exit::ENGINE;

/// A command that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    message: String,
    causes: Vec<String>,
    hint: Option<String>,
    code: u8,
    /// The value of a flag that is none: the help of the verb says more.
    of_usage: bool,
}

impl Failure {
    /// Builds the failure of the engine, exit code 125.
    pub(crate) fn engine(message: impl Into<String>) -> Self {
        Self { message: message.into(), causes: Vec::new(), hint: None, code: ENGINE, of_usage: false }
    }

    /// Builds the failure of a value that a flag does not take.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { of_usage: true, ..Self::engine(message) }
    }

    /// Returns whether it is about the value of a flag.
    pub(crate) fn is_of_usage(&self) -> bool {
        self.of_usage
    }

    /// Returns the failure with another exit code.
    pub(crate) fn with_code(self, code: u8) -> Self {
        Self { code, ..self }
    }

    /// Returns the failure with a hint.
    pub(crate) fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Returns the failure with what it is about before it.
    pub(crate) fn about(self, what: &str) -> Self {
        Self { message: format!("{what}: {}", self.message), ..self }
    }

    /// Builds it from an error with its chain of causes.
    pub(crate) fn from_error(error: &dyn Error, code: u8, hint: Option<String>) -> Self {
        let mut causes = Vec::new();
        let mut source = error.source();
        while let Some(cause) = source {
            causes.push(cause.to_string());
            source = cause.source();
        }
        Self { message: error.to_string(), causes, hint, code, of_usage: false }
    }

    /// Returns everything but the hint on one line.
    pub(crate) fn line(&self) -> String {
        let mut line = self.message.clone();
        for cause in &self.causes {
            line.push_str(": ");
            line.push_str(cause);
        }
        line
    }
}

impl From<selkie_engine::Error> for Failure {
    fn from(error: selkie_engine::Error) -> Self {
        Self::from_error(&error, error.exit_code(), error.hint())
    }
}

impl From<PlanError> for Failure {
    fn from(error: PlanError) -> Self {
        let failure = Self::from_error(&error, error.exit_code(), error.hint());
        Self { of_usage: matches!(error, PlanError::Number { .. }), ..failure }
    }
}

impl From<selkie_image::Error> for Failure {
    fn from(error: selkie_image::Error) -> Self {
        selkie_engine::Error::from(error).into()
    }
}

impl From<selkie_runtime::Error> for Failure {
    fn from(error: selkie_runtime::Error) -> Self {
        selkie_engine::Error::from(error).into()
    }
}

impl From<selkie_observe::Error> for Failure {
    fn from(error: selkie_observe::Error) -> Self {
        Self::from_error(&error, ENGINE, None)
    }
}

impl From<selkie_sys::SyscallError> for Failure {
    fn from(error: selkie_sys::SyscallError) -> Self {
        Self::from_error(&error, ENGINE, None)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::from_error(&error, ENGINE, None)
    }
}

/// Takes the numbers of errors, which their words have said, out of a text: `No such file or directory (os error 2)`.
fn plain(text: &str) -> String {
    let mut parts = text.split(" (os error ");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once(')') {
            Some((number, rest)) if number.bytes().all(|byte| byte.is_ascii_digit()) => plain.push_str(rest),
            _ => plain.extend([" (os error ", part]),
        }
    }
    plain
}

/// Prints `failure` and returns its exit code.
pub(crate) fn show(failure: &Failure) -> ExitCode {
    if std::io::stderr().is_terminal() {
        let mut text = format!("Error: {}", printable(&plain(&failure.message)));
        for cause in &failure.causes {
            text.push_str(&format!("\nCaused by: {}", printable(&plain(cause))));
        }
        if let Some(hint) = &failure.hint {
            text.push_str(&format!("\nHint: {}", printable(hint)));
        }
        say(text);
    } else {
        say(format!("Error: {}", printable(&plain(&failure.line()))));
    }
    ExitCode::from(failure.code)
}

/// Prints one more line of what was shown.
pub(crate) fn show_more(line: &str) {
    say(printable(line));
}

/// Prints a warning in the form of Podman's own.
pub(crate) fn warn(message: &str) {
    if std::io::stderr().is_terminal() {
        say(format!("Warning: {}", printable(message)));
    } else {
        let time = jiff::Timestamp::now();
        say(format!("time=\"{time:.0}\" level=warning msg={:?}", printable(message)));
    }
}

/// Writes a line to standard error at once: the lines of others who write there at the same time must not get into it.
fn say(mut line: String) {
    line.push('\n');
    // Nobody is left to hear that nobody hears it.
    let _ = std::io::stderr().lock().write_all(line.as_bytes());
}

/// What ends a command line before a command runs.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Help or a version: text for standard output.
    Answer(String),
    /// No command: the help, and an error.
    NoCommand(String),
    /// A command line that means nothing.
    Usage(String),
}

/// Prints it and returns its exit code.
pub(crate) fn stop(stop: Stop) -> ExitCode {
    match stop {
        Stop::Answer(text) => out::painted(&text).map_or_else(|failure| show(&failure), |()| ExitCode::SUCCESS),
        Stop::NoCommand(text) => {
            // The error below is the one to tell.
            let _ = out::painted(&text);
            say("Error: missing command 'selkie COMMAND'".to_owned());
            ExitCode::from(ENGINE)
        }
        Stop::Usage(text) => {
            say(format!("Error: {}", printable(&text)));
            ExitCode::from(ENGINE)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_has_no_numbers_of_errors() {
        assert_eq!(
            plain("open x: No such file or directory (os error 2): again (os error 13)"),
            "open x: No such file or directory: again"
        );
        assert_eq!(plain("nothing (os error in it"), "nothing (os error in it");
    }
}
