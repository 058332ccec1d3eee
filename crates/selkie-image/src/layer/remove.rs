//! Removal of trees that strangers have made: of any depth, with a bounded number of open directories.

use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use selkie_sys::{Context, Errno, Result};

/// How many directories are open at once. What lies deeper is moved up first.
const DEPTH: u32 = 64;

/// Removes `name` in `directory` and everything in it; it may be missing.
pub(crate) fn remove_tree(directory: impl AsFd, name: &OsStr) -> Result<()> {
    let directory = directory.as_fd();
    let mut moved = 0;
    remove(directory, name, &Top { directory, name }, DEPTH, &mut moved)?;
    for number in 0.. {
        if number >= moved {
            break;
        }
        let deep = moved_name(name, number);
        let deep = OsStr::from_bytes(deep.as_bytes());
        remove(directory, deep, &Top { directory, name }, DEPTH, &mut moved)?;
    }
    Ok(())
}

/// Where directories that lie too deep are moved to.
struct Top<'a> {
    directory: BorrowedFd<'a>,
    name: &'a OsStr,
}

fn moved_name(name: &OsStr, number: u32) -> String {
    format!("{}.deep-{number}", name.to_string_lossy())
}

fn remove(parent: BorrowedFd<'_>, name: &OsStr, top: &Top<'_>, depth: u32, moved: &mut u32) -> Result<()> {
    let call = |what: &str| format!("{what}({name:?})");
    match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        Err(Errno::ISDIR | Errno::PERM) => {}
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(errno) => return Err(errno).call(|| call("unlinkat")),
    }
    if depth == 0 {
        let target = moved_name(top.name, *moved);
        rustix::fs::renameat(parent, name, top.directory, &target).call(|| call("renameat"))?;
        *moved += 1;
        return Ok(());
    }
    if !rustix::process::geteuid().is_root() {
        // A directory without rights is not for us to look into, even when it is ours. It is one: it could not be unlinked.
        let _ = rustix::fs::chmodat(parent, name, Mode::RWXU, AtFlags::empty());
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = rustix::fs::openat(parent, name, flags, Mode::empty()).call(|| call("openat"))?;
    for entry in names(&directory).call(|| call("getdents64"))? {
        remove(directory.as_fd(), OsStr::from_bytes(entry.as_bytes()), top, depth - 1, moved)?;
    }
    rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR).call(|| call("unlinkat"))
}

/// Removes the files of `directory` and returns the names that are left, a bounded number at once.
fn names(directory: &OwnedFd) -> std::result::Result<Vec<CString>, Errno> {
    let mut directories = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        if entry.file_type() == FileType::Directory || rustix::fs::unlinkat(directory, name, AtFlags::empty()).is_err() {
            directories.push(name.to_owned());
        }
    }
    Ok(directories)
}
