//! From facts to checks. Pure.

use selkie_caps::{CapSet, Capability};

use super::Facts;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Everything that can be had.
    Ok,
    /// Something is missing that some containers want.
    Warn,
    /// No container works.
    Fail,
}

impl Level {
    /// Returns the word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// One line of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was looked at.
    pub about: &'static str,
    /// How it came out.
    pub level: Level,
    /// What was found, and what follows from it.
    pub found: String,
    /// What to do.
    pub fix: Option<String>,
}

/// The oldest kernel with mount_setattr(2), without which no root file system is put together.
const OLDEST: (u32, u32) = (5, 12);
/// What engines give containers as the limit of open files.
const FILES: u64 = 1_048_576;

/// Checks `facts`, in the order in which a person would look.
#[must_use]
pub fn checks(facts: &Facts) -> Vec<Check> {
    let parts = [
        binary,
        user,
        kernel,
        capabilities,
        limits,
        cgroups,
        mounts,
        overlay,
        storage,
        seccomp,
        user_namespaces,
        mapping,
        keys,
        security_modules,
        dummy,
        tun,
        observers,
    ];
    parts.iter().map(|part| part(facts)).collect()
}

fn ok(about: &'static str, found: impl Into<String>) -> Check {
    Check { about, level: Level::Ok, found: found.into(), fix: None }
}

fn warn(about: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Check {
    Check { about, level: Level::Warn, found: found.into(), fix: Some(fix.into()) }
}

fn fail(about: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Check {
    Check { about, level: Level::Fail, found: found.into(), fix: Some(fix.into()) }
}

fn binary(facts: &Facts) -> Check {
    if facts.is_static {
        return ok("binary", "static: it runs inside any container too");
    }
    warn(
        "binary",
        "dynamic: it does not run inside containers that lack its libraries, such as `privileged --self`",
        "build with the project's own .cargo/config.toml",
    )
}

fn user(facts: &Facts) -> Check {
    if facts.root {
        return ok("user", "root");
    }
    fail("user", "not root: containers need it in this version", "run as root; caps, privileged and doctor work for everybody")
}

fn kernel(facts: &Facts) -> Check {
    match version(&facts.release) {
        Some(version) if version < OLDEST => {
            fail("kernel", format!("{}: older than 5.12, without mount_setattr(2)", facts.release), "install a newer kernel")
        }
        None => warn("kernel", format!("{}: not a version that can be read", facts.release), "see the checks below for what it can do"),
        Some(_) if !facts.openat2 => fail(
            "kernel",
            format!("{}: openat2(2) is refused, and no path of a container can be opened safely", facts.release),
            "allow openat2 where selkie itself is confined",
        ),
        Some(version) if version < (6, 7) => {
            warn("kernel", format!("{}: works; an image has at most 63 layers", facts.release), "6.7 or newer adds layers one by one")
        }
        Some(_) => ok("kernel", format!("{}: openat2, mount_setattr, clone3", facts.release)),
    }
}

/// The first two numbers of a release.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|character: char| !character.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn capabilities(facts: &Facts) -> Check {
    let missing = facts.kernel_capabilities.difference(facts.bounding);
    let have = facts.bounding.intersection(facts.kernel_capabilities).len();
    let all = facts.kernel_capabilities.len();
    if missing.is_empty() {
        return ok("capabilities", format!("all {all} in the bounding set"));
    }
    let effect = if missing.contains(Capability::SysResource) { "; limits cannot be raised above the engine's own" } else { "" };
    let found =
        format!("{have} of {all} in the bounding set: {} can be given to no container, not by --privileged either{effect}", names(missing));
    warn(
        "capabilities",
        found,
        "start the engine from a process that has them (CapabilityBoundingSet= of a unit, the outer container's --cap-add)",
    )
}

fn names(set: CapSet) -> String {
    set.iter().map(Capability::short_name).chain((!set.unknown().is_empty()).then_some("and unknown ones")).collect::<Vec<_>>().join(", ")
}

fn limits(facts: &Facts) -> Check {
    let (files, processes) = facts.limits;
    let show = |limit: u64| if limit == u64::MAX { "unlimited".to_owned() } else { limit.to_string() };
    let found = format!("at most {} open files and {} processes", show(files), show(processes));
    if files >= FILES || facts.effective.contains(Capability::SysResource) {
        return ok("limits", found);
    }
    warn(
        "limits",
        format!("{found}; containers ask for {FILES} open files and get fewer"),
        "raise the hard limit (ulimit -Hn, LimitNOFILE=) where selkie is started",
    )
}

fn cgroups(facts: &Facts) -> Check {
    const WANTED: [&str; 4] = ["cpu", "memory", "pids", "cpuset"];
    let cgroups = &facts.cgroups;
    let (layout, have): (&str, Vec<&String>) = match (&cgroups.v2, cgroups.v1.is_empty()) {
        (None, true) => {
            return warn("cgroups", "none mounted: no limits, no pause, no device rules", "mount -t cgroup2 none /sys/fs/cgroup");
        }
        (None, false) => ("v1", cgroups.v1.iter().collect()),
        (Some(_), false) => ("hybrid (controllers on v1)", cgroups.v1.iter().collect()),
        (Some(v2), true) => ("v2", v2.iter().collect()),
    };
    let list = |names: &[&str]| names.join(" ");
    let all: Vec<&str> = have.iter().map(|name| name.as_str()).collect();
    let mut missing: Vec<&str> = WANTED.into_iter().filter(|name| !all.contains(name)).collect();
    if layout != "v2" {
        missing.extend(["devices", "freezer"].iter().filter(|name| !all.contains(name)));
    }
    if !cgroups.writable {
        return warn(
            "cgroups",
            format!("{layout}, read-only: no limits, no pause, no device rules"),
            "mount /sys/fs/cgroup writable where selkie runs",
        );
    }
    if missing.is_empty() {
        return ok("cgroups", format!("{layout}: {}", list(&all)));
    }
    warn(
        "cgroups",
        format!("{layout}: {}; not there: {}", list(&all), list(&missing)),
        "their flags are refused; enable the controllers (cgroup_enable= on the kernel's command line, or delegation)",
    )
}

fn mounts(facts: &Facts) -> Check {
    match facts.mount_api {
        Some(true) => ok("mount API", "fsopen, fsmount, move_mount"),
        Some(false) => fail("mount API", "fsopen(2) is not there", "install a newer kernel, or allow it where selkie itself is confined"),
        None => warn("mount API", "may not be tried by this user", "run as root to see"),
    }
}

fn overlay(facts: &Facts) -> Check {
    match facts.overlay {
        None => warn("overlay", "may not be tried by this user", "run as root to see"),
        Some(overlay) if !overlay.available => {
            fail("overlay", "not in this kernel: images have no writable layer", "modprobe overlay; without it only --rootfs works")
        }
        Some(overlay) if !overlay.layers_one_by_one => warn("overlay", "there; an image has at most 63 layers", "Linux 6.7 or newer"),
        Some(overlay) if !overlay.user_attributes => warn("overlay", "there; not for ordinary users (userxattr)", "Linux 5.11 or newer"),
        Some(_) => ok("overlay", "there, with lowerdir+ and userxattr"),
    }
}

fn storage(facts: &Facts) -> Check {
    let path = facts.storage.display();
    let Some((kind, options)) = &facts.storage_mount else {
        return warn("storage", format!("{path}: its file system cannot be told"), "mount /proc where selkie runs");
    };
    let has = |option: &str| options.iter().any(|found| found == option);
    let found = format!("{path} on {kind}");
    if has("ro") {
        return fail("storage", format!("{found}, read-only"), "choose another directory with --root");
    }
    if has("noexec") {
        return warn(
            "storage",
            format!("{found}, noexec: nothing in a container's own files can be executed"),
            "choose another directory with --root",
        );
    }
    match kind.as_str() {
        "overlay" => warn(
            "storage",
            format!("{found}: an overlay cannot have its writable layer on another"),
            "choose a directory on ext4, xfs, btrfs or tmpfs with --root",
        ),
        "nfs" | "nfs4" | "cifs" | "9p" | "fuse.sshfs" | "vfat" => warn(
            "storage",
            format!("{found}: no writable layer of an overlay can be there"),
            "choose a directory on a local file system with --root",
        ),
        "tmpfs" | "ramfs" => {
            warn("storage", format!("{found}: everything is gone after a reboot"), "choose a directory on a disk with --root")
        }
        _ => ok("storage", found),
    }
}

fn seccomp(facts: &Facts) -> Check {
    if facts.seccomp {
        return ok("seccomp", "filters on system calls");
    }
    fail(
        "seccomp",
        "not in this kernel: containers cannot be confined as asked",
        "a kernel with CONFIG_SECCOMP_FILTER, or --security-opt seccomp=unconfined for each container",
    )
}

fn user_namespaces(facts: &Facts) -> Check {
    match (facts.user_namespaces, facts.user_namespaces_restricted) {
        (Some(0), _) => {
            warn("user namespaces", "none may be made: --userns and --uidmap are refused", "sysctl user.max_user_namespaces=15000")
        }
        (None, _) => warn("user namespaces", "not in this kernel: --userns and --uidmap are refused", "a kernel with CONFIG_USER_NS"),
        (Some(_), Some(switch)) => {
            let value = if switch.contains("apparmor") { 0 } else { 1 };
            warn(
                "user namespaces",
                format!("only for root: {switch} restricts them"),
                format!("sysctl {switch}={value}, or a profile for selkie"),
            )
        }
        (Some(count), None) => ok("user namespaces", format!("up to {count}")),
    }
}

fn mapping(facts: &Facts) -> Check {
    match &facts.newuidmap {
        Some(path) => ok("newuidmap", path.display().to_string()),
        None => warn(
            "newuidmap",
            "not installed: containers of ordinary users have one user only",
            "install the package uidmap (Debian) or shadow-utils (Fedora)",
        ),
    }
}

fn keys(facts: &Facts) -> Check {
    match facts.user_keys {
        None => warn("keyrings", "not in this kernel: containers share the caller's session keyring", "a kernel with CONFIG_KEYS"),
        Some(count) if count < 1000 => {
            let found = format!("{count} keys for an ordinary user: with more containers than that, theirs get no keyring of their own");
            warn("keyrings", found, "sysctl kernel.keys.maxkeys=20000")
        }
        Some(count) => ok("keyrings", format!("{count} keys for an ordinary user")),
    }
}

fn security_modules(facts: &Facts) -> Check {
    const CONFINING: [&str; 4] = ["apparmor", "selinux", "smack", "tomoyo"];
    match facts.security_modules.as_deref() {
        None => warn(
            "security modules",
            "securityfs is not mounted: which are active cannot be told",
            "mount -t securityfs none /sys/kernel/security",
        ),
        Some(list) if list.iter().any(|name| CONFINING.contains(&name.as_str())) => ok("security modules", list.join(" ")),
        Some(list) => {
            let found = format!("{}: none of them confines containers beyond capabilities and seccomp", list.join(" "));
            warn("security modules", found, "enable AppArmor or SELinux (lsm= on the kernel's command line)")
        }
    }
}

fn dummy(facts: &Facts) -> Check {
    let fix = "`ip link add x type veth` or `bridge` shows the same: it needs NET_ADMIN too";
    match facts.dummy {
        Some(true) => ok("dummy device", "there: `ip link add dummy0 type dummy` shows whether NET_ADMIN is held"),
        Some(false) => warn("dummy device", "not in this kernel: `ip link add dummy0 type dummy` fails for everybody", fix),
        None => warn("dummy device", "not loaded, and no list of this kernel's modules is installed", fix),
    }
}

fn tun(facts: &Facts) -> Check {
    if facts.tun {
        return ok("/dev/net/tun", "there");
    }
    warn("/dev/net/tun", "missing: no network through a user-space stack", "modprobe tun")
}

/// Who can watch capability checks in the kernel.
fn observers(facts: &Facts) -> Check {
    let has = |capability| facts.effective.contains(capability) || facts.effective.contains(Capability::SysAdmin);
    let rights = has(Capability::Bpf) && has(Capability::Perfmon);
    let word = |there: bool, name: &str| format!("{name} {}", if there { "yes" } else { "no" });
    let found =
        [word(rights, "BPF rights"), word(facts.btf, "BTF"), word(facts.kprobes, "kprobes"), word(facts.bpffs, "bpffs mounted")].join(", ");
    // The check of a capability is a tracepoint since 6.14, a function to attach to before.
    let traced = version(&facts.release).is_some_and(|version| version >= (6, 14)) || facts.kprobes;
    if rights && facts.btf && traced {
        return ok("observers", found);
    }
    warn(
        "observers",
        format!("{found}: capability checks cannot be watched in the kernel"),
        "CAP_BPF and CAP_PERFMON, a kernel with BTF, and 6.14 or kprobes; tracing of system calls works without",
    )
}

#[cfg(test)]
mod tests {
    use super::super::{Cgroups, Overlay};
    use super::*;

    /// A machine on which everything works.
    fn good() -> Facts {
        Facts {
            root: true,
            release: "6.18.1-1".to_owned(),
            kernel_capabilities: CapSet::KNOWN,
            bounding: CapSet::KNOWN,
            effective: CapSet::KNOWN,
            limits: (FILES, u64::MAX),
            cgroups: Cgroups { v1: Vec::new(), v2: Some(["cpu", "cpuset", "memory", "pids"].map(str::to_owned).to_vec()), writable: true },
            openat2: true,
            mount_api: Some(true),
            overlay: Some(Overlay { available: true, layers_one_by_one: true, user_attributes: true }),
            seccomp: true,
            user_namespaces: Some(15_000),
            user_namespaces_restricted: None,
            user_keys: Some(20_000),
            security_modules: Some(vec!["lockdown".to_owned(), "apparmor".to_owned()]),
            dummy: Some(true),
            kprobes: true,
            btf: true,
            bpffs: true,
            tun: true,
            newuidmap: Some("/usr/bin/newuidmap".into()),
            is_static: true,
            storage: "/var/lib/selkie".into(),
            storage_mount: Some(("ext4".to_owned(), vec!["rw".to_owned()])),
        }
    }

    /// What is not ok, and how.
    fn bad(facts: &Facts) -> Vec<(&'static str, Level)> {
        checks(facts).into_iter().filter(|check| check.level != Level::Ok).map(|check| (check.about, check.level)).collect()
    }

    #[test]
    fn good_machine_is_ok_throughout() {
        assert_eq!(bad(&good()), []);
    }

    #[test]
    fn every_bad_fact_is_one_line_with_a_fix() {
        let cases: Vec<(Facts, &str, Level)> = vec![
            (Facts { root: false, ..good() }, "user", Level::Fail),
            (Facts { release: "5.10.0".to_owned(), ..good() }, "kernel", Level::Fail),
            (Facts { release: "odd".to_owned(), kprobes: true, ..good() }, "kernel", Level::Warn),
            (Facts { openat2: false, ..good() }, "kernel", Level::Fail),
            (Facts { bounding: CapSet::KNOWN.without(Capability::SysResource), ..good() }, "capabilities", Level::Warn),
            (Facts { limits: (1024, 1), effective: CapSet::from_bits(1 << 38 | 1 << 39), ..good() }, "limits", Level::Warn),
            (Facts { cgroups: Cgroups::default(), ..good() }, "cgroups", Level::Warn),
            (Facts { cgroups: Cgroups { writable: false, ..good().cgroups }, ..good() }, "cgroups", Level::Warn),
            (Facts { cgroups: Cgroups { v1: vec!["cpu".to_owned()], ..good().cgroups }, ..good() }, "cgroups", Level::Warn),
            (Facts { mount_api: Some(false), ..good() }, "mount API", Level::Fail),
            (
                Facts { overlay: Some(Overlay { available: false, layers_one_by_one: false, user_attributes: false }), ..good() },
                "overlay",
                Level::Fail,
            ),
            (Facts { overlay: None, ..good() }, "overlay", Level::Warn),
            (Facts { storage_mount: Some(("overlay".to_owned(), Vec::new())), ..good() }, "storage", Level::Warn),
            (Facts { storage_mount: Some(("ext4".to_owned(), vec!["ro".to_owned()])), ..good() }, "storage", Level::Fail),
            (Facts { seccomp: false, ..good() }, "seccomp", Level::Fail),
            (Facts { user_namespaces: Some(0), ..good() }, "user namespaces", Level::Warn),
            (Facts { user_namespaces_restricted: Some("kernel.unprivileged_userns_clone"), ..good() }, "user namespaces", Level::Warn),
            (Facts { newuidmap: None, ..good() }, "newuidmap", Level::Warn),
            (Facts { user_keys: Some(200), ..good() }, "keyrings", Level::Warn),
            (Facts { security_modules: Some(vec!["landlock".to_owned()]), ..good() }, "security modules", Level::Warn),
            (Facts { dummy: Some(false), ..good() }, "dummy device", Level::Warn),
            (Facts { tun: false, ..good() }, "/dev/net/tun", Level::Warn),
            (Facts { btf: false, ..good() }, "observers", Level::Warn),
            (Facts { is_static: false, ..good() }, "binary", Level::Warn),
        ];
        for (facts, about, level) in cases {
            assert_eq!(bad(&facts), [(about, level)]);
            assert!(checks(&facts).iter().all(|check| check.fix.is_some() == (check.level != Level::Ok)), "{about}");
        }
    }

    #[test]
    fn capabilities_names_what_is_missing() {
        let check = capabilities(&Facts { bounding: CapSet::KNOWN.without(Capability::SysResource), ..good() });
        assert!(check.found.starts_with("40 of 41 in the bounding set: SYS_RESOURCE can be given to no container"), "{}", check.found);
    }

    #[test]
    fn version_of_any_release() {
        assert_eq!(["6.18.44-fc", "5.12", "x", "6", "6.x", ""].map(version), [Some((6, 18)), Some((5, 12)), None, None, None, None]);
    }
}
