//! The facts, and how they are read. Probes make nothing that outlives them.

use std::path::{Path, PathBuf};

use selkie_caps::CapSet;
use selkie_sys::mount::Filesystem;
use selkie_sys::{Errno, Result};

use crate::{Buffer, Mount, Procfs};

/// What checks look at. `None` is "cannot be told".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The effective user is root.
    pub root: bool,
    /// The kernel's release, for example `6.18.44-1`.
    pub release: String,
    /// Every capability that the kernel has.
    pub kernel_capabilities: CapSet,
    /// What the engine can pass on.
    pub bounding: CapSet,
    /// What the engine may do itself.
    pub effective: CapSet,
    /// Hard limits of open files and of processes; `u64::MAX` is none.
    pub limits: (u64, u64),
    /// The cgroup hierarchies.
    pub cgroups: Cgroups,
    /// Whether openat2(2) is there.
    pub openat2: bool,
    /// Whether fsopen(2) and what goes with it are there; `None` when it may not be tried.
    pub mount_api: Option<bool>,
    /// What overlay can do; `None` when it may not be tried.
    pub overlay: Option<Overlay>,
    /// Whether the kernel filters system calls.
    pub seccomp: bool,
    /// How many user namespaces there may be.
    pub user_namespaces: Option<u64>,
    /// A switch of the distribution that keeps ordinary users from making them, by its sysctl's name.
    pub user_namespaces_restricted: Option<&'static str>,
    /// How many keys an ordinary user may have.
    pub user_keys: Option<u64>,
    /// The active security modules; `None` when securityfs is not mounted.
    pub security_modules: Option<Vec<String>>,
    /// Whether the dummy network device is there.
    pub dummy: Option<bool>,
    /// Whether the tracer of kernel functions is there.
    pub kprobes: bool,
    /// Whether the kernel describes its types.
    pub btf: bool,
    /// Whether a BPF file system is mounted.
    pub bpffs: bool,
    /// Whether `/dev/net/tun` is there.
    pub tun: bool,
    /// Where newuidmap(1) is.
    pub newuidmap: Option<PathBuf>,
    /// The binary holds everything that it needs.
    pub is_static: bool,
    /// Where images and containers are, or the nearest directory above that exists.
    pub storage: PathBuf,
    /// The file system there, and the options of its mount.
    pub storage_mount: Option<(String, Vec<String>)>,
}

/// The cgroup hierarchies of a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cgroups {
    /// Controllers of v1 that are mounted.
    pub v1: Vec<String>,
    /// Controllers of the unified hierarchy; `None` when it is not mounted.
    pub v2: Option<Vec<String>>,
    /// All of them can be written.
    pub writable: bool,
}

/// What overlay can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overlay {
    /// The kernel has it.
    pub available: bool,
    /// Layers are added one by one, so that there is no limit of 4096 bytes for all their paths.
    pub layers_one_by_one: bool,
    /// It works without privileges: `userxattr`.
    pub user_attributes: bool,
}

/// Reads the facts for an engine with its files in `storage`. `is_static` says how the caller was built.
///
/// # Errors
/// When procfs cannot be read.
pub fn read(procfs: &Procfs, storage: &Path, is_static: bool) -> Result<Facts> {
    let mut buffer = Buffer::new();
    let mounts = procfs.mounts(std::process::id(), &mut buffer)?.unwrap_or_default();
    let sets = selkie_sys::capability::read()?;
    let storage = existing(storage);
    let hard = |number: u32| selkie_sys::process::limit(None, number).map(|(_, hard)| hard);
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    Ok(Facts {
        root: rustix::process::geteuid().is_root(),
        kernel_capabilities: CapSet::up_to(selkie_sys::capability::last_capability()),
        bounding: sets.bounding,
        effective: sets.effective,
        // RLIMIT_NOFILE and RLIMIT_NPROC of asm-generic/resource.h.
        limits: (hard(7)?, hard(6)?),
        cgroups: cgroups(&mounts),
        openat2: openat2(),
        mount_api: probe(Filesystem::new("tmpfs").map(drop)),
        overlay: overlay(),
        seccomp: Path::new("/proc/sys/kernel/seccomp/actions_avail").exists(),
        user_namespaces: number("/proc/sys/user/max_user_namespaces"),
        user_namespaces_restricted: restricted(),
        user_keys: number("/proc/sys/kernel/keys/maxkeys"),
        security_modules: text("/sys/kernel/security/lsm").map(|list| list.trim().split(',').map(str::to_owned).collect()),
        dummy: dummy(&release),
        kprobes: Path::new("/sys/bus/event_source/devices/kprobe").exists(),
        btf: Path::new("/sys/kernel/btf/vmlinux").exists(),
        bpffs: mounts.iter().any(|mount| mount.kind == "bpf"),
        tun: Path::new("/dev/net/tun").exists(),
        newuidmap: ["/usr/bin", "/bin", "/usr/local/bin"].iter().map(|path| Path::new(path).join("newuidmap")).find(|path| path.exists()),
        is_static,
        storage_mount: under(&mounts, &storage).map(|mount| (mount.kind.clone(), mount.options.clone())),
        storage,
        release,
    })
}

fn text(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

fn number(path: &str) -> Option<u64> {
    text(path)?.trim().parse().ok()
}

/// The nearest directory at or above `path` that exists, links followed.
fn existing(path: &Path) -> PathBuf {
    path.ancestors().find_map(|path| path.canonicalize().ok()).unwrap_or_else(|| PathBuf::from("/"))
}

/// The mount that shows `path`: the deepest above it, the last of several.
fn under<'a>(mounts: &'a [Mount], path: &Path) -> Option<&'a Mount> {
    mounts.iter().filter(|mount| path.starts_with(&mount.point)).max_by_key(|mount| mount.point.components().count())
}

fn cgroups(mounts: &[Mount]) -> Cgroups {
    const OPTIONS: [&str; 9] =
        ["rw", "ro", "xattr", "clone_children", "noprefix", "nsdelegate", "cpuset_v2_mode", "memory_recursiveprot", "seclabel"];
    let of = |kind: &'static str| mounts.iter().filter(move |mount| mount.kind == kind);
    let mut v1: Vec<String> = of("cgroup")
        .flat_map(|mount| &mount.super_options)
        .filter(|option| !OPTIONS.contains(&option.as_str()) && !option.contains('='))
        .cloned()
        .collect();
    v1.sort();
    v1.dedup();
    let v2 = of("cgroup2").next().map(|mount| {
        let list = std::fs::read_to_string(mount.point.join("cgroup.controllers")).unwrap_or_default();
        list.split_whitespace().map(str::to_owned).collect()
    });
    Cgroups { v1, v2, writable: of("cgroup").chain(of("cgroup2")).all(|mount| !mount.is_read_only()) }
}

fn openat2() -> bool {
    let opened = rustix::fs::openat2(
        rustix::fs::CWD,
        c"/",
        rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
        rustix::fs::ResolveFlags::NO_MAGICLINKS,
    );
    opened.is_ok()
}

/// What an attempt says: there, not there, or not to be tried by this user.
fn probe(attempt: Result<()>) -> Option<bool> {
    match attempt {
        Ok(()) => Some(true),
        Err(error) if matches!(error.errno, Errno::PERM | Errno::ACCESS) => None,
        Err(_) => Some(false),
    }
}

/// Asks for options of a file system that is never made.
fn overlay() -> Option<Overlay> {
    let available = probe(Filesystem::new("overlay").map(drop))?;
    let try_it = |set: &dyn Fn(&Filesystem) -> Result<()>| Filesystem::new("overlay").and_then(|overlay| set(&overlay)).is_ok();
    let checked = Filesystem::checks_options("overlay").unwrap_or(false);
    Some(Overlay {
        available,
        layers_one_by_one: available && checked && try_it(&|overlay| overlay.set("lowerdir+", "/")),
        user_attributes: available && try_it(&|overlay| overlay.flag("userxattr")),
    })
}

fn restricted() -> Option<&'static str> {
    if number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == Some(1) {
        return Some("kernel.apparmor_restrict_unprivileged_userns");
    }
    (number("/proc/sys/kernel/unprivileged_userns_clone") == Some(0)).then_some("kernel.unprivileged_userns_clone")
}

/// Whether the device is loaded, built in or a module; `None` when the kernel's list of modules is not installed.
fn dummy(release: &str) -> Option<bool> {
    if Path::new("/sys/module/dummy").exists() {
        return Some(true);
    }
    let lists = ["modules.builtin", "modules.dep"].map(|name| text(&format!("/lib/modules/{release}/{name}")));
    if lists.iter().all(Option::is_none) {
        return None;
    }
    Some(lists.iter().flatten().any(|list| list.contains("/dummy.ko")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mountinfo;

    #[test]
    fn facts_of_this_machine_can_be_read() {
        let procfs = Procfs::open(Path::new("/proc")).unwrap();
        let facts = read(&procfs, Path::new("/nonexistent/selkie"), true).unwrap();
        assert_eq!(facts.storage, Path::new("/"));
        assert!(facts.openat2 && facts.storage_mount.is_some());
    }

    #[test]
    fn cgroups_of_a_hybrid_host() {
        let mounts = mountinfo::parse(
            b"36 31 0:33 / /x/cpu rw - cgroup cgroup rw,cpu,cpuacct\n40 31 0:37 / /x/systemd rw - cgroup cgroup rw,xattr,name=systemd\n\
              41 31 0:38 / /nonexistent rw - cgroup2 cgroup2 rw,nsdelegate\n",
        );
        let wanted = Cgroups { v1: vec!["cpu".to_owned(), "cpuacct".to_owned()], v2: Some(Vec::new()), writable: true };
        assert_eq!(cgroups(&mounts), wanted);
    }

    #[test]
    fn under_is_the_deepest_mount() {
        let mounts =
            mountinfo::parse(b"1 0 8:1 / / rw - ext4 /dev/sda rw\n2 1 0:5 / /var/lib rw - xfs x rw\n3 1 0:6 / /var/l rw - tmpfs x rw\n");
        assert_eq!(under(&mounts, Path::new("/var/lib/selkie")).unwrap().kind, "xfs");
    }
}
