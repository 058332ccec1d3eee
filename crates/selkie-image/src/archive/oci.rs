//! oci-archive: an OCI image layout (image-layout.md, manifest.md, image-index.md of the OCI image specification).

use selkie_sys::machine::architecture;
use serde_json::Value;

use super::load::{Blob, Loader, Source, diff_ids};
use super::member::Archive;
use crate::add::NewImage;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::json;
use crate::reference::Reference;

/// What refers to a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// What the blob is.
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Its length.
    pub size: u64,
    /// The name that annotations give it.
    pub name: Option<String>,
    /// For which system and architecture it is.
    pub platform: Option<(String, String)>,
}

/// The manifest of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Its configuration.
    pub config: Descriptor,
    /// Its layers, the lowest first.
    pub layers: Vec<Descriptor>,
}

const INDEXES: [&str; 2] = ["application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"];
const MANIFESTS: [&str; 2] = ["application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"];
const CONFIGS: [&str; 2] = ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];
const LAYERS: [&str; 6] = [
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.oci.image.layer.v1.tar+zstd",
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
    "application/vnd.docker.image.rootfs.diff.tar.zstd",
];

/// How deep indexes may lie in one another.
const DEPTH: u32 = 4;

/// Parses an index. Total.
///
/// # Errors
/// JSON of another form, or a document that is a manifest as well.
pub fn index(bytes: &[u8]) -> Result<Vec<Descriptor>> {
    const WHAT: &str = "the index";
    let value = json::parse(WHAT, bytes)?;
    if value.get("layers").is_some() || value.get("config").is_some() {
        return Err(Error::document(WHAT, "it is an index and a manifest at once"));
    }
    check_type(WHAT, &value, &INDEXES)?;
    let manifests = value.get("manifests").and_then(Value::as_array).ok_or_else(|| Error::document(WHAT, "it has no `manifests`"))?;
    manifests.iter().map(|manifest| descriptor(WHAT, manifest)).collect()
}

/// Parses a manifest. Total.
///
/// # Errors
/// JSON of another form, a document that is an index as well, media types that no image has.
pub fn manifest(bytes: &[u8]) -> Result<Manifest> {
    const WHAT: &str = "the manifest";
    let value = json::parse(WHAT, bytes)?;
    if value.get("manifests").is_some() {
        return Err(Error::document(WHAT, "it is an index and a manifest at once"));
    }
    check_type(WHAT, &value, &MANIFESTS)?;
    let config = value.get("config").ok_or_else(|| Error::document(WHAT, "it has no `config`"))?;
    let config = descriptor(WHAT, config)?;
    if !CONFIGS.contains(&config.media_type.as_str()) {
        return Err(Error::document(WHAT, format!("the media type {:?} is not that of an image", config.media_type)));
    }
    let layers = value.get("layers").and_then(Value::as_array).ok_or_else(|| Error::document(WHAT, "it has no `layers`"))?;
    let layers = layers.iter().map(|layer| descriptor(WHAT, layer)).collect::<Result<Vec<_>>>()?;
    if let Some(layer) = layers.iter().find(|layer| !LAYERS.contains(&layer.media_type.as_str())) {
        return Err(Error::document(WHAT, format!("the media type {:?} is not that of a layer", layer.media_type)));
    }
    Ok(Manifest { config, layers })
}

fn check_type(what: &str, value: &Value, known: &[&str]) -> Result<()> {
    match value.get("mediaType") {
        None => Ok(()),
        Some(Value::String(media_type)) if media_type.is_empty() || known.contains(&media_type.as_str()) => Ok(()),
        Some(other) => Err(Error::document(what, format!("the media type is {other}"))),
    }
}

fn descriptor(what: &str, value: &Value) -> Result<Descriptor> {
    let word = |key: &str| value.get(key).and_then(Value::as_str);
    let missing = |key: &str| Error::document(what, format!("a descriptor has no valid `{key}`"));
    let annotation = |key: &str| value.get("annotations")?.get(key)?.as_str().map(str::to_owned);
    let platform = |key: &str| value.get("platform")?.get(key)?.as_str().map(str::to_owned);
    Ok(Descriptor {
        media_type: word("mediaType").ok_or_else(|| missing("mediaType"))?.to_owned(),
        digest: word("digest").and_then(Digest::parse).ok_or_else(|| missing("digest"))?,
        size: value.get("size").and_then(Value::as_u64).ok_or_else(|| missing("size"))?,
        name: annotation("io.containerd.image.name").or_else(|| annotation("org.opencontainers.image.ref.name")),
        platform: platform("os").zip(platform("architecture")),
    })
}

/// Loads all images of the archive.
pub(super) fn load(archive: &Archive, loader: &mut Loader<'_>) -> Result<Vec<NewImage>> {
    let layout = json::parse("oci-layout", &archive.document("oci-layout", 4096)?)?;
    match layout.get("imageLayoutVersion").and_then(Value::as_str) {
        Some("1.0.0") => {}
        other => return Err(Error::document("oci-layout", format!("the version is {other:?}, and only \"1.0.0\" is known"))),
    }
    let descriptors = index(&archive.document("index.json", json::LIMIT)?)?;
    if descriptors.is_empty() {
        return Err(Error::archive("the archive has no images"));
    }
    descriptors.iter().map(|descriptor| load_image(archive, descriptor, loader)).collect()
}

fn load_image(archive: &Archive, root: &Descriptor, loader: &mut Loader<'_>) -> Result<NewImage> {
    let mut chosen = root.clone();
    for _ in 0..DEPTH {
        if !INDEXES.contains(&chosen.media_type.as_str()) {
            break;
        }
        let images = index(&document(archive, "index", &chosen)?)?;
        let own = ("linux".to_owned(), architecture().to_owned());
        chosen = images
            .into_iter()
            .find(|image| image.platform.as_ref().is_none_or(|platform| *platform == own))
            .ok_or_else(|| Error::archive(format!("the archive has no image for linux/{}", architecture())))?;
    }
    if !MANIFESTS.contains(&chosen.media_type.as_str()) {
        return Err(Error::archive(format!("the media type {:?} is not that of an image", chosen.media_type)));
    }
    let bytes = document(archive, "manifest", &chosen)?;
    let parsed = manifest(&bytes)?;
    let config = document(archive, "configuration", &parsed.config)?;
    let layers = diff_ids(&config)?;
    if layers.len() != parsed.layers.len() {
        return Err(Error::archive(format!("the configuration has {} layers and the manifest has {}", layers.len(), parsed.layers.len())));
    }
    let names = match &root.name {
        Some(name) => vec![Reference::parse(name)?.to_local_name()],
        None => Vec::new(),
    };
    for (layer, diff_id) in parsed.layers.iter().zip(&layers) {
        let content = archive.content(&member(&layer.digest))?;
        let blob = Some(Blob { digest: layer.digest.clone(), size: layer.size });
        loader.layer(Source { content, blob }, diff_id)?;
    }
    Ok(NewImage { manifest: bytes, config, names, layers })
}

fn member(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// Reads a blob that is a document; it must have the length and the digest that its descriptor says.
fn document(archive: &Archive, what: &str, descriptor: &Descriptor) -> Result<Vec<u8>> {
    let bytes = archive.document(&member(&descriptor.digest), json::LIMIT)?;
    let found = Digest::of(&bytes);
    if found != descriptor.digest {
        return Err(Error::Mismatch { what: format!("the {what}"), expected: descriptor.digest.clone(), found });
    }
    if bytes.len() as u64 != descriptor.size {
        return Err(Error::archive(format!("the {what} has {} bytes and its descriptor says {}", bytes.len(), descriptor.size)));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn problem(result: Result<impl std::fmt::Debug>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn manifest_that_is_an_index_too_is_refused() {
        let text = r#"{"manifests":[],"config":{},"layers":[]}"#;
        assert_eq!(problem(manifest(text.as_bytes())), "the manifest is not valid: it is an index and a manifest at once");
        assert_eq!(problem(index(text.as_bytes())), "the index is not valid: it is an index and a manifest at once");
    }

    #[test]
    fn manifest_with_the_media_type_of_an_index_is_refused() {
        let text = r#"{"mediaType":"application/vnd.oci.image.index.v1+json","config":{},"layers":[]}"#;
        assert!(problem(manifest(text.as_bytes())).contains("the media type is"));
    }

    #[test]
    fn manifest_with_a_path_as_digest_is_refused() {
        let text =
            r#"{"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:../../etc","size":1},"layers":[]}"#;
        assert_eq!(problem(manifest(text.as_bytes())), "the manifest is not valid: a descriptor has no valid `digest`");
    }

    #[test]
    fn manifest_with_a_layer_from_elsewhere_is_refused() {
        let text = format!(
            r#"{{"config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{DIGEST}","size":0}},
            "layers":[{{"mediaType":"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip","digest":"{DIGEST}","size":0}}]}}"#
        );
        assert!(problem(manifest(text.as_bytes())).contains("is not that of a layer"));
    }
}
