//! Watches which capabilities the kernel asks a container for.
//!
//! An *observer* stands on a *rung*: BPF where the kernel and our rights allow it, ptrace(2) elsewhere. It *watches* a container from
//! its first execve(2) on and returns a [`Trace`]. It judges nothing: that is `selkie-learn`.
#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        reason = "a test that panics has failed, which is what it is for"
    )
)]

mod error;
mod observer;
mod ptrace;

pub use error::{Error, Result};
pub use observer::{Observer, Subject};
pub use ptrace::{Orphans, Ptrace};
pub use selkie_learn::{Rung, Trace};

use std::sync::Arc;

/// Opens an observer: `auto` is the best that this machine allows, `bpf` and `ptrace` are these.
///
/// # Errors
/// [`Error::Unavailable`] says what is missing.
pub fn open(wanted: &str) -> Result<Arc<dyn Observer>> {
    let ptrace = || Ptrace::available().map(|()| Arc::new(Ptrace::new(Orphans::Kill)) as Arc<dyn Observer>);
    match wanted {
        "auto" | "ptrace" => ptrace(),
        _ => Err(Error::Unavailable { rung: "bpf", reason: "not built".to_owned() }),
    }
}
