//! Adds images to the store: unpacks their layers aside, then moves everything into place at once.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use serde_json::Value;

use crate::compression::decompress;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::files;
use crate::index::{Index, Layer, Record};
use crate::layer::{Limits, Unpacked, unpack};
use crate::staging::Staging;
use crate::store::Store;

/// An image that is to be added.
#[derive(Clone, Debug)]
pub(crate) struct NewImage {
    /// Its configuration, as it is to be kept. Its digest is the image's id.
    pub(crate) config: Vec<u8>,
    /// Its manifest, as it is to be kept.
    pub(crate) manifest: Vec<u8>,
    /// Its full names.
    pub(crate) names: Vec<String>,
    /// Digests of its layers' archives, the lowest first.
    pub(crate) layers: Vec<Digest>,
}

/// An addition that is under way. Dropped before [`Addition::commit`], it leaves nothing behind.
#[derive(Debug)]
pub(crate) struct Addition<'a> {
    store: &'a Store,
    staging: Staging,
    limits: Limits,
    layers: BTreeMap<Digest, NewLayer>,
    count: u32,
}

#[derive(Debug)]
struct NewLayer {
    path: PathBuf,
    size: u64,
}

impl<'a> Addition<'a> {
    pub(crate) fn new(store: &'a Store, limits: Limits) -> Result<Self> {
        Ok(Self { store, staging: store.stage()?, limits, layers: BTreeMap::new(), count: 0 })
    }

    pub(crate) fn staging(&self) -> &Staging {
        &self.staging
    }

    /// Returns the length of the layer's archive when it is there, here or in the store, so that it need not be unpacked.
    pub(crate) fn layer_size(&self, diff_id: &Digest) -> Option<u64> {
        let here = self.layers.get(diff_id).map(|layer| layer.size);
        here.or_else(|| Layer::read(self.store.root(), diff_id).ok().map(|layer| layer.size))
    }

    /// Unpacks a layer. With `expected`, its archive must have that digest.
    pub(crate) fn add_layer(&mut self, stream: impl Read, expected: Option<&Digest>) -> Result<Unpacked> {
        let path = self.staging.path().join(format!("layer-{}", self.count));
        self.count += 1;
        // The root of a container: other users in it have to get in. Its parents are closed to users of the host.
        std::fs::DirBuilder::new().mode(0o755).create(&path).map_err(Error::file("create directory", &path))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let root = rustix::fs::open(&path, flags, Mode::empty()).map_err(Error::call("open", &path))?;
        rustix::fs::fchmod(&root, Mode::from_raw_mode(0o755)).map_err(Error::call("chmod", &path))?;
        let stream = decompress(stream).map_err(|error| match error.kind() {
            std::io::ErrorKind::Unsupported => Error::archive(format!("cannot read a layer: {error}")),
            _ => Error::Tar { what: "of a layer".to_owned(), source: crate::tar::TarError::Read { offset: 0, source: error } },
        })?;
        let unpacked = unpack(stream, root.as_fd(), self.staging.scratch()?, self.limits)?;
        if let Some(expected) = expected.filter(|expected| **expected != unpacked.diff_id) {
            let what = "the unpacked layer".to_owned();
            return Err(Error::Mismatch { what, expected: expected.clone(), found: unpacked.diff_id });
        }
        self.layers.insert(unpacked.diff_id.clone(), NewLayer { path, size: unpacked.size });
        Ok(unpacked)
    }

    /// Makes the images part of the store, all or none, durably. Returns their ids.
    pub(crate) fn commit(mut self, images: &[NewImage]) -> Result<Vec<Digest>> {
        // The data first, so that no power cut shows an image with empty files.
        self.staging.sync_file_system()?;
        let _lock = self.store.lock()?;
        let (mut index, _) = Index::read(self.store.root())?;
        let committed = self.publish(images, &mut index);
        let Self { store, staging, .. } = self;
        // Of a failure nothing may stay, and of a success not the manifest that an image had before.
        store.collect(staging);
        committed
    }

    fn publish(&mut self, images: &[NewImage], index: &mut Index) -> Result<Vec<Digest>> {
        let root = self.store.root();
        for (diff_id, layer) in std::mem::take(&mut self.layers) {
            publish_layer(root, &diff_id, &layer)?;
        }
        let blobs = self.store.blobs();
        let mut ids = Vec::new();
        for image in images {
            let id = Digest::of(&image.config);
            let manifest = Digest::of(&image.manifest);
            files::write(&blobs, id.hex(), &image.config)?;
            files::write(&blobs, manifest.hex(), &image.manifest)?;
            // Podman keeps the manifest twice, and counts it twice.
            let mut size = (image.config.len() + 2 * image.manifest.len()) as u64;
            for layer in &image.layers {
                // Somebody may have removed a layer that was there when we began.
                size += Layer::read(root, layer)?.size;
            }
            image.names.iter().for_each(|name| index.take_name(name));
            let known = index.images.remove(&id);
            let mut record = Record {
                manifest,
                names: known.as_ref().map(|record| record.names.clone()).unwrap_or_default(),
                history: known.map(|record| record.history).unwrap_or_default(),
                created: created(&image.config),
                size,
                layers: image.layers.clone(),
            };
            image.names.iter().for_each(|name| record.add_name(name));
            index.images.insert(id.clone(), record);
            ids.push(id);
        }
        files::sync(&root.join("l"))?;
        self.store.replace_index(index)?;
        Ok(ids)
    }
}

/// Moves a layer into place, unless it is there already. The caller holds the lock.
fn publish_layer(root: &Path, diff_id: &Digest, layer: &NewLayer) -> Result<()> {
    if Layer::read(root, diff_id).is_ok() {
        return Ok(());
    }
    let parent = root.join("l");
    // Twelve digits; more in the case that another layer has the same.
    for length in 12..=64 {
        let name = diff_id.hex().get(..length).unwrap_or_default();
        let target = parent.join(name);
        if target.exists() {
            continue;
        }
        std::fs::rename(&layer.path, &target).map_err(Error::file("rename", &target))?;
        let record = Layer { directory: name.to_owned(), size: layer.size };
        let text = serde_json::to_vec(&record).map_err(|error| Error::document("the record of a layer", error))?;
        return files::write(&root.join("layers"), &Layer::file_name(diff_id), &text);
    }
    Err(Error::File { action: "create", path: parent.join(diff_id.hex()), source: std::io::ErrorKind::AlreadyExists.into() })
}

/// Returns when a configuration says that its image was made; the beginning of time when it does not.
fn created(config: &[u8]) -> String {
    serde_json::from_slice::<Value>(config)
        .ok()
        .and_then(|config| config.get("created")?.as_str()?.parse::<jiff::Timestamp>().ok())
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
        .to_string()
}
