//! The rungs that see the checks themselves: BPF programs of `bpf/observe.bpf.c`.
//!
//! ```text
//!   caller's thread             the observer's own thread                     the kernel
//!   ---------------             -------------------------                     ----------
//!   open: load or find pins,
//!         attach              -> keeps BPF, PERFMON, SYSLOG of its rights
//!   watch: read /proc/PID     -> contexts, mounts, cgroups             ---->  counts, keeps refused calls
//!   poll                      -> takes the new records                 <----  calls
//!                                (ten times a second by itself)
//!   finish                    -> takes everything out of the maps      <----  checks, sites, stacks, endings
//! ```
//!
//! `processes.rs` is for itself: an iterator over all processes, which observes nobody.
//!
//! An engine whose containers nobody watches has their denied checks counted by the same programs: `recorder.rs`.
//!
//! What the maps hold of the container was made by it and by nobody else, so the thread that reads them has no other right.

mod detail;
mod kinds;
mod layout;
mod load;
mod maps;
mod observer;
mod pins;
mod processes;
mod reader;
mod record;
mod recorder;
mod status;

pub(crate) use observer::Bpf;
pub use processes::{Process, processes};
pub use recorder::{forget, load, record, recorded, sweep};
pub use status::{Pinned, Status, status, unload};
