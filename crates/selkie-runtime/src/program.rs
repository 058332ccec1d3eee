//! Finds and executes the container's program: execvp(3) without a shell, inside the container, as its user.

use std::ffi::CString;

use selkie_plan::Process;
use selkie_sys::process::{Strings, execute};
use selkie_sys::{Errno, describe};

use crate::error::{During, Error, Kind, Stage};

/// Everything that execve(2) needs, made before the confinement so that nothing has to be made behind it.
#[derive(Debug)]
pub(crate) struct Program {
    name: String,
    candidates: Vec<CString>,
    arguments: Strings,
    environment: Strings,
}

impl Program {
    /// Prepares `process`.
    pub(crate) fn new(process: &Process) -> Result<Self, Error> {
        let name = process.args.first().cloned().unwrap_or_default();
        let candidates = process
            .candidates()
            .into_iter()
            .map(|candidate| CString::new(candidate).map_err(|_| Error::refused("program", format!("{name:?} contains a NUL byte"))))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            candidates,
            arguments: Strings::new(&process.args).during(|| "arguments")?,
            environment: Strings::new(&process.env).during(|| "environment")?,
            name,
        })
    }

    /// Becomes the program; returns only when none of the candidates could be executed.
    pub(crate) fn execute(&self) -> Error {
        let mut failure = Errno::NOENT;
        if self.name.is_empty() {
            return self.failed(Errno::NOENT);
        }
        for candidate in &self.candidates {
            match execute(candidate, &self.arguments, &self.environment) {
                Errno::NOENT | Errno::NOTDIR => {}
                errno @ Errno::ACCESS => failure = errno,
                errno => {
                    failure = errno;
                    break;
                }
            }
        }
        self.failed(failure)
    }

    fn failed(&self, errno: Errno) -> Error {
        let kind = if errno == Errno::NOENT { Kind::NotFound } else { Kind::NotExecutable };
        let message = match (kind, self.name.contains('/')) {
            (Kind::NotFound, false) => format!("executable file `{}` not found in $PATH: {}", self.name, describe(errno)),
            (Kind::NotFound, true) => format!("open executable `{}`: {}", self.name, describe(errno)),
            _ => format!("execve(`{}`): {}", self.name, describe(errno)),
        };
        Error { kind, stage: Stage("exec container process".to_owned()), message, errno: Some(errno) }
    }
}
