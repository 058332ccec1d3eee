//! The values of flags, each parsed once from text into a type that cannot be wrong.
//!
//! Texts of errors are Podman's, so that scripts that match them go on working.

mod bind;
mod device;
mod host;
mod idmap;
mod mount;
mod name;
mod namespace;
mod number;
mod restart;
mod security;
mod signal;
mod size;
mod tmpfs;
mod ulimit;
mod words;

pub(crate) use bind::clean;
pub use bind::{BindMount, Relabel};
pub use device::{CgroupRule, DeviceSpec};
pub use host::HostEntry;
pub use idmap::parse_id_map;
pub use mount::{DevptsMount, UserMount};
pub use name::parse_name;
pub use namespace::{AutoUserns, NamespaceMode, NetworkMode, UsernsMode};
pub use number::{parse_cpus, parse_signed, parse_umask, parse_unsigned};
pub use restart::RestartPolicy;
pub use security::{Label, SecurityOpt};
pub use signal::{parse_signal, signal_name};
pub use size::{format_size, parse_size};
pub use tmpfs::TmpfsMount;
pub use ulimit::{LimitValue, Ulimit};
pub use words::{env_file_lines, parse_annotation, parse_entrypoint, parse_env, parse_label, parse_sysctl, split_slice};
