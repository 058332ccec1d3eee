//! The index of the store: which images there are, and what they are called. One file, so that it changes at once.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::files;
use crate::json;

/// The version of the file's format.
const VERSION: u32 = 1;

/// How long the file may be.
const LIMIT: u64 = 64 << 20;

/// All images.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Index {
    pub(crate) version: u32,
    /// By the digest of their configuration.
    pub(crate) images: BTreeMap<Digest, Record>,
}

/// One image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Digest of its manifest.
    pub(crate) manifest: Digest,
    /// Its names, the oldest first.
    pub(crate) names: Vec<String>,
    /// All names that it ever had, the newest first.
    #[serde(default)]
    pub(crate) history: Vec<String>,
    /// When it was made, RFC 3339.
    pub(crate) created: String,
    /// Bytes of its layers' archives, its configuration, and twice its manifest: as Podman counts.
    pub(crate) size: u64,
    /// Digests of its layers' archives, the lowest first.
    pub(crate) layers: Vec<Digest>,
}

impl Default for Index {
    fn default() -> Self {
        Self { version: VERSION, images: BTreeMap::new() }
    }
}

impl Record {
    /// Adds a name.
    pub(crate) fn add_name(&mut self, name: &str) {
        if !self.names.iter().any(|known| known == name) {
            self.names.push(name.to_owned());
        }
        self.history.retain(|known| known != name);
        self.history.insert(0, name.to_owned());
    }
}

impl Index {
    /// Reads the index in `root`; when it is damaged, the one before it together with what the blobs tell, and why.
    ///
    /// # Errors
    /// A file that cannot be read, or that a later version has written.
    pub(crate) fn read(root: &Path) -> Result<(Self, Option<Error>)> {
        let path = root.join("index.json");
        let Some(bytes) = files::read(&path, LIMIT)? else { return Ok((Self::default(), None)) };
        match Self::parse(&bytes) {
            Ok(index) if index.version > VERSION => {
                Err(Error::Record { path, problem: format!("version {} is that of a later selkie", index.version) })
            }
            Ok(index) => Ok((index, None)),
            Err(problem) => {
                let old = files::read(&root.join("index.json.old"), LIMIT)?;
                let mut index = old.and_then(|bytes| Self::parse(&bytes).ok()).unwrap_or_default();
                index.add_from_blobs(root);
                Ok((index, Some(Error::Record { path, problem })))
            }
        }
    }

    /// Parses an index. Total.
    fn parse(bytes: &[u8]) -> std::result::Result<Self, String> {
        serde_json::from_slice(bytes).map_err(|error| error.to_string())
    }

    /// Replaces the index in `root`. The caller holds the lock.
    pub(crate) fn write(&self, root: &Path) -> Result<()> {
        let path = root.join("index.json");
        let mut text = serde_json::to_vec_pretty(self).map_err(|error| Error::document("the index", error))?;
        text.push(b'\n');
        // The one before stays readable under another name; without one there is nothing to keep.
        let old = root.join("index.json.old");
        if Self::read(root).is_ok_and(|(_, damage)| damage.is_none()) {
            files::remove(&old)?;
            let _ = std::fs::hard_link(&path, &old);
        }
        files::write(root, "index.json", &text)
    }

    /// Adds the images whose manifest, configuration and layers are there, without names.
    fn add_from_blobs(&mut self, root: &Path) {
        let blobs = root.join("blobs/sha256");
        for entry in std::fs::read_dir(&blobs).into_iter().flatten().flatten() {
            let Some(digest) = entry.file_name().to_str().and_then(Digest::from_hex) else { continue };
            if let Some((id, record)) = record_of(&blobs, root, digest) {
                self.images.entry(id).or_insert(record);
            }
        }
    }

    /// Takes `name` from the image that has it.
    pub(crate) fn take_name(&mut self, name: &str) {
        for record in self.images.values_mut() {
            record.names.retain(|known| known != name);
        }
    }
}

/// Reads what `digest` says, if it is the manifest of an image.
fn record_of(blobs: &Path, root: &Path, digest: Digest) -> Option<(Digest, Record)> {
    let bytes = files::read(&blobs.join(digest.hex()), json::LIMIT).ok()??;
    if Digest::of(&bytes) != digest {
        return None;
    }
    let manifest = json::parse("manifest", &bytes).ok()?;
    let id = Digest::parse(manifest.get("config")?.get("digest")?.as_str()?)?;
    let config_bytes = files::read(&blobs.join(id.hex()), json::LIMIT).ok()??;
    let config = json::parse("configuration", &config_bytes).ok()?;
    let layers: Option<Vec<Digest>> =
        config.get("rootfs")?.get("diff_ids")?.as_array()?.iter().map(|layer| Digest::parse(layer.as_str()?)).collect();
    let layers = layers?;
    let mut size = (2 * bytes.len() + config_bytes.len()) as u64;
    for layer in &layers {
        size += Layer::read(root, layer).ok()?.size;
    }
    let created = config.get("created").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    Some((id, Record { manifest: digest, names: Vec::new(), history: Vec::new(), created, size, layers }))
}

/// A layer that is complete: `layers/DIGITS.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Layer {
    /// Its directory in `l`.
    pub(crate) directory: String,
    /// Bytes of its archive.
    pub(crate) size: u64,
}

impl Layer {
    pub(crate) fn file_name(diff_id: &Digest) -> String {
        format!("{}.json", diff_id.hex())
    }

    /// Reads the record of a layer and checks that its directory is there.
    pub(crate) fn read(root: &Path, diff_id: &Digest) -> Result<Self> {
        let path = root.join("layers").join(Self::file_name(diff_id));
        let missing = || Error::LayerMissing { diff_id: diff_id.clone() };
        let bytes = files::read(&path, 4096)?.ok_or_else(missing)?;
        let damaged = |problem: String| Error::Record { path: path.clone(), problem };
        let layer: Self = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        // It becomes part of a path.
        if layer.directory.is_empty() || !layer.directory.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(damaged(format!("{:?} is not the name of a layer's directory", layer.directory)));
        }
        if root.join("l").join(&layer.directory).is_dir() { Ok(layer) } else { Err(missing()) }
    }
}
