//! The plan of one container: everything that the runtime is going to do, with no choice left open.
//!
//! A plan can be printed, compared and checked before anything happens. Paths of the container are absolute
//! and meant beneath its root; paths of the host are absolute and meant in the mount namespace of the engine.

use std::collections::BTreeMap;

use selkie_caps::FiveSets;
use serde::{Deserialize, Serialize};

/// Everything that makes one container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The first process of the container.
    pub process: Process,
    /// The root file system.
    pub root: Root,
    /// `sethostname(2)`; `None` when the UTS namespace is not ours to change.
    pub hostname: Option<String>,
    /// The namespaces, one decision each.
    pub namespaces: Namespaces,
    /// Mounts in the order in which they are made.
    pub mounts: Vec<Mount>,
    /// Files that the engine writes into the container's run directory before the mounts that bind them.
    pub files: Vec<GeneratedFile>,
    /// Device nodes beneath `/dev`.
    pub devices: Vec<Device>,
    /// Device cgroup rules, first to last; empty means that no device cgroup is set up.
    pub device_rules: Vec<DeviceRule>,
    /// Paths that are covered by nothing (`/dev/null` or an empty read-only tmpfs); missing ones are skipped.
    pub masked_paths: Vec<String>,
    /// Paths that are remounted read-only; missing ones are skipped.
    pub readonly_paths: Vec<String>,
    /// `/proc/sys` settings, dotted names.
    pub sysctls: BTreeMap<String, String>,
    /// The system call filter.
    pub seccomp: Seccomp,
    /// Where the container's cgroup is and what limits it has.
    pub cgroup: Cgroup,
    /// What was asked with `--privileged`.
    pub privileged: bool,
    /// Why each grant and each denial is as it is.
    pub reasons: Vec<Reason>,
    /// What the user ought to hear although the plan works.
    pub warnings: Vec<Warning>,
}

/// The first process, or one that `exec` adds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Process {
    /// `argv`; never empty.
    pub args: Vec<String>,
    /// `KEY=value` strings, each key once.
    pub env: Vec<String>,
    /// Working directory in the container.
    pub cwd: String,
    /// Identity.
    pub user: User,
    /// The five sets before `execve(2)`, and after it too for a program without set-id bits or file capabilities.
    pub sets: FiveSets,
    /// `PR_SET_NO_NEW_PRIVS`.
    pub no_new_privileges: bool,
    /// A pseudo-terminal is its standard input, output and error.
    pub terminal: bool,
    /// Resource limits, never above what the engine may set.
    pub rlimits: Vec<Rlimit>,
    /// `/proc/self/oom_score_adj`; `None` leaves it alone.
    pub oom_score_adj: Option<i32>,
}

/// The identity of a process, in the ids of its own user namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Supplementary groups, sorted, always set with `setgroups(2)` even when empty.
    pub groups: Vec<u32>,
    /// File mode creation mask.
    pub umask: u32,
}

/// A resource limit of setrlimit(2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rlimit {
    /// `RLIMIT_` name in lower case without its prefix, for example `nofile`.
    pub resource: String,
    /// Soft limit, `u64::MAX` for infinity.
    pub soft: u64,
    /// Hard limit, `u64::MAX` for infinity.
    pub hard: u64,
}

/// The root file system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    /// Mounted read-only (`--read-only`).
    pub readonly: bool,
    /// A working directory that is missing is made, for the container's user.
    #[serde(default)]
    pub makes_cwd: bool,
}

/// One decision for each kind of namespace; the mount namespace is always new.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespaces {
    /// Process ids.
    pub pid: Namespace,
    /// Network; `Private` is an empty one with only `lo`, which is up.
    pub network: Namespace,
    /// System V IPC and POSIX message queues.
    pub ipc: Namespace,
    /// Host name.
    pub uts: Namespace,
    /// Root of the cgroup tree as seen from inside.
    pub cgroup: Namespace,
    /// Users and capabilities.
    pub user: UserNamespace,
}

/// What to do about one kind of namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Namespace {
    /// A new one.
    Private,
    /// The engine's own.
    Host,
    /// The one behind this file of the host, for example `/proc/42/ns/net`.
    Path(String),
}

/// What to do about the user namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UserNamespace {
    /// The engine's own.
    Host,
    /// A new one with these maps.
    Private(IdMaps),
    /// The one behind this file of the host.
    Path {
        /// The file, for example `/proc/42/ns/user`.
        path: String,
        /// The maps that it has.
        #[serde(flatten)]
        maps: IdMaps,
    },
}

impl UserNamespace {
    /// Returns the maps; `None` for the engine's own, in which every id is itself.
    #[must_use]
    pub fn maps(&self) -> Option<&IdMaps> {
        match self {
            Self::Host => None,
            Self::Private(maps) | Self::Path { maps, .. } => Some(maps),
        }
    }
}

/// The maps of a user namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdMaps {
    /// `/proc/PID/uid_map`.
    pub uids: Vec<IdMap>,
    /// `/proc/PID/gid_map`.
    pub gids: Vec<IdMap>,
}

impl IdMaps {
    /// Returns the user and group outside that are root inside; `None` when nobody is.
    #[must_use]
    pub fn root(&self) -> Option<(u32, u32)> {
        self.to_host(0, 0)
    }

    /// Returns what a user and group inside are outside; `None` when one of them is not mapped.
    #[must_use]
    pub fn to_host(&self, uid: u32, gid: u32) -> Option<(u32, u32)> {
        let host = |maps: &[IdMap], id: u32| maps.iter().find_map(|map| map.to_host(id));
        Some((host(&self.uids, uid)?, host(&self.gids, gid)?))
    }

    /// Returns the user inside of one outside, if it is mapped.
    #[must_use]
    pub fn user_inside(&self, uid: u32) -> Option<u32> {
        self.uids.iter().find_map(|map| map.to_container(uid))
    }

    /// Returns the group inside of one outside, if it is mapped.
    #[must_use]
    pub fn group_inside(&self, gid: u32) -> Option<u32> {
        self.gids.iter().find_map(|map| map.to_container(gid))
    }
}

impl IdMap {
    /// Returns the id inside of one outside; `None` beyond the line.
    #[must_use]
    pub fn to_container(&self, host: u32) -> Option<u32> {
        let offset = host.checked_sub(self.host).filter(|offset| *offset < self.size)?;
        self.container.checked_add(offset)
    }

    /// Returns what the id `inside` is outside, if this line maps it.
    #[must_use]
    pub const fn to_host(&self, inside: u32) -> Option<u32> {
        match inside.checked_sub(self.container) {
            Some(offset) if offset < self.size => self.host.checked_add(offset),
            _ => None,
        }
    }
}

/// One line of `/proc/PID/uid_map` or `gid_map`: user_namespaces(7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdMap {
    /// First id inside.
    pub container: u32,
    /// First id outside.
    pub host: u32,
    /// How many.
    pub size: u32,
}

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Where, absolute, beneath the container's root; made when it is missing.
    pub destination: String,
    /// What.
    pub source: MountSource,
    /// `MOUNT_ATTR_RDONLY`.
    pub readonly: bool,
    /// `MOUNT_ATTR_NOSUID`.
    pub nosuid: bool,
    /// `MOUNT_ATTR_NODEV`.
    pub nodev: bool,
    /// `MOUNT_ATTR_NOEXEC`.
    pub noexec: bool,
    /// Propagation of a bind mount; everything else is private.
    pub propagation: Propagation,
    /// Options of the file system, `key` or `key=value`, for example `mode=1777`.
    pub options: Vec<String>,
}

/// What is mounted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MountSource {
    /// A new `proc` of the container's PID namespace.
    Proc,
    /// A new `sysfs` of the container's network namespace.
    Sysfs,
    /// A new `tmpfs`.
    Tmpfs,
    /// A new instance of `devpts`.
    Devpts,
    /// A new `mqueue` of the container's IPC namespace.
    Mqueue,
    /// The container's cgroups, as this host has them (v1, hybrid or v2).
    Cgroup,
    /// A path of the host.
    Bind {
        /// Absolute path on the host.
        path: String,
        /// With everything that is mounted beneath it (`rbind`).
        recursive: bool,
    },
    /// The file of this name among [`Plan::files`].
    File(String),
    /// The engine's own binary, read-only (the init of `--init`).
    Engine,
}

/// Propagation of a bind mount: mount_namespaces(7), "Shared subtrees".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Propagation {
    /// `private`, this mount only.
    Private,
    /// `rprivate`, with everything beneath it.
    #[default]
    Rprivate,
    /// `slave`.
    Slave,
    /// `rslave`.
    Rslave,
    /// `shared`.
    Shared,
    /// `rshared`.
    Rshared,
}

/// A file that the engine writes for one container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GeneratedFile {
    /// Plain file name in the container's run directory, for example `hosts`.
    pub name: String,
    /// Its content.
    pub content: String,
    /// Its permission bits.
    pub mode: u32,
}

/// Character or block device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum DeviceKind {
    /// Character device.
    #[serde(rename = "c")]
    Char,
    /// Block device.
    #[serde(rename = "b")]
    Block,
}

/// A device node in the container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Absolute path in the container, beneath `/dev`.
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

/// One rule of the device cgroup; `None` is every number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRule {
    /// Allows or denies.
    pub allow: bool,
    /// `None` is every kind of device (`a`).
    pub kind: Option<DeviceKind>,
    /// Major number.
    pub major: Option<u32>,
    /// Minor number.
    pub minor: Option<u32>,
    /// Letters out of `rwm`.
    pub access: String,
}

/// Which system call filter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Seccomp {
    /// None.
    Unconfined,
    /// The built-in profile.
    Default {
        /// New user namespaces are allowed (`--security-opt nested-userns`).
        nested_userns: bool,
    },
    /// The profile in this file of the host, applied as it is.
    File(String),
}

/// The container's cgroup and its limits; `None` leaves the kernel's default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cgroup {
    /// Path beneath each hierarchy, for example `/selkie/ID`; `None` makes no cgroup (`--cgroups disabled`).
    pub path: Option<String>,
    /// Memory limit, bytes.
    pub memory: Option<u64>,
    /// Memory that is kept under pressure, bytes.
    pub memory_reservation: Option<u64>,
    /// Memory and swap together, bytes; `-1` is no limit.
    pub memory_swap: Option<i64>,
    /// 0 to 100.
    pub memory_swappiness: Option<u64>,
    /// Microseconds of processor time in each period.
    pub cpu_quota: Option<i64>,
    /// Length of a period, microseconds.
    pub cpu_period: Option<u64>,
    /// Relative weight, 2 to 262144 as in cgroup v1.
    pub cpu_shares: Option<u64>,
    /// Processors, for example `0-1`.
    pub cpuset_cpus: Option<String>,
    /// Memory nodes.
    pub cpuset_mems: Option<String>,
    /// Most tasks; `-1` is no limit.
    pub pids: Option<i64>,
    /// Further `FILE=value` settings of cgroup v2 (`--cgroup-conf`).
    pub unified: BTreeMap<String, String>,
}

impl Cgroup {
    /// Returns whether the user asked for a limit, so that a missing cgroup is an error.
    #[must_use]
    pub fn has_limits(&self) -> bool {
        let none = Self { path: self.path.clone(), pids: self.pids, ..Self::default() };
        *self != none
    }
}

/// Why one thing of the plan is as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// What it is about, for example `capability CAP_NET_ADMIN` or `seccomp`.
    pub subject: String,
    /// What was decided, for example `granted`.
    pub decision: String,
    /// The flag, file or rule that decided.
    pub because: String,
}

/// Something that works and that the user ought to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// One sentence without a full stop.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inside_of_an_id_that_is_not_mapped_is_none() {
        let lines = vec![IdMap { container: 0, host: 100_000, size: 10 }, IdMap { container: 10, host: 5, size: 1 }];
        let maps = IdMaps { uids: lines.clone(), gids: lines };
        let expected = [Some(0), Some(9), Some(10), None, None];
        assert_eq!([100_000, 100_009, 5, 6, 100_010].map(|id| maps.user_inside(id)), expected);
        assert_eq!([100_000, 100_009, 5, 6, 100_010].map(|id| maps.group_inside(id)), expected);
    }
}
