//! What every rung can do.

use selkie_learn::{Call, Rung, Trace};

use crate::error::{Error, Result};

/// A container to watch, held by its engine short of its first execve(2).
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    /// A number of the caller's for it, unique among what the observer watches. Not 0.
    pub context: u64,
    /// Its first process, as the observer sees it.
    pub pid: i32,
}

/// Watches containers. One observer may watch several at once, from several threads.
pub trait Observer: Send + Sync {
    /// Returns how it sees.
    fn rung(&self) -> Rung;

    /// Begins to watch a container. What its process does before its next execve(2) is the engine's and not recorded.
    ///
    /// # Errors
    /// The process has ended, or the kernel refuses.
    fn watch(&self, subject: Subject) -> Result<()>;

    /// Begins to watch a container, or a process with a mount namespace or cgroup of its own, that runs already.
    ///
    /// # Errors
    /// [`Error::Unavailable`] on a rung that only sees what it has seen the beginning of; else as [`Self::watch`].
    fn attach(&self, subject: Subject) -> Result<()> {
        let _ = subject;
        Err(Error::Unavailable { rung: self.rung().name(), reason: "it has to be there when a container starts".to_owned() })
    }

    /// Returns the refused calls since the last time, without waiting.
    ///
    /// # Errors
    /// The observer has failed.
    fn poll(&self, context: u64) -> Result<Vec<Call>>;

    /// Ends the watch and returns everything, including what [`Self::poll`] has returned already.
    ///
    /// # Errors
    /// The observer has failed.
    fn finish(&self, context: u64) -> Result<Trace>;
}
