//! Loads an archive of either form.

use std::fs::File;
use std::io::Read;

use serde_json::Value;

use super::member::{Archive, Content};
use super::{docker, oci};
use crate::add::Addition;
use crate::digest::{Digest, Hashing};
use crate::error::{Error, Result};
use crate::json;
use crate::layer::Limits;
use crate::store::Store;

/// An image that was loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// 64 hexadecimal digits.
    pub id: String,
    /// The names that the archive gave it.
    pub names: Vec<String>,
}

/// What a load is about to do, for whoever waits for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// A layer of so many bytes, packed as it came, is being unpacked.
    Layer {
        /// Digest of its archive.
        diff_id: Digest,
        /// Bytes.
        size: u64,
    },
    /// A layer is there already.
    Known {
        /// Digest of its archive.
        diff_id: Digest,
    },
    /// Everything is unpacked and is being made durable.
    Commit,
}

impl Store {
    /// Loads the images of a docker-archive or oci-archive, compressed or not, seekable or not: all of them or none.
    ///
    /// # Errors
    /// An archive that is no image, or not what its digests say.
    pub fn load(&self, input: File, limits: Limits, progress: &mut dyn FnMut(Progress)) -> Result<Vec<Loaded>> {
        let addition = Addition::new(self, limits)?;
        // A whole archive has several layers.
        let archive = Archive::open(input, addition.staging(), limits.layer_size.saturating_mul(4))?;
        let mut loader = Loader { addition, progress };
        let images = if archive.contains("manifest.json") {
            docker::load(&archive, &mut loader)?
        } else if archive.contains("oci-layout") && archive.contains("index.json") {
            oci::load(&archive, &mut loader)?
        } else {
            return Err(Error::archive(
                "payload does not match any of the supported image formats (oci-archive, docker-archive): it has neither index.json nor manifest.json",
            ));
        };
        let Loader { addition, progress } = loader;
        progress(Progress::Commit);
        let ids = addition.commit(&images)?;
        Ok(ids.into_iter().zip(images).map(|(id, image)| Loaded { id: id.hex().to_owned(), names: image.names }).collect())
    }
}

/// Adds layers as the archives list them.
pub(super) struct Loader<'a> {
    addition: Addition<'a>,
    progress: &'a mut dyn FnMut(Progress),
}

/// The content of a layer, and what its descriptor says of it.
pub(super) struct Source<'a> {
    pub(super) content: Content<'a>,
    pub(super) blob: Option<Blob>,
}

/// What a descriptor says of a blob.
pub(super) struct Blob {
    pub(super) digest: Digest,
    pub(super) size: u64,
}

impl Loader<'_> {
    /// Adds a layer, unless it is known. Returns the length of its archive, unpacked if it was not known.
    pub(super) fn layer(&mut self, source: Source<'_>, diff_id: &Digest) -> Result<u64> {
        let size = source.content.len();
        if let Some(blob) = source.blob.as_ref().filter(|blob| blob.size != size) {
            return Err(Error::archive(format!("layer {} has {size} bytes and its descriptor says {}", blob.digest, blob.size)));
        }
        if let Some(known) = self.addition.layer_size(diff_id) {
            (self.progress)(Progress::Known { diff_id: diff_id.clone() });
            return Ok(known);
        }
        (self.progress)(Progress::Layer { diff_id: diff_id.clone(), size });
        let mut stream = Hashing::new(source.content);
        let unpacked = self.addition.add_layer(&mut stream, Some(diff_id))?;
        let mut rest = [0; 4096];
        let failed = |source| Error::Tar { what: "of a layer".to_owned(), source: crate::tar::TarError::Read { offset: 0, source } };
        while stream.read(&mut rest).map_err(failed)? > 0 {}
        let (found, _) = stream.finish();
        match source.blob {
            Some(Blob { digest, .. }) if digest != found => Err(Error::Mismatch { what: "the layer".to_owned(), expected: digest, found }),
            _ => Ok(unpacked.size),
        }
    }
}

/// Returns the digests of the layers' archives that a configuration lists.
pub(super) fn diff_ids(config: &[u8]) -> Result<Vec<Digest>> {
    const WHAT: &str = "the configuration";
    let value = json::parse(WHAT, config)?;
    let problem = |problem: &str| Error::document(WHAT, problem);
    if value.get("config").is_some_and(|config| !config.is_object() && !config.is_null()) {
        return Err(problem("`config` is not an object"));
    }
    let list = value.get("rootfs").and_then(|rootfs| rootfs.get("diff_ids")).and_then(Value::as_array);
    list.ok_or_else(|| problem("it has no `rootfs.diff_ids`"))?
        .iter()
        .map(|layer| layer.as_str().and_then(Digest::parse).ok_or_else(|| problem("a diff_id is not `sha256:` and 64 hexadecimal digits")))
        .collect()
}
