//! Reads the facts of one process. Nothing is changed, made or left behind.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, OFlags};
use selkie_caps::CapSet;
use selkie_caps::escape::{SYSTEM_DIRECTORIES, is_engine_socket};
use selkie_sys::{Errno, Result, SyscallError};

use super::{Devices, Facts, HostMount, View};
use crate::containers::Filter;
use crate::{Buffer, Mount, Namespace, Procfs, idmap};

/// What engines mask, of which a kernel has some.
const MASKED: [&str; 9] = [
    "/proc/acpi",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/firmware",
];
/// Where engines have their sockets.
const SOCKET_PLACES: [&str; 5] =
    ["/run/docker.sock", "/var/run/docker.sock", "/run/podman/podman.sock", "/run/containerd/containerd.sock", "/run/crio/crio.sock"];

/// What a container's engine was told, as far as its files say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configured {
    /// Whether it was started as privileged.
    pub privileged: Option<bool>,
    /// Its bounding set.
    pub bounding: Option<CapSet>,
    /// What its seccomp profile lets through.
    pub filter: Option<Filter>,
}

/// Whose facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The process itself, from where it is.
    Own,
    /// Another process, and what its engine was told of it.
    Process {
        /// Its number in the reader's PID namespace.
        pid: u32,
        /// What its engine was told.
        configured: Configured,
    },
}

/// Reads the facts; `None` when the process is gone.
///
/// # Errors
/// When its status cannot be read. What else may not be looked at is unknown in the facts.
pub fn read(procfs: &Procfs, subject: Subject) -> Result<Option<Facts>> {
    let own = std::process::id();
    let (pid, configured, view) = match subject {
        Subject::Own => (own, Configured::default(), View::Inside),
        Subject::Process { pid, configured } => (pid, configured, View::Outside),
    };
    let mut buffer = Buffer::new();
    let Some(status) = procfs.status(pid, &mut buffer)? else { return Ok(None) };
    let mounts = seen(procfs.mounts(pid, &mut buffer))?;
    let maps = seen(procfs.uid_map(pid, &mut buffer))?.unwrap_or_default();
    let mut shared = shared(procfs, pid, view);
    // Of somebody else's process only its maps may be looked at. For a reader among the host's users those of the host are whole.
    let among_hosts_users = procfs.namespace(own, Namespace::User) == Namespace::User.initial();
    if among_hosts_users && !maps.iter().all(idmap::IdMap::is_everything) {
        shared
            .iter_mut()
            .filter(|(kind, shared)| *kind == Namespace::User && shared.is_none())
            .for_each(|(_, shared)| *shared = Some(false));
    }
    let is_shared = |kind: Namespace| shared.iter().any(|(found, shared)| *found == kind && *shared == Some(true));
    let same_root = same_root(procfs, mounts.as_deref(), &mut buffer);
    let host_process = view == View::Outside && (is_shared(Namespace::Mount) || same_root);
    // From inside, the host's mounts are not known.
    let of_host = if view == View::Outside { procfs.mounts(own, &mut buffer).ok().flatten().unwrap_or_default() } else { Vec::new() };
    let (_, initial_user_namespace) = shared.iter().copied().find(|(kind, _)| *kind == Namespace::User).unwrap_or((Namespace::User, None));
    let whole = maps.iter().all(idmap::IdMap::is_everything);
    let [_, uid, ..] = status.uids;
    Ok(Some(Facts {
        view,
        host_process,
        flag: configured.privileged,
        configured: configured.bounding,
        filter: configured.filter,
        sets: status.sets,
        // Of itself a process sees its own numbers.
        uid: if view == View::Inside { Some(uid) } else { idmap::inside(&maps, uid) },
        ceiling: ceiling(procfs, view, is_shared(Namespace::Pid), &mut buffer),
        kernel: CapSet::up_to(selkie_sys::capability::last_capability()),
        initial_user_namespace,
        root_is: if whole { Some(0) } else { idmap::outside(&maps, 0) },
        no_new_privileges: status.no_new_privileges,
        seccomp: status.seccomp,
        unmasked: mounts.as_deref().map(unmasked),
        sys_writable: mounts.as_deref().and_then(|mounts| writable(mounts, "/sys")),
        proc_sys_writable: mounts.as_deref().and_then(|mounts| writable(mounts, "/proc/sys")),
        core_pattern_writable: mounts.as_deref().and_then(|mounts| writable(mounts, "/proc/sys/kernel/core_pattern")),
        release_agent_writable: mounts.as_deref().is_some_and(release_agent),
        devices: devices(procfs, pid, view, &mut buffer),
        host_nodes: host_nodes(procfs, pid),
        label: label(procfs, pid, &mut buffer),
        host_mounts: mounts.as_deref().map(|mounts| host_mounts(procfs, mounts, view, host_process, &mut buffer)).unwrap_or_default(),
        sockets: if host_process { Vec::new() } else { sockets(procfs, pid, mounts.as_deref().unwrap_or_default(), &of_host) },
        shared,
    }))
}

/// What may not be looked at is not known; everything else is an error.
fn seen<T>(result: Result<Option<T>>) -> Result<Option<T>> {
    match result {
        Err(SyscallError { errno: Errno::ACCESS | Errno::PERM | Errno::INVAL, .. }) => Ok(None),
        other => other,
    }
}

/// Whether the root is the very same mount as the reader's: for processes whose namespaces may not be looked into.
fn same_root(procfs: &Procfs, mounts: Option<&[Mount]>, buffer: &mut Buffer) -> bool {
    let root = |mounts: &[Mount]| mounts.iter().find(|mount| mount.point == Path::new("/")).map(|mount| mount.id);
    let own = procfs.mounts(std::process::id(), buffer).ok().flatten();
    mounts.and_then(root).is_some_and(|id| own.as_deref().and_then(root) == Some(id))
}

/// From outside, the reader's own namespaces are the host's; from inside, only those with fixed numbers can be told.
fn shared(procfs: &Procfs, pid: u32, view: View) -> Vec<(Namespace, Option<bool>)> {
    let own = std::process::id();
    Namespace::ALL
        .into_iter()
        .map(|kind| {
            let found = procfs.namespace(pid, kind);
            let host = match (view, kind) {
                // The reader may be in a user namespace itself; the first one has a fixed number.
                (View::Outside, Namespace::User) | (View::Inside, _) => kind.initial(),
                (View::Outside, _) => procfs.namespace(own, kind),
            };
            (kind, found.zip(host).map(|(found, host)| found == host))
        })
        .collect()
}

/// What can be given at all: what the first process may hold and the reader could pass on.
fn ceiling(procfs: &Procfs, view: View, shares_pids: bool, buffer: &mut Buffer) -> Option<CapSet> {
    if view == View::Inside && !shares_pids {
        return None;
    }
    let first = procfs.status(1, buffer).ok().flatten()?.sets.bounding;
    match view {
        View::Inside => Some(first),
        View::Outside => {
            let own = procfs.status(std::process::id(), buffer).ok().flatten()?.sets.bounding;
            let both = first.intersection(own);
            // A reader that has dropped nearly everything is no measure of anything.
            Some(if both.contains(selkie_caps::Capability::SysAdmin) { both } else { first })
        }
    }
}

/// Which of the usual files nothing is mounted over.
fn unmasked(mounts: &[Mount]) -> Vec<String> {
    let covered = |path: &str| mounts.iter().any(|mount| mount.point == Path::new(path));
    MASKED.iter().filter(|path| Path::new(path).exists() && !covered(path)).map(|path| (*path).to_owned()).collect()
}

/// Whether `path` can be written: what the last mount over it or above it says; `None` when nothing is mounted there.
fn writable(mounts: &[Mount], path: &str) -> Option<bool> {
    let above = mounts.iter().filter(|mount| mount.point != Path::new("/") && Path::new(path).starts_with(&mount.point));
    above.max_by_key(|mount| mount.point.components().count()).map(|mount| !mount.is_read_only())
}

/// Whether a whole tree of version 1 can be written: `release_agent` is a file of its root.
fn release_agent(mounts: &[Mount]) -> bool {
    mounts.iter().any(|mount| mount.kind == "cgroup" && mount.root == Path::new("/") && !mount.is_read_only())
}

fn devices(procfs: &Procfs, pid: u32, view: View, buffer: &mut Buffer) -> Devices {
    if view == View::Inside {
        return Devices::Unknown;
    }
    let mut rules = || -> Option<String> {
        let lines = procfs.cgroup(pid, buffer).ok()??;
        let line = lines.into_iter().find(|line| line.controllers.iter().any(|name| name == "devices"))?;
        let mounts = procfs.mounts(std::process::id(), buffer).ok()??;
        let mount = mounts.iter().find(|mount| mount.kind == "cgroup" && mount.super_options.iter().any(|option| option == "devices"))?;
        std::fs::read_to_string(mount.point.join(line.path.trim_start_matches('/')).join("devices.list")).ok()
    };
    match rules() {
        Some(rules) if rules.lines().any(|rule| rule.trim() == "a *:* rwm") => Devices::All,
        Some(_) => Devices::Listed,
        None => Devices::Unknown,
    }
}

/// Block devices and the kernel's memory beneath `/dev`.
fn host_nodes(procfs: &Procfs, pid: u32) -> Vec<String> {
    let Ok(Some(root)) = procfs.root_of(pid) else { return Vec::new() };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let Ok(directory) = selkie_sys::root::open(&root, Path::new("/dev"), flags) else { return Vec::new() };
    let mut memory = Vec::with_capacity(16 << 10);
    let mut entries = rustix::fs::RawDir::new(&directory, memory.spare_capacity_mut());
    let mut nodes = Vec::new();
    while let Some(Ok(entry)) = entries.next() {
        let name = entry.file_name().to_string_lossy().into_owned();
        // A directory of procfs does not lie, but a container's may say anything: the type is asked of the file itself.
        let Ok(stat) = rustix::fs::statat(&directory, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) else { continue };
        let major = rustix::fs::major(stat.st_rdev);
        let minor = rustix::fs::minor(stat.st_rdev);
        let interesting = match FileType::from_raw_mode(stat.st_mode) {
            // Memory disks and loop devices are nobody's disk.
            FileType::BlockDevice => !matches!(major, 1 | 7),
            FileType::CharacterDevice => major == 1 && matches!(minor, 1 | 2 | 4),
            _ => false,
        };
        if interesting {
            nodes.push(format!("/dev/{name}"));
        }
    }
    nodes.sort();
    nodes
}

/// The label of AppArmor, SELinux or Smack; without any of them the file cannot be read.
fn label(procfs: &Procfs, pid: u32, buffer: &mut Buffer) -> Option<String> {
    let text = procfs.file(pid, "attr/current", buffer).ok().flatten()?;
    let text = String::from_utf8_lossy(&text).trim_matches(['\0', '\n', ' ']).to_owned();
    (!text.is_empty()).then_some(text)
}

/// Without the slash at the end that joining leaves where a whole file system is mounted.
fn text(path: &Path) -> String {
    path.components().as_path().display().to_string()
}

/// Mounts of the host's own system directories, told by the device that the host's root is on.
fn host_mounts(procfs: &Procfs, mounts: &[Mount], view: View, host_process: bool, buffer: &mut Buffer) -> Vec<HostMount> {
    // From inside, the host's root is not known.
    if view == View::Inside || host_process {
        return Vec::new();
    }
    let Ok(Some(own)) = procfs.mounts(std::process::id(), buffer) else { return Vec::new() };
    let mut found = Vec::new();
    for mount in mounts {
        // The kernel's own file systems have one device everywhere; these are not files of the host's.
        if let Some(source) =
            places_on_host(&own, mount).find(|path| SYSTEM_DIRECTORIES.iter().any(|system| path.as_path() == Path::new(system)))
            && !matches!(mount.kind.as_str(), "proc" | "sysfs" | "devpts" | "mqueue" | "cgroup" | "cgroup2")
        {
            found.push(HostMount { source: text(&source), point: text(&mount.point), read_only: mount.is_read_only() });
        }
    }
    found
}

/// Where on the host, which has the mounts `own`, a mount is: a directory of a file system of the host is where that file system is
/// mounted, and that directory beneath.
fn places_on_host<'a>(own: &'a [Mount], mount: &'a Mount) -> impl Iterator<Item = PathBuf> + 'a {
    own.iter()
        .filter(|host| host.device == mount.device && host.kind == mount.kind)
        .filter_map(|host| Some(host.point.join(mount.root.strip_prefix(&host.root).ok()?)))
}

/// Sockets of engines and service managers: mounted by themselves, or where engines have them, beneath the container's root, or in a
/// directory of the `host`'s that is mounted anywhere.
fn sockets(procfs: &Procfs, pid: u32, mounts: &[Mount], host: &[Mount]) -> Vec<String> {
    let is_socket = |path: &Path| path.to_str().is_some_and(is_engine_socket);
    let mounted = mounts.iter().filter(|mount| is_socket(&mount.root) || is_socket(&mount.point)).map(|mount| mount.point.clone());
    let mut found: Vec<PathBuf> = mounted.collect();
    if let Ok(Some(root)) = procfs.root_of(pid) {
        let places = SOCKET_PLACES.iter().map(PathBuf::from).chain(mounts.iter().flat_map(|mount| sockets_in(mount, host)));
        found.extend(places.filter(|path| is_socket_beneath(&root, path)));
    }
    found.sort();
    found.dedup();
    found.iter().map(|path| path.display().to_string()).collect()
}

/// Where in a container the host's sockets would be by a mount of a directory of the host's.
fn sockets_in(mount: &Mount, host: &[Mount]) -> Vec<PathBuf> {
    const MANAGERS: [&str; 2] = ["/run/dbus/system_bus_socket", "/run/systemd/private"];
    let beneath = |place: PathBuf| {
        let known = SOCKET_PLACES.iter().chain(&MANAGERS);
        known.filter_map(move |socket| Some(mount.point.join(Path::new(socket).strip_prefix(&place).ok()?))).collect::<Vec<_>>()
    };
    places_on_host(host, mount).flat_map(beneath).collect()
}

fn is_socket_beneath(root: impl AsFd, path: &Path) -> bool {
    let place = selkie_sys::root::place(root, path)
        .and_then(|place| rustix::fs::fstat(&place).map_err(|errno| SyscallError::new("fstat()", errno)));
    place.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mountinfo;

    #[test]
    fn text_of_a_directory_has_no_slash_at_its_end() {
        assert_eq!(["/run/", "/run", "/", "/etc//x/"].map(|path| text(Path::new(path))), ["/run", "/run", "/", "/etc//x"]);
    }

    #[test]
    fn writable_is_what_the_deepest_mount_says() {
        let mounts = mountinfo::parse(
            b"1 0 0:1 / / rw - overlay overlay rw\n2 1 0:2 / /proc rw - proc proc rw\n3 2 0:2 /sys /proc/sys ro - proc proc rw\n\
              4 1 0:3 / /sys rw - sysfs sysfs ro\n",
        );
        assert_eq!(writable(&mounts, "/proc/sys"), Some(false));
        assert_eq!(writable(&mounts, "/proc"), Some(true));
        assert_eq!(writable(&mounts, "/sys"), Some(false));
        assert_eq!(writable(&mounts, "/dev"), None);
    }

    #[test]
    fn sockets_are_looked_for_in_directories_of_the_host_wherever_they_are_mounted() {
        let host = mountinfo::parse(b"1 0 0:1 / / rw - ext4 d rw\n2 1 0:2 / /run rw - tmpfs tmpfs rw\n");
        let found = |line: &[u8]| sockets_in(&mountinfo::parse(line)[0], &host);
        assert_eq!(found(b"7 6 0:2 /dbus /x ro - tmpfs tmpfs rw\n"), [Path::new("/x/system_bus_socket")]);
        assert!(found(b"7 6 0:2 / /hostrun rw - tmpfs tmpfs rw\n").contains(&PathBuf::from("/hostrun/systemd/private")));
        assert_eq!(found(b"7 6 0:1 /srv/data /data rw - ext4 d rw\n"), Vec::<PathBuf>::new());
        assert_eq!(found(b"7 6 0:9 / /run rw - tmpfs tmpfs rw\n"), Vec::<PathBuf>::new());
    }

    #[test]
    fn unmasked_is_what_nothing_covers() {
        let covered = mountinfo::parse(b"5 1 0:5 /null /proc/kcore rw - devtmpfs devtmpfs rw\n");
        let all = unmasked(&[]);
        assert!(!all.is_empty() && !all.contains(&"/nonexistent".to_owned()));
        assert!(!unmasked(&covered).contains(&"/proc/kcore".to_owned()));
    }

    #[test]
    fn facts_of_this_process_from_inside_and_outside_agree() {
        let procfs = Procfs::open(Path::new("/proc")).unwrap();
        let inside = read(&procfs, Subject::Own).unwrap().unwrap();
        let outside = read(&procfs, Subject::Process { pid: std::process::id(), configured: Configured::default() }).unwrap().unwrap();
        assert!(outside.host_process);
        assert_eq!((inside.sets, inside.seccomp, inside.uid), (outside.sets, outside.seccomp, outside.uid));
    }

    #[test]
    fn facts_of_no_process_are_gone() {
        let procfs = Procfs::open(Path::new("/proc")).unwrap();
        assert_eq!(read(&procfs, Subject::Process { pid: u32::MAX, configured: Configured::default() }).unwrap(), None);
    }
}
