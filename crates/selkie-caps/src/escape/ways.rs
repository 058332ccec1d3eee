//! The table.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::reach::{Reach, all, known};
use super::{HostMount, Sureness, Walls};
use crate::Capability::{
    self, Bpf, DacOverride, DacReadSearch, Mknod, NetAdmin, NetRaw, Perfmon, Setuid, SysAdmin, SysBoot, SysModule, SysPtrace, SysRawio,
};

/// One way out that is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Escape {
    /// Which way.
    pub way: Way,
    /// How sure it is.
    pub sureness: Sureness,
    /// What combination opens it, a lowercase fragment.
    pub combination: String,
    /// Why it works.
    pub why: &'static str,
    /// What closes it.
    pub closes: &'static str,
    /// The capabilities that it uses, the one that matters most first.
    pub capabilities: &'static [Capability],
}

/// Returns the ways that `walls` leave open, the surest first, then in the order of the table.
#[must_use]
pub fn escapes(walls: &Walls) -> Vec<Escape> {
    let reach = Reach(walls);
    let mut found: Vec<Escape> = Vec::new();
    for row in TABLE {
        found.extend((row.opens)(&reach).into_iter().map(|(sureness, combination)| Escape {
            way: row.way,
            sureness,
            combination,
            why: row.why,
            closes: row.closes,
            capabilities: row.capabilities,
        }));
    }
    found.sort_by_key(|escape| escape.sureness);
    found
}

/// Declares the ways once: the enum and their ids.
macro_rules! ways {
    ($($variant:ident $id:literal $about:literal;)*) => {
        /// A way out.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Way { $(#[doc = $about] $variant,)* }

        impl Way {
            /// All of them, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Returns its name, which stays.
            #[must_use]
            pub const fn id(self) -> &'static str {
                match self { $(Self::$variant => $id,)* }
            }
        }
    };
}

ways! {
    OpenByHandle "open-by-handle" "Any file, by its handle.";
    HostFilesRead "host-files-read" "Secrets of the host, by a mount that cannot be written.";
    HostFilesWrite "host-files-write" "What the host's root executes, by a mount.";
    EngineSocket "engine-socket" "A container of the engine's, by its socket.";
    Module "module" "Code in the kernel.";
    Mount "mount" "The host's file systems, mounted again.";
    ReleaseAgent "release-agent" "A program that the kernel runs when a cgroup is empty.";
    Kexec "kexec" "Another kernel.";
    IoPorts "io-ports" "The machine's devices, by their ports.";
    KernelMemory "kernel-memory" "The kernel's memory, to be read.";
    TraceHost "trace-host" "A process of the host's root, traced.";
    EnterHost "enter-host" "The host's namespaces, entered.";
    TraceUser "trace-user" "A process of a user of the host, traced.";
    Bpf "bpf" "Programs in the kernel.";
    Perf "perf" "Samples of all processes.";
    Disk "disk" "A disk of the host that is there.";
    MakeDisk "make-disk" "A disk of the host that a node is made for.";
    RawMemory "raw-memory" "The machine's memory, by a device.";
    CorePattern "core-pattern" "A program that the kernel runs when a process crashes.";
    Sysfs "sysfs" "A program that the kernel runs when a device appears.";
    Network "network" "The host's traffic, changed.";
    Sniff "sniff" "The host's traffic, read.";
}

/// A row of the table.
struct Row {
    way: Way,
    capabilities: &'static [Capability],
    /// How sure it is, and by what combination, for each thing that opens it.
    opens: fn(&Reach<'_>) -> Vec<(Sureness, String)>,
    why: &'static str,
    closes: &'static str,
}

/// The one combination of a way that has no object.
fn by(combination: &str, sureness: Option<Sureness>) -> Vec<(Sureness, String)> {
    sureness.map(|sureness| (sureness, combination.to_owned())).into_iter().collect()
}

const TABLE: &[Row] = &[
    // The host's files: through a handle, a mount, a socket.
    Row {
        way: Way::OpenByHandle,
        capabilities: &[DacReadSearch],
        opens: |reach| {
            let handle = all(&[reach.has(DacReadSearch), reach.call("open_by_handle_at")]);
            by("DAC_READ_SEARCH and open_by_handle_at(2)", handle.map(|sureness| reach.through_label(sureness)))
        },
        why: "a handle opens any file of a file system that anything of is mounted here, the host's own ones included, beyond the root directory",
        closes: "drop DAC_READ_SEARCH, or refuse open_by_handle_at in the filter",
    },
    Row {
        way: Way::HostFilesRead,
        capabilities: &[],
        opens: |reach| mounts(reach, true),
        why: "root reads the host's keys and password hashes, and uses them to come back as somebody",
        closes: "do not mount it, or mount only the directory that is needed",
    },
    Row {
        way: Way::HostFilesWrite,
        capabilities: &[],
        opens: |reach| mounts(reach, false),
        why: "what the host's root executes or reads is written there: a unit, a job of cron, a key for ssh",
        closes: "mount it read-only, or mount only the directory that is needed",
    },
    Row {
        way: Way::EngineSocket,
        capabilities: &[],
        opens: |reach| {
            let sureness = reach.opens().unwrap_or(Sureness::Possible);
            reach.0.sockets.iter().map(|socket| (sureness, format!("the socket {socket}"))).collect()
        },
        why: "whoever may connect asks the engine for a privileged container with the host's / in it, or the service manager for a program as root; a read-only mount stops no connection",
        closes: "do not mount the socket; give a proxy that allows single requests",
    },
    // What the kernel itself does for whoever holds the capability.
    Row {
        way: Way::Module,
        capabilities: &[SysModule],
        opens: |reach| {
            let module = all(&[reach.has(SysModule), reach.call("finit_module").or_else(|| reach.call("init_module"))]);
            by("SYS_MODULE", module.map(|sureness| reach.through_label(sureness)))
        },
        why: "a module is code in the kernel, which knows no containers; signatures are asked for only where the kernel is locked down",
        closes: "drop SYS_MODULE and load modules on the host",
    },
    Row {
        way: Way::Mount,
        capabilities: &[SysAdmin],
        opens: |reach| {
            let mount = all(&[reach.has(SysAdmin), reach.call("mount")]);
            by("SYS_ADMIN and mount(2)", mount.map(|sureness| reach.through_label(sureness)))
        },
        why: "file systems of the host, procfs, sysfs and cgroups are mounted again, writable and without masks, and give every other way",
        closes: "drop SYS_ADMIN; if a mount is needed, have the engine make it",
    },
    Row {
        way: Way::ReleaseAgent,
        capabilities: &[SysAdmin],
        opens: |reach| {
            let agent = all(&[reach.has(SysAdmin), known(reach.0.release_agent_writable), reach.is_root()]);
            by("SYS_ADMIN and a writable cgroup of version 1", agent.map(|sureness| reach.through_label(sureness)))
        },
        why: "the kernel runs the program in release_agent as the host's root when a cgroup becomes empty",
        closes: "mount cgroups read-only, use cgroup version 2, or drop SYS_ADMIN",
    },
    Row {
        way: Way::Kexec,
        capabilities: &[SysBoot],
        opens: |reach| {
            let kexec = all(&[reach.has(SysBoot), reach.call("kexec_load")]);
            by("SYS_BOOT and kexec_load(2)", kexec.map(|sureness| reach.through_label(sureness).max(Sureness::Likely)))
        },
        why: "another kernel is started in place of this one, with any program as its first",
        closes: "drop SYS_BOOT, or set kernel.kexec_load_disabled",
    },
    Row {
        way: Way::IoPorts,
        capabilities: &[SysRawio],
        opens: |reach| {
            let ports = all(&[reach.has(SysRawio), reach.call("iopl")]);
            by("SYS_RAWIO and iopl(2)", ports.map(|sureness| sureness.max(Sureness::Likely)))
        },
        why: "devices of the machine are programmed directly, past the kernel: a disk controller writes any memory",
        closes: "drop SYS_RAWIO; give the one device with --device",
    },
    Row {
        way: Way::KernelMemory,
        capabilities: &[SysRawio],
        opens: |reach| {
            let open = known(reach.0.kernel_memory_readable).map(|_| Sureness::Likely);
            by("SYS_RAWIO and /proc/kcore", all(&[reach.has(SysRawio), open, reach.is_root()]))
        },
        why: "the kernel's memory is read: keys, passwords and every other container's data",
        closes: "drop SYS_RAWIO, or mask /proc/kcore",
    },
    // Other processes' memory. Without ptrace(2), process_vm_writev(2) and /proc/PID/mem do the same.
    Row {
        way: Way::TraceHost,
        capabilities: &[SysPtrace],
        opens: |reach| by("SYS_PTRACE and the host's PID namespace", trace_host(reach)),
        why: "a process of the host's root is made to run any code, or its files are taken through /proc/PID/root",
        closes: "a PID namespace of its own, or drop SYS_PTRACE",
    },
    Row {
        way: Way::EnterHost,
        capabilities: &[SysAdmin, SysPtrace],
        opens: |reach| {
            let enter = all(&[reach.has(SysAdmin), reach.has(SysPtrace), known(reach.0.host_pids), reach.call("mount")]);
            by("SYS_ADMIN, SYS_PTRACE and the host's PID namespace", enter)
        },
        why: "setns(2) enters the namespaces of the host's first process, as nsenter -t 1 does",
        closes: "a PID namespace of its own, or drop SYS_ADMIN or SYS_PTRACE",
    },
    Row {
        way: Way::TraceUser,
        capabilities: &[Setuid],
        opens: |reach| {
            let becomes = all(&[reach.has(Setuid), known(reach.0.host_pids)]).filter(|_| trace_host(reach).is_none());
            by("SETUID and the host's PID namespace", becomes.map(|_| Sureness::Possible))
        },
        why: "as the same user, a user's processes on the host can be traced where kernel.yama.ptrace_scope is 0, and their files read",
        closes: "a PID namespace of its own, or drop SETUID",
    },
    Row {
        way: Way::Bpf,
        capabilities: &[Bpf, Perfmon, SysAdmin],
        opens: |reach| by("BPF with PERFMON, or SYS_ADMIN, and bpf(2)", bpf(reach)),
        why: "programs in the kernel read the memory of every process, and with SYS_ADMIN write it",
        closes: "drop BPF, PERFMON and SYS_ADMIN, or refuse bpf in the filter",
    },
    Row {
        way: Way::Perf,
        capabilities: &[Perfmon],
        opens: |reach| {
            let perf = all(&[reach.has(Perfmon), reach.call("perf_event_open")]).filter(|_| bpf(reach).is_none());
            by("PERFMON and perf_event_open(2)", perf.map(|_| Sureness::Possible))
        },
        why: "all processes of the machine are sampled, their registers and stacks included",
        closes: "drop PERFMON, or set kernel.perf_event_paranoid to 3 where the kernel has it",
    },
    // Devices of the machine. A node that an engine made stands in the list of its device cgroup, too.
    Row {
        way: Way::Disk,
        capabilities: &[],
        opens: |reach| {
            let disks = reach.disks();
            let rules = reach.any_device().or(Some(Sureness::Likely));
            let open = all(&[reach.opens(), rules]).filter(|_| !disks.is_empty());
            by(&format!("the host's disks {}", disks.join(" ")), open)
        },
        why: "whoever opens a disk reads and writes every file on it, past all permissions",
        closes: "do not give the device; mount the directory that is needed",
    },
    Row {
        way: Way::MakeDisk,
        capabilities: &[Mknod],
        opens: |reach| {
            let makes = all(&[reach.has(Mknod), reach.call("mknodat"), reach.any_device(), reach.opens()]);
            let makes = makes.filter(|_| reach.disks().is_empty());
            by("MKNOD and a device cgroup that allows every device", makes.map(|sureness| reach.through_label(sureness)))
        },
        why: "a node for the host's disk is made and opened",
        closes: "drop MKNOD, or keep the engine's list of devices",
    },
    Row {
        way: Way::RawMemory,
        capabilities: &[SysRawio],
        opens: |reach| {
            let node = reach.memory_node().then_some(Sureness::Likely);
            by("SYS_RAWIO and /dev/mem, /dev/kmem or /dev/port", all(&[reach.has(SysRawio), node, reach.opens()]))
        },
        why: "the machine's memory or its ports are read and written; kernels with strict devmem leave only those of devices",
        closes: "do not give the device, or drop SYS_RAWIO",
    },
    // Files of the kernel that make it execute something.
    Row {
        way: Way::CorePattern,
        capabilities: &[],
        opens: |reach| {
            let pattern = all(&[reach.is_root(), known(reach.0.core_pattern_writable)]);
            by("/proc/sys/kernel/core_pattern writable for user 0", pattern.map(|sureness| reach.through_label(sureness)))
        },
        why: "a pattern that begins with | names a program that the kernel runs as the host's root when a process crashes; no capability is asked for",
        closes: "keep /proc/sys read-only, or use a user namespace",
    },
    Row {
        way: Way::Sysfs,
        capabilities: &[],
        opens: |reach| {
            let sysfs = all(&[reach.is_root(), known(reach.0.sysfs_writable)]);
            by("/sys writable for user 0", sysfs.map(|_| Sureness::Possible))
        },
        why: "where the kernel has CONFIG_UEVENT_HELPER, /sys/kernel/uevent_helper names a program that it runs as the host's root",
        closes: "keep /sys read-only, or use a user namespace",
    },
    // The host's network: no root by itself, and everything that trusts it.
    Row {
        way: Way::Network,
        capabilities: &[NetAdmin],
        opens: |reach| by("NET_ADMIN and the host's network namespace", network(reach).map(|_| Sureness::Possible)),
        why: "the host's traffic is routed, filtered and redirected, and so is what it trusts: names, updates, mounts over the network",
        closes: "a network namespace of its own, or drop NET_ADMIN",
    },
    Row {
        way: Way::Sniff,
        capabilities: &[NetRaw],
        opens: |reach| {
            let reads = all(&[reach.has(NetRaw), known(reach.0.host_network)]).filter(|_| network(reach).is_none());
            by("NET_RAW and the host's network namespace", reads.map(|_| Sureness::Possible))
        },
        why: "all traffic of the host is read and answers are forged",
        closes: "a network namespace of its own, or drop NET_RAW",
    },
];

fn mounts(reach: &Reach<'_>, read_only: bool) -> Vec<(Sureness, String)> {
    let owner = reach.is_root().or_else(|| reach.has(DacOverride).filter(|sureness| *sureness == Sureness::Certain));
    // To read is worth something only where there are secrets.
    let reads = |mount: &HostMount| {
        let reader = owner.or_else(|| reach.has(DacReadSearch)).filter(|_| matches!(mount.source.as_str(), "/" | "/etc" | "/root"));
        reader.map(Sureness::less)
    };
    let how = if read_only { "read-only" } else { "writable" };
    let wanted = reach.0.mounts.iter().filter(|mount| mount.read_only == read_only);
    wanted
        .filter_map(|mount| {
            let sureness = if read_only { reads(mount) } else { owner };
            Some((sureness?, format!("the host's {} at {}, {how}", mount.source, mount.point)))
        })
        .collect()
}

fn trace_host(reach: &Reach<'_>) -> Option<Sureness> {
    all(&[reach.has(SysPtrace), known(reach.0.host_pids)]).map(|sureness| reach.through_label(sureness))
}

fn bpf(reach: &Reach<'_>) -> Option<Sureness> {
    let or_admin = |capability| reach.has(capability).or_else(|| reach.has(SysAdmin));
    let bpf = all(&[or_admin(Bpf), or_admin(Perfmon), reach.call("bpf")]);
    bpf.map(|sureness| reach.through_label(sureness).max(Sureness::Likely))
}

fn network(reach: &Reach<'_>) -> Option<Sureness> {
    all(&[reach.has(NetAdmin), known(reach.0.host_network)])
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;
    use alloc::vec;

    use super::super::Calls;
    use super::*;
    use crate::CapSet;

    fn with(names: &str) -> Walls {
        let set = CapSet::parse(names).unwrap();
        Walls { permitted: set, bounding: set, initial_users: Some(true), root: Some(true), ..Walls::default() }
    }

    #[test]
    fn table_has_a_row_for_each_way_in_their_order() {
        assert_eq!(TABLE.iter().map(|row| row.way).collect::<Vec<_>>(), Way::ALL);
        assert_eq!(Way::ALL.iter().map(|way| way.id()).collect::<BTreeSet<_>>().len(), Way::ALL.len());
    }

    #[test]
    fn what_is_not_known_is_likely_possible_or_not_said() {
        let cases = [
            ("the filter", with("sys_module"), "module likely"),
            ("the filter, an engine's own", Walls { calls: Calls::Engine, ..with("sys_module") }, "module certain"),
            ("the user namespace", Walls { initial_users: None, calls: Calls::All, ..with("sys_module") }, "module possible"),
            ("the user", Walls { root: None, core_pattern_writable: Some(true), ..with("chown") }, "core-pattern possible"),
            (
                "the user, who may become root",
                Walls { root: None, core_pattern_writable: Some(true), ..with("setuid") },
                "core-pattern likely",
            ),
            ("the PID namespace", with("sys_ptrace"), ""),
            ("the device cgroup", Walls { calls: Calls::Engine, ..with("mknod") }, "make-disk possible"),
            ("the security module", Walls { confined: None, calls: Calls::All, ..with("dac_read_search") }, "open-by-handle certain"),
            ("nothing", Walls { confined: Some(true), calls: Calls::All, ..with("dac_read_search") }, "open-by-handle likely"),
        ];
        let shown = |walls: &Walls| {
            let ways = escapes(walls).iter().map(|escape| format!("{} {}", escape.way.id(), escape.sureness.word())).collect::<Vec<_>>();
            ways.join(", ")
        };
        let found: Vec<(&str, String)> = cases.iter().map(|(what, walls, _)| (*what, shown(walls))).collect();
        let wanted: Vec<(&str, String)> = cases.iter().map(|(what, _, wanted)| (*what, (*wanted).to_owned())).collect();
        assert_eq!(found, wanted);
    }

    #[test]
    fn ways_in_an_own_user_namespace_are_only_those_of_sockets() {
        let walls = Walls {
            initial_users: Some(false),
            calls: Calls::All,
            host_pids: Some(true),
            host_network: Some(true),
            any_device: Some(true),
            core_pattern_writable: Some(true),
            sysfs_writable: Some(true),
            release_agent_writable: Some(true),
            kernel_memory_readable: Some(true),
            nodes: vec!["/dev/sda".to_owned(), "/dev/mem".to_owned()],
            mounts: vec![HostMount { source: "/".to_owned(), point: "/host".to_owned(), read_only: false }],
            sockets: vec!["/run/docker.sock".to_owned()],
            ..with("all")
        };
        let ways = |walls: &Walls| escapes(walls).iter().map(|escape| escape.way).collect::<Vec<_>>();
        assert_eq!(ways(&walls), [Way::EngineSocket]);
        // What belongs to root is its own when it is root outside.
        let walls = Walls { own_root: Some(Sureness::Certain), ..walls };
        assert!([Way::HostFilesWrite, Way::CorePattern, Way::Disk].iter().all(|way| ways(&walls).contains(way)), "{:?}", ways(&walls));
        assert!(!ways(&walls).iter().any(|way| matches!(way, Way::Mount | Way::Module | Way::RawMemory)), "{:?}", ways(&walls));
    }
}
