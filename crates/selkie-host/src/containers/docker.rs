//! Docker: `containers/ID/config.v2.json` and `hostconfig.json` beneath its data root.

use selkie_caps::CapSet;
use serde_json::Value;

use super::{HostContainer, json};
use crate::Engine;
use crate::engines::is_id;

/// Parses both files of one container; `hostconfig` may be missing.
pub(super) fn container(config: &[u8], hostconfig: Option<&[u8]>) -> Option<HostContainer> {
    let config = json::parse(config)?;
    let id = config.get("ID").and_then(Value::as_str).filter(|id| is_id(id))?;
    let host = hostconfig.and_then(json::parse).unwrap_or_default();
    let inner = config.get("Config").cloned().unwrap_or_default();
    let labels = inner.get("Labels").cloned().unwrap_or_default();
    let state = config.get("State").cloned().unwrap_or_default();
    let mut command: Vec<String> = json::text(&config, "Path").into_iter().collect();
    command.extend(json::texts(&config, "Args"));
    Some(HostContainer {
        name: json::text(&config, "Name").and_then(|name| json::short(name.trim_start_matches('/'))),
        image: json::text(&inner, "Image"),
        // Only since Docker 28, and only of images in containerd's store.
        digest: config.get("ImageManifest").and_then(|manifest| json::digest(manifest, "digest")),
        pod: json::text(&labels, "io.kubernetes.pod.name"),
        namespace: json::text(&labels, "io.kubernetes.pod.namespace"),
        privileged: host.get("Privileged").and_then(Value::as_bool),
        bounding: bounding(&host),
        command,
        created: json::text(&config, "Created"),
        pid: json::pid(&state, "Pid").filter(|_| state.get("Running").and_then(Value::as_bool) == Some(true)),
        ..HostContainer::unknown(Engine::Docker, id)
    })
}

/// What `--cap-add` and `--cap-drop` make of Docker's fourteen; `None` where only the running container can tell.
fn bounding(host: &Value) -> Option<CapSet> {
    const DEFAULT: CapSet = CapSet::from_bits(0xa804_25fb);
    if host.get("Privileged").and_then(Value::as_bool) != Some(false) {
        return None;
    }
    let (add, drop) = (json::texts(host, "CapAdd"), json::texts(host, "CapDrop"));
    let is_all = |name: &String| name.eq_ignore_ascii_case("all");
    if add.iter().any(is_all) {
        return None;
    }
    let set = |names: &[String]| names.iter().filter_map(|name| CapSet::parse(name).ok()).fold(CapSet::EMPTY, CapSet::union);
    let base = if drop.iter().any(is_all) { CapSet::EMPTY } else { DEFAULT };
    Some(base.difference(set(&drop)).union(set(&add)))
}

#[cfg(test)]
mod tests {
    use selkie_caps::Capability;

    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn container_of_both_files() {
        let config = format!(
            r#"{{"ID": "{ID}", "Name": "/web", "Created": "2026-01-02T03:04:05Z", "Path": "nginx", "Args": ["-g", "x"],
                "State": {{"Running": true, "Pid": 421}}, "Config": {{"Image": "nginx", "Labels": {{"io.kubernetes.pod.name": "p"}}}}}}"#
        );
        let found = container(config.as_bytes(), Some(br#"{"Privileged": false, "CapAdd": ["NET_ADMIN"], "CapDrop": ["ALL"]}"#));
        assert_eq!(
            found,
            Some(HostContainer {
                name: Some("web".to_owned()),
                image: Some("nginx".to_owned()),
                pod: Some("p".to_owned()),
                privileged: Some(false),
                bounding: Some(CapSet::EMPTY.with(Capability::NetAdmin)),
                command: vec!["nginx".to_owned(), "-g".to_owned(), "x".to_owned()],
                created: Some("2026-01-02T03:04:05Z".to_owned()),
                pid: Some(421),
                ..HostContainer::unknown(Engine::Docker, ID)
            })
        );
    }

    #[test]
    fn container_of_a_newer_docker_has_the_digest_of_its_image_if_it_is_one() {
        let digest = |text: &str| {
            let config = format!(r#"{{"ID": "{ID}", "ImageManifest": {{"mediaType": "x", "digest": "{text}"}}}}"#);
            container(config.as_bytes(), None).and_then(|found| found.digest)
        };
        let whole = format!("sha256:{ID}");
        assert_eq!(digest(&whole), Some(whole.clone()));
        assert_eq!([digest("sha256:7"), digest(ID), digest("")], [None, None, None]);
    }

    #[test]
    fn container_that_is_stopped_has_no_process_whatever_its_file_says() {
        let config = format!(r#"{{"ID": "{ID}", "State": {{"Running": false, "Pid": 421}}}}"#);
        assert_eq!(container(config.as_bytes(), None), Some(HostContainer::unknown(Engine::Docker, ID)));
    }

    #[test]
    fn container_with_an_id_that_is_none_is_none() {
        assert_eq!(container(br#"{"ID": "../x", "Name": "/x"}"#, None), None);
        assert_eq!(container(b"{\"ID\": ", None), None);
    }
}
