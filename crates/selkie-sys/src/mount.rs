//! Mounts by descriptor: fsopen(2), open_tree(2), mount_setattr(2), move_mount(2).
//!
//! A mount is made detached, gets its attributes, and is attached last, to a descriptor of its target. No path of a
//! container is ever resolved by the mount call itself.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::CWD;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags};

use crate::error::{Context, Errno, Result, check};

/// Attributes of a mount: `MOUNT_ATTR_*` of mount_setattr(2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes(u64);

impl Attributes {
    /// Nothing set.
    pub const NONE: Self = Self(0);
    /// `MOUNT_ATTR_RDONLY`.
    pub const READ_ONLY: Self = Self(1);
    /// `MOUNT_ATTR_NOSUID`.
    pub const NO_SUID: Self = Self(2);
    /// `MOUNT_ATTR_NODEV`.
    pub const NO_DEVICES: Self = Self(4);
    /// `MOUNT_ATTR_NOEXEC`.
    pub const NO_EXEC: Self = Self(8);

    /// Returns the attributes of both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns the attributes of both if `condition`.
    #[must_use]
    pub const fn and_if(self, condition: bool, other: Self) -> Self {
        if condition { self.and(other) } else { self }
    }
}

/// A file system that is being configured.
#[derive(Debug)]
pub struct Filesystem {
    context: OwnedFd,
    kind: String,
}

impl Filesystem {
    /// Begins a new file system of `kind`, for example `overlay`.
    ///
    /// # Errors
    /// `ENODEV` when the kernel does not have it.
    pub fn new(kind: &str) -> Result<Self> {
        let context = rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC).call(|| format!("fsopen({kind:?})"))?;
        // What mountinfo shows as the source; file systems that take none are content without.
        let _ = rustix::mount::fsconfig_set_string(context.as_fd(), "source", kind);
        Ok(Self { context, kind: kind.to_owned() })
    }

    /// Returns whether the kernel's `kind` looks at options one by one; otherwise it takes whatever it is given and fails in the end.
    ///
    /// # Errors
    /// `ENODEV` when the kernel does not have it.
    pub fn checks_options(kind: &str) -> Result<bool> {
        Ok(Self::new(kind)?.flag("an-option-that-nothing-has").is_err())
    }

    /// Sets `key` to `value`, at most 255 bytes.
    ///
    /// # Errors
    /// `EINVAL` for a key or value that the file system does not take.
    pub fn set(&self, key: &str, value: &str) -> Result<()> {
        rustix::mount::fsconfig_set_string(self.context.as_fd(), key, value)
            .call(|| format!("fsconfig({:?}, {key:?}, {value:?})", self.kind))
    }

    /// Sets the flag `key`.
    ///
    /// # Errors
    /// `EINVAL` for a flag that the file system does not take.
    pub fn flag(&self, key: &str) -> Result<()> {
        rustix::mount::fsconfig_set_flag(self.context.as_fd(), key).call(|| format!("fsconfig({:?}, {key:?})", self.kind))
    }

    /// Sets `key=value` or the flag `key`.
    ///
    /// # Errors
    /// As [`Self::set`] and [`Self::flag`].
    pub fn option(&self, text: &str) -> Result<()> {
        match text.split_once('=') {
            Some((key, value)) => self.set(key, value),
            None => self.flag(text),
        }
    }

    /// Makes the file system and returns a detached mount of it.
    ///
    /// # Errors
    /// `EPERM` without the rights over the namespaces that it belongs to.
    pub fn mount(self, attributes: Attributes) -> Result<OwnedFd> {
        rustix::mount::fsconfig_create(self.context.as_fd()).call(|| format!("fsconfig({:?}, CREATE)", self.kind))?;
        let attributes = MountAttrFlags::from_bits_retain(u32::try_from(attributes.0).unwrap_or(0));
        rustix::mount::fsmount(self.context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes).call(|| format!("fsmount({:?})", self.kind))
    }
}

/// Returns a detached copy of the mount at `path` beneath `directory`; with an empty path, of `directory` itself.
///
/// # Errors
/// `ENOENT` when there is nothing, `EPERM` without `CAP_SYS_ADMIN`.
pub fn clone_tree(directory: impl AsFd, path: &Path, recursive: bool) -> Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    rustix::mount::open_tree(directory, path, flags).call(|| format!("open_tree({path:?}, OPEN_TREE_CLONE)"))
}

/// As [`clone_tree`] of an absolute path.
///
/// # Errors
/// As [`clone_tree`].
pub fn clone_path(path: &Path, recursive: bool) -> Result<OwnedFd> {
    clone_tree(CWD, path, recursive)
}

/// How mounts and unmounts spread: mount_namespaces(7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// Not at all.
    Private,
    /// From the peer group in, not out.
    Slave,
    /// Both ways.
    Shared,
}

#[repr(C)]
#[derive(Default)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    userns_fd: u64,
}

/// Sets `attributes` on the mount behind `mount`, and everything beneath it if `recursive`.
///
/// # Errors
/// `EPERM` when an attribute is locked by a more privileged user namespace.
pub fn set_attributes(mount: impl AsFd, attributes: Attributes, propagation: Option<Propagation>, recursive: bool) -> Result<()> {
    let attr = MountAttr {
        set: attributes.0,
        propagation: match propagation {
            None => 0,
            Some(Propagation::Private) => libc::MS_PRIVATE,
            Some(Propagation::Slave) => libc::MS_SLAVE,
            Some(Propagation::Shared) => libc::MS_SHARED,
        },
        ..MountAttr::default()
    };
    set(mount, &attr, recursive).call(|| format!("mount_setattr(set={:#x}, propagation={:#x})", attr.set, attr.propagation))
}

/// Shows the files of the detached `mount` with the ids that `user_namespace` maps theirs to; what is written goes the way back.
///
/// # Errors
/// `EINVAL` when the file system does not support it, or the mount has been attached; `EPERM` when its ids are mapped already.
pub fn map_ids(mount: impl AsFd, user_namespace: impl AsFd) -> Result<()> {
    const MOUNT_ATTR_IDMAP: u64 = 0x0010_0000;
    let userns_fd = u64::try_from(user_namespace.as_fd().as_raw_fd()).unwrap_or(u64::MAX);
    let attr = MountAttr { set: MOUNT_ATTR_IDMAP, userns_fd, ..MountAttr::default() };
    set(mount, &attr, false).call(|| "mount_setattr(MOUNT_ATTR_IDMAP)")
}

fn set(mount: impl AsFd, attr: &MountAttr, recursive: bool) -> core::result::Result<(), Errno> {
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is an empty C string and the kernel reads exactly `size_of::<MountAttr>()` bytes of `attr`.
    let value = unsafe {
        libc::syscall(libc::SYS_mount_setattr, mount.as_fd().as_raw_fd(), c"".as_ptr(), flags, &raw const *attr, size_of::<MountAttr>())
    };
    check(value).map(drop)
}

/// Changes how every mount of the calling mount namespace spreads.
///
/// # Errors
/// `EPERM` without `CAP_SYS_ADMIN`.
pub fn set_propagation_of_all(propagation: Propagation) -> Result<()> {
    let root = rustix::fs::openat(CWD, "/", rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC, rustix::fs::Mode::empty())
        .call(|| "openat(\"/\", O_PATH)")?;
    set_attributes(root, Attributes::NONE, Some(propagation), true)
}

/// Attaches the detached `mount` on top of `target`, which is a descriptor of the place itself; `what` names it in an error.
///
/// # Errors
/// `ENOTDIR` when only one of them is a directory, `EPERM` without `CAP_SYS_ADMIN`.
pub fn attach(mount: impl AsFd, target: impl AsFd, what: &str) -> Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(mount, "", target, "", flags).call(|| format!("move_mount({what:?})"))
}

/// Makes the mount behind `root` the root of the calling mount namespace and detaches the old one.
///
/// # Errors
/// `EINVAL` when it is not attached, or is the root already.
pub fn pivot(root: impl AsFd) -> Result<()> {
    rustix::process::fchdir(root).call(|| "fchdir(root)")?;
    // pivot_root(2), "pivot_root(".", ".")": the old root comes to lie over the new one and is then taken off.
    rustix::process::pivot_root(".", ".").call(|| "pivot_root(\".\", \".\")")?;
    rustix::mount::unmount(".", UnmountFlags::DETACH).call(|| "umount2(\".\", MNT_DETACH)")?;
    rustix::process::chdir("/").call(|| "chdir(\"/\")")
}

/// Returns a read-only copy of the running program's own file, through which nobody can write to it.
///
/// Executing it gives a process whose `/proc/PID/exe` cannot be opened for writing, whatever a container does.
///
/// # Errors
/// `EPERM` without `CAP_SYS_ADMIN`.
pub fn protected_self() -> Result<OwnedFd> {
    let clone = match clone_path(Path::new("/proc/self/exe"), false) {
        Ok(clone) => clone,
        Err(error) => {
            // This process may already run from such a copy, which is attached nowhere and cannot be copied again.
            let own = rustix::fs::open("/proc/self/exe", rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC, rustix::fs::Mode::empty())
                .call(|| "open(\"/proc/self/exe\", O_PATH)")?;
            return if error.errno == Errno::INVAL && is_read_only(&own)? { Ok(own) } else { Err(error) };
        }
    };
    set_attributes(&clone, Attributes::READ_ONLY, Some(Propagation::Private), false)?;
    Ok(clone)
}

/// Returns whether the mount that `fd` lies on is read-only.
///
/// # Errors
/// What statx(2) or fstatvfs(3) answered.
pub fn is_read_only(fd: impl AsFd) -> Result<bool> {
    let stat = rustix::fs::fstatvfs(fd).call(|| "fstatvfs()")?;
    Ok(stat.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY))
}
