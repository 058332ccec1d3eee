//! What the kernel tells about a container that is to be watched: proc(5) of its first process.

use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};
use selkie_host::Stat;
use selkie_sys::{Context as _, SyscallError};

use crate::error::{Error, Result};
use crate::observer::Subject;

/// `CGROUP2_SUPER_MAGIC` of `linux/magic.h`.
const CGROUP2: u64 = 0x6367_7270;

/// Inode of the initial cgroup namespace: `PROC_CGROUP_INIT_INO` of the kernel.
const INITIAL_CGROUPS: u64 = 0xeffffffb;

/// A v2 cgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cgroup {
    /// As `bpf_get_current_cgroup_id` says it.
    pub(crate) id: u64,
    /// How far below the root; `None` where a cgroup namespace hides it.
    pub(crate) level: Option<u32>,
}

/// A container as the kernel sees it.
#[derive(Debug)]
pub(crate) struct Facts {
    /// Its first process, as the observer's PID namespace counts.
    pub(crate) pid: u32,
    /// Its mount namespace; `None` if that is the observer's own.
    pub(crate) mounts: Option<u32>,
    /// Its cgroup, if it has one of its own.
    pub(crate) cgroup: Option<Cgroup>,
    /// Its PID namespace.
    pub(crate) pid_namespace: u32,
    /// The PID namespace of the observer.
    pub(crate) observer: u32,
    /// Its root directory, held so that it can be looked at after the end.
    pub(crate) root: Option<OwnedFd>,
    /// It runs already: everything counts from now on.
    pub(crate) runs: bool,
}

impl Facts {
    /// Reads them.
    pub(crate) fn read(subject: Subject) -> Result<Self> {
        let pid = subject.pid;
        let gone = || Error::Gone { pid };
        let started = start_time(pid).ok_or_else(gone)?;
        let mounts = namespace(pid, "mnt")?;
        let pid_namespace = namespace(pid, "pid")?;
        let own = |name: &str| inode(Path::new("/proc/self/ns").join(name));
        let root = rustix::fs::openat(CWD, format!("/proc/{pid}/root"), OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok();
        let cgroup = cgroup(pid);
        // Whoever has the number by now, it is not the container.
        if start_time(pid) != Some(started) {
            return Err(gone());
        }
        let mounts = (own("mnt")? != mounts).then_some(mounts);
        if mounts.is_none() && cgroup.is_none() {
            return Err(Error::Shared { pid });
        }
        let pid = u32::try_from(pid).map_err(|_| gone())?;
        Ok(Self { pid, mounts: mounts.map(low), cgroup, pid_namespace: low(pid_namespace), observer: low(own("pid")?), root, runs: false })
    }
}

/// What is needed of a container whose engine knows that it has a mount namespace of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spaces {
    /// Its mount namespace.
    pub(crate) mounts: u32,
    /// The PID namespace of the caller.
    pub(crate) observer: u32,
}

impl Spaces {
    /// Reads them of a process that the caller has not reaped.
    pub(crate) fn read(pid: i32) -> Result<Self> {
        Ok(Self { mounts: low(namespace(pid, "mnt")?), observer: low(inode("/proc/self/ns/pid".into())?) })
    }
}

/// Returns the PID namespace of this process.
pub(crate) fn own_pid_namespace() -> Option<u32> {
    inode("/proc/self/ns/pid".into()).ok().map(low)
}

/// Returns when a process was started, in clock ticks since boot; `None` when it is not there.
pub(crate) fn start_time(pid: i32) -> Option<u64> {
    Stat::parse(&std::fs::read(format!("/proc/{pid}/stat")).ok()?).map(|stat| stat.start_time)
}

/// Numbers of namespaces have 32 bits.
fn low(inode: u64) -> u32 {
    u32::try_from(inode).unwrap_or(0)
}

fn namespace(pid: i32, name: &str) -> Result<u64> {
    inode(PathBuf::from(format!("/proc/{pid}/ns/{name}")))
}

fn inode(path: PathBuf) -> Result<u64> {
    let stat = std::fs::metadata(&path).call(|| format!("stat({path:?})"));
    stat.map(|stat| stat.ino()).map_err(|source: SyscallError| Error::System { action: "look at a namespace".to_owned(), source })
}

/// Returns the v2 cgroup of a process if it is neither the root nor the observer's own.
fn cgroup(pid: i32) -> Option<Cgroup> {
    let path = cgroup_path(&std::fs::read(format!("/proc/{pid}/cgroup")).ok()?)?;
    let own = std::fs::read("/proc/self/cgroup").ok().and_then(|file| cgroup_path(&file));
    // A path that leads out of our cgroup namespace is nothing that we could look at.
    if path == "/" || own.as_ref() == Some(&path) || path.starts_with("/..") {
        return None;
    }
    let is_mount = |place: &str| rustix::fs::statfs(place).is_ok_and(|found| u64::try_from(found.f_type).is_ok_and(|kind| kind == CGROUP2));
    let mount = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].into_iter().find(|place| is_mount(place))?;
    let id = std::fs::metadata(format!("{mount}{path}")).ok()?.ino();
    let initial = inode("/proc/self/ns/cgroup".into()).is_ok_and(|inode| inode == INITIAL_CGROUPS);
    let level = u32::try_from(path.split('/').filter(|part| !part.is_empty()).count()).ok().filter(|_| initial);
    Some(Cgroup { id, level })
}

/// Returns the path in the v2 hierarchy, of `/proc/PID/cgroup`.
fn cgroup_path(file: &[u8]) -> Option<String> {
    selkie_host::cgroup::parse(file).into_iter().find(|line| line.hierarchy == 0).map(|line| line.path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cgroup_path_is_of_the_unified_hierarchy() {
        assert_eq!(cgroup_path(b"3:cpu:/x\n0::/selkie/a\n"), Some("/selkie/a".to_owned()));
        assert_eq!(cgroup_path(b"3:cpu:/x\n"), None);
    }

    #[test]
    fn start_time_of_a_process_that_is_not_there_is_none() {
        assert_eq!(start_time(-5), None);
        assert!(start_time(std::process::id().cast_signed()).is_some());
    }
}
