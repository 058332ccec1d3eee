//! Executes a finished [`selkie_plan::Plan`]: makes a container's first process, adds processes to it, and manages
//! its cgroups. It decides nothing, knows nothing of images or names, and sees only paths and descriptors.
//!
//! A *launch* is a plan with the descriptors it needs; *init* is the container's first process before its execve(2);
//! to *confine* is to give up everything that the plan does not grant, and serves `run` and `exec` alike.
#![forbid(unsafe_code)]

mod ahead;
pub mod cgroup;
mod confine;
mod devices;
mod error;
mod init;
mod join;
mod launch;
mod mask;
mod mounts;
mod program;
mod report;
mod sysctl;
pub mod user_namespace;

pub use ahead::Ahead;
pub use error::{Error, Kind, Stage};
pub use join::{Join, join};
pub use launch::{Launch, Started, Stdio, launch};
