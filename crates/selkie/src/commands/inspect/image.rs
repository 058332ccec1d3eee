//! An image as `inspect` shows it: Podman's fields in Podman's order.

use selkie_image::Image;
use serde_json::{Value, json};

/// Returns what `inspect` shows of `image`.
pub(super) fn object(image: &Image) -> Value {
    let said = |key: &str| image.config.get(key).cloned().unwrap_or(Value::Null);
    let word = |key: &str| image.config.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let config = said("config");
    let labels = config.get("Labels").cloned().unwrap_or(Value::Null);
    let user = config.get("User").and_then(Value::as_str).unwrap_or_default().to_owned();
    let digests: Vec<String> = image.names.iter().map(|name| format!("{}@{}", repository(name), image.digest)).collect();
    json!({
        "Id": image.id,
        "Digest": image.digest,
        "RepoTags": image.names,
        "RepoDigests": digests,
        "Parent": "",
        "Comment": word("comment"),
        "Created": image.created,
        "Config": config,
        "Version": word("docker_version"),
        "Author": word("author"),
        "Architecture": word("architecture"),
        "Os": word("os"),
        "Size": image.size,
        "VirtualSize": image.size,
        "GraphDriver": {"Name": "overlay", "Data": {}},
        "RootFS": {"Type": "layers", "Layers": said("rootfs").get("diff_ids").cloned().unwrap_or(json!([]))},
        "Labels": labels,
        "Annotations": {},
        "ManifestType": "application/vnd.oci.image.manifest.v1+json",
        "User": user,
        "History": said("history"),
        "NamesHistory": image.names,
    })
}

/// Returns a name without its tag.
fn repository(name: &str) -> &str {
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => name,
    }
}
