//! From what a user asks, what an image says and what the host is, to a finished [`Plan`]. Pure: no I/O.
//!
//! A *request* is the flags, validated; *facts* are what the engine found on the host and in the image;
//! a *plan* is what the runtime will do, with no choice left open. A *part* of a plan is one topic of it.
//!
//! ```text
//! flags -> Request --needs()--> [engine reads ImageConfig, HostFacts] --plan()--> Plan -> render() | spec() | lint() | runtime
//! ```
#![forbid(unsafe_code)]

mod accounts;
mod assemble;
mod error;
mod exec;
pub mod export;
mod facts;
mod image;
mod lint;
mod needs;
mod part;
mod plan;
mod program;
mod render;
mod request;
mod spec;
pub mod value;

pub use accounts::ACCOUNT_FILE_LIMIT;
pub use assemble::plan;
pub use error::PlanError;
pub use exec::{Running, plan_exec};
pub use facts::{
    CgroupLayout, ContainerFacts, ContainersConf, DeviceNode, DevicePath, HostFacts, IdRange, JoinedContainer, KernelFacts, Limit,
    OwnFacts, PathKind, SubordinateIds,
};
pub use image::ImageConfig;
pub use lint::{Finding, Severity, lint};
pub use needs::{Needs, needs};
pub use part::capabilities::{DEFAULT_CAPABILITIES, Named, cap_add_drop, defaults as default_capabilities, merge, normalise};
pub use part::devices::usual_devices;
pub use part::mounts::usual_mounts;
pub use plan::{
    Cgroup, Device, DeviceKind, DeviceRule, GeneratedFile, IdMap, IdMaps, Mount, MountSource, Namespace, Namespaces, Plan, Process,
    Propagation, Reason, Rlimit, Root, Seccomp, User, UserNamespace, Warning,
};
pub use request::{
    DevicesRequest, ExecRequest, ImageVolumes, Lifecycle, LimitsRequest, LogDriver, MountsRequest, NamespacesRequest, NetworkRequest,
    ProcessRequest, PullPolicy, Request, SecurityRequest, Stream,
};
pub use spec::spec;
