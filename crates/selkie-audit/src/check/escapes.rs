//! Ways out that a combination opens although each part alone might not: the table is selkie-caps's, here is what of it a subject
//! says, and by which rule each way is reported.

use selkie_caps::escape::{self, Calls, Escape, HostMount, SYSTEM_DIRECTORIES, Sureness, Walls, Way, is_engine_socket};
use selkie_caps::{CapSet, Capability};

use super::Findings;
use super::mounts::{clean, is_disk, is_every_device, is_memory};
use crate::subject::{Basis, Confinement, Engine, Names, Namespace, Selinux, capability};
use crate::{Fix, Place, Rule, Severity, Subject};

pub(super) fn check(findings: &mut Findings) {
    let subject = findings.subject;
    if subject.has_everything() {
        return;
    }
    let walls = walls(subject);
    let mut said = Vec::new();
    for escape in escape::escapes(&walls) {
        let Some(rule) = rule_of(&escape, &walls).filter(|rule| !said.contains(rule)) else { continue };
        let Some(severity) = severity(rule, escape.sureness) else { continue };
        said.push(rule);
        let text = format!("{}: {}", escape.combination, escape.why);
        match escape.capabilities.first() {
            Some(capability) => {
                let named = place(subject, *capability);
                let fix = Fix::remove_all(escape.closes, subject.places_of(*capability));
                // What else of `ALL` is needed is not known: it stands there, and no change takes it away.
                let at = named.or_else(|| Names::read(&subject.added).all);
                findings.add(rule, text, at, fix).with(severity).of(*capability);
            }
            None => _ = findings.add(rule, text, kernel_file(subject, escape.way), Fix::words(escape.closes)).with(severity),
        }
    }
}

/// Returns the capabilities that by themselves open the host for sure, by what `subject` says, where no other rule says it.
pub(super) fn sure(subject: &Subject) -> CapSet {
    let walls = walls(subject);
    let escapes = escape::escapes(&walls);
    let certain = escapes.iter().filter(|escape| escape.sureness == Sureness::Certain && rule_of(escape, &walls).is_none());
    certain.flat_map(|escape| escape.capabilities).copied().collect()
}

/// Returns how sure it is that one of these ways is open; `None` when none is.
pub(super) fn sureness(subject: &Subject, ways: &[Way]) -> Option<Sureness> {
    escape::escapes(&walls(subject)).iter().filter(|escape| ways.contains(&escape.way)).map(|escape| escape.sureness).min()
}

/// Returns how sure it is that the node of a disk is made and opened where a rule allows it; `None` when it is not.
pub(super) fn makes_disk(subject: &Subject) -> Option<Sureness> {
    let walls = Walls { any_device: Some(true), ..walls(subject) };
    escape::escapes(&walls).iter().filter(|escape| escape.way == Way::MakeDisk).map(|escape| escape.sureness).min()
}

/// Returns how bad it is that something of the host is at hand: of a file `written`, since the image decides who the user is; of
/// what runs as sure as the way is.
pub(super) fn at_hand(subject: &Subject, ways: &[Way], written: Severity) -> Severity {
    if !matches!(subject.basis, Basis::Running(_)) {
        return written;
    }
    match sureness(subject, ways) {
        Some(Sureness::Certain) => written,
        Some(Sureness::Likely) => written.min(Severity::High),
        Some(Sureness::Possible) | None => written.min(Severity::Medium),
    }
}

/// The rule that reports a way; `None` for those that are what another rule says of a mount, a device or a capability.
fn rule_of(escape: &Escape, walls: &Walls) -> Option<Rule> {
    match escape.way {
        // That SYS_ADMIN mounts is said of the capability; here, that nothing is in between.
        Way::Mount if walls.calls != Calls::All && walls.confined != Some(false) => None,
        Way::Mount | Way::ReleaseAgent | Way::EnterHost => Some(Rule::EscapeSysAdmin),
        Way::TraceHost => Some(Rule::EscapePtrace),
        Way::OpenByHandle => Some(Rule::EscapeFileHandle),
        Way::CorePattern | Way::Sysfs => Some(Rule::EscapeProcfs),
        Way::Network => Some(Rule::EscapeNetwork),
        // engine-socket, host-root and host-directory, host-device and device-rule-all.
        Way::EngineSocket | Way::HostFilesRead | Way::HostFilesWrite | Way::Disk | Way::MakeDisk | Way::RawMemory => None,
        // capability-host-root and capability-outside; proc-unmasked.
        Way::Module | Way::Kexec | Way::IoPorts | Way::KernelMemory | Way::Bpf | Way::Perf => None,
        // host-pid and host-network.
        Way::TraceUser | Way::Sniff => None,
    }
}

/// What is certain is as bad as its rule; what depends on something that is not said is one step less, and what is only possible
/// is left to the rules about its parts. The host's network is no root by itself, which its rule knows.
fn severity(rule: Rule, sureness: Sureness) -> Option<Severity> {
    match sureness {
        _ if rule == Rule::EscapeNetwork => Some(rule.severity()),
        Sureness::Certain => Some(rule.severity()),
        Sureness::Likely => Some(rule.severity().less()),
        Sureness::Possible => None,
    }
}

/// Where a capability is added.
fn place(subject: &Subject, wanted: Capability) -> Option<Place> {
    subject.added.iter().find(|name| capability(&name.value) == Some(wanted)).and_then(|name| name.place)
}

/// Where the kernel's file that a way writes to is made writable.
fn kernel_file(subject: &Subject, way: Way) -> Option<Place> {
    let path = if way == Way::Sysfs { UEVENT_HELPER } else { CORE_PATTERN };
    let mut mounts = subject.mounts.iter().filter(|mount| mount.value.of_host && !mount.value.read_only);
    let mount = mounts.find(|mount| is_above(&clean(&mount.value.source), path));
    mount.map(|mount| mount.place).or_else(|| subject.unmasked.first().map(|path| path.place)).flatten()
}

/// The kernel's files whose writer decides what root of the host runs.
const CORE_PATTERN: &str = "/proc/sys/kernel/core_pattern";
const UEVENT_HELPER: &str = "/sys/kernel/uevent_helper";

fn is_of_kernel(source: &str) -> bool {
    let path = clean(source);
    ["/proc", "/sys"].iter().any(|root| path == *root || path.starts_with(&format!("{root}/")))
}

/// Returns the walls of `subject`: those that were seen, or those that it says.
fn walls(subject: &Subject) -> Walls {
    match &subject.basis {
        Basis::Running(seen) => seen.walls.clone(),
        Basis::File | Basis::Planned | Basis::Stopped => written(subject),
    }
}

/// Returns the walls that `subject` says there are. What it does not say is what its engine does: the host's users, no device but
/// those that are given, no path of the kernel to be written.
fn written(subject: &Subject) -> Walls {
    let all = subject.capabilities();
    // The bounding set is no grant: these engines give a user other than root nothing.
    let grants = !(subject.is_non_root() && matches!(subject.engine, Engine::Docker | Engine::Kubernetes));
    let of_host = || subject.mounts.iter().map(|mount| &mount.value).filter(|mount| mount.of_host);
    let writes = |path: &str| of_host().filter(|mount| !mount.read_only).any(|mount| is_above(&clean(&mount.source), path));
    let is_lxc = subject.engine == Engine::Lxc;
    let open = |path: &str| subject.unmasked.iter().any(|open| open.value == path);
    let unmasked = subject.unmasked.iter().any(|path| path.value.eq_ignore_ascii_case("all"));
    // Engines whose switch for masks is one for read-only paths too; config.json has a list of its own for these.
    let unlocked = unmasked && matches!(subject.engine, Engine::Docker | Engine::Podman | Engine::Kubernetes);
    let devices = subject.devices.iter().map(|device| device.value.split(':').next().unwrap_or_default());
    Walls {
        permitted: if grants { all } else { CapSet::EMPTY },
        bounding: all,
        no_new_privileges: subject.no_new_privileges.as_ref().map(|flag| flag.value),
        initial_users: Some(!subject.has_own_users()),
        own_root: None,
        root: match subject.uid() {
            _ if matches!(subject.engine, Engine::Lxc | Engine::Nspawn) => Some(true),
            Some(uid) => Some(uid == 0),
            None => subject.is_non_root().then_some(false),
        },
        calls: calls(subject),
        confined: confined(subject),
        host_pids: Some(subject.shares(Namespace::Pid)),
        host_network: Some(subject.shares(Namespace::Network)),
        any_device: Some(subject.device_rules.iter().any(|rule| is_every_device(&rule.value))).filter(|every| *every || !is_lxc),
        core_pattern_writable: Some(unlocked || is_lxc && open("/proc") || writes(CORE_PATTERN)),
        sysfs_writable: Some(is_lxc && open("/sys") || writes(UEVENT_HELPER)),
        release_agent_writable: Some(of_host().any(|mount| !mount.read_only && has_cgroups(&clean(&mount.source)))),
        kernel_memory_readable: Some(unmasked || open("/proc/kcore")),
        nodes: devices.filter(|path| is_disk(path) || is_memory(path)).map(str::to_owned).collect(),
        mounts: of_host()
            .filter(|mount| SYSTEM_DIRECTORIES.contains(&clean(&mount.source).as_str()))
            .map(|mount| HostMount { source: clean(&mount.source), point: mount.target.clone(), read_only: mount.read_only })
            .collect(),
        sockets: of_host().filter(|mount| is_engine_socket(&clean(&mount.source))).map(|mount| mount.source.clone()).collect(),
    }
}

/// Whether the directory `above` is of the kernel and has `path` in it.
fn is_above(above: &str, path: &str) -> bool {
    is_of_kernel(above) && (above == path || path.strip_prefix(above).is_some_and(|rest| rest.starts_with('/')))
}

/// Whether a directory is of cgroups, or has them in it.
fn has_cgroups(path: &str) -> bool {
    is_above(path, "/sys/fs/cgroup") || path.starts_with("/sys/fs/cgroup/")
}

fn calls(subject: &Subject) -> Calls {
    match (subject.seccomp.as_ref().map(|seccomp| &seccomp.value), subject.engine) {
        _ if subject.is_seccomp_off() => Calls::All,
        (Some(Confinement::Default), Engine::Docker | Engine::Podman | Engine::Kubernetes | Engine::Other) => Calls::Engine,
        (None, Engine::Docker | Engine::Podman) => Calls::Engine,
        // Kubernetes has none unless the kubelet is told; LXC and nspawn have lists of their own.
        _ => Calls::Unknown,
    }
}

fn confined(subject: &Subject) -> Option<bool> {
    let off = subject.selinux.iter().any(|part| match &part.value {
        Selinux::Disabled => true,
        Selinux::Type(name) => name == "spc_t",
        Selinux::User(_) | Selinux::Role(_) => false,
    });
    match subject.apparmor.as_ref().map(|profile| &profile.value) {
        Some(Confinement::Unconfined) => Some(false),
        Some(Confinement::Default | Confinement::Profile(_)) => Some(true),
        None => off.then_some(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Located;
    use crate::subject::Mount;

    fn subject(engine: Engine, names: &[&str]) -> Subject {
        let added = names.iter().map(|name| Located::nowhere((*name).to_owned())).collect();
        Subject { engine, added, defaults: selkie_caps::PODMAN_DEFAULTS, ..Subject::default() }
    }

    fn shown(subject: &Subject) -> String {
        let escapes = escape::escapes(&walls(subject));
        escapes.iter().map(|escape| format!("{} {}", escape.way.id(), escape.sureness.word())).collect::<Vec<_>>().join(", ")
    }

    fn mounted(source: &str, read_only: bool, subject: Subject) -> Subject {
        let mount = Mount { source: source.to_owned(), target: "/t".to_owned(), of_host: true, read_only, propagates: false };
        Subject { mounts: vec![Located::nowhere(mount)], ..subject }
    }

    #[test]
    fn ways_of_what_files_say() {
        let docker = |names: &[&str]| subject(Engine::Docker, names);
        let user = |name: &str, subject: Subject| Subject { user: Some(Located::nowhere(name.to_owned())), ..subject };
        let own_users = Some(Located::nowhere(true));
        let profile = |value: Confinement| Some(Located::nowhere(value));
        let cases: Vec<(&str, Subject, &str)> = vec![
            ("nothing", docker(&[]), ""),
            ("a capability behind the engine's own filter", docker(&["SYS_ADMIN"]), "mount certain, bpf likely"),
            ("the same in Kubernetes", subject(Engine::Kubernetes, &["SYS_ADMIN"]), "mount likely, bpf likely"),
            (
                "the same, confined",
                Subject { apparmor: profile(Confinement::Default), ..docker(&["SYS_ADMIN"]) },
                "mount likely, bpf likely",
            ),
            ("another user, whom Docker gives nothing", user("7", docker(&["SYS_ADMIN"])), "mount possible, bpf possible"),
            ("another user, whom Podman gives it", user("7", subject(Engine::Podman, &["SYS_ADMIN"])), "mount certain, bpf likely"),
            ("users of its own", Subject { own_users, ..docker(&["SYS_ADMIN"]) }, ""),
            ("a handle, without a mount of its own", docker(&["DAC_READ_SEARCH"]), "open-by-handle certain"),
            ("the host's kernel files", mounted("/proc/sys", false, docker(&[])), "core-pattern likely"),
            ("the host's kernel files as root", user("0", mounted("/proc/", false, docker(&[]))), "core-pattern certain"),
            ("the host's kernel files, read-only", user("0", mounted("/proc", true, docker(&[]))), ""),
            ("a file beside", user("0", mounted("/proc/sysrq-trigger", false, docker(&[]))), ""),
            (
                "the host's cgroups with SYS_ADMIN",
                user("0", mounted("/sys/fs/cgroup", false, docker(&["SYS_ADMIN"]))),
                "mount certain, release-agent certain, bpf likely",
            ),
            (
                "masks that are off",
                user("0", Subject { unmasked: vec![Located::nowhere("ALL".to_owned())], ..docker(&[]) }),
                "core-pattern certain",
            ),
            ("a socket", mounted("/var/run/docker.sock", true, docker(&[])), "engine-socket likely"),
            ("the host's /", user("0", mounted("/", false, docker(&[]))), "host-files-write certain"),
            ("a disk", Subject { devices: vec![Located::nowhere("/dev/sda:/dev/x".to_owned())], ..docker(&[]) }, "disk likely"),
        ];
        let found: Vec<(&str, String)> = cases.iter().map(|(name, subject, _)| (*name, shown(subject))).collect();
        let wanted: Vec<(&str, String)> = cases.iter().map(|(name, _, wanted)| (*name, (*wanted).to_owned())).collect();
        assert_eq!(found, wanted);
    }
}
