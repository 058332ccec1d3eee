//! The flags of `run`, `create` and `exec` as Podman has them, and the requests that they mean.
//!
//! A flags struct holds what was typed, as text; its `request` gives each text to the parser of the pure crate, so
//! that errors have Podman's words and not clap's. Flags that this version does not have are in one table and say so.
//!
//! Podman's habits that clap does not have by itself: a switch may be given as `--flag=false`; lists are split at commas;
//! values may begin with a hyphen; flags end at the first word that is none.

mod device;
mod exec;
mod lifecycle;
mod limits;
mod mount;
mod namespace;
mod network;
mod outside;
mod process;
mod run;
mod security;
mod switch;
mod unsupported;

pub use exec::ExecFlags;
pub use outside::{Outside, System};
pub use run::{ContainerFlags, CreateFlags, DryRun, RunFlags};
pub use unsupported::parse;
