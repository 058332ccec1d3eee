//! What is audited: one container, as a file configures it or as it runs.

use selkie_caps::escape::Walls;
use selkie_caps::{CapSet, Capability};

use crate::{Located, Place};

/// One container. A field that is `None` is not said by the file; of a running container everything that could be seen is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// What people call it: the service, the pod's container with its pod, the unit, the running container.
    pub name: String,
    /// Whose rules hold.
    pub engine: Engine,
    /// Where the file begins to speak of it.
    pub place: Option<Place>,
    /// From where it is known.
    pub basis: Basis,
    /// The image.
    pub image: Option<String>,
    /// The digest of the image's manifest, where it is known which one it is.
    pub digest: Option<String>,
    /// What it has when nothing is added or dropped.
    pub defaults: CapSet,
    /// Capabilities that are added, as they are written.
    pub added: Vec<Located<String>>,
    /// Those of the sets beside the bounding one, where all five are written out: what is taken away has to go there, too.
    pub also: Vec<Located<String>>,
    /// Capabilities that are dropped, as they are written.
    pub dropped: Vec<Located<String>>,
    /// What it really can hold: the bounding set of a running container, or a set that is written out.
    pub effective: Option<CapSet>,
    /// The engine's own flag.
    pub privileged: Option<Located<bool>>,
    /// What is written opens as much as the flag would, of an engine that has no flag (LXC).
    pub is_open: bool,
    /// User or uid, as it is written.
    pub user: Option<Located<String>>,
    /// The engine refuses to start it as root (Kubernetes' `runAsNonRoot`).
    pub non_root: Option<Located<bool>>,
    /// Programs gain nothing by execve(2).
    pub no_new_privileges: Option<Located<bool>>,
    /// The system call filter.
    pub seccomp: Option<Located<Confinement>>,
    /// The AppArmor profile.
    pub apparmor: Option<Located<Confinement>>,
    /// SELinux's part of the label that is set by hand.
    pub selinux: Vec<Located<Selinux>>,
    /// The root file system cannot be written.
    pub read_only_root: Option<Located<bool>>,
    /// Namespaces of the host.
    pub host_namespaces: Vec<Located<Namespace>>,
    /// Root within is an ordinary user outside.
    pub own_users: Option<Located<bool>>,
    /// What of the host is mounted, and volumes of unusual kinds.
    pub mounts: Vec<Located<Mount>>,
    /// Devices of the host.
    pub devices: Vec<Located<String>>,
    /// Rules of the device cgroup, in its own words.
    pub device_rules: Vec<Located<String>>,
    /// Paths of /proc and /sys whose mask is off; `ALL` for all of them.
    pub unmasked: Vec<Located<String>>,
    /// Kernel settings, name and value.
    pub sysctls: Vec<Located<(String, String)>>,
    /// Ports of the host (Kubernetes' `hostPort`).
    pub host_ports: Vec<Located<String>>,
    /// Commands that the engine runs within it beside its own (compose's `post_start` and `pre_stop`).
    pub hooks: Vec<Hook>,
    /// What only Kubernetes has: probes that name a host, Windows' host process.
    pub kubernetes: Vec<Located<KubernetesExtra>>,
}

/// From where a subject is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Basis {
    /// A file that configures it.
    #[default]
    File,
    /// It runs, and the kernel was asked.
    Running(Box<Seen>),
    /// It does not run, and its plan says everything that it is given.
    Planned,
    /// It does not run, and its engine's files say the flag and the capabilities at most.
    Stopped,
}

/// What the kernel says of a container that runs, beyond what a file could say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The verdict of `selkie privileged`.
    pub privileged: bool,
    /// Of a yes what decides it, of a no the few words about it.
    pub reasons: Vec<String>,
    /// It can hold everything that anything can hold on this machine.
    pub whole: bool,
    /// What stands between it and the host.
    pub walls: Walls,
}

/// What cannot be known of a container by the flag and the capabilities that its engine keeps of it.
pub const UNKNOWN_OF_STOPPED: [&str; 7] =
    ["user", "no_new_privs", "system call filter", "security module", "namespaces", "mounts", "devices"];

/// Whose rules of merging and defaults hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Engine {
    /// Docker, also by a compose file.
    Docker,
    /// Podman, also by Quadlet and containers.conf.
    Podman,
    /// Kubernetes, whatever runs below it.
    Kubernetes,
    /// An OCI runtime by its config.json: everything is written out.
    Oci,
    /// LXC or Incus.
    Lxc,
    /// systemd-nspawn.
    Nspawn,
    /// Anything else.
    #[default]
    Other,
}

impl Engine {
    /// Returns its name, in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Kubernetes => "kubernetes",
            Self::Oci => "oci",
            Self::Lxc => "lxc",
            Self::Nspawn => "nspawn",
            Self::Other => "other",
        }
    }
}

/// A profile of seccomp or AppArmor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Confinement {
    /// The engine's own.
    Default,
    /// None.
    Unconfined,
    /// This one.
    Profile(String),
}

/// A part of an SELinux label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selinux {
    /// No confinement at all (`label=disable`).
    Disabled,
    /// The type.
    Type(String),
    /// The user.
    User(String),
    /// The role.
    Role(String),
}

/// A namespace that can be the host's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Namespace {
    /// Processes.
    Pid,
    /// Network.
    Network,
    /// System V IPC, POSIX queues and shared memory.
    Ipc,
    /// Host name.
    Uts,
    /// Users, although the engine would give an own one.
    User,
    /// The view of cgroups.
    Cgroup,
}

/// A mount.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mount {
    /// Path of the host; of a volume that is none, its kind (`nfs`).
    pub source: String,
    /// Path in the container.
    pub target: String,
    /// A path of the host, and not a volume.
    pub of_host: bool,
    /// It cannot be written.
    pub read_only: bool,
    /// Mounts below it show on the host (`shared`, `rshared`).
    pub propagates: bool,
}

/// A command that the engine runs in a container when that starts or stops.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hook {
    /// The key that it is of: `post_start`.
    pub name: String,
    /// It has every capability.
    pub privileged: Option<Located<bool>>,
    /// Its user; that of the container if it is not said.
    pub user: Option<Located<String>>,
}

impl Mount {
    /// All of the host's files, as in its own mount namespace.
    pub(crate) fn root_of_host() -> Self {
        Self { source: "/".to_owned(), target: "/".to_owned(), of_host: true, ..Self::default() }
    }
}

/// Settings of a pod that no other engine has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KubernetesExtra {
    /// A probe or hook that the kubelet sends to this host.
    ProbeHost(String),
    /// `windowsOptions.hostProcess`.
    HostProcess,
    /// `mountPropagation: Bidirectional` of a volume of whatever type that is mounted here.
    Bidirectional(String),
}

/// Returns the uid of `USER[:GROUP]`, if a number or `root` says it.
pub(crate) fn uid_of(user: &str) -> Option<u32> {
    let user = user.split(':').next().unwrap_or_default().trim();
    if user == "root" { Some(0) } else { user.parse().ok() }
}

/// A list of capability names, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names {
    pub(crate) set: CapSet,
    pub(crate) all: Option<Place>,
    pub(crate) has_all: bool,
}

impl Names {
    /// Reads names in any case, with or without `CAP_`, or `ALL`; others are left out, and a rule of their own.
    pub(crate) fn read(names: &[Located<String>]) -> Self {
        let mut read = Self::default();
        for name in names {
            if name.value.eq_ignore_ascii_case("all") {
                read.has_all = true;
                read.all = name.place;
            } else if let Some(capability) = capability(&name.value) {
                read.set.insert(capability);
            }
        }
        read
    }
}

/// Reads one name; no number and no `ALL`.
pub(crate) fn capability(name: &str) -> Option<Capability> {
    (!name.is_empty() && !name.bytes().all(|byte| byte.is_ascii_digit())).then(|| Capability::of_name(name))?
}

impl Subject {
    /// Returns what it can hold: the effective set if it is known, else what flags and defaults make.
    pub fn capabilities(&self) -> CapSet {
        if let Some(set) = self.effective {
            return set;
        }
        if self.has_flag() {
            return CapSet::KNOWN;
        }
        let (added, dropped) = (Names::read(&self.added), Names::read(&self.dropped));
        if dropped.has_all {
            return added.set;
        }
        let base = if added.has_all { CapSet::KNOWN } else { self.defaults };
        base.difference(dropped.set).union(added.set.difference(if added.has_all { dropped.set } else { CapSet::EMPTY }))
    }

    /// Returns all places at which a capability is given: to take it away, it has to go at each of them.
    pub(crate) fn places_of(&self, wanted: Capability) -> impl Iterator<Item = Place> {
        self.added.iter().chain(&self.also).filter(move |name| capability(&name.value) == Some(wanted)).filter_map(|name| name.place)
    }

    /// Tells whether the engine's flag is on.
    #[must_use]
    pub fn has_flag(&self) -> bool {
        self.privileged.as_ref().is_some_and(|flag| flag.value)
    }

    /// Returns whether it runs, `running` or `stopped`; `None` of one in a file.
    #[must_use]
    pub fn state(&self) -> Option<&'static str> {
        match &self.basis {
            Basis::File => None,
            Basis::Running(_) => Some("running"),
            Basis::Planned | Basis::Stopped => Some("stopped"),
        }
    }

    /// Tells whether it is privileged: of a file whether it says so, of what runs the verdict over everything that was seen. What
    /// does not run has no walls to be looked at: only the flag, where it counts for the host, makes it a yes.
    #[must_use]
    pub fn is_privileged(&self) -> Option<bool> {
        match &self.basis {
            Basis::File if self.has_flag() || self.is_open => Some(true),
            // An LXC file whose include is not read: what decides it may be there.
            Basis::File => (self.engine != Engine::Lxc || self.has_own_users() || self.seccomp.is_some()).then_some(false),
            Basis::Running(seen) => Some(seen.privileged),
            Basis::Planned | Basis::Stopped => (self.has_flag() && !self.has_own_users()).then_some(true),
        }
    }

    /// Tells whether it has everything anyway, so that findings about parts of it would be noise.
    pub(crate) fn has_everything(&self) -> bool {
        self.has_flag() || matches!(&self.basis, Basis::Running(seen) if seen.privileged && seen.whole)
    }

    /// Tells whether it is known which capabilities it can hold.
    #[must_use]
    pub fn knows_capabilities(&self) -> bool {
        self.basis != Basis::Stopped || self.effective.is_some() || self.has_flag()
    }

    /// Tells whether there is no system call filter; Kubernetes has none unless the kubelet or the pod says so, which is another rule.
    #[must_use]
    pub fn is_seccomp_off(&self) -> bool {
        let runs = matches!(self.basis, Basis::Running(_));
        !runs && self.has_flag() || self.seccomp.as_ref().is_some_and(|seccomp| seccomp.value == Confinement::Unconfined)
    }

    /// Tells whether it shares this namespace with the host.
    #[must_use]
    pub fn shares(&self, namespace: Namespace) -> bool {
        self.host_namespaces.iter().any(|shared| shared.value == namespace)
    }

    /// Tells whether root within is an ordinary user outside.
    #[must_use]
    pub fn has_own_users(&self) -> bool {
        self.own_users.as_ref().is_some_and(|own| own.value) && !self.shares(Namespace::User)
    }

    /// Returns the uid that it starts with, if a number or `root` says so.
    #[must_use]
    pub fn uid(&self) -> Option<u32> {
        uid_of(&self.user.as_ref()?.value)
    }

    /// Tells whether it certainly does not start as root.
    #[must_use]
    pub fn is_non_root(&self) -> bool {
        let named = self.user.as_ref().is_some_and(|user| !user.value.trim().is_empty() && !user.value.contains('$'));
        named && self.uid() != Some(0) || self.non_root.as_ref().is_some_and(|flag| flag.value) && self.uid() != Some(0)
    }
}

#[cfg(test)]
mod tests {
    use selkie_caps::DOCKER_DEFAULTS;

    use super::*;

    fn subject(added: &[&str], dropped: &[&str]) -> Subject {
        let names = |names: &[&str]| names.iter().map(|name| Located::nowhere((*name).to_owned())).collect();
        Subject { defaults: DOCKER_DEFAULTS, added: names(added), dropped: names(dropped), ..Subject::default() }
    }

    #[test]
    fn capabilities_are_defaults_without_dropped_with_added() {
        assert_eq!(subject(&[], &[]).capabilities().len(), 14);
        assert_eq!(subject(&["CAP_NET_ADMIN"], &["mknod"]).capabilities().len(), 14);
        assert_eq!(subject(&["setuid"], &["ALL"]).capabilities(), CapSet::EMPTY.with(Capability::Setuid));
        assert_eq!(subject(&["ALL"], &["SYS_ADMIN"]).capabilities(), CapSet::KNOWN.without(Capability::SysAdmin));
    }

    #[test]
    fn uid_is_of_the_user_before_the_colon() {
        let user = |text: &str| Subject { user: Some(Located::nowhere(text.to_owned())), ..Subject::default() };
        assert_eq!((user("0:0").uid(), user("root").uid(), user("web").uid()), (Some(0), Some(0), None));
        assert!(user("web").is_non_root() && user("1000").is_non_root() && !user("0").is_non_root());
    }
}
