//! System calls with exact errors. The only crate of the project with unsafe code.
//!
//! Every function is one call, or one idea that needs several. Raw file descriptors do not leave the crate, every
//! descriptor is close-on-exec, and an error shows the call with its arguments. Policy lives elsewhere.
#![allow(unsafe_code, reason = "the one crate that talks to the kernel directly")]
#![deny(clippy::undocumented_unsafe_blocks)]

pub mod bpf_link;
pub mod capability;
pub mod cgroup_device;
mod error;
pub mod keyring;
pub mod machine;
pub mod memory;
pub mod mount;
pub mod network;
pub mod process;
pub mod ptrace;
pub mod root;
pub mod seccomp;
pub mod signal;
pub mod socket;
pub mod spawn;
pub mod start;
pub mod terminal;
pub mod thread;

pub use error::{Context, Errno, Result, SyscallError, describe};
