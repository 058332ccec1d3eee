//! `-v SRC:DST:U`: gives what is mounted to the user of the container, before it starts.
//!
//! Not for the files of the container itself. The source is a path of the host that the user has named, and is trusted. What is in
//! it is not: an earlier container may have written it, and may be writing it now. So everything beneath is opened with openat2(2)
//! and `RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS`, and what has been opened is given away, whatever its name means by then.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags};
use selkie_plan::value::BindMount;
use selkie_plan::{Plan, Request};
use selkie_sys::{Context, Errno, SyscallError, root};

use crate::error::{Error, Result};

/// Directories that the host itself needs as they are: Podman's list.
const OF_THE_HOST: [&str; 23] = [
    "/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib64", "/media", "/mnt", "/opt", "/proc", "/root", "/run", "/sbin", "/srv",
    "/sys", "/tmp", "/usr", "/var", "/var/lib", "/var/log", "/var/tmp",
];

/// Gives the sources of all binds with `U` to the user that the container runs as, seen from the host.
///
/// # Errors
/// A directory of the host's own, or what could not be given; the container is not started then.
pub(crate) fn give(request: &Request, plan: &Plan) -> Result<()> {
    let wanted: Vec<&BindMount> = request.mounts.binds().filter(|bind| bind.give).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let owner = owner(plan)?;
    wanted.into_iter().try_for_each(|bind| Owner::give(owner, bind))
}

/// The ids on the host.
#[derive(Clone, Copy)]
struct Owner {
    uid: u32,
    gid: u32,
}

fn owner(plan: &Plan) -> Result<Owner> {
    let user = &plan.process.user;
    let Some(maps) = plan.namespaces.user.maps() else { return Ok(Owner { uid: user.uid, gid: user.gid }) };
    match maps.to_host(user.uid, user.gid) {
        Some((uid, gid)) => Ok(Owner { uid, gid }),
        None => Err(Error::Invalid { problem: format!("volume option U: {}:{} is not mapped in the user namespace", user.uid, user.gid) }),
    }
}

impl Owner {
    fn give(self, bind: &BindMount) -> Result<()> {
        let failed = |path: &Path| Error::system(format!("give {} to {}:{}", path.display(), self.uid, self.gid));
        let source = Path::new(&bind.source);
        let real = std::fs::canonicalize(source).map_err(|error| Error::File { action: "find", path: source.to_owned(), source: error })?;
        if OF_THE_HOST.iter().any(|path| Path::new(path) == real) {
            return Err(Error::OfTheHost { path: real, uid: self.uid, gid: self.gid });
        }
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let top = rustix::fs::open(&real, flags, Mode::empty()).call(|| format!("open({real:?})")).map_err(failed(&real))?;
        let mut directories = Vec::new();
        if self.take(&top).map_err(failed(&real))? == FileType::Directory {
            directories.push(PathBuf::from("."));
        }
        let resolve = if bind.not_recursive { BENEATH.union(ResolveFlags::NO_XDEV) } else { BENEATH };
        while let Some(directory) = directories.pop() {
            let inside = self.give_entries(&top, &directory, resolve).map_err(failed(&real.join(&directory)))?;
            directories.extend(inside);
        }
        Ok(())
    }

    /// Gives away what is in a directory; returns the directories in it.
    fn give_entries(self, top: &OwnedFd, directory: &Path, resolve: ResolveFlags) -> std::result::Result<Vec<PathBuf>, SyscallError> {
        // Moved or removed meanwhile, or of another file system than the container gets.
        let Some(opened) = beneath(top.as_fd(), directory, OFlags::PATH | OFlags::DIRECTORY, resolve)? else { return Ok(Vec::new()) };
        let readable = root::reopen(&opened, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let mut directories = Vec::new();
        for entry in Dir::read_from(&readable).call(|| format!("getdents({directory:?})"))? {
            let entry = entry.call(|| format!("getdents({directory:?})"))?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if matches!(name.as_bytes(), b"." | b"..") {
                continue;
            }
            let Some(found) = beneath(opened.as_fd(), Path::new(name), OFlags::PATH | OFlags::NOFOLLOW, resolve)? else { continue };
            if self.take(&found)? == FileType::Directory {
                directories.push(directory.join(name));
            }
        }
        Ok(directories)
    }

    /// Gives away what has been opened, a link itself and not what it leads to; returns what it is.
    fn take(self, place: &OwnedFd) -> std::result::Result<FileType, SyscallError> {
        let stat = rustix::fs::fstat(place).call(|| "fstat()")?;
        if (stat.st_uid, stat.st_gid) != (self.uid, self.gid) {
            let (uid, gid) = (rustix::fs::Uid::from_raw(self.uid), rustix::fs::Gid::from_raw(self.gid));
            rustix::fs::chownat(place, "", Some(uid), Some(gid), AtFlags::EMPTY_PATH)
                .call(|| format!("fchownat({}, {})", self.uid, self.gid))?;
        }
        Ok(FileType::from_raw_mode(stat.st_mode))
    }
}

const BENEATH: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);

/// Opens a path beneath a directory; `None` for what is not there any more, or not on this file system where that is asked for.
fn beneath(
    directory: BorrowedFd<'_>,
    path: &Path,
    flags: OFlags,
    resolve: ResolveFlags,
) -> std::result::Result<Option<OwnedFd>, SyscallError> {
    // EAGAIN: something was renamed meanwhile.
    for _ in 0..64 {
        match rustix::fs::openat2(directory, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
            Err(Errno::AGAIN) => {}
            Err(Errno::NOENT | Errno::XDEV | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
            opened => return opened.map(Some).call(|| format!("openat2({path:?})")),
        }
    }
    Err(SyscallError::new(format!("openat2({path:?})"), Errno::AGAIN))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;

    fn owner_of(path: &Path) -> (u32, u32) {
        let metadata = std::fs::symlink_metadata(path).unwrap();
        (metadata.uid(), metadata.gid())
    }

    #[test]
    fn everything_beneath_is_given_and_nothing_that_links_lead_to() {
        // Others than root can give what they have to nobody but themselves.
        let me = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let owner = if me.0 == 0 { Owner { uid: 33, gid: 34 } } else { Owner { uid: me.0, gid: me.1 } };
        let directory = tempfile::tempdir().unwrap();
        let (given, other) = (directory.path().join("given"), directory.path().join("other"));
        std::fs::create_dir_all(given.join("a/b")).unwrap();
        std::fs::create_dir(&other).unwrap();
        std::fs::write(given.join("a/b/file"), "").unwrap();
        std::fs::write(other.join("file"), "").unwrap();
        symlink(&other, given.join("to_directory")).unwrap();
        symlink(other.join("file"), given.join("a/to_file")).unwrap();
        symlink("../../other", given.join("up")).unwrap();
        let bind = BindMount { source: given.to_str().unwrap().to_owned(), give: true, ..BindMount::default() };
        owner.give(&bind).unwrap();
        for path in ["", "a", "a/b", "a/b/file", "to_directory", "a/to_file", "up"] {
            assert_eq!(owner_of(&given.join(path)), (owner.uid, owner.gid), "{path}");
        }
        assert_eq!((owner_of(&other), owner_of(&other.join("file"))), (me, me));
    }

    #[test]
    fn directories_of_the_host_are_not_given() {
        for source in ["/", "/etc", "/usr/../etc", "/var/lib/"] {
            let bind = BindMount { source: source.to_owned(), give: true, ..BindMount::default() };
            let error = Owner { uid: 33, gid: 33 }.give(&bind).unwrap_err().to_string();
            assert!(
                error.starts_with("chowning host path \"/") && error.contains("is not allowed. You can manually `chown -R 33:33 /"),
                "{error}"
            );
        }
    }
}
