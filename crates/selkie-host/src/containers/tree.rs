//! A directory of somebody's, and the files beneath it: links resolve within it, only regular files are read, sizes are bounded.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::OFlags;
use selkie_sys::{Errno, Result, SyscallError, root};

/// How many entries of a directory are looked at.
const ENTRIES: usize = 16_384;
/// How long a record of one container may be.
const RECORD: usize = 4 << 20;
/// How long a list of all of them may be.
const LIST: usize = 32 << 20;
/// How long a database of the host's own may be: it is held in memory, and never gets shorter.
const DATABASE: usize = 128 << 20;

/// A directory that nothing leads out of.
#[derive(Debug)]
pub(super) struct Tree {
    directory: OwnedFd,
    /// Whose it is; `None` for the host's own.
    pub(super) user: Option<u32>,
    /// What keeps a reader out.
    denied: Vec<String>,
}

impl Tree {
    /// Opens the root of a host.
    ///
    /// # Errors
    /// What open(2) answered.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(path, flags, rustix::fs::Mode::empty())
            .map_err(|errno| SyscallError::new(format!("open({path:?})"), errno))?;
        Ok(Self { directory, user: None, denied: Vec::new() })
    }

    /// Returns the directory `path` in it as one of `user`'s; `None` when there is none that may be opened.
    pub(super) fn of_user(&self, path: &str, user: u32) -> Option<Self> {
        let directory = root::open(&self.directory, Path::new(path), OFlags::PATH | OFlags::DIRECTORY).ok()?;
        Some(Self { directory, user: Some(user), denied: Vec::new() })
    }

    /// Returns the directory `path` in it, as one of the host's own.
    pub(super) fn beneath(&self, path: &str) -> Option<Self> {
        let directory = root::open(&self.directory, Path::new(path), OFlags::PATH | OFlags::DIRECTORY).ok()?;
        Some(Self { directory, user: None, denied: Vec::new() })
    }

    /// Opens the place of what is at `path`; `None` when there is nothing that may be seen.
    pub(super) fn place(&self, path: &str) -> Option<OwnedFd> {
        root::place(&self.directory, Path::new(path)).ok()
    }

    /// Returns whether there is something at `path`.
    pub(super) fn has(&mut self, path: &str) -> bool {
        let found = root::place(&self.directory, Path::new(path)).map(Some);
        self.seen(path, found).is_some()
    }

    /// Returns the names in the directory `path`, sorted; none when it is not there.
    pub(super) fn list(&mut self, path: &str) -> Vec<String> {
        let opened = root::open(&self.directory, Path::new(path), OFlags::RDONLY | OFlags::DIRECTORY).map(Some);
        let Some(directory) = self.seen(path, opened) else { return Vec::new() };
        let mut memory = Vec::with_capacity(16 << 10);
        let mut entries = rustix::fs::RawDir::new(&directory, memory.spare_capacity_mut());
        let mut names = Vec::new();
        while let Some(Ok(entry)) = entries.next() {
            if names.len() == ENTRIES {
                break;
            }
            // A name that is no text is no engine's.
            names.extend(entry.file_name().to_str().ok().filter(|name| !matches!(*name, "." | "..")).map(str::to_owned));
        }
        names.sort_unstable();
        names
    }

    /// Reads a record; `None` when it is missing, too long, or no file.
    pub(super) fn record(&mut self, path: &str) -> Option<Vec<u8>> {
        self.read(path, RECORD)
    }

    /// Reads a list; `None` as for [`Self::record`].
    pub(super) fn long(&mut self, path: &str) -> Option<Vec<u8>> {
        self.read(path, LIST)
    }

    /// Reads a database, a user's only as far as a list; `None` as for [`Self::record`].
    pub(super) fn database(&mut self, path: &str) -> Option<Vec<u8>> {
        self.read(path, if self.user.is_none() { DATABASE } else { LIST })
    }

    /// Reads the first bytes of a file; `None` when it is missing, or no file.
    pub(super) fn head(&mut self, path: &str, length: usize) -> Option<Vec<u8>> {
        let read = root::beginning(&self.directory, Path::new(path), length);
        self.seen(path, read)
    }

    /// Reads a record as text; bytes that are none are replaced.
    pub(super) fn text(&mut self, path: &str) -> Option<String> {
        self.record(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Returns the directories and files that keep a reader out.
    pub(super) fn denied(self) -> Vec<String> {
        self.denied
    }

    fn read(&mut self, path: &str, limit: usize) -> Option<Vec<u8>> {
        let read = root::read(&self.directory, Path::new(path), limit);
        self.seen(path, read)
    }

    /// Returns the outermost part of `path` that keeps a reader out; an empty one is the directory of the tree.
    fn closed(&self, path: &str) -> String {
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        let mut before = 0;
        for end in ends {
            let refused = |part| matches!(root::place(&self.directory, Path::new(part)), Err(SyscallError { errno: Errno::ACCESS, .. }));
            if path.get(..end).is_some_and(refused) {
                return path.get(..before).unwrap_or_default().to_owned();
            }
            before = end;
        }
        path.to_owned()
    }

    fn seen<T>(&mut self, path: &str, result: Result<Option<T>>) -> Option<T> {
        if let Err(SyscallError { errno: Errno::ACCESS | Errno::PERM, .. }) = result
            && self.denied.len() < ENTRIES
        {
            let closed = self.closed(path);
            self.denied.push(closed);
        }
        result.ok().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_through_a_link_that_leaves_is_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let home = directory.path().join("home/u");
        std::fs::create_dir_all(&home).unwrap();
        std::fs::write(directory.path().join("secret"), "s").unwrap();
        std::os::unix::fs::symlink("../../secret", home.join("up")).unwrap();
        std::os::unix::fs::symlink(directory.path().join("secret"), home.join("absolute")).unwrap();
        let mut tree = Tree::open(directory.path()).unwrap().of_user("home/u", 1000).unwrap();
        assert_eq!(["up", "absolute", "../../secret"].map(|path| tree.record(path)), [None, None, None]);
    }

    #[test]
    fn record_of_what_is_no_file_or_too_long_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        rustix::fs::mknodat(rustix::fs::CWD, path.join("fifo"), rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        std::fs::File::create(path.join("long")).unwrap().set_len(1 << 30).unwrap();
        std::fs::create_dir(path.join("directory")).unwrap();
        let mut tree = Tree::open(path).unwrap();
        assert_eq!(["fifo", "long", "directory", "missing"].map(|name| tree.record(name)), [None, None, None, None]);
        assert_eq!(tree.list("."), ["directory", "fifo", "long"]);
    }
}
