//! What can go wrong when a container is watched.

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
    /// The container's process is gone.
    #[error("process {pid} has ended")]
    Gone {
        /// Its pid.
        pid: i32,
    },
    /// Nothing is watched under this number.
    #[error("nothing is watched as {context}")]
    NotWatched {
        /// The number.
        context: u64,
    },
}
