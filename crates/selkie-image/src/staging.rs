//! Work in progress: a directory beside the finished things, owned by whoever holds its lock.
//!
//! The kernel gives the lock up when its holder dies, however it dies. The next command then finds a directory without an
//! owner: it removes it, and whatever a change that was cut short has left unreferenced.

use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::layer::remove_tree;

/// A directory for one change, removed when it is dropped.
#[derive(Debug)]
pub(crate) struct Staging {
    path: PathBuf,
    /// Holds the lock.
    directory: std::fs::File,
}

impl Staging {
    /// Makes a directory in `parent`.
    pub(crate) fn new(parent: &Path) -> Result<Self> {
        loop {
            let mut random = [0; 8];
            rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty()).map_err(Error::call("name", parent))?;
            let path = parent.join(format!("{:016x}", u64::from_le_bytes(random)));
            match std::fs::DirBuilder::new().mode(0o700).create(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => continue,
                made => made.map_err(Error::file("create directory", &path))?,
            }
            // Between the two calls somebody may have taken it for an abandoned one.
            if let Some(directory) = try_lock(&path)? {
                return Ok(Self { path, directory });
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the directory up without removing it, so that the next command takes it for abandoned.
    pub(crate) fn leave(mut self) {
        self.path = PathBuf::new();
    }

    /// Makes an empty file that has no name.
    pub(crate) fn scratch(&self) -> Result<std::fs::File> {
        let path = self.path.join("scratch");
        let file = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)
            .map_err(Error::file("create", &path))?;
        std::fs::remove_file(&path).map_err(Error::file("remove", &path))?;
        Ok(file)
    }

    /// Makes everything that was written durable.
    pub(crate) fn sync_file_system(&self) -> Result<()> {
        rustix::fs::syncfs(&self.directory).map_err(Error::call("sync the file system of", &self.path))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What cannot be removed now, the next command tries again; without a path there is nothing to remove.
        let _ = remove(&self.path);
    }
}

/// Returns the directories in `parent` that have lost their owner, locked.
pub(crate) fn abandoned(parent: &Path) -> Vec<Staging> {
    let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let path = entry.path();
            let directory = try_lock(&path).ok()??;
            Some(Staging { path, directory })
        })
        .collect()
}

/// Removes `path` and everything in it.
pub(crate) fn remove(path: &Path) -> Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let parent = rustix::fs::open(parent, flags, Mode::empty()).map_err(Error::call("open", parent))?;
    remove_tree(parent.as_fd(), name).map_err(|error| Error::file("remove", path)(error.errno.into()))
}

/// Locks the directory `path` if nobody has; `None` when somebody has, or it is gone.
fn try_lock(path: &Path) -> Result<Option<std::fs::File>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = match rustix::fs::open(path, flags, Mode::empty()) {
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        opened => std::fs::File::from(opened.map_err(Error::call("open", path))?),
    };
    match rustix::fs::flock(&directory, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => return Ok(None),
        locked => locked.map_err(Error::call("lock", path))?,
    }
    let (Ok(now), Ok(opened)) = (std::fs::symlink_metadata(path), directory.metadata()) else { return Ok(None) };
    Ok(((now.dev(), now.ino()) == (opened.dev(), opened.ino())).then_some(directory))
}
