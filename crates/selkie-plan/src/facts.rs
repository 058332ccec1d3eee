//! What the engine found on the host and in the image: everything that a plan depends on besides the request.
//!
//! [`HostFacts::default`] is a rootful engine with every capability on a cgroup v2 host; the engine fills in
//! what it finds, and of the expensive facts only those that [`crate::needs`] names.

use std::collections::BTreeMap;

use selkie_caps::CapSet;
use serde::{Deserialize, Serialize};

use crate::{DeviceKind, IdMap, IdMaps};

/// Facts for one plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HostFacts {
    /// The engine's own process.
    pub own: OwnFacts,
    /// The kernel.
    pub kernel: KernelFacts,
    /// Values of containers.conf.
    pub conf: ContainersConf,
    /// The container that is being made.
    pub container: ContainerFacts,
    /// `/etc/passwd` of the image, read without following links out of its root; `None` when it has none.
    pub passwd: Option<Vec<u8>>,
    /// `/etc/group` of the image.
    pub group: Option<Vec<u8>>,
    /// The host's own name.
    pub hostname: String,
    /// The host's `/etc/resolv.conf` (the real one, where systemd-resolved keeps a stub).
    pub resolv_conf: String,
    /// The host's `/etc/hosts`, copied when the network is the host's.
    pub hosts: String,
    /// Device nodes beneath the host's `/dev` with their paths, for `--privileged`.
    pub dev_nodes: Vec<DeviceNode>,
    /// What each host path of `--device` is.
    pub devices: BTreeMap<String, DevicePath>,
    /// What each host path of a bind mount is; a path that is not here is missing.
    pub bind_sources: BTreeMap<String, PathKind>,
    /// The containers named in `container:NAME` modes and `--volumes-from`, by the name that the user wrote.
    pub joined: BTreeMap<String, JoinedContainer>,
    /// Which of the `ns:PATH` files exist.
    pub namespace_files: Vec<String>,
    /// Ids that may be given to containers, for `--userns auto`.
    pub subordinate_ids: SubordinateIds,
    /// The maps of the user namespace behind the file of `--userns ns:PATH`; `None` when it is the engine's own.
    pub user_namespace: Option<IdMaps>,
}

/// The engine's own process: the ceiling of all that it can give.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OwnFacts {
    /// Effective user id outside of any user namespace that the engine made for itself.
    pub euid: u32,
    /// Effective group id.
    pub egid: u32,
    /// User name for `/etc/passwd` entries of `--userns keep-id`.
    pub user_name: String,
    /// The engine runs without the host's root: containers live in a user namespace.
    pub rootless: bool,
    /// Bounding set. Rootless: that of the user namespace (all that the kernel knows).
    pub bounding: CapSet,
    /// Permitted set; same rule.
    pub permitted: CapSet,
    /// The maps that root (or newuidmap(1)) gives to a container without `--uidmap`: rootless the caller's
    /// id at 0 and the subordinate ids from 1.
    pub uid_map: Vec<IdMap>,
    /// The same for groups.
    pub gid_map: Vec<IdMap>,
    /// Our resource limits, by [`crate::Rlimit::resource`].
    pub limits: BTreeMap<String, Limit>,
}

impl Default for OwnFacts {
    fn default() -> Self {
        Self {
            euid: 0,
            egid: 0,
            user_name: String::from("root"),
            rootless: false,
            bounding: CapSet::KNOWN,
            permitted: CapSet::KNOWN,
            uid_map: Vec::new(),
            gid_map: Vec::new(),
            limits: BTreeMap::new(),
        }
    }
}

/// A resource limit as getrlimit(2) gives it; `u64::MAX` is infinity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// Soft limit.
    pub soft: u64,
    /// Hard limit.
    pub hard: u64,
}

/// The kernel and its security modules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KernelFacts {
    /// `/proc/sys/kernel/cap_last_cap`.
    pub last_cap: u8,
    /// `PR_CAP_AMBIENT` works (Linux 4.3).
    pub ambient: bool,
    /// How cgroups are mounted.
    pub cgroups: CgroupLayout,
    /// AppArmor is on.
    pub apparmor: bool,
    /// SELinux is on.
    pub selinux: bool,
    /// `/sys/devices/system/cpu/online`, if it is needed and there: a list as `0-3,8`.
    pub processors: Option<String>,
    /// `/sys/devices/system/node/online`, likewise.
    pub memory_nodes: Option<String>,
    /// The existing `/sys/devices/system/cpu/cpu*/thermal_throttle`, which are masked.
    pub thermal_throttle: Vec<String>,
}

impl Default for KernelFacts {
    fn default() -> Self {
        Self {
            last_cap: 40,
            ambient: true,
            cgroups: CgroupLayout::V2,
            apparmor: false,
            selinux: false,
            processors: None,
            memory_nodes: None,
            thermal_throttle: Vec::new(),
        }
    }
}

/// How the host mounts its cgroups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CgroupLayout {
    /// One hierarchy for each controller.
    V1,
    /// Controllers in v1 hierarchies and an empty v2 beside them.
    Hybrid,
    /// The unified hierarchy.
    #[default]
    V2,
    /// None that the engine may write.
    Missing,
}

/// The keys of containers.conf(5) that decide something in a plan; `None` where the file is silent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainersConf {
    /// `default_capabilities`; `Some` of an empty list means none at all.
    pub default_capabilities: Option<Vec<String>>,
    /// `default_sysctls`, `KEY=value`; `None` is the shipped `net.ipv4.ping_group_range=0 0`.
    pub default_sysctls: Option<Vec<String>>,
    /// `default_ulimits`, in the form of `--ulimit`.
    pub default_ulimits: Vec<String>,
    /// `env`; `None` is the built-in `PATH`.
    pub env: Option<Vec<String>>,
    /// `env_host`: read by the command line, which alone knows the caller's variables.
    pub env_host: bool,
    /// `http_proxy`; `None` is on.
    pub http_proxy: Option<bool>,
    /// `init`.
    pub init: bool,
    /// `privileged`.
    pub privileged: bool,
    /// `pids_limit`; `None` is 2048.
    pub pids_limit: Option<i64>,
    /// `seccomp_profile`; `None` or empty is the built-in one.
    pub seccomp_profile: Option<String>,
    /// `shm_size`, in the form of `--shm-size`; `None` is `65536k`.
    pub shm_size: Option<String>,
    /// `umask`, octal; `None` is `0022`.
    pub umask: Option<String>,
    /// `tz`.
    pub tz: Option<String>,
    /// `read_only`.
    pub read_only: bool,
    /// `no_hosts`.
    pub no_hosts: bool,
    /// `annotations`, `KEY=value`.
    pub annotations: Vec<String>,
    /// `devices`, in the form of `--device`.
    pub devices: Vec<String>,
    /// `volumes`, in the form of `--volume`.
    pub volumes: Vec<String>,
    /// `mounts`, in the form of `--mount`.
    pub mounts: Vec<String>,
    /// `dns_servers`.
    pub dns_servers: Vec<String>,
    /// `dns_searches`.
    pub dns_searches: Vec<String>,
    /// `dns_options`.
    pub dns_options: Vec<String>,
    /// `cgroupns`: `host` or `private`; `None` is `private`.
    pub cgroupns: Option<String>,
    /// `ipcns`: `host`, `private`, `shareable`, `none`.
    pub ipcns: Option<String>,
    /// `netns`; `None` is `private`.
    pub netns: Option<String>,
    /// `pidns`.
    pub pidns: Option<String>,
    /// `utsns`.
    pub utsns: Option<String>,
    /// `userns`.
    pub userns: Option<String>,
    /// `label`; `Some(false)` disables SELinux separation.
    pub label: Option<bool>,
    /// `oom_score_adj`.
    pub oom_score_adj: Option<i32>,
}

/// The container that is being made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerFacts {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The image's full reference; empty with `--rootfs`.
    pub image: String,
    /// The image's id; empty with `--rootfs`.
    pub image_id: String,
    /// The parent of its cgroup, for example `/selkie`; `None` where the engine cannot make one.
    pub cgroup_parent: Option<String>,
}

/// Ids that may be given to containers: subuid(5), subgid(5), user `containers`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SubordinateIds {
    /// Users.
    pub uids: Vec<IdRange>,
    /// Groups.
    pub gids: Vec<IdRange>,
    /// The maps of all other containers.
    pub taken: IdMaps,
    /// The maps that the container had before.
    pub before: Option<IdMaps>,
}

/// One line of subuid(5) or subgid(5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdRange {
    /// The first id.
    pub start: u32,
    /// How many.
    pub size: u32,
}

impl IdRange {
    /// Returns what is left behind the first `count` ids.
    #[must_use]
    pub const fn after(self, count: u32) -> Self {
        Self { start: self.start.saturating_add(count), size: self.size.saturating_sub(count) }
    }
}

/// A device node of the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceNode {
    /// Absolute path on the host.
    pub path: String,
    /// Character or block.
    pub kind: DeviceKind,
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// What the host path of a `--device` is. A path that is not among the facts is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DevicePath {
    /// A device node.
    Node(DeviceNode),
    /// A directory, with all device nodes beneath it.
    Directory(Vec<DeviceNode>),
    /// Something else, for example a regular file.
    Other,
}

/// What a path of the host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PathKind {
    /// A directory.
    Directory,
    /// Anything else.
    File,
}

/// A container whose namespaces are to be joined.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct JoinedContainer {
    /// Its full id.
    pub id: String,
    /// Its first process on the host; `None` when it does not run.
    pub pid: Option<u32>,
    /// The maps of its user namespace; `None` when that is the engine's own.
    pub user_namespace: Option<IdMaps>,
    /// Its host name.
    pub hostname: String,
    /// Its IPC namespace is its own (`--ipc private`).
    pub ipc_is_private: bool,
}
