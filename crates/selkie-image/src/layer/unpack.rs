//! Unpacks an archive into the directory of a layer.

use std::ffi::OsStr;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{FileType, Mode};

use super::name::{Meaning, components, meaning};
use super::tree::{Metadata, Place, Tree};
use crate::digest::{Digest, Hashing};
use crate::error::{Error, Result};
use crate::tar::{Entry, Kind, Reader, TarError};

/// What unpacking may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one layer: its archive, and its files with their holes.
    pub layer_size: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { layer_size: 64 << 30 }
    }
}

/// A layer that has been unpacked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unpacked {
    /// Digest of the archive.
    pub diff_id: Digest,
    /// Bytes of the archive.
    pub size: u64,
}

/// Space that is left to others, looked at whenever so much has been written.
const RESERVE: u64 = 64 << 20;

/// Major and minor numbers that the kernel has.
const MAJOR_LIMIT: i64 = 1 << 12;
const MINOR_LIMIT: i64 = 1 << 20;

/// Unpacks the archive `stream` into the empty directory `root`; `scratch` is an empty file. Reads the stream to its end.
///
/// # Errors
/// An archive that cannot be read, an entry that is refused or cannot be made. What was made stays: the caller removes it.
pub fn unpack(stream: impl Read, root: BorrowedFd<'_>, scratch: std::fs::File, limits: Limits) -> Result<Unpacked> {
    let limited = Limited { stream, left: limits.layer_size };
    let mut reader = Reader::new(Hashing::new(limited));
    let mut work = Work { tree: Tree::new(root, scratch), root, left: limits.layer_size, unchecked: 0, buffer: vec![0; 65_536] };
    let read = |source| Error::Tar { what: "of a layer".to_owned(), source };
    while let Some(entry) = reader.next_entry().map_err(read)? {
        work.entry(&entry, &mut reader)?;
    }
    let Work { tree, buffer: mut rest, .. } = work;
    tree.finish().map_err(unpack_error(b"."))?;
    // What follows the end of the archive belongs to the digest.
    let mut stream = reader.into_inner();
    while stream.read(&mut rest).map_err(|source| read(TarError::Read { offset: 0, source }))? > 0 {}
    let (diff_id, size) = stream.finish();
    Ok(Unpacked { diff_id, size })
}

fn unpack_error(path: &[u8]) -> impl FnOnce(selkie_sys::SyscallError) -> Error {
    let path = String::from_utf8_lossy(path).into_owned();
    move |source| Error::Unpack { path, source }
}

struct Work<'a> {
    tree: Tree<'a>,
    root: BorrowedFd<'a>,
    /// Bytes that may still be unpacked.
    left: u64,
    /// Bytes written since the free space was looked at.
    unchecked: u64,
    buffer: Vec<u8>,
}

impl Work<'_> {
    fn entry<R: Read>(&mut self, entry: &Entry, reader: &mut Reader<R>) -> Result<()> {
        let path = entry.path.as_slice();
        let refused = |problem: &'static str| entry_error(path, problem);
        let names = components(path).map_err(refused)?;
        let metadata = metadata(entry)?;
        let failed = || unpack_error(path);
        let Some((name, parents)) = names.split_last() else {
            return match entry.kind {
                Kind::Directory => self.tree.describe_root(&metadata).map_err(failed()),
                _ => Err(refused("the root is not a directory")),
            };
        };
        let directory = self.tree.parent(parents).map_err(failed())?;
        let place = Place { parent: directory.as_fd(), name: OsStr::from_bytes(name) };
        match meaning(name).map_err(refused)? {
            Meaning::Ignored => return Ok(()),
            Meaning::Opaque => return self.tree.make_opaque(&directory).map_err(failed()),
            Meaning::Whiteout(hidden) => {
                let place = Place { name: OsStr::from_bytes(hidden), ..place };
                return self.tree.make_whiteout(&place).map_err(failed());
            }
            Meaning::Plain => {}
        }
        match entry.kind {
            Kind::File | Kind::Sparse => self.file(entry, &place, &metadata, reader),
            Kind::Directory => self.tree.make_directory(&place, path, &metadata).map_err(failed()),
            Kind::Symlink => {
                if entry.link.is_empty() {
                    return Err(refused("a symbolic link to nothing"));
                }
                self.tree.make_link(&place, &entry.link, &metadata).map_err(failed())
            }
            Kind::HardLink => self.hard_link(entry, &place),
            Kind::Fifo => self.tree.make_node(&place, FileType::Fifo, (0, 0), &metadata).map_err(failed()),
            Kind::Character => self.tree.make_node(&place, FileType::CharacterDevice, device(entry)?, &metadata).map_err(failed()),
            Kind::Block => self.tree.make_node(&place, FileType::BlockDevice, device(entry)?, &metadata).map_err(failed()),
            Kind::Pax | Kind::GlobalPax | Kind::LongName | Kind::LongLink => Ok(()),
        }
    }

    fn hard_link(&mut self, entry: &Entry, place: &Place<'_>) -> Result<()> {
        let path = entry.path.as_slice();
        let names = components(&entry.link).map_err(|problem| entry_error(path, format!("the target of a hard link: {problem}")))?;
        let Some((name, parents)) = names.split_last() else {
            return Err(entry_error(path, "a hard link to the root"));
        };
        let directory = self.tree.existing(parents).map_err(unpack_error(path))?;
        let target = Place { parent: directory.as_fd(), name: OsStr::from_bytes(name) };
        self.tree.make_hard_link(&target, place).map_err(unpack_error(path))
    }

    fn file<R: Read>(&mut self, entry: &Entry, place: &Place<'_>, metadata: &Metadata<'_>, reader: &mut Reader<R>) -> Result<()> {
        let path = entry.path.as_slice();
        let failed = |call: &'static str| {
            move |error: std::io::Error| {
                let errno = selkie_sys::Errno::from_io_error(&error).unwrap_or(selkie_sys::Errno::IO);
                unpack_error(path)(selkie_sys::SyscallError::new(call, errno))
            }
        };
        self.left = self.left.checked_sub(entry.size).ok_or_else(|| entry_error(path, "the layer is larger than --max-layer-size"))?;
        let mut file = self.tree.make_file(place).map_err(unpack_error(path))?;
        let mut hole = false;
        loop {
            let count = reader.read_content(&mut self.buffer).map_err(|source| Error::Tar { what: "of a layer".to_owned(), source })?;
            if count == 0 {
                break;
            }
            let bytes = self.buffer.get(..count).unwrap_or(&[]);
            // Zeros become holes, so that a file of zeros costs nothing.
            hole = count >= 4096 && bytes.iter().fold(0, |all, byte| all | byte) == 0;
            if hole {
                file.seek(SeekFrom::Current(i64::try_from(count).unwrap_or(0))).map_err(failed("lseek()"))?;
            } else {
                file.write_all(bytes).map_err(failed("write()"))?;
                self.check_space(path, count)?;
            }
        }
        if hole {
            file.set_len(entry.size).map_err(failed("ftruncate()"))?;
        }
        self.tree.finish_file(&file, metadata, path).map_err(unpack_error(path))
    }

    /// Stops before the file system is full: others live on it too.
    fn check_space(&mut self, path: &[u8], written: usize) -> Result<()> {
        self.unchecked += written as u64;
        if self.unchecked >= RESERVE {
            self.unchecked = 0;
            let space =
                rustix::fs::fstatvfs(self.root).map_err(|errno| unpack_error(path)(selkie_sys::SyscallError::new("fstatvfs()", errno)))?;
            if space.f_bavail.saturating_mul(space.f_frsize) < RESERVE {
                let errno = selkie_sys::Errno::NOSPC;
                return Err(unpack_error(path)(selkie_sys::SyscallError::new("write(), leaving less than 64 MiB free,", errno)));
            }
        }
        Ok(())
    }
}

fn entry_error(path: &[u8], problem: impl Into<String>) -> Error {
    // A name of any length would fill the terminal.
    let shown: String = String::from_utf8_lossy(path).chars().take(256).collect();
    Error::Entry { path: shown, problem: problem.into() }
}

/// Checks the numbers of an entry.
fn metadata(entry: &Entry) -> Result<Metadata<'_>> {
    let id = |value: i64, what: &str| {
        i32::try_from(value)
            .ok()
            .and_then(|value| u32::try_from(value).ok())
            .ok_or_else(|| entry_error(&entry.path, format!("{what} {value} is not from 0 to 2147483647")))
    };
    let bits = u32::try_from(entry.mode & 0o7777).unwrap_or(0);
    Ok(Metadata {
        uid: id(entry.uid, "owner")?,
        gid: id(entry.gid, "group")?,
        mode: Mode::from_raw_mode(bits),
        modified: entry.modified,
        attributes: &entry.attributes,
    })
}

fn device(entry: &Entry) -> Result<(u32, u32)> {
    let (major, minor) = entry.device;
    let valid = (0..MAJOR_LIMIT).contains(&major) && (0..MINOR_LIMIT).contains(&minor);
    match (u32::try_from(major), u32::try_from(minor)) {
        (Ok(major), Ok(minor)) if valid => Ok((major, minor)),
        _ => Err(entry_error(&entry.path, format!("no device has the number {major}:{minor}"))),
    }
}

/// A stream that may be so long and no longer.
struct Limited<R> {
    stream: R,
    left: u64,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.stream.read(buffer)?;
        self.left =
            self.left.checked_sub(count as u64).ok_or_else(|| std::io::Error::other("the layer is larger than --max-layer-size"))?;
        Ok(count)
    }
}
