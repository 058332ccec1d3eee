//! What a user asks for: the flags of `run` and `create`, parsed and typed.
//!
//! A request is stored in the container's record, so every field has a default and old records stay readable.
//! Nothing here depends on the host: `HOST`-like choices stay [`NamespaceMode::Default`] until the plan is made.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::value::{
    BindMount, CgroupRule, DeviceSpec, HostEntry, NamespaceMode, NetworkMode, RestartPolicy, SecurityOpt, TmpfsMount, Ulimit, UserMount,
    UsernsMode, parse_signal,
};
use crate::{DeviceRule, IdMap};

/// One container as asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Request {
    /// The image as written; `None` with `--rootfs`.
    pub image: Option<String>,
    /// `--rootfs PATH[:O]`, as written.
    pub rootfs: Option<String>,
    /// The words after the image.
    pub command: Vec<String>,
    /// `--name`, without a leading slash.
    pub name: Option<String>,
    /// `--label` and `--label-file`, later ones win.
    pub labels: BTreeMap<String, String>,
    /// `--annotation`.
    pub annotations: BTreeMap<String, String>,
    /// The first process.
    pub process: ProcessRequest,
    /// Capabilities, seccomp and the like.
    pub security: SecurityRequest,
    /// Namespaces and the host name.
    pub namespaces: NamespacesRequest,
    /// Root file system and mounts.
    pub mounts: MountsRequest,
    /// Devices.
    pub devices: DevicesRequest,
    /// Limits.
    pub limits: LimitsRequest,
    /// `--sysctl`, in the order written.
    pub sysctls: Vec<(String, String)>,
    /// Names and name service.
    pub network: NetworkRequest,
    /// What the engine does around the container; no plan depends on it.
    pub lifecycle: Lifecycle,
}

/// The first process as asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProcessRequest {
    /// `--entrypoint`: a word or a JSON list; an empty list resets the image's.
    pub entrypoint: Option<Vec<String>>,
    /// `--workdir`.
    pub workdir: Option<String>,
    /// `--env-file` and `--env`, in this order; `KEY` alone is already replaced by the caller's value.
    pub env: Vec<(String, String)>,
    /// The caller's own variables as far as they may be passed on: all with `--env-host`, else those of a proxy.
    pub host_env: Vec<(String, String)>,
    /// `--env-host`.
    pub env_host: bool,
    /// `--http-proxy`; `None` leaves it to containers.conf.
    pub http_proxy: Option<bool>,
    /// `--unsetenv`.
    pub unset_env: Vec<String>,
    /// `--unsetenv-all`.
    pub unset_env_all: bool,
    /// `--interactive`.
    pub interactive: bool,
    /// `--tty`.
    pub tty: bool,
    /// `--user`.
    pub user: Option<String>,
    /// `--group-add`.
    pub group_add: Vec<String>,
    /// `--umask`, octal.
    pub umask: Option<u32>,
    /// `--init`; `None` leaves it to containers.conf.
    pub init: Option<bool>,
    /// `--stop-signal`, a signal's number.
    pub stop_signal: Option<u32>,
    /// `--tz`: a name beneath `/usr/share/zoneinfo`, or `local`.
    pub timezone: Option<String>,
    /// `--preserve-fds`: further descriptors from 3 on.
    pub preserve_fds: u32,
    /// `--passwd`: whether a user that the image does not know gets an entry in passwd and group; `None` is yes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passwd: Option<bool>,
}

/// Capabilities and other confinement as asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SecurityRequest {
    /// `--cap-add`, names as written.
    pub cap_add: Vec<String>,
    /// `--cap-drop`, names as written.
    pub cap_drop: Vec<String>,
    /// `--privileged`; `None` leaves it to containers.conf.
    pub privileged: Option<bool>,
    /// `--security-opt`, in the order written.
    pub options: Vec<SecurityOpt>,
    /// `--seccomp-policy image`: the profile is in a label of the image.
    pub seccomp_from_image: bool,
}

/// Namespaces as asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NamespacesRequest {
    /// `--network`.
    pub network: NetworkMode,
    /// `--pid`.
    pub pid: NamespaceMode,
    /// `--ipc`.
    pub ipc: NamespaceMode,
    /// `--uts`.
    pub uts: NamespaceMode,
    /// `--cgroupns`.
    pub cgroup: NamespaceMode,
    /// `--userns`.
    pub user: UsernsMode,
    /// `--uidmap`.
    pub uid_map: Vec<IdMap>,
    /// `--gidmap`.
    pub gid_map: Vec<IdMap>,
    /// `--hostname`.
    pub hostname: Option<String>,
}

/// The root file system and mounts as asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MountsRequest {
    /// `--volume`, bind mounts only.
    pub volumes: Vec<BindMount>,
    /// `--mount`.
    pub mounts: Vec<UserMount>,
    /// `--tmpfs`.
    pub tmpfs: Vec<TmpfsMount>,
    /// `--read-only`; `None` leaves it to containers.conf.
    pub read_only: Option<bool>,
    /// `--read-only-tmpfs`; `None` is true.
    pub read_only_tmpfs: Option<bool>,
    /// `--shm-size`, bytes.
    pub shm_size: Option<u64>,
    /// `--image-volume`.
    pub image_volumes: ImageVolumes,
}

impl MountsRequest {
    /// Returns the binds of `--volume`, then those of `--mount`.
    pub fn binds(&self) -> impl Iterator<Item = &BindMount> {
        let by_mount = self.mounts.iter().filter_map(|mount| match mount {
            UserMount::Bind(bind) => Some(bind),
            _ => None,
        });
        self.volumes.iter().chain(by_mount)
    }
}

/// What becomes of the paths that the image declares as volumes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImageVolumes {
    /// They stay in the container's own writable layer.
    #[default]
    Keep,
    /// An empty tmpfs.
    Tmpfs,
    /// Nothing at all.
    Ignore,
}

/// Devices as asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DevicesRequest {
    /// `--device`.
    pub devices: Vec<DeviceSpec>,
    /// `--device-cgroup-rule`.
    pub rules: Vec<CgroupRule>,
}

/// Limits as asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LimitsRequest {
    /// `--memory`, bytes.
    pub memory: Option<u64>,
    /// `--memory-reservation`, bytes.
    pub memory_reservation: Option<u64>,
    /// `--memory-swap`, bytes, -1 for no limit.
    pub memory_swap: Option<i64>,
    /// `--memory-swappiness`.
    pub memory_swappiness: Option<u64>,
    /// `--cpus` or `--cpu-quota`, microseconds in a period.
    pub cpu_quota: Option<i64>,
    /// `--cpu-period`, or the period that belongs to `--cpus`.
    pub cpu_period: Option<u64>,
    /// `--cpu-shares`.
    pub cpu_shares: Option<u64>,
    /// `--cpuset-cpus`.
    pub cpuset_cpus: Option<String>,
    /// `--cpuset-mems`.
    pub cpuset_mems: Option<String>,
    /// `--pids-limit`, -1 for no limit; `None` leaves it to containers.conf.
    pub pids: Option<i64>,
    /// `--cgroup-conf`.
    pub unified: BTreeMap<String, String>,
    /// `--ulimit`.
    pub ulimits: Vec<Ulimit>,
    /// `--oom-score-adj`.
    pub oom_score_adj: Option<i32>,
    /// `--cgroups disabled`.
    pub cgroups_disabled: bool,
    /// `--cgroup-parent`.
    pub cgroup_parent: Option<String>,
}

/// Names and name service as asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NetworkRequest {
    /// `--add-host`.
    pub add_hosts: Vec<HostEntry>,
    /// `--dns`.
    pub dns: Vec<String>,
    /// `--dns-search`.
    pub dns_search: Vec<String>,
    /// `--dns-option`.
    pub dns_options: Vec<String>,
    /// `--no-hosts`; `None` leaves it to containers.conf.
    pub no_hosts: Option<bool>,
    /// `--no-hostname`.
    pub no_hostname: bool,
    /// `--expose`, for `inspect`.
    pub expose: Vec<String>,
}

/// What the engine does around the container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lifecycle {
    /// `--detach` (`run` only).
    pub detach: bool,
    /// `--rm`.
    pub remove: bool,
    /// `--rmi`.
    pub remove_image: bool,
    /// `--replace`.
    pub replace: bool,
    /// `--restart`.
    pub restart: RestartPolicy,
    /// `--pull`.
    pub pull: PullPolicy,
    /// `--quiet`.
    pub quiet: bool,
    /// `--cidfile`.
    pub cidfile: Option<String>,
    /// `--pidfile`.
    pub pidfile: Option<String>,
    /// `--conmon-pidfile`.
    pub conmon_pidfile: Option<String>,
    /// `--log-driver`; `None` leaves it to containers.conf.
    pub log_driver: Option<LogDriver>,
    /// `--log-opt`.
    pub log_options: Vec<(String, String)>,
    /// `--attach`: which streams; empty is the default of the command.
    pub attach: Vec<Stream>,
    /// `--detach-keys`, as written.
    pub detach_keys: Option<String>,
    /// `--sig-proxy`; `None` is true.
    pub sig_proxy: Option<bool>,
    /// `--stop-timeout`, seconds.
    pub stop_timeout: Option<u32>,
    /// `--timeout`, seconds after which the container is killed.
    pub timeout: Option<u32>,
    /// `--platform` or `--os`/`--arch`/`--variant`, as `OS/ARCH[/VARIANT]`.
    pub platform: Option<String>,
    /// `--tls-verify`.
    pub tls_verify: Option<bool>,
    /// `--authfile`.
    pub authfile: Option<String>,
}

/// When the image is pulled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PullPolicy {
    /// When it is not here.
    #[default]
    Missing,
    /// Always.
    Always,
    /// Never.
    Never,
    /// When the registry's is another one.
    Newer,
}

/// Where the output goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogDriver {
    /// Podman's own text format.
    K8sFile,
    /// One JSON object a line.
    JsonFile,
    /// systemd's journal.
    Journald,
    /// Nowhere.
    None,
    /// The container has the caller's own descriptors.
    Passthrough,
}

/// A standard stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Standard input.
    Stdin,
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A process to add to a running container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExecRequest {
    /// The words after the container; never empty in a valid request.
    pub command: Vec<String>,
    /// `--env-file` and `--env`.
    pub env: Vec<(String, String)>,
    /// `--workdir`.
    pub workdir: Option<String>,
    /// `--user`.
    pub user: Option<String>,
    /// `--privileged`; `None` leaves it to containers.conf.
    pub privileged: Option<bool>,
    /// `--interactive`.
    pub interactive: bool,
    /// `--tty`.
    pub tty: bool,
    /// `--detach`.
    pub detach: bool,
    /// `--detach-keys`, as written.
    pub detach_keys: Option<String>,
    /// `--cap-add` (ours), names as written.
    pub cap_add: Vec<String>,
    /// `--cap-drop` (ours), names as written.
    pub cap_drop: Vec<String>,
    /// `--preserve-fds`.
    pub preserve_fds: u32,
    /// `--cidfile`.
    pub cidfile: Option<String>,
    /// `--apart` (ours, hidden): a mount namespace and cgroup of its own, so that it is not watched as part of the container.
    pub apart: bool,
}

impl Request {
    /// Returns the number of the signal that stops the container: `--stop-signal`, the image's, or SIGTERM.
    #[must_use]
    pub fn stop_signal(&self, image: &crate::ImageConfig) -> u32 {
        const SIGTERM: u32 = 15;
        self.process.stop_signal.or_else(|| parse_signal(&image.stop_signal).ok()).unwrap_or(SIGTERM)
    }

    /// Returns the device cgroup rules that were asked for.
    pub fn device_rules(&self) -> impl Iterator<Item = &DeviceRule> {
        self.devices.rules.iter().map(|rule| &rule.0)
    }
}
