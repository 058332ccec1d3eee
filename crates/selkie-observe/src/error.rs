//! What can go wrong when a container is watched.

use std::path::PathBuf;

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why something cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel, or our rights, do not allow this rung.
    #[error("cannot observe by {rung}: {reason}")]
    Unavailable {
        /// The rung's name.
        rung: &'static str,
        /// What is missing.
        reason: String,
    },
    /// A system call failed.
    #[error("cannot {action}")]
    System {
        /// What was to be done.
        action: String,
        /// The call.
        #[source]
        source: selkie_sys::SyscallError,
    },
    /// A file could not be used.
    #[error("cannot {action} {path:?}")]
    File {
        /// What was to be done.
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A map of the kernel could not be used.
    #[error("cannot use the map `{map}`")]
    Map {
        /// Its name.
        map: &'static str,
        /// Why not.
        #[source]
        source: Box<aya::maps::MapError>,
    },
    /// The container's process is gone.
    #[error("process {pid} has ended")]
    Gone {
        /// Its pid.
        pid: i32,
    },
    /// There is nothing by which its checks could be told from everybody's.
    #[error("process {pid} has neither a mount namespace nor a cgroup of its own")]
    Shared {
        /// Its pid.
        pid: i32,
    },
    /// The context is not watched, or is already.
    #[error("container {context} is {state}")]
    Context {
        /// Its number.
        context: u64,
        /// `not watched`, `watched already`.
        state: &'static str,
    },
    /// The thread that reads has ended.
    #[error("the observer has stopped")]
    Stopped,
}

impl Error {
    /// Returns what is missing, without which rung it is missing for.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Unavailable { reason, .. } => reason.clone(),
            other => other.to_string(),
        }
    }
}
