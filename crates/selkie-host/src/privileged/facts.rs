//! What a verdict is based on. `None` is "cannot be seen from here", never "no".

use selkie_caps::escape::HostMount;
use selkie_caps::{CapSet, FiveSets};

use crate::Namespace;
use crate::containers::Filter;

/// From where the facts were seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// From the host, or wherever the reader is.
    Outside,
    /// From inside the container: by the process itself.
    Inside,
}

/// Everything that a verdict looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// From where.
    pub view: View,
    /// Whether it is in the reader's own mount namespace: a process of the host, no container. Always false inside.
    pub host_process: bool,
    /// What the engine itself calls it; `None` for a process that is in no container of ours.
    pub flag: Option<bool>,
    /// The five sets of the process, of a container the first one.
    pub sets: FiveSets,
    /// The bounding set that its engine was told to give it; `None` where no engine's files say.
    pub configured: Option<CapSet>,
    /// Which system calls its engine's profile lets through; `None` where no file says, or none is configured.
    pub filter: Option<Filter>,
    /// Its effective user id, as its own user namespace numbers it.
    pub uid: Option<u32>,
    /// The most that anything on this host can hold; `None` when only the kernel's own list is known.
    pub ceiling: Option<CapSet>,
    /// Every capability that the kernel has.
    pub kernel: CapSet,
    /// Whether it is in the first user namespace, where capabilities count for the host.
    pub initial_user_namespace: Option<bool>,
    /// Which user of the parent namespace its user 0 is; `None` without one.
    pub root_is: Option<u32>,
    /// Whether execve(2) can still give privileges.
    pub no_new_privileges: Option<bool>,
    /// 0 none, 1 strict, 2 filters.
    pub seccomp: Option<u8>,
    /// Paths that containers have masked and this one has not, of those that the kernel has.
    pub unmasked: Option<Vec<String>>,
    /// Whether sysfs can be written.
    pub sys_writable: Option<bool>,
    /// Whether `/proc/sys` can be written.
    pub proc_sys_writable: Option<bool>,
    /// Whether `/proc/sys/kernel/core_pattern` can be written.
    pub core_pattern_writable: Option<bool>,
    /// Whether it has a cgroup tree of version 1 mounted that can be written.
    pub release_agent_writable: bool,
    /// Which devices it may open.
    pub devices: Devices,
    /// Device nodes of the host's disks and memory beneath its `/dev`.
    pub host_nodes: Vec<String>,
    /// Its label of a security module; `None` when no module labels processes here.
    pub label: Option<String>,
    /// Namespaces that it shares with the host; `None` for those that cannot be told.
    pub shared: Vec<(Namespace, Option<bool>)>,
    /// What it sees of the host's files.
    pub host_mounts: Vec<HostMount>,
    /// Sockets of engines that it can reach.
    pub sockets: Vec<String>,
}

/// What the device cgroup allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Devices {
    /// Everything.
    All,
    /// A list.
    Listed,
    /// Cgroup v2 keeps the rules in a BPF program, and no cgroup can be seen from inside.
    Unknown,
}

#[cfg(test)]
impl Facts {
    /// A container of the engine's default profile with `set` as its permitted, effective and bounding set, seen from outside.
    pub(super) fn contained(set: CapSet) -> Self {
        Self {
            view: View::Outside,
            host_process: false,
            flag: None,
            configured: None,
            filter: None,
            sets: FiveSets { permitted: set, effective: set, bounding: set, ..FiveSets::NONE },
            uid: Some(0),
            ceiling: Some(CapSet::KNOWN),
            kernel: CapSet::KNOWN,
            initial_user_namespace: Some(true),
            root_is: Some(0),
            no_new_privileges: Some(false),
            seccomp: Some(2),
            unmasked: Some(Vec::new()),
            sys_writable: Some(false),
            proc_sys_writable: Some(false),
            core_pattern_writable: Some(false),
            release_agent_writable: false,
            devices: Devices::Listed,
            host_nodes: Vec::new(),
            label: None,
            shared: Namespace::ALL.into_iter().map(|kind| (kind, Some(kind == Namespace::User))).collect(),
            host_mounts: Vec::new(),
            sockets: Vec::new(),
        }
    }
}
