//! Why a container could not be made, and which of Podman's exit codes that is.

use std::fmt;

use selkie_sys::{Errno, SyscallError};

/// What the runtime was doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage(pub String);

/// Who has to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The container's program does not exist: exit code 127.
    NotFound,
    /// The container's program, user or directory cannot be used: exit code 126.
    NotExecutable,
    /// The engine or the host could not do what was asked: exit code 125 or 126, as Podman.
    Setup,
}

/// A container that could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{stage}: {message}")]
pub struct Error {
    /// Who has to act.
    pub kind: Kind,
    /// What was being done.
    pub stage: Stage,
    /// The failed call.
    pub message: String,
    /// What the kernel answered, if it was a system call.
    pub errno: Option<Errno>,
}

impl Error {
    /// Builds an error of set-up from a system call.
    #[must_use]
    pub fn setup(stage: impl Into<String>, error: &SyscallError) -> Self {
        Self { kind: Kind::Setup, stage: Stage(stage.into()), message: error.to_string(), errno: Some(error.errno) }
    }

    /// Builds an error of set-up that no system call reported.
    #[must_use]
    pub fn refused(stage: impl Into<String>, message: impl Into<String>) -> Self {
        Self { kind: Kind::Setup, stage: Stage(stage.into()), message: message.into(), errno: None }
    }

    /// Writes the error as one message of the report socket.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let kind = match self.kind {
            Kind::NotFound => 0,
            Kind::NotExecutable => 1,
            Kind::Setup => 2,
        };
        let mut bytes = vec![kind];
        bytes.extend(self.errno.map_or(0, Errno::raw_os_error).to_le_bytes());
        bytes.extend(self.stage.0.as_bytes());
        bytes.push(0);
        bytes.extend(self.message.as_bytes());
        // A message of the socket is one buffer of the other side.
        bytes.truncate(4000);
        bytes
    }

    /// Reads what [`Self::encode`] wrote; what is not understood is shown as it is.
    pub(crate) fn decode(bytes: &[u8]) -> Self {
        let (kind, rest) = match bytes.split_first() {
            Some((0, rest)) => (Kind::NotFound, rest),
            Some((1, rest)) => (Kind::NotExecutable, rest),
            Some((_, rest)) => (Kind::Setup, rest),
            None => (Kind::Setup, bytes),
        };
        let (errno, text) = rest.split_first_chunk::<4>().map_or((0, rest), |(number, text)| (i32::from_le_bytes(*number), text));
        let text = String::from_utf8_lossy(text);
        let (stage, message) = text.split_once('\0').unwrap_or(("container init", &text));
        Self {
            kind,
            stage: Stage(stage.to_owned()),
            message: message.to_owned(),
            errno: (errno != 0).then(|| Errno::from_raw_os_error(errno)),
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names the stage of a failed system call.
pub(crate) trait During<T> {
    /// Turns the error of a call into one that says what it was for.
    fn during<S: Into<String>>(self, stage: impl FnOnce() -> S) -> Result<T, Error>;
}

impl<T> During<T> for Result<T, SyscallError> {
    fn during<S: Into<String>>(self, stage: impl FnOnce() -> S) -> Result<T, Error> {
        self.map_err(|error| Error::setup(stage(), &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_over_the_socket_is_the_same() {
        let error = Error { kind: Kind::NotFound, stage: Stage("exec".to_owned()), message: "no".to_owned(), errno: Some(Errno::NOENT) };
        assert_eq!(Error::decode(&error.encode()), error);
    }

    #[test]
    fn decode_of_nothing_is_an_error_of_setup() {
        assert_eq!(Error::decode(&[]).kind, Kind::Setup);
    }
}
