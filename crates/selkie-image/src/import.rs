//! Makes an image of one archive of a root file system.

use std::fs::File;

use selkie_sys::machine::architecture;
use serde_json::{Value, json};

use crate::add::{Addition, NewImage};
use crate::change::Changes;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::layer::Limits;
use crate::reference::Reference;
use crate::store::Store;

/// What an imported image is to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Import {
    /// Its name, if any.
    pub name: Option<Reference>,
    /// What it says of itself.
    pub changes: Changes,
    /// A line for its history.
    pub message: String,
}

impl Store {
    /// Imports a tar archive, compressed or not, as an image with one layer. Returns its id, 64 digits.
    ///
    /// # Errors
    /// An archive that cannot be read or is refused.
    pub fn import(&self, input: File, import: Import, limits: Limits) -> Result<String> {
        let mut addition = Addition::new(self, limits)?;
        let created = created(&input).to_string();
        let layer = addition.add_layer(input, None)?;
        // As Podman, so that both give the image the same id.
        let created_by = format!("/bin/sh -c #(nop) ADD file:{} in /", layer.diff_id.hex());
        let mut history = json!({"created": created, "created_by": created_by});
        if let (Some(history), false) = (history.as_object_mut(), import.message.is_empty()) {
            history.insert("comment".to_owned(), json!(import.message));
        }
        let config = json!({
            "created": created,
            "architecture": architecture(),
            "os": "linux",
            "config": import.changes.into_config(),
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]},
            "history": [history],
        });
        let config = bytes("the configuration", &config)?;
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": Digest::of(&config), "size": config.len()},
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": layer.diff_id, "size": layer.size}],
        });
        let image = NewImage {
            manifest: bytes("the manifest", &manifest)?,
            config,
            names: import.name.iter().map(Reference::to_local_name).collect(),
            layers: vec![layer.diff_id],
        };
        let ids = addition.commit(&[image])?;
        Ok(ids.first().map(|id| id.hex().to_owned()).unwrap_or_default())
    }
}

/// The archive's own time, so that one archive gives one image; the present time for a stream.
fn created(input: &File) -> jiff::Timestamp {
    let data = input.metadata().ok().filter(std::fs::Metadata::is_file);
    let modified = data.and_then(|data| jiff::Timestamp::try_from(data.modified().ok()?).ok());
    modified.unwrap_or_else(jiff::Timestamp::now)
}

fn bytes(what: &str, value: &Value) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| Error::document(what, error))
}
