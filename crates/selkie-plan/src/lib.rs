//! From what a user asks, what an image says and what the host is, to a finished [`Plan`]. Pure: no I/O.
//!
//! A *request* is the flags, validated; *facts* are what the engine found on the host and in the image;
//! a *plan* is what the runtime will do, with no choice left open.
#![forbid(unsafe_code)]

mod plan;

pub use plan::{
    Cgroup, Device, DeviceKind, DeviceRule, GeneratedFile, IdMap, Mount, MountSource, Namespace, Namespaces, Plan, Process, Propagation,
    Reason, Rlimit, Root, Seccomp, User, UserNamespace, Warning,
};
