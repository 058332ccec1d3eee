//! The reader: bytes of procfs, from any directory that looks like it.

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, RawDir};
use selkie_sys::{Context, Errno, Result};

use super::namespace::{Namespace, namespace_inode};
use crate::procfs::{cgroup, idmap, mountinfo, number};
use crate::{CgroupLine, IdMap, Mount, Stat, Status};

/// A mounted procfs, kept open.
#[derive(Debug)]
pub struct Procfs {
    directory: OwnedFd,
    path: PathBuf,
}

/// Memory that one read after another reuses.
#[derive(Debug)]
pub struct Buffer(Vec<u8>);

impl Buffer {
    /// Returns one that is large enough for the status of nearly every process.
    #[must_use]
    pub fn new() -> Self {
        Self(vec![0; 4096])
    }
}

impl Default for Buffer {
    fn default() -> Self {
        Self::new()
    }
}

/// The most that is read of a file of procfs; a container with more mounts than fit is refused rather than half seen.
const LIMIT: usize = 64 << 20;

impl Procfs {
    /// Opens the procfs at `path`, `/proc` for this machine's.
    ///
    /// # Errors
    /// `ENOENT`, `ENOTDIR` or `EACCES`.
    pub fn open(path: &Path) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(path, flags, Mode::empty()).call(|| format!("open({path:?})"))?;
        Ok(Self { directory, path: path.to_owned() })
    }

    /// Returns the numbers of all processes, in ascending order.
    ///
    /// # Errors
    /// What getdents64(2) answered.
    pub fn pids(&self) -> Result<Vec<u32>> {
        let mut buffer = Vec::with_capacity(128 << 10);
        let mut list = self.list(buffer.spare_capacity_mut())?;
        let mut pids = Vec::with_capacity(4096);
        while let Some(pid) = list.next()? {
            pids.push(pid);
        }
        pids.sort_unstable();
        Ok(pids)
    }

    /// Begins a list of all processes, of which `memory` holds a part at a time.
    pub(crate) fn list<'a>(&'a self, memory: &'a mut [MaybeUninit<u8>]) -> Result<Pids<'a>> {
        // A directory of its own: two readers of one descriptor would share its position.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::openat(&self.directory, c".", flags, Mode::empty()).call(|| getdents(&self.path))?;
        Ok(Pids { entries: RawDir::new(directory, memory), path: &self.path })
    }

    /// Reads the status of a process; `None` when it is gone.
    ///
    /// # Errors
    /// `EACCES` on a procfs that hides processes, `EMFILE` and the like; `EILSEQ` for a file that is none of the kernel's.
    pub fn status(&self, pid: u32, buffer: &mut Buffer) -> Result<Option<Status>> {
        self.parsed(pid, "status", buffer, Status::parse)
    }

    /// Reads the supplementary groups of a process; `None` when it is gone.
    ///
    /// # Errors
    /// As [`Self::status`].
    pub fn groups(&self, pid: u32, buffer: &mut Buffer) -> Result<Option<Vec<u32>>> {
        self.parsed(pid, "status", buffer, |file| Some(crate::status::groups(file)))
    }

    /// Reads the times and sizes of a process; `None` when it is gone.
    ///
    /// # Errors
    /// As [`Self::status`].
    pub fn stat(&self, pid: u32, buffer: &mut Buffer) -> Result<Option<Stat>> {
        self.parsed(pid, "stat", buffer, Stat::parse)
    }

    /// Reads the cgroups of a process; `None` when it is gone.
    ///
    /// # Errors
    /// As [`Self::status`].
    pub fn cgroup(&self, pid: u32, buffer: &mut Buffer) -> Result<Option<Vec<CgroupLine>>> {
        self.parsed(pid, "cgroup", buffer, |file| Some(cgroup::parse(file)))
    }

    /// Reads the user ids of a process's user namespace; `None` when it is gone.
    ///
    /// # Errors
    /// As [`Self::status`].
    pub fn uid_map(&self, pid: u32, buffer: &mut Buffer) -> Result<Option<Vec<IdMap>>> {
        self.parsed(pid, "uid_map", buffer, idmap::parse)
    }

    /// Reads the mounts of a process; `None` when it is gone.
    ///
    /// # Errors
    /// As [`Self::status`].
    pub fn mounts(&self, pid: u32, buffer: &mut Buffer) -> Result<Option<Vec<Mount>>> {
        self.parsed(pid, "mountinfo", buffer, |file| Some(mountinfo::parse(file)))
    }

    /// Reads the command line of a process, its words separated by NUL; `None` when it is gone.
    ///
    /// # Errors
    /// As [`Self::status`].
    pub fn command_line(&self, pid: u32, buffer: &mut Buffer) -> Result<Option<Vec<u8>>> {
        self.parsed(pid, "cmdline", buffer, |file| Some(file.to_vec()))
    }

    /// Reads any file of a process; `None` when the process or the file is not there.
    ///
    /// # Errors
    /// As [`Self::status`].
    pub fn file(&self, pid: u32, name: &str, buffer: &mut Buffer) -> Result<Option<Vec<u8>>> {
        self.parsed(pid, name, buffer, |file| Some(file.to_vec()))
    }

    /// Returns the number of a namespace of a process; `None` when it is gone or may not be looked into.
    #[must_use]
    pub fn namespace(&self, pid: u32, kind: Namespace) -> Option<u64> {
        let link = rustix::fs::readlinkat(&self.directory, format!("{pid}/ns/{}", kind.file()), Vec::new()).ok()?;
        namespace_inode(kind, link.to_bytes())
    }

    /// Returns the user namespace of a process without an allocation; `None` as for [`Self::namespace`].
    #[must_use]
    pub fn user_namespace(&self, pid: u32) -> Option<u64> {
        let mut path = [0; 32];
        let mut link = [MaybeUninit::uninit(); 32];
        // Reading the link costs two thirds of following it.
        let (target, _) = rustix::fs::readlinkat_raw(&self.directory, entry(pid, b"ns/user", &mut path)?, &mut link).ok()?;
        namespace_inode(Namespace::User, target)
    }

    /// Opens the root directory of a process, for reading beneath it with [`selkie_sys::root`]; `None` when it is gone.
    ///
    /// # Errors
    /// `EACCES` without the right to look into it.
    pub fn root_of(&self, pid: u32) -> Result<Option<OwnedFd>> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::openat(&self.directory, format!("{pid}/root"), flags, Mode::empty()) {
            Err(Errno::NOENT | Errno::SRCH) => Ok(None),
            opened => opened.map(Some).call(|| format!("openat(\"{pid}/root\")")),
        }
    }

    /// Returns the directory itself, for files that belong to no process.
    #[must_use]
    pub fn directory(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    fn parsed<T>(&self, pid: u32, name: &str, buffer: &mut Buffer, parse: impl FnOnce(&[u8]) -> Option<T>) -> Result<Option<T>> {
        let call = |what: &str| format!("{what}(\"{}/{pid}/{name}\")", self.path.display());
        let mut path = [0; 32];
        let Some(path) = entry(pid, name.as_bytes(), &mut path) else { return Err(Errno::NAMETOOLONG).call(|| call("openat")) };
        match read(&self.directory, path, buffer) {
            // An empty file where there is always something: the process ended between open and read.
            Ok([]) if matches!(name, "status" | "stat") => Ok(None),
            Ok(file) => parse(file).map(Some).ok_or(Errno::ILSEQ).call(|| call("read")),
            Err(Errno::NOENT | Errno::SRCH) => Ok(None),
            Err(errno) => Err(errno).call(|| call("openat")),
        }
    }
}

/// The numbers of all processes, in the order in which the kernel lists them: each once.
pub(crate) struct Pids<'a> {
    entries: RawDir<'a, OwnedFd>,
    path: &'a Path,
}

impl Pids<'_> {
    /// Returns the next one; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<u32>> {
        while let Some(entry) = self.entries.next() {
            if let Some(pid) = number(entry.call(|| getdents(self.path))?.file_name().to_bytes()) {
                return Ok(Some(pid));
            }
        }
        Ok(None)
    }

    /// Returns those that one call tells of, at least one of them; none at the end.
    pub(crate) fn part(&mut self) -> Result<Vec<u32>> {
        let mut part = Vec::with_capacity(192);
        while let Some(pid) = self.next()? {
            part.push(pid);
            if self.entries.is_buffer_empty() {
                break;
            }
        }
        Ok(part)
    }
}

fn getdents(path: &Path) -> String {
    format!("getdents64({path:?})")
}

/// Writes `PID/NAME` and a NUL into `path`.
fn entry<'a>(pid: u32, name: &[u8], path: &'a mut [u8; 32]) -> Option<&'a CStr> {
    let mut digits = [0; 10];
    let mut rest = pid;
    let mut count = 0;
    for slot in digits.iter_mut().rev() {
        *slot = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
        count += 1;
        if rest == 0 {
            break;
        }
    }
    let digits = digits.get(10 - count..)?;
    let mut length = 0;
    for byte in digits.iter().chain(b"/").chain(name).chain(b"\0") {
        *path.get_mut(length)? = *byte;
        length += 1;
    }
    CStr::from_bytes_with_nul(path.get(..length)?).ok()
}

/// Reads a file of procfs into `buffer`, which grows as needed.
fn read<'a>(directory: &OwnedFd, path: &CStr, buffer: &'a mut Buffer) -> core::result::Result<&'a [u8], Errno> {
    let file = rustix::fs::openat(directory, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut length = 0;
    loop {
        let free = buffer.0.get_mut(length..).unwrap_or_default();
        let read = rustix::io::retry_on_intr(|| rustix::io::read(&file, &mut *free))?;
        // A file that is one record comes whole or not at all; only files of many records need to be asked for the end.
        let whole = read < free.len() && length == 0 && is_one_record(path);
        length += read;
        if read == 0 || whole {
            return Ok(buffer.0.get(..length).unwrap_or(&[]));
        }
        if length == buffer.0.len() {
            if length >= LIMIT {
                return Err(Errno::FBIG);
            }
            buffer.0.resize(length * 2, 0);
        }
    }
}

fn is_one_record(path: &CStr) -> bool {
    path.to_bytes().ends_with(b"/status") || path.to_bytes().ends_with(b"/stat") || path.to_bytes().ends_with(b"/cgroup")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> u32 {
        std::process::id()
    }

    #[test]
    fn status_of_this_process_has_its_own_sets() {
        let procfs = Procfs::open(Path::new("/proc")).unwrap();
        // The thread that asks: file names of procfs are those of the process's first thread, whose sets are the same here.
        let status = procfs.status(own(), &mut Buffer::new()).unwrap().unwrap();
        assert_eq!(status.sets, selkie_sys::capability::read().unwrap());
    }

    #[test]
    fn status_of_no_process_is_gone() {
        let procfs = Procfs::open(Path::new("/proc")).unwrap();
        assert_eq!(procfs.status(u32::MAX, &mut Buffer::new()).unwrap(), None);
    }

    #[test]
    fn status_that_is_no_status_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("7")).unwrap();
        std::fs::write(directory.path().join("7/status"), "nonsense").unwrap();
        let procfs = Procfs::open(directory.path()).unwrap();
        assert_eq!(procfs.status(7, &mut Buffer::new()).unwrap_err().errno, Errno::ILSEQ);
        assert_eq!(procfs.pids().unwrap(), [7]);
    }

    #[test]
    fn file_larger_than_the_buffer_is_read_whole() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("7")).unwrap();
        let content: Vec<u8> = (0..50_000_u32).flat_map(u32::to_ne_bytes).collect();
        std::fs::write(directory.path().join("7/cmdline"), &content).unwrap();
        let procfs = Procfs::open(directory.path()).unwrap();
        assert_eq!(procfs.command_line(7, &mut Buffer::new()).unwrap(), Some(content));
    }

    #[test]
    fn namespaces_of_this_process_are_there() {
        let procfs = Procfs::open(Path::new("/proc")).unwrap();
        assert!(Namespace::ALL.into_iter().all(|kind| procfs.namespace(own(), kind).is_some()));
        assert_eq!(procfs.namespace(own(), Namespace::User), procfs.user_namespace(own()));
    }

    #[test]
    fn pids_hold_this_process_and_are_sorted() {
        let pids = Procfs::open(Path::new("/proc")).unwrap().pids().unwrap();
        assert!(pids.contains(&own()) && pids.is_sorted());
    }
}
