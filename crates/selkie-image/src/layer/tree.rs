//! The directory of a layer, in which entries are made one by one.

use std::ffi::OsStr;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags};
use selkie_sys::{Context, Errno, Result, SyscallError, root};

use super::attribute::{CAPABILITY, is_kept};
use super::remove::remove_tree;

/// Owner, permissions, time and attributes of an entry, all within what the kernel takes.
#[derive(Clone, Debug)]
pub(super) struct Metadata<'a> {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mode: Mode,
    pub(super) modified: (i64, u32),
    pub(super) attributes: &'a [(Vec<u8>, Vec<u8>)],
}

/// A place in the tree: an open directory and a name in it that is never followed.
pub(super) struct Place<'a> {
    pub(super) parent: BorrowedFd<'a>,
    pub(super) name: &'a OsStr,
}

/// The tree, and what has to be done when everything is there.
pub(super) struct Tree<'a> {
    root: BorrowedFd<'a>,
    /// The directory of the last entry: the next one is mostly in it too.
    parent: Option<(Vec<u8>, OwnedFd)>,
    /// Times of directories, which change as long as entries are made in them.
    times: std::io::BufWriter<std::fs::File>,
    /// The owner, devices and capabilities of entries are kept.
    is_root: bool,
}

impl<'a> Tree<'a> {
    /// Refers to the empty directory `root`; `scratch` is an empty file.
    pub(super) fn new(root: BorrowedFd<'a>, scratch: std::fs::File) -> Self {
        let is_root = rustix::process::geteuid().is_root();
        Self { root, parent: None, times: std::io::BufWriter::new(scratch), is_root }
    }

    /// Opens the directory of an entry; what is missing of it is made.
    pub(super) fn parent(&mut self, names: &[&[u8]]) -> Result<OwnedFd> {
        let path = names.join(&b'/');
        if let Some((known, directory)) = &self.parent
            && *known == path
        {
            return rustix::io::fcntl_dupfd_cloexec(directory, 0).call(|| "fcntl(F_DUPFD_CLOEXEC)");
        }
        let directory = self.directory(names)?;
        let kept = rustix::io::fcntl_dupfd_cloexec(&directory, 0).call(|| "fcntl(F_DUPFD_CLOEXEC)")?;
        self.parent = Some((path, kept));
        Ok(directory)
    }

    fn directory(&self, names: &[&[u8]]) -> Result<OwnedFd> {
        let path = names.join(&b'/');
        match self.open(&path) {
            Err(SyscallError { errno: Errno::NOENT, .. }) => {}
            opened => return opened,
        }
        let mut path = Vec::new();
        let mut current = self.open(b"")?;
        for name in names {
            path.extend_from_slice(b"/");
            path.extend_from_slice(name);
            current = match self.open(&path) {
                Err(SyscallError { errno: Errno::NOENT, .. }) => {
                    let name = OsStr::from_bytes(name);
                    match rustix::fs::mkdirat(&current, name, Mode::from_raw_mode(0o755)) {
                        // A link to nothing is in the way: opening it fails again.
                        Err(Errno::EXIST) => {}
                        made => {
                            made.call(|| format!("mkdirat({name:?})"))?;
                            // Whatever the umask is.
                            rustix::fs::chmodat(&current, name, Mode::from_raw_mode(0o755), AtFlags::empty())
                                .call(|| format!("fchmodat({name:?})"))?;
                        }
                    }
                    self.open(&path)?
                }
                opened => opened?,
            };
        }
        Ok(current)
    }

    /// Opens a directory beneath the root.
    fn open(&self, path: &[u8]) -> Result<OwnedFd> {
        let path = if path.is_empty() { b".".as_slice() } else { path };
        root::open(self.root, Path::new(OsStr::from_bytes(path)), OFlags::PATH | OFlags::DIRECTORY)
    }

    /// Opens the directory in which the target of a hard link lies.
    pub(super) fn existing(&self, names: &[&[u8]]) -> Result<OwnedFd> {
        self.open(&names.join(&b'/'))
    }

    /// Makes room at a place. Returns whether there was a whiteout.
    pub(super) fn clear(&mut self, place: &Place<'_>) -> Result<bool> {
        let Some(stat) = stat(place)? else { return Ok(false) };
        self.parent = None;
        remove_tree(place.parent, place.name)?;
        Ok(is_whiteout(&stat))
    }

    /// Makes a directory, or takes the one that is there.
    pub(super) fn make_directory(&mut self, place: &Place<'_>, path: &[u8], metadata: &Metadata<'_>) -> Result<()> {
        let existing = stat(place)?;
        let is_directory = existing.is_some_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory);
        let mut hides = false;
        if !is_directory {
            hides = self.clear(place)?;
            rustix::fs::mkdirat(place.parent, place.name, Mode::from_raw_mode(0o700)).call(|| format!("mkdirat({:?})", place.name))?;
        }
        let directory = open_directory(place)?;
        if hides {
            self.make_opaque(&directory)?;
        }
        self.describe_directory(&directory, path, metadata)
    }

    /// Sets what an entry says about the root itself.
    pub(super) fn describe_root(&mut self, metadata: &Metadata<'_>) -> Result<()> {
        let root = self.root;
        self.describe_directory(root, b".", metadata)
    }

    fn describe_directory(&mut self, directory: impl AsFd, path: &[u8], metadata: &Metadata<'_>) -> Result<()> {
        self.describe(&directory, metadata, path)?;
        let (seconds, nanoseconds) = metadata.modified;
        let length = u32::try_from(path.len()).unwrap_or(0);
        [&length.to_le_bytes()[..], path, &seconds.to_le_bytes(), &nanoseconds.to_le_bytes()]
            .into_iter()
            .try_for_each(|bytes| self.times.write_all(bytes))
            .call(|| "write(times of directories)")
    }

    /// Makes an empty file.
    pub(super) fn make_file(&mut self, place: &Place<'_>) -> Result<std::fs::File> {
        self.clear(place)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(place.parent, place.name, flags, Mode::from_raw_mode(0o600))
            .call(|| format!("openat({:?}, O_CREAT)", place.name))
            .map(std::fs::File::from)
    }

    /// Sets everything about an open file, in the order in which the kernel lets it stand.
    pub(super) fn finish_file(&self, file: &std::fs::File, metadata: &Metadata<'_>, path: &[u8]) -> Result<()> {
        self.describe(file, metadata, path)?;
        rustix::fs::futimens(file, &times(metadata.modified)).call(|| format!("futimens({:?})", OsStr::from_bytes(path)))
    }

    /// Owner, permissions, attributes, and file capabilities last: a change of the owner takes them away.
    fn describe(&self, file: impl AsFd, metadata: &Metadata<'_>, path: &[u8]) -> Result<()> {
        let name = OsStr::from_bytes(path);
        if self.is_root {
            let (uid, gid) = (Uid::from_raw(metadata.uid), Gid::from_raw(metadata.gid));
            rustix::fs::fchown(&file, Some(uid), Some(gid)).call(|| format!("fchown({name:?}, {uid}, {gid})"))?;
        }
        rustix::fs::fchmod(&file, metadata.mode).call(|| format!("fchmod({name:?}, {:o})", metadata.mode.as_raw_mode()))?;
        if metadata.mode.contains(Mode::SGID) {
            // Without CAP_FSETID the kernel leaves the bit out and reports success.
            let stat = rustix::fs::fstat(&file).call(|| format!("fstat({name:?})"))?;
            if !Mode::from_raw_mode(stat.st_mode).contains(Mode::SGID) {
                return Err(Errno::PERM).call(|| format!("fchmod({name:?}), which lost the set-group-ID bit,"));
            }
        }
        let (last, first): (Vec<_>, Vec<_>) =
            metadata.attributes.iter().filter(|(key, _)| is_kept(key)).partition(|(key, _)| key == CAPABILITY);
        for (key, value) in first.into_iter().chain(last) {
            let is_capability = key == CAPABILITY;
            if is_capability && !self.is_root {
                continue;
            }
            match rustix::fs::fsetxattr(&file, OsStr::from_bytes(key), value, XattrFlags::empty()) {
                // A file system without attributes of users loses them, as with Podman; file capabilities never vanish silently.
                Err(Errno::OPNOTSUPP) if !is_capability => {}
                set => set.call(|| format!("fsetxattr({name:?}, {:?})", OsStr::from_bytes(key)))?,
            }
        }
        Ok(())
    }

    /// Makes a symbolic link.
    pub(super) fn make_link(&mut self, place: &Place<'_>, target: &[u8], metadata: &Metadata<'_>) -> Result<()> {
        self.clear(place)?;
        rustix::fs::symlinkat(OsStr::from_bytes(target), place.parent, place.name).call(|| format!("symlinkat({:?})", place.name))?;
        self.describe_place(place, metadata, false)
    }

    /// Makes a device or a FIFO.
    pub(super) fn make_node(&mut self, place: &Place<'_>, kind: FileType, device: (u32, u32), metadata: &Metadata<'_>) -> Result<()> {
        self.clear(place)?;
        if !self.is_root && kind != FileType::Fifo {
            // Nobody but root could make it, and nobody in the container could use it.
            return Ok(());
        }
        let number = rustix::fs::makedev(device.0, device.1);
        rustix::fs::mknodat(place.parent, place.name, kind, Mode::from_raw_mode(0o600), number)
            .call(|| format!("mknodat({:?}, {}:{})", place.name, device.0, device.1))?;
        self.describe_place(place, metadata, true)
    }

    /// Sets everything about a place that cannot be opened. It was just made and is what it is.
    fn describe_place(&self, place: &Place<'_>, metadata: &Metadata<'_>, has_mode: bool) -> Result<()> {
        let Place { parent, name } = place;
        if self.is_root {
            let (uid, gid) = (Uid::from_raw(metadata.uid), Gid::from_raw(metadata.gid));
            rustix::fs::chownat(parent, *name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW).call(|| format!("fchownat({name:?})"))?;
        }
        if has_mode {
            rustix::fs::chmodat(parent, *name, metadata.mode, AtFlags::empty()).call(|| format!("fchmodat({name:?})"))?;
        }
        rustix::fs::utimensat(parent, *name, &times(metadata.modified), AtFlags::SYMLINK_NOFOLLOW).call(|| format!("utimensat({name:?})"))
    }

    /// Gives what lies at `target` a second name.
    pub(super) fn make_hard_link(&mut self, target: &Place<'_>, place: &Place<'_>) -> Result<()> {
        let wanted =
            rustix::fs::statat(target.parent, target.name, AtFlags::SYMLINK_NOFOLLOW).call(|| format!("fstatat({:?})", target.name))?;
        if stat(place)?.is_some_and(|found| (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino)) {
            return Ok(());
        }
        self.clear(place)?;
        rustix::fs::linkat(target.parent, target.name, place.parent, place.name, AtFlags::empty())
            .call(|| format!("linkat({:?}, {:?})", target.name, place.name))
    }

    /// Hides the name of `place` in the layers below.
    pub(super) fn make_whiteout(&mut self, place: &Place<'_>) -> Result<()> {
        match stat(place)? {
            None => rustix::fs::mknodat(place.parent, place.name, FileType::CharacterDevice, Mode::empty(), 0)
                .call(|| format!("mknodat({:?}, 0:0)", place.name)),
            // The layer has the name itself: what it makes hides what is below.
            Some(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => self.make_opaque(open_directory(place)?),
            Some(_) => Ok(()),
        }
    }

    /// Hides everything in the directory `place` that is in the layers below.
    pub(super) fn make_opaque(&self, directory: impl AsFd) -> Result<()> {
        let directory = root::reopen(directory, OFlags::RDONLY | OFlags::DIRECTORY)?;
        rustix::fs::fsetxattr(&directory, "trusted.overlay.opaque", b"y", XattrFlags::empty())
            .call(|| "fsetxattr(\"trusted.overlay.opaque\")")
    }

    /// Sets the times of directories, now that nothing changes in them any more.
    pub(super) fn finish(self) -> Result<()> {
        const WHAT: &str = "read(times of directories)";
        let mut scratch = self.times.into_inner().map_err(std::io::IntoInnerError::into_error).call(|| WHAT)?;
        scratch.seek(SeekFrom::Start(0)).call(|| WHAT)?;
        let mut scratch = std::io::BufReader::new(scratch);
        let (mut four, mut eight) = ([0; 4], [0; 8]);
        loop {
            match scratch.read_exact(&mut four) {
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(()),
                read => read.call(|| WHAT)?,
            }
            let mut path = vec![0; usize::try_from(u32::from_le_bytes(four)).unwrap_or(0)];
            scratch.read_exact(&mut path).call(|| WHAT)?;
            scratch.read_exact(&mut eight).call(|| WHAT)?;
            let seconds = i64::from_le_bytes(eight);
            scratch.read_exact(&mut four).call(|| WHAT)?;
            let name = Path::new(OsStr::from_bytes(&path));
            // A later entry may have put something else there.
            if let Ok(directory) = root::open(self.root, name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW) {
                rustix::fs::futimens(&directory, &times((seconds, u32::from_le_bytes(four)))).call(|| format!("futimens({name:?})"))?;
            }
        }
    }
}

fn stat(place: &Place<'_>) -> Result<Option<rustix::fs::Stat>> {
    match rustix::fs::statat(place.parent, place.name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno).call(|| format!("fstatat({:?})", place.name)),
    }
}

fn is_whiteout(stat: &rustix::fs::Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}

fn open_directory(place: &Place<'_>) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(place.parent, place.name, flags, Mode::empty()).call(|| format!("openat({:?})", place.name))
}

fn times((seconds, nanoseconds): (i64, u32)) -> Timestamps {
    let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds.into() };
    Timestamps { last_access: time, last_modification: time }
}
