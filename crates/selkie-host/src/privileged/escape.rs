//! A process's walls, for the table of ways out. Pure.

use selkie_caps::escape::{self, Calls, Escape, Sureness, Walls};

use super::{Devices, Facts, View};
use crate::Namespace;

/// Returns the ways that `facts` open, the surest first; none for a process of the host, which has nothing to leave.
#[must_use]
pub fn escapes(facts: &Facts) -> Vec<Escape> {
    if facts.host_process { Vec::new() } else { escape::escapes(&walls(facts)) }
}

/// Returns what of `facts` decides about ways out.
#[must_use]
pub fn walls(facts: &Facts) -> Walls {
    let shares = |kind: Namespace| facts.shared.iter().find(|(found, _)| *found == kind).and_then(|(_, shared)| *shared);
    Walls {
        permitted: facts.sets.permitted,
        bounding: facts.sets.bounding,
        no_new_privileges: facts.no_new_privileges,
        initial_users: facts.initial_user_namespace,
        // From inside, what is outside may be a user namespace, too.
        own_root: match (facts.root_is, facts.view) {
            (Some(0), View::Outside) => Some(Sureness::Certain),
            (Some(0), View::Inside) => Some(Sureness::Possible),
            _ => None,
        },
        root: facts.uid.map(|uid| uid == 0),
        calls: calls(facts),
        confined: Some(facts.label.as_deref().is_some_and(|label| !is_unconfined(label))),
        host_pids: shares(Namespace::Pid),
        host_network: shares(Namespace::Network),
        any_device: match facts.devices {
            Devices::All => Some(true),
            Devices::Listed => Some(false),
            Devices::Unknown => None,
        },
        core_pattern_writable: facts.core_pattern_writable,
        sysfs_writable: facts.sys_writable,
        release_agent_writable: Some(facts.release_agent_writable),
        kernel_memory_readable: facts.unmasked.as_ref().map(|open| open.iter().any(|path| path == "/proc/kcore")),
        nodes: facts.host_nodes.clone(),
        mounts: facts.host_mounts.clone(),
        sockets: facts.sockets.clone(),
    }
}

fn calls(facts: &Facts) -> Calls {
    match (facts.seccomp, &facts.filter) {
        (Some(1), _) => Calls::Strict,
        (Some(0) | None, _) => Calls::All,
        (Some(_), Some(filter)) => Calls::Listed { allowed: filter.allowed.clone(), partly: filter.partly.clone() },
        (Some(_), None) => Calls::Unknown,
    }
}

/// Whether a label of a security module lets everything through.
pub(super) fn is_unconfined(label: &str) -> bool {
    label.starts_with("unconfined") || label.contains(":spc_t:")
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
                Facts { core_pattern_writable: Some(true), initial_user_namespace: Some(false), root_is: Some(100_000), ..with("chown") },
                "",
            ),
            (
                "core_pattern in a user namespace whose root is root outside",
                Facts { core_pattern_writable: Some(true), initial_user_namespace: Some(false), root_is: Some(0), ..with("chown") },
                "core-pattern certain",
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
                let ways = escapes(facts).iter().map(|way| format!("{} {}", way.way.id(), way.sureness.word())).collect::<Vec<_>>();
                (*name, ways.join(", "))
            })
            .collect();
        let wanted: Vec<(&str, String)> = cases.iter().map(|(name, _, wanted)| (*name, (*wanted).to_owned())).collect();
        assert_eq!(found, wanted);
    }
}
