//! An image as `inspect` shows it: Podman's fields in Podman's order.

use std::path::PathBuf;

use selkie_image::{Error, Image, Store};
use serde_json::{Map, Value, json};

use crate::commands::images::repository_digests;

/// Returns what `inspect` shows of `image`.
pub(super) fn object(store: &Store, image: &Image) -> Result<Value, Error> {
    let said = |key: &str| image.config.get(key).cloned().unwrap_or(Value::Null);
    let word = |key: &str| image.config.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let config = said("config");
    let history = said("history");
    let last = history.as_array().and_then(|history| history.last());
    let comment = last.and_then(|last| last.get("comment")).and_then(Value::as_str).map_or_else(|| word("comment"), str::to_owned);
    let mut object = json!({
        "Id": image.id,
        "Digest": image.digest,
        "RepoTags": image.names,
        "RepoDigests": repository_digests(image),
        "Parent": "",
        "Comment": comment,
        "Created": image.created,
        "Config": known_first(&config),
        "Version": word("docker_version"),
        "Author": word("author"),
        "Architecture": word("architecture"),
        "Os": word("os"),
        "Size": image.size,
        "VirtualSize": image.size,
        "GraphDriver": {"Name": "overlay", "Data": directories(&store.layers(&image.id)?)},
        "RootFS": {"Type": "layers", "Layers": said("rootfs").get("diff_ids").cloned().unwrap_or(json!([]))},
        "Labels": config.get("Labels").cloned().unwrap_or(Value::Null),
        "Annotations": image.manifest.get("annotations").cloned().unwrap_or(json!({})),
        "ManifestType": image.manifest.get("mediaType").cloned().unwrap_or(json!("application/vnd.oci.image.manifest.v1+json")),
        "User": config.get("User").and_then(Value::as_str).unwrap_or_default(),
        "History": history,
        "NamesHistory": image.names_history,
    });
    // Only Docker's configurations have one.
    if let (Some(check), Some(object)) = (config.get("Healthcheck"), object.as_object_mut()) {
        object.insert("HealthCheck".to_owned(), check.clone());
    }
    Ok(object)
}

/// The directories of the layers, the uppermost first, in the words of Podman's overlay driver.
fn directories(layers: &[PathBuf]) -> Value {
    let mut data = Map::new();
    if let Some((upper, lower)) = layers.split_first() {
        if !lower.is_empty() {
            let lower: Vec<String> = lower.iter().map(|path| path.display().to_string()).collect();
            data.insert("LowerDir".to_owned(), lower.join(":").into());
        }
        data.insert("UpperDir".to_owned(), upper.display().to_string().into());
    }
    Value::Object(data)
}

/// A configuration in the order of the specification, without what it leaves empty; what else it says comes behind.
fn known_first(config: &Value) -> Value {
    const ORDER: [&str; 9] = ["User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels", "StopSignal"];
    let Some(object) = config.as_object() else { return json!({}) };
    let is_empty = |value: &Value| match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(object) => object.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    };
    let known = ORDER.iter().filter_map(|key| object.get_key_value(*key));
    let others = object.iter().filter(|(key, _)| !ORDER.contains(&key.as_str()));
    let said = known.chain(others).filter(|(_, value)| !is_empty(value));
    Value::Object(said.map(|(key, value)| (key.clone(), value.clone())).collect())
}
