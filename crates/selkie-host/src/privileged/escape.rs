//! Ways out of a container that a combination of rights opens. Pure.
//!
//! Each way is a row: what has to be open, why it works, what closes it. A way is reported with how sure it is:
//!
//! | sureness | when |
//! |---|---|
//! | certain | everything that it needs has been seen, and nothing that could be in between |
//! | likely | it works on common kernels and configurations; what decides it was not seen |
//! | possible | one thing that it needs is not known, or takes somebody else's doing |
//!
//! Rules: capabilities(7), user_namespaces(7), proc(5), cgroups(7), Documentation/admin-guide/cgroup-v1/cgroups.rst.

use selkie_caps::Capability::{
    self, Bpf, DacOverride, DacReadSearch, Mknod, NetAdmin, NetRaw, Perfmon, Setuid, SysAdmin, SysBoot, SysModule, SysPtrace, SysRawio,
};

use super::{Devices, Facts};
use crate::Namespace;

/// How sure it is that a way works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sureness {
    /// Everything that it needs was seen.
    Certain,
    /// It works on common kernels and configurations.
    Likely,
    /// Something that it needs is not known.
    Possible,
}

impl Sureness {
    /// Returns the word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Certain => "certain",
            Self::Likely => "likely",
            Self::Possible => "possible",
        }
    }

    /// Returns one step less.
    const fn less(self) -> Self {
        match self {
            Self::Certain => Self::Likely,
            Self::Likely | Self::Possible => Self::Possible,
        }
    }
}

/// One way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Escape {
    /// A name that stays: `module`, `core-pattern` and so on.
    pub id: &'static str,
    /// How sure it is.
    pub sureness: Sureness,
    /// What combination opens it, a lowercase fragment.
    pub combination: String,
    /// Why it works.
    pub why: &'static str,
    /// What closes it.
    pub closes: &'static str,
}

/// Returns the ways that `facts` open, the surest first; none for a process of the host, which has nothing to leave.
#[must_use]
pub fn escapes(facts: &Facts) -> Vec<Escape> {
    if facts.host_process {
        return Vec::new();
    }
    let reach = Reach(facts);
    let mut found = Vec::new();
    let ways = [files, kernel, tracing, devices, writable, network];
    for way in ways {
        way(&reach, &mut found);
    }
    found.sort_by_key(|escape: &Escape| escape.sureness);
    found
}

/// Questions about the facts.
struct Reach<'a>(&'a Facts);

impl Reach<'_> {
    /// Whether capabilities and user 0 count for the host.
    fn counts(&self) -> bool {
        self.0.initial_user_namespace != Some(false)
    }

    /// How sure it is that the process has a capability, or gets it by executing a program; `None` when it cannot.
    fn has(&self, capability: Capability) -> Option<Sureness> {
        let sets = &self.0.sets;
        if !self.counts() {
            return None;
        }
        let certain = if self.0.initial_user_namespace == Some(true) { Sureness::Certain } else { Sureness::Possible };
        if sets.permitted.contains(capability) {
            return Some(certain);
        }
        // A set-user-ID program gives what the bounding set allows, if there is one and it does what is wanted.
        let gained = sets.bounding.contains(capability) && self.0.no_new_privileges != Some(true);
        gained.then_some(Sureness::Possible)
    }

    /// How sure it is that the kernel takes a system call of the process; `None` when a filter is known to refuse it.
    fn call(&self, name: &'static str) -> Option<Sureness> {
        match (self.0.seccomp, &self.0.filter) {
            (Some(1), _) => None,
            (Some(0) | None, _) => Some(Sureness::Certain),
            (Some(_), Some(filter)) if filter.allowed.contains(name) => Some(Sureness::Certain),
            (Some(_), Some(filter)) => filter.partly.contains(name).then_some(Sureness::Possible),
            // The profiles that engines bring open a call together with the capability that it needs.
            (Some(_), None) => Some(Sureness::Likely),
        }
    }

    /// A profile of a security module may stand in between.
    fn through_label(&self, sureness: Sureness) -> Sureness {
        let open = self.0.label.as_deref().is_none_or(|label| label.starts_with("unconfined") || label.contains(":spc_t:"));
        if open { sureness } else { sureness.less() }
    }

    fn shares(&self, kind: Namespace) -> Option<Sureness> {
        match self.0.shared.iter().find(|(found, _)| *found == kind) {
            Some((_, Some(true))) => Some(Sureness::Certain),
            _ => None,
        }
    }

    /// Whether it is, or can become, the host's user 0.
    fn is_root(&self) -> Option<Sureness> {
        let certain = if self.0.initial_user_namespace == Some(true) { Sureness::Certain } else { Sureness::Possible };
        match self.0.uid {
            _ if !self.counts() => None,
            Some(0) => Some(certain),
            _ => self.has(Setuid).map(|sureness| sureness.max(Sureness::Likely)),
        }
    }

    /// Whether the device cgroup lets it open any device.
    fn any_device(&self) -> Option<Sureness> {
        match self.0.devices {
            Devices::All => Some(Sureness::Certain),
            Devices::Unknown => Some(Sureness::Possible),
            Devices::Listed => None,
        }
    }

    fn node(&self, wanted: &[&str]) -> bool {
        self.0.host_nodes.iter().any(|node| wanted.contains(&node.as_str()))
    }

    fn disks(&self) -> Vec<&str> {
        let memory = ["/dev/mem", "/dev/kmem", "/dev/port"];
        self.0.host_nodes.iter().map(String::as_str).filter(|node| !memory.contains(node)).collect()
    }
}

/// Returns the weakest of what a way needs; `None` when one of it is not there.
fn all(needs: &[Option<Sureness>]) -> Option<Sureness> {
    needs.iter().copied().try_fold(Sureness::Certain, |weakest, need| Some(weakest.max(need?)))
}

type Out<'a> = &'a mut Vec<Escape>;

fn add(out: Out<'_>, sureness: Option<Sureness>, id: &'static str, combination: &str, why: &'static str, closes: &'static str) {
    if let Some(sureness) = sureness {
        out.push(Escape { id, sureness, combination: combination.to_owned(), why, closes });
    }
}

/// The host's files: through a handle, a mount, a socket.
fn files(reach: &Reach<'_>, out: Out<'_>) {
    let handle = all(&[reach.has(DacReadSearch), reach.call("open_by_handle_at")]);
    add(
        out,
        handle.map(|sureness| reach.through_label(sureness)),
        "open-by-handle",
        "DAC_READ_SEARCH and open_by_handle_at(2)",
        "a handle opens any file of a file system that anything of is mounted here, the host's own ones included, beyond the root directory",
        "drop DAC_READ_SEARCH, or refuse open_by_handle_at in the filter",
    );
    for mount in &reach.0.host_mounts {
        let owner = reach.is_root().or_else(|| reach.has(DacOverride).filter(|sureness| *sureness == Sureness::Certain));
        if mount.read_only {
            let reads = owner.or_else(|| reach.has(DacReadSearch)).filter(|_| matches!(mount.source.as_str(), "/" | "/etc" | "/root"));
            add(
                out,
                reads.map(Sureness::less),
                "host-files-read",
                &format!("the host's {} at {}, read-only", mount.source, mount.point),
                "root reads the host's keys and password hashes, and uses them to come back as somebody",
                "do not mount it, or mount only the directory that is needed",
            );
        } else {
            add(
                out,
                owner,
                "host-files-write",
                &format!("the host's {} at {}, writable", mount.source, mount.point),
                "what the host's root executes or reads is written there: a unit, a job of cron, a key for ssh",
                "mount it read-only, or mount only the directory that is needed",
            );
        }
    }
    for socket in &reach.0.sockets {
        let sureness = reach.is_root().or_else(|| reach.has(DacOverride)).unwrap_or(Sureness::Possible);
        add(
            out,
            Some(sureness),
            "engine-socket",
            &format!("the socket {socket}"),
            "whoever may connect asks the engine for a privileged container with the host's / in it; a read-only mount stops no connection",
            "do not mount the socket; give a proxy that allows single requests",
        );
    }
}

/// What the kernel itself does for whoever holds the capability.
fn kernel(reach: &Reach<'_>, out: Out<'_>) {
    let module = all(&[reach.has(SysModule), reach.call("finit_module").or_else(|| reach.call("init_module"))]);
    add(
        out,
        module.map(|sureness| reach.through_label(sureness)),
        "module",
        "SYS_MODULE",
        "a module is code in the kernel, which knows no containers; signatures are asked for only where the kernel is locked down",
        "drop SYS_MODULE and load modules on the host",
    );
    let mount = all(&[reach.has(SysAdmin), reach.call("mount")]);
    add(
        out,
        mount.map(|sureness| reach.through_label(sureness)),
        "mount",
        "SYS_ADMIN and mount(2)",
        "file systems of the host, procfs, sysfs and cgroups are mounted again, writable and without masks, and give every other way",
        "drop SYS_ADMIN; if a mount is needed, have the engine make it",
    );
    let agent = all(&[reach.has(SysAdmin), reach.0.release_agent_writable.then_some(Sureness::Certain), reach.is_root()]);
    add(
        out,
        agent.map(|sureness| reach.through_label(sureness)),
        "release-agent",
        "SYS_ADMIN and a writable cgroup of version 1",
        "the kernel runs the program in release_agent as the host's root when a cgroup becomes empty",
        "mount cgroups read-only, use cgroup version 2, or drop SYS_ADMIN",
    );
    let kexec = all(&[reach.has(SysBoot), reach.call("kexec_load")]);
    add(
        out,
        kexec.map(|sureness| reach.through_label(sureness).max(Sureness::Likely)),
        "kexec",
        "SYS_BOOT and kexec_load(2)",
        "another kernel is started in place of this one, with any program as its first",
        "drop SYS_BOOT, or set kernel.kexec_load_disabled",
    );
    let ports = all(&[reach.has(SysRawio), reach.call("iopl")]);
    add(
        out,
        ports.map(|sureness| sureness.max(Sureness::Likely)),
        "io-ports",
        "SYS_RAWIO and iopl(2)",
        "devices of the machine are programmed directly, past the kernel: a disk controller writes any memory",
        "drop SYS_RAWIO; give the one device with --device",
    );
    let core = reach.0.unmasked.as_ref().is_some_and(|open| open.iter().any(|path| path == "/proc/kcore"));
    add(
        out,
        all(&[reach.has(SysRawio), core.then_some(Sureness::Likely), reach.is_root()]),
        "kernel-memory",
        "SYS_RAWIO and /proc/kcore",
        "the kernel's memory is read: keys, passwords and every other container's data",
        "drop SYS_RAWIO, or mask /proc/kcore",
    );
}

/// Other processes' memory.
fn tracing(reach: &Reach<'_>, out: Out<'_>) {
    let pids = reach.shares(Namespace::Pid);
    // Without ptrace(2), process_vm_writev(2) and /proc/PID/mem do the same.
    let trace = all(&[reach.has(SysPtrace), pids]);
    add(
        out,
        trace.map(|sureness| reach.through_label(sureness)),
        "trace-host",
        "SYS_PTRACE and the host's PID namespace",
        "a process of the host's root is made to run any code, or its files are taken through /proc/PID/root",
        "a PID namespace of its own, or drop SYS_PTRACE",
    );
    let enter = all(&[reach.has(SysAdmin), reach.has(SysPtrace), pids, reach.call("mount")]);
    add(
        out,
        enter,
        "enter-host",
        "SYS_ADMIN, SYS_PTRACE and the host's PID namespace",
        "setns(2) enters the namespaces of the host's first process, as nsenter -t 1 does",
        "a PID namespace of its own",
    );
    let becomes = all(&[reach.has(Setuid), pids, reach.is_root().or(Some(Sureness::Likely))]).filter(|_| trace.is_none());
    add(
        out,
        becomes.map(|_| Sureness::Possible),
        "trace-user",
        "SETUID and the host's PID namespace",
        "as the same user, a user's processes on the host can be traced where kernel.yama.ptrace_scope is 0, and their files read",
        "a PID namespace of its own, or drop SETUID",
    );
    let bpf = all(&[reach.has(Bpf).or_else(|| reach.has(SysAdmin)), reach.has(Perfmon).or_else(|| reach.has(SysAdmin)), reach.call("bpf")]);
    add(
        out,
        bpf.map(|sureness| reach.through_label(sureness).max(Sureness::Likely)),
        "bpf",
        "BPF with PERFMON, or SYS_ADMIN, and bpf(2)",
        "programs in the kernel read the memory of every process, and with SYS_ADMIN write it",
        "drop BPF, PERFMON and SYS_ADMIN, or refuse bpf in the filter",
    );
    let perf = all(&[reach.has(Perfmon), reach.call("perf_event_open")]).filter(|_| bpf.is_none());
    add(
        out,
        perf.map(|_| Sureness::Possible),
        "perf",
        "PERFMON and perf_event_open(2)",
        "all processes of the machine are sampled, their registers and stacks included",
        "drop PERFMON, or set kernel.perf_event_paranoid to 3 where the kernel has it",
    );
}

/// Devices of the machine.
fn devices(reach: &Reach<'_>, out: Out<'_>) {
    let disks = reach.disks();
    let opens = reach.is_root().or_else(|| reach.has(DacOverride));
    // A node that an engine made stands in the list of its device cgroup, too.
    let rules = reach.any_device().or(Some(Sureness::Likely));
    if !disks.is_empty() {
        add(
            out,
            all(&[opens, rules]),
            "disk",
            &format!("the host's disks {}", disks.join(" ")),
            "whoever opens a disk reads and writes every file on it, past all permissions",
            "do not give the device; mount the directory that is needed",
        );
    } else {
        let makes = all(&[reach.has(Mknod), reach.call("mknodat"), reach.any_device(), opens]);
        add(
            out,
            makes.map(|sureness| reach.through_label(sureness)),
            "make-disk",
            "MKNOD and a device cgroup that allows every device",
            "a node for the host's disk is made and opened",
            "drop MKNOD, or keep the engine's list of devices",
        );
    }
    let memory = reach.node(&["/dev/mem", "/dev/kmem", "/dev/port"]);
    add(
        out,
        all(&[reach.has(SysRawio), memory.then_some(Sureness::Likely), opens]),
        "raw-memory",
        "SYS_RAWIO and /dev/mem, /dev/kmem or /dev/port",
        "the machine's memory or its ports are read and written; kernels with strict devmem leave only those of devices",
        "do not give the device, or drop SYS_RAWIO",
    );
}

/// Files of the kernel that make it execute something.
fn writable(reach: &Reach<'_>, out: Out<'_>) {
    let is = |writable: Option<bool>| (writable == Some(true)).then_some(Sureness::Certain);
    add(
        out,
        all(&[reach.is_root(), is(reach.0.core_pattern_writable)]).map(|sureness| reach.through_label(sureness)),
        "core-pattern",
        "/proc/sys/kernel/core_pattern writable for user 0",
        "a pattern that begins with | names a program that the kernel runs as the host's root when a process crashes; no capability is asked for",
        "keep /proc/sys read-only, or use a user namespace",
    );
    let sysfs = all(&[reach.is_root(), is(reach.0.sys_writable)]);
    add(
        out,
        sysfs.map(|_| Sureness::Possible),
        "sysfs",
        "/sys writable for user 0",
        "where the kernel has CONFIG_UEVENT_HELPER, /sys/kernel/uevent_helper names a program that it runs as the host's root",
        "keep /sys read-only, or use a user namespace",
    );
}

/// The host's network: no root by itself, and everything that trusts it.
fn network(reach: &Reach<'_>, out: Out<'_>) {
    let host = reach.shares(Namespace::Network);
    let admin = all(&[reach.has(NetAdmin), host]);
    add(
        out,
        admin.map(|_| Sureness::Possible),
        "network",
        "NET_ADMIN and the host's network namespace",
        "the host's traffic is routed, filtered and redirected, and so is what it trusts: names, updates, mounts over the network",
        "a network namespace of its own",
    );
    add(
        out,
        all(&[reach.has(NetRaw), host]).filter(|_| admin.is_none()).map(|_| Sureness::Possible),
        "sniff",
        "NET_RAW and the host's network namespace",
        "all traffic of the host is read and answers are forged",
        "a network namespace of its own, or drop NET_RAW",
    );
}

#[cfg(test)]
mod tests {
    use selkie_caps::{CapSet, FiveSets};

    use super::super::HostMount;
    use super::*;
    use crate::containers::Filter;

    /// A container with `names` as its permitted and bounding set, and a filter of an unknown profile.
    fn with(names: &str) -> Facts {
        Facts::contained(CapSet::parse(names).unwrap())
    }

    fn shares(kind: Namespace, facts: Facts) -> Facts {
        Facts { shared: vec![(kind, Some(true))], ..facts }
    }

    fn mount(source: &str, read_only: bool) -> Vec<HostMount> {
        vec![HostMount { source: source.to_owned(), point: "/host".to_owned(), read_only }]
    }

    fn only(calls: &[&'static str]) -> Option<Filter> {
        Some(Filter { allowed: calls.iter().copied().collect(), ..Filter::default() })
    }

    fn bounding_only(names: &str) -> Facts {
        let facts = with(names);
        Facts { sets: FiveSets { permitted: CapSet::EMPTY, effective: CapSet::EMPTY, ..facts.sets }, ..facts }
    }

    fn nodes(list: &[&str]) -> Vec<String> {
        list.iter().map(|node| (*node).to_owned()).collect()
    }

    #[test]
    fn escapes_of_each_combination() {
        let open = |facts: Facts| Facts { seccomp: Some(0), ..facts };
        let eleven = "chown,dac_override,fowner,fsetid,kill,net_bind_service,setfcap,setgid,setpcap,setuid,sys_chroot";
        let pid = |facts| shares(Namespace::Pid, facts);
        let net = |facts| shares(Namespace::Network, facts);
        let cases: Vec<(&str, Facts, &str)> = vec![
            ("plain", with(eleven), ""),
            ("plain without a filter", open(with(eleven)), ""),
            ("a handle behind a common filter", with("dac_read_search"), "open-by-handle likely"),
            ("a handle without a filter", open(with("dac_read_search")), "open-by-handle certain"),
            (
                "a handle that the profile lets through",
                Facts { filter: only(&["open_by_handle_at"]), ..with("dac_read_search") },
                "open-by-handle certain",
            ),
            ("a handle that the profile refuses", Facts { filter: only(&[]), ..with("dac_read_search") }, ""),
            ("a handle in a user namespace", Facts { initial_user_namespace: Some(false), ..open(with("dac_read_search")) }, ""),
            (
                "a handle, confined",
                Facts { label: Some("docker-default (enforce)".to_owned()), ..open(with("dac_read_search")) },
                "open-by-handle likely",
            ),
            (
                "a handle, unconfined",
                Facts { label: Some("unconfined".to_owned()), ..open(with("dac_read_search")) },
                "open-by-handle certain",
            ),
            ("a handle to be gained", open(bounding_only("dac_read_search")), "open-by-handle possible"),
            ("a handle, never to be gained", Facts { no_new_privileges: Some(true), ..open(bounding_only("dac_read_search")) }, ""),
            ("a module", open(with("sys_module")), "module certain"),
            ("a module behind a common filter", with("sys_module"), "module likely"),
            ("a module that the profile refuses", Facts { filter: only(&["mount"]), ..with("sys_module") }, ""),
            ("strict seccomp", Facts { seccomp: Some(1), ..with("sys_module") }, ""),
            ("SYS_ADMIN without a filter", open(with("sys_admin")), "mount certain, bpf likely"),
            ("SYS_ADMIN behind a common filter", with("sys_admin"), "mount likely, bpf likely"),
            ("release_agent", Facts { release_agent_writable: true, filter: only(&[]), ..with("sys_admin") }, "release-agent certain"),
            ("release_agent without SYS_ADMIN", Facts { release_agent_writable: true, ..with(eleven) }, ""),
            ("the host's processes", pid(with("kill")), ""),
            ("the host's processes, traced", pid(with("sys_ptrace")), "trace-host certain"),
            ("the host's processes as any user", pid(with("setuid")), "trace-user possible"),
            (
                "the host's namespaces",
                pid(Facts { filter: only(&["mount"]), ..with("sys_admin,sys_ptrace") }),
                "mount certain, trace-host certain, enter-host certain",
            ),
            ("SYS_PTRACE among its own", with("sys_ptrace"), ""),
            ("core_pattern", Facts { core_pattern_writable: Some(true), ..with("chown") }, "core-pattern certain"),
            ("core_pattern without any capability", Facts { core_pattern_writable: Some(true), ..with("none") }, "core-pattern certain"),
            ("core_pattern of another user", Facts { core_pattern_writable: Some(true), uid: Some(7), ..with("none") }, ""),
            (
                "core_pattern of a user who may become root",
                Facts { core_pattern_writable: Some(true), uid: Some(7), ..with("setuid") },
                "core-pattern likely",
            ),
            (
                "core_pattern in a user namespace",
                Facts { core_pattern_writable: Some(true), initial_user_namespace: Some(false), ..with("chown") },
                "",
            ),
            (
                "core_pattern, user namespace unknown",
                Facts { core_pattern_writable: Some(true), initial_user_namespace: None, ..with("chown") },
                "core-pattern possible",
            ),
            ("sysfs", Facts { sys_writable: Some(true), ..with("chown") }, "sysfs possible"),
            ("/dev/mem", Facts { host_nodes: nodes(&["/dev/mem"]), filter: only(&[]), ..with("sys_rawio") }, "raw-memory likely"),
            ("/dev/mem without SYS_RAWIO", Facts { host_nodes: nodes(&["/dev/mem"]), ..with("chown") }, ""),
            ("ports", with("sys_rawio"), "io-ports likely"),
            (
                "/proc/kcore",
                Facts { unmasked: Some(nodes(&["/proc/kcore"])), filter: only(&[]), ..with("sys_rawio") },
                "kernel-memory likely",
            ),
            ("a disk and its rule", Facts { host_nodes: nodes(&["/dev/vda"]), devices: Devices::All, ..with("none") }, "disk certain"),
            ("a disk in a list", Facts { host_nodes: nodes(&["/dev/vda"]), ..with("none") }, "disk likely"),
            ("a disk of another user's", Facts { host_nodes: nodes(&["/dev/vda"]), uid: Some(7), ..with("none") }, ""),
            ("a disk to be made", Facts { devices: Devices::All, ..with("mknod") }, "make-disk likely"),
            ("a disk to be made, without a filter", open(Facts { devices: Devices::All, ..with("mknod") }), "make-disk certain"),
            ("a disk that no rule opens", with("mknod"), ""),
            ("an engine's socket", Facts { sockets: nodes(&["/run/docker.sock"]), ..with("none") }, "engine-socket certain"),
            (
                "an engine's socket of another user",
                Facts { sockets: nodes(&["/run/docker.sock"]), uid: Some(7), ..with("none") },
                "engine-socket possible",
            ),
            ("the host's /", Facts { host_mounts: mount("/", false), ..with("none") }, "host-files-write certain"),
            ("the host's / of another user", Facts { host_mounts: mount("/", false), uid: Some(7), ..with("none") }, ""),
            (
                "the host's / past permissions",
                Facts { host_mounts: mount("/", false), uid: Some(7), ..with("dac_override") },
                "host-files-write certain",
            ),
            ("the host's / to be read", Facts { host_mounts: mount("/", true), ..with("none") }, "host-files-read likely"),
            ("the host's programs to be read", Facts { host_mounts: mount("/usr", true), ..with("none") }, ""),
            ("BPF alone", with("bpf"), ""),
            ("BPF with PERFMON", with("bpf,perfmon"), "bpf likely"),
            ("BPF that the profile refuses", Facts { filter: only(&[]), ..with("bpf,perfmon") }, ""),
            ("PERFMON alone", with("perfmon"), "perf possible"),
            ("another kernel", with("sys_boot"), "kexec likely"),
            ("the host's network", net(with("net_admin,net_raw")), "network possible"),
            ("the host's network to be read", net(with("net_raw")), "sniff possible"),
            ("a process of the host", Facts { host_process: true, ..open(with("sys_admin,sys_module")) }, ""),
        ];
        let found: Vec<(&str, String)> = cases
            .iter()
            .map(|(name, facts, _)| {
                let ways = escapes(facts).iter().map(|way| format!("{} {}", way.id, way.sureness.word())).collect::<Vec<_>>();
                (*name, ways.join(", "))
            })
            .collect();
        let wanted: Vec<(&str, String)> = cases.iter().map(|(name, _, wanted)| (*name, (*wanted).to_owned())).collect();
        assert_eq!(found, wanted);
    }
}
