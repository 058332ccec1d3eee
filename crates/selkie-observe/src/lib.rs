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

mod argument;
mod bpf;
mod error;
mod ladder;
mod observer;
mod ptrace;
mod subject;
mod symbols;

pub use bpf::{Pinned, Process, Status, forget, load, processes, record, recorded, status, sweep, unload};
pub use error::{Error, Result};
pub use ladder::{BPF, Standing, alone, available, best, choose, open, standing};
pub use observer::{Observer, Subject};
pub use ptrace::{Orphans, Ptrace};
pub use selkie_learn::{Rung, Trace};
