//! Where records are: one directory a container beneath the root, one for its running state beneath the run root.
//!
//! ```text
//! ROOT/containers/ID/config.json   what was asked for; a container without it is half-made
//! ROOT/containers/ID/plan.json     what was last planned
//! ROOT/containers/ID/exit.json     how it last ended
//! ROOT/containers/ID/{upper,work}  its writable layer
//! ROOT/containers/ID/ctr.log       its output
//! ROOT/names/NAME -> ID            the name, reserved by the link itself; RUN/names/NAME of a container with --rm
//! ROOT/ids.lock                    held while a container gets ids of the host (`--userns auto`)
//! ROOT/skeleton                    places of the usual mounts, beneath the layers of every image
//! RUN/locks/ID                     held for changes of a container; nobody has it after a reboot
//! RUN/filters/NAME                 compiled system call filters, linked to by containers
//! RUN/containers/ID/starting.json  there while it is being started
//! RUN/containers/ID/state.json     its process, while it has one
//! RUN/containers/ID/removing       there while somebody removes it though it runs
//! RUN/containers/ID/record/        config.json, plan.json and exit.json of a container with --rm: it does not outlive a reboot
//! ```

use std::collections::HashSet;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use crate::error::{Error, Result};
use crate::files;
use crate::id::{ContainerId, Name};

/// The two directories of an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    root: PathBuf,
    run: PathBuf,
}

/// Name of the directory with the records of a container with `--rm`.
const VOLATILE: &str = "record";

/// The lock of one container: held for changes, never for reading. The kernel gives it up when the holder dies.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl AsFd for Lock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Store {
    /// Refers to the store in `root` and `run`; nothing is made until something is written.
    #[must_use]
    pub fn new(root: PathBuf, run: PathBuf) -> Self {
        Self { root, run }
    }

    /// Returns the directory that outlives a reboot.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the directory that does not.
    #[must_use]
    pub fn run(&self) -> &Path {
        &self.run
    }

    /// Returns the directory of a container's writable layer and log.
    #[must_use]
    pub fn container(&self, id: &ContainerId) -> PathBuf {
        self.containers().join(id.as_str())
    }

    /// Returns the directory of a container's records.
    #[must_use]
    pub fn records(&self, id: &ContainerId) -> PathBuf {
        let volatile = self.volatile_records(id);
        if volatile.exists() { volatile } else { self.container(id) }
    }

    pub(crate) fn volatile_records(&self, id: &ContainerId) -> PathBuf {
        self.running(id).join(VOLATILE)
    }

    /// Empties a container's run directory, its records excepted.
    pub(crate) fn clear_running(&self, id: &ContainerId) -> Result<()> {
        for entry in std::fs::read_dir(self.running(id)).into_iter().flatten().flatten() {
            if entry.file_name() == VOLATILE {
                continue;
            }
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                files::remove_tree(&entry.path())?
            } else {
                files::remove_file(&entry.path())?
            }
        }
        Ok(())
    }

    /// Returns the directory of a container's running state.
    #[must_use]
    pub fn running(&self, id: &ContainerId) -> PathBuf {
        self.run.join("containers").join(id.as_str())
    }

    /// Returns the ids of all containers that have a directory of running state.
    #[must_use]
    pub fn with_run_state(&self) -> HashSet<String> {
        let entries = std::fs::read_dir(self.run.join("containers")).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
    }

    /// Returns the empty directory over which roots are attached, each in its container's mount namespace.
    #[must_use]
    pub fn staging(&self) -> PathBuf {
        self.run.join("rootfs")
    }

    /// Returns the directory that lies beneath the layers of every image: see [`crate::rootfs`].
    pub(crate) fn skeleton(&self) -> PathBuf {
        self.root.join("skeleton")
    }

    pub(crate) fn containers(&self) -> PathBuf {
        self.root.join("containers")
    }

    /// Returns where names are: of containers that outlive a reboot, and of those that do not. See [`crate::names`].
    pub(crate) fn name_directories(&self) -> [PathBuf; 2] {
        [self.root.join("names"), self.run.join("names")]
    }

    /// Makes the directories that every operation needs.
    pub(crate) fn prepare(&self) -> Result<()> {
        self.prepare_skeleton()?;
        // The last that is made of each tree: with it, the others are there.
        let names = self.name_directories();
        if names.iter().all(|directory| directory.is_dir()) {
            return Ok(());
        }
        files::make_directories(&self.containers())?;
        files::make_directories(&self.run.join("containers"))?;
        files::make_directories(&self.locks())?;
        files::make_directories(&self.staging())?;
        names.iter().try_for_each(|directory| files::make_directories(directory))
    }

    /// Makes the directory of a new container and takes its lock. Between the two it looks like one that a crash has left,
    /// so a repair keeps out meanwhile.
    pub(crate) fn make(&self, id: &ContainerId) -> Result<Lock> {
        let path = self.making();
        let making = open_lock(&path)?;
        rustix::io::retry_on_intr(|| rustix::fs::flock(&making, FlockOperation::LockShared)).map_err(|errno| Error::File {
            action: "lock",
            path,
            source: errno.into(),
        })?;
        files::make_directories(&self.container(id))?;
        self.lock(id)
    }

    /// Takes the right to repair; `None` while somebody is making a container.
    pub(crate) fn repair(&self) -> Result<Option<Lock>> {
        let path = self.making();
        let making = open_lock(&path)?;
        match rustix::fs::flock(&making, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Lock(making))),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(errno) => Err(Error::File { action: "lock", path, source: errno.into() }),
        }
    }

    /// Returns where compiled filters are kept: see [`crate::filter`].
    pub(crate) fn filters(&self) -> PathBuf {
        self.run.join("filters")
    }

    fn locks(&self) -> PathBuf {
        self.run.join("locks")
    }

    pub(crate) fn lock_file(&self, id: &ContainerId) -> PathBuf {
        self.locks().join(id.as_str())
    }

    /// Takes the right to give ids of the host to a container.
    pub(crate) fn lock_ids(&self) -> Result<Lock> {
        let path = self.root.join("ids.lock");
        let file = open_lock(&path)?;
        let locked = rustix::io::retry_on_intr(|| rustix::fs::flock(&file, FlockOperation::LockExclusive));
        locked.map_err(|errno| Error::File { action: "lock", path, source: errno.into() })?;
        Ok(Lock(file))
    }

    fn making(&self) -> PathBuf {
        self.root.join("making.lock")
    }

    /// Takes the lock of a container; waits for whoever has it.
    pub(crate) fn lock(&self, id: &ContainerId) -> Result<Lock> {
        self.take(id, FlockOperation::LockExclusive)?.ok_or_else(|| Error::NoSuchContainer { name: id.to_string() })
    }

    /// Takes the lock of a container if nobody has it.
    pub(crate) fn try_lock(&self, id: &ContainerId) -> Result<Option<Lock>> {
        self.take(id, FlockOperation::NonBlockingLockExclusive)
    }

    fn take(&self, id: &ContainerId, operation: FlockOperation) -> Result<Option<Lock>> {
        let directory = self.container(id);
        let gone = || Error::NoSuchContainer { name: id.to_string() };
        if !directory.exists() {
            return Err(gone());
        }
        let path = self.lock_file(id);
        let file = match open_lock(&path) {
            Err(Error::File { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                // The first command after a reboot.
                files::make_directories(&self.locks())?;
                open_lock(&path)?
            }
            opened => opened?,
        };
        match rustix::io::retry_on_intr(|| rustix::fs::flock(&file, operation)) {
            // Whoever had it has removed the container: what we hold is the lock of nothing.
            Ok(()) if !directory.exists() => {
                files::remove_file(&path)?;
                Err(gone())
            }
            Ok(()) => Ok(Some(Lock(file))),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(errno) => Err(Error::File { action: "lock", path, source: errno.into() }),
        }
    }

    /// Returns the ids of all directories of containers, sorted, half-made ones too, and whether a removal is unfinished.
    pub(crate) fn ids(&self) -> Result<(Vec<ContainerId>, bool)> {
        let directory = self.containers();
        let entries = match std::fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok((Vec::new(), false)),
            Err(source) => return Err(Error::File { action: "read", path: directory, source }),
        };
        let names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
        let mut ids: Vec<ContainerId> = names.iter().filter_map(|name| ContainerId::parse(name.to_str()?)).collect();
        let unfinished = ids.len() < names.len();
        ids.sort();
        Ok((ids, unfinished))
    }

    /// Finds the container called `name`: an exact name, a full id, or the beginning of exactly one id.
    ///
    /// # Errors
    /// No such container, or several.
    pub fn find(&self, name: &str) -> Result<ContainerId> {
        let wanted = name.strip_prefix('/').unwrap_or(name);
        if wanted.is_empty() {
            return Err(Error::EmptyName);
        }
        if let Ok(valid) = Name::parse(wanted)
            && let Some(id) = self.owner_of(&valid)
        {
            return Ok(id);
        }
        if !wanted.bytes().all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase()) {
            return Err(Error::NoSuchContainer { name: name.to_owned() });
        }
        let matching = self.ids()?.0.into_iter().filter(|id| id.as_str().starts_with(wanted) && self.is_complete(id));
        match <[ContainerId; 1]>::try_from(matching.collect::<Vec<_>>()) {
            Ok([id]) => Ok(id),
            Err(none) if none.is_empty() => Err(Error::NoSuchContainer { name: name.to_owned() }),
            Err(candidates) => Err(Error::Ambiguous { name: name.to_owned(), candidates }),
        }
    }

    pub(crate) fn is_complete(&self, id: &ContainerId) -> bool {
        self.container(id).join("config.json").exists() || self.volatile_records(id).join("config.json").exists()
    }
}

fn open_lock(path: &Path) -> Result<File> {
    std::fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(|source| Error::File {
        action: "open",
        path: path.to_path_buf(),
        source,
    })
}
