//! docker-archive: `manifest.json` names the configuration and the layers of each image.

use serde_json::{Value, json};

use super::load::{Loader, Source};
use super::member::Archive;
use crate::add::NewImage;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::json;
use crate::reference::Reference;

/// How long `manifest.json` may be: Podman's limit.
const MANIFEST_LIMIT: u64 = 1 << 20;

/// One image of `manifest.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArchivedImage {
    /// The member with its configuration.
    pub config: String,
    /// Its names.
    pub names: Vec<String>,
    /// The members with its layers, the lowest first.
    pub layers: Vec<String>,
}

/// Parses `manifest.json`. Total.
///
/// # Errors
/// JSON of another form.
pub fn manifest(bytes: &[u8]) -> Result<Vec<ArchivedImage>> {
    const WHAT: &str = "manifest.json";
    let value = json::parse(WHAT, bytes)?;
    let images = value.as_array().ok_or_else(|| Error::document(WHAT, "it is not a list of images"))?;
    images
        .iter()
        .map(|image| {
            let config = image.get("Config").and_then(Value::as_str).ok_or_else(|| Error::document(WHAT, "an image has no `Config`"))?;
            let words = |key: &str| {
                let words: Option<Vec<String>> = match image.get(key) {
                    None | Some(Value::Null) => Some(Vec::new()),
                    Some(Value::Array(words)) => words.iter().map(|word| word.as_str().map(str::to_owned)).collect(),
                    Some(_) => None,
                };
                words.ok_or_else(|| Error::document(WHAT, format!("`{key}` is not a list of names")))
            };
            Ok(ArchivedImage { config: config.to_owned(), names: words("RepoTags")?, layers: words("Layers")? })
        })
        .collect()
}

/// Loads all images of the archive.
pub(super) fn load(archive: &Archive, loader: &mut Loader<'_>) -> Result<Vec<NewImage>> {
    let images = manifest(&archive.document("manifest.json", MANIFEST_LIMIT)?)?;
    if images.is_empty() {
        return Err(Error::archive("the archive has no images"));
    }
    images.iter().map(|image| load_image(archive, image, loader)).collect()
}

fn load_image(archive: &Archive, image: &ArchivedImage, loader: &mut Loader<'_>) -> Result<NewImage> {
    let config = archive.document(&image.config, json::LIMIT)?;
    let layers = super::load::diff_ids(&config)?;
    if layers.len() != image.layers.len() {
        return Err(Error::archive(format!("the configuration has {} layers and manifest.json has {}", layers.len(), image.layers.len())));
    }
    let names = image.names.iter().map(|name| Ok(Reference::parse(name)?.to_local_name())).collect::<Result<Vec<_>>>()?;
    let mut sizes = Vec::new();
    for (member, diff_id) in image.layers.iter().zip(&layers) {
        let content = archive.content(member)?;
        sizes.push(loader.layer(Source { content, blob: None }, diff_id)?);
    }
    Ok(NewImage { manifest: made_manifest(&config, &layers, &sizes)?, config, names, layers })
}

/// Returns the manifest that Podman makes up for an image that came without one, to the byte: both name it by the same digest.
///
/// (The layers are not packed, whatever their type says.)
fn made_manifest(config: &[u8], layers: &[Digest], sizes: &[u64]) -> Result<Vec<u8>> {
    let layers: Vec<Value> = layers
        .iter()
        .zip(sizes)
        .map(|(layer, size)| json!({"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", "size": size, "digest": layer}))
        .collect();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "size": config.len(), "digest": Digest::of(config)},
        "layers": layers,
    });
    serde_json::to_vec(&manifest).map_err(|error| Error::document("the manifest", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifest_without_names_has_none() {
        let images = manifest(br#"[{"Config":"a.json","RepoTags":null,"Layers":["x/layer.tar"]}]"#).unwrap();
        let expected = ArchivedImage { config: "a.json".to_owned(), names: vec![], layers: vec!["x/layer.tar".to_owned()] };
        assert_eq!(images, [expected]);
    }

    #[test]
    fn made_manifest_is_podmans_to_the_byte() {
        let bytes = made_manifest(b"{}", &[Digest::of(b"")], &[10240]).unwrap();
        let expected = concat!(
            r#"{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":{"mediaType":"#,
            r#""application/vnd.docker.container.image.v1+json","size":2,"digest":"#,
            r#""sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},"layers":[{"mediaType":"#,
            r#""application/vnd.docker.image.rootfs.diff.tar.gzip","size":10240,"digest":"#,
            r#""sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}]}"#,
        );
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    }

    #[test]
    fn manifest_that_is_no_list_is_refused() {
        assert_eq!(manifest(b"{}").unwrap_err().to_string(), "manifest.json is not valid: it is not a list of images");
    }

    #[test]
    fn manifest_with_a_layer_that_is_no_name_is_refused() {
        let error = manifest(br#"[{"Config":"a","Layers":[1]}]"#).unwrap_err();
        assert_eq!(error.to_string(), "manifest.json is not valid: `Layers` is not a list of names");
    }
}
