//! Watches which capabilities the kernel asks a container for.
//!
//! An *observer* stands on a *rung*: BPF where the kernel and our rights allow it, ptrace(2) elsewhere. It *watches* a container from
//! its first execve(2) on and returns a [`Trace`]. It judges nothing: that is `selkie-learn`.
#![forbid(unsafe_code)]

mod bpf;
mod error;
mod ladder;
mod observer;
mod subject;
mod symbols;

pub use bpf::{Pinned, Status, status, unload};
pub use error::{Error, Result};
pub use ladder::{BPF, Standing, alone, available, best, open, standing};
pub use observer::{Observer, Subject};
pub use selkie_learn::{Rung, Trace};
