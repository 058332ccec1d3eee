//! Watches which capabilities the kernel asks a container for.
//!
//! An *observer* stands on a *rung*: BPF where the kernel and our rights allow it, ptrace(2) elsewhere. It *watches* a container from
//! its first execve(2) on and returns a [`Trace`]. It judges nothing: that is `selkie-learn`.
#![forbid(unsafe_code)]

mod error;
mod observer;

pub use error::{Error, Result};
pub use observer::{Observer, Subject};
pub use selkie_learn::{Rung, Trace};

use std::sync::Arc;

/// Opens an observer: `auto` is the best that this machine allows, `bpf` and `ptrace` are these.
///
/// # Errors
/// [`Error::Unavailable`] says what is missing.
pub fn open(_wanted: &str) -> Result<Arc<dyn Observer>> {
    Err(Error::Unavailable { rung: "bpf", reason: "not built".to_owned() })
}
