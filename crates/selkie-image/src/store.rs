//! The images of an engine: where they are, how they are found, renamed and removed.
//!
//! ```text
//! ROOT/images/index.json          which images there are and their names; replaced as a whole
//! ROOT/images/index.json.old      the one before, for when index.json is damaged
//! ROOT/images/blobs/sha256/HEX    manifests and configurations, as they came
//! ROOT/images/layers/HEX.json     a complete layer: its directory, its size
//! ROOT/images/l/SHORT/            what a layer unpacks to; short, because overlay gets all of them in one option
//! ROOT/images/staging/RANDOM/     work in progress
//! ROOT/images/reserve             space given back when the disk is full, so that images can be removed
//! ROOT/images/lock                held for every change, never for reading
//! ```
//! Layers are kept unpacked only: what they came packed in is not needed to run, and can be packed again to export.
//! The directories are 0700. A change unpacks without the lock; then, with it, moves things into place and replaces the
//! index. Whatever is not in the index afterwards does not exist and is removed by the next command.

use std::fs::File;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use rustix::io::Errno;
use serde_json::Value;

use crate::collect;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::files;
use crate::index::{Index, Layer, Record};
use crate::json;
use crate::lookup;
use crate::reference::Reference;
use crate::staging::{self, Staging};

/// An image of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// 64 hexadecimal digits: the digest of its configuration.
    pub id: String,
    /// Its references, for example `localhost/centos:latest`.
    pub names: Vec<String>,
    /// All names that it ever had, the newest first.
    pub names_history: Vec<String>,
    /// Digest of its manifest, `sha256:...`.
    pub digest: String,
    /// Its manifest, as it came.
    pub manifest: Value,
    /// Its configuration, as the archive had it.
    pub config: Value,
    /// Bytes of its layers' archives, its configuration, and twice its manifest: as Podman counts.
    pub size: u64,
    /// When it was made, RFC 3339.
    pub created: String,
}

impl Image {
    /// Returns the name by which `reference` found this image; the first one, or `reference` itself, when it was an id.
    #[must_use]
    pub fn name_for<'a>(&'a self, reference: &'a str) -> &'a str {
        lookup::matching_name(&self.names, reference).or_else(|| self.names.first().map(String::as_str)).unwrap_or(reference)
    }
}

/// What the removal of an image did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// The names that it lost.
    pub untagged: Vec<String>,
    /// The id of the image, when it is gone.
    pub deleted: Option<String>,
}

/// The images of an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    root: PathBuf,
}

/// The store's lock. The kernel gives it up when the holder dies.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "the lock lives as long as the file is open")] File);

impl Store {
    /// Refers to the images beneath `root`; nothing is made until something is written.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self { root: root.join("images") }
    }

    /// Gives an image more names. Whoever had them loses them.
    ///
    /// # Errors
    /// No such image, a name that no image can have.
    pub fn tag(&self, reference: &str, names: &[String]) -> Result<()> {
        let names = names.iter().map(|name| Ok(Reference::parse(name)?.to_local_name())).collect::<Result<Vec<_>>>()?;
        self.change(|index| {
            let id = lookup::find(index, reference)?;
            for name in &names {
                index.take_name(name);
                if let Some(record) = index.images.get_mut(&id) {
                    record.add_name(name);
                }
            }
            Ok(())
        })
    }

    /// Takes names from an image; without any, all of them.
    ///
    /// # Errors
    /// No such image, a name that it does not have.
    pub fn untag(&self, reference: &str, names: &[String]) -> Result<()> {
        let names = names.iter().map(|name| Ok(Reference::parse(name)?.to_local_name())).collect::<Result<Vec<_>>>()?;
        self.change(|index| {
            let id = lookup::find(index, reference)?;
            let Some(record) = index.images.get_mut(&id) else { return Ok(()) };
            if names.is_empty() {
                record.names.clear();
            }
            for name in &names {
                if !record.names.contains(name) {
                    return Err(Error::TagNotKnown { name: name.clone() });
                }
                record.names.retain(|known| known != name);
            }
            Ok(())
        })
    }

    /// Removes an image as `rmi` does: of several names only the one that was given, and with the last one the image.
    /// `user` says which container needs an image.
    ///
    /// # Errors
    /// No such image, an id with several names without `force`, an image in use.
    pub fn remove(&self, reference: &str, force: bool, user: impl Fn(&str) -> Result<Option<String>>) -> Result<Removed> {
        let mut removed = Removed::default();
        self.change(|index| {
            let id = lookup::find(index, reference)?;
            let Some(record) = index.images.get_mut(&id) else { return Ok(()) };
            match lookup::matching_name(&record.names, reference).map(str::to_owned) {
                Some(name) if record.names.len() > 1 => {
                    record.names.retain(|known| *known != name);
                    removed.untagged.push(name);
                    return Ok(());
                }
                None if record.names.len() > 1 && !force => {
                    return Err(Error::SeveralNames { id: id.hex().to_owned(), names: record.names.clone() });
                }
                _ => {}
            }
            if let Some(container) = user(id.hex())? {
                return Err(Error::InUse { container });
            }
            removed.untagged = std::mem::take(&mut record.names);
            removed.deleted = Some(id.hex().to_owned());
            index.images.remove(&id);
            Ok(())
        })?;
        Ok(removed)
    }

    /// Finds the image that `reference` means, an id, an id's beginning, or a name by Podman's rules for short names.
    ///
    /// # Errors
    /// [`Error::NotKnown`] and damaged records.
    pub fn find(&self, reference: &str) -> Result<Image> {
        self.sweep();
        let (index, _) = Index::read(&self.root)?;
        let id = lookup::find(&index, reference)?;
        let record = index.images.get(&id).ok_or_else(|| Error::NotKnown { name: reference.to_owned() })?;
        self.image(&id, record)
    }

    /// Returns all images, the newest first, and what is damaged.
    ///
    /// # Errors
    /// An index that cannot be read.
    pub fn images(&self) -> Result<(Vec<Image>, Vec<Error>)> {
        self.sweep();
        let (index, damage) = Index::read(&self.root)?;
        let mut damaged: Vec<Error> = damage.into_iter().collect();
        let mut images = Vec::new();
        for (id, record) in &index.images {
            match self.image(id, record) {
                Ok(image) => images.push(image),
                Err(error) => damaged.push(error),
            }
        }
        images.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| a.id.cmp(&b.id)));
        Ok((images, damaged))
    }

    /// Returns the directories of the image's layers, the uppermost first.
    ///
    /// # Errors
    /// [`Error::NotKnown`] and damaged records.
    pub fn layers(&self, id: &str) -> Result<Vec<PathBuf>> {
        let unknown = || Error::NotKnown { name: id.to_owned() };
        let (index, _) = Index::read(&self.root)?;
        let record = Digest::from_hex(id).and_then(|id| index.images.get(&id)).ok_or_else(unknown)?;
        let mut directories: Vec<PathBuf> = Vec::new();
        for diff_id in record.layers.iter().rev() {
            let directory = self.root.join("l").join(Layer::read(&self.root, diff_id)?.directory);
            // Overlay refuses a directory given twice. What lies under itself shows nothing, so only the upper one counts.
            if !directories.contains(&directory) {
                directories.push(directory);
            }
        }
        if directories.is_empty() {
            // An image without layers is an empty directory.
            let empty = self.root.join("l/0");
            files::make_directories(&empty)?;
            directories.push(empty);
        }
        Ok(directories)
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn blobs(&self) -> PathBuf {
        self.root.join("blobs/sha256")
    }

    /// Makes the directories, and a place for a change.
    pub(crate) fn stage(&self) -> Result<Staging> {
        for directory in ["blobs/sha256", "layers", "l", "staging"] {
            files::make_directories(&self.root.join(directory))?;
        }
        self.sweep();
        let parent = self.root.join("staging");
        match Staging::new(&parent) {
            Err(error) if error.is_full_disk() => {
                collect::release_reserve(&self.root);
                Staging::new(&parent)
            }
            made => made,
        }
    }

    /// Takes the lock; waits for whoever has it.
    pub(crate) fn lock(&self) -> Result<Lock> {
        let (path, file) = self.lock_file()?;
        rustix::io::retry_on_intr(|| rustix::fs::flock(&file, FlockOperation::LockExclusive)).map_err(Error::call("lock", &path))?;
        Ok(Lock(file))
    }

    fn try_lock(&self) -> Result<Option<Lock>> {
        let (path, file) = self.lock_file()?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Lock(file))),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(errno) => Err(Error::call("lock", &path)(errno)),
        }
    }

    fn lock_file(&self) -> Result<(PathBuf, File)> {
        let path = self.root.join("lock");
        let file = File::options().read(true).write(true).create(true).truncate(false).open(&path).map_err(Error::file("open", &path))?;
        Ok((path, file))
    }

    /// Changes the index, and removes what it does not mention any more.
    fn change(&self, change: impl FnOnce(&mut Index) -> Result<()>) -> Result<()> {
        // Nothing there: no directories are made only to say so.
        if !self.root.join("index.json").exists() {
            return change(&mut Index::default());
        }
        let staging = self.stage()?;
        let _lock = self.lock()?;
        let (mut index, _) = Index::read(&self.root)?;
        change(&mut index)?;
        let replaced = self.replace_index(&index);
        self.collect(staging);
        replaced
    }

    /// Removes what the index does not mention. What cannot be removed now is left to the next command. The caller holds the lock.
    pub(crate) fn collect(&self, staging: Staging) {
        // The index on disk counts: one that could be renamed and not synced is in force all the same.
        match Index::read(&self.root) {
            Ok((index, None)) if collect::unreferenced(&self.root, &index, staging.path()).is_ok() => collect::keep_reserve(&self.root),
            _ => staging.leave(),
        }
    }

    /// Replaces the index, also on a full disk. The caller holds the lock.
    pub(crate) fn replace_index(&self, index: &Index) -> Result<()> {
        match index.write(&self.root) {
            Err(error) if error.is_full_disk() => {
                collect::release_reserve(&self.root);
                index.write(&self.root)
            }
            written => written,
        }
    }

    /// Removes what a crash has left. Never waits, and never fails: it is about others.
    fn sweep(&self) {
        let abandoned = staging::abandoned(&self.root.join("staging"));
        if abandoned.is_empty() {
            return;
        }
        // Who holds the lock is changing the store; the next command will do it.
        let Ok(Some(_lock)) = self.try_lock() else {
            abandoned.into_iter().for_each(Staging::leave);
            return;
        };
        let collected = match (abandoned.first(), Index::read(&self.root)) {
            (Some(first), Ok((index, None))) => collect::unreferenced(&self.root, &index, first.path()).is_ok(),
            _ => false,
        };
        if !collected {
            abandoned.into_iter().for_each(Staging::leave);
        }
    }

    fn image(&self, id: &Digest, record: &Record) -> Result<Image> {
        Ok(Image {
            id: id.hex().to_owned(),
            names: record.names.clone(),
            names_history: record.history.clone(),
            digest: record.manifest.to_string(),
            manifest: self.blob("manifest", &record.manifest)?,
            config: self.blob("configuration", id)?,
            size: record.size,
            created: record.created.clone(),
        })
    }

    /// Reads a document of the store. What is not what its digest says is damaged.
    fn blob(&self, what: &str, digest: &Digest) -> Result<Value> {
        let path = self.blobs().join(digest.hex());
        let damaged = |problem: &str| Error::Record { path: path.clone(), problem: problem.to_owned() };
        let bytes = files::read(&path, json::LIMIT)?.ok_or_else(|| damaged("it is missing"))?;
        if Digest::of(&bytes) != *digest {
            return Err(damaged("it does not match its digest"));
        }
        json::parse(what, &bytes)
    }
}
