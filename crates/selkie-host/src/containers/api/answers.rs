//! Lists of containers as the engines' interfaces send them: `/libpod/containers/json` of Podman, `/containers/json` of Docker.

use serde_json::Value;

use super::super::{HostContainer, json};
use crate::Engine;
use crate::engines::is_id;

/// States that engines have words for; others are not told.
const STATES: [&str; 9] = ["created", "initialized", "running", "paused", "exited", "stopped", "restarting", "removing", "dead"];

/// Parses Podman's list; entries without a valid id are left out.
pub(super) fn podman(bytes: &[u8]) -> Option<Vec<HostContainer>> {
    let parse = |entry: &Value| {
        let id = entry.get("Id").and_then(Value::as_str).filter(|id| is_id(id))?;
        let state = state(entry);
        Some(HostContainer {
            name: json::texts(entry, "Names").into_iter().next(),
            image: json::text(entry, "Image"),
            pod: json::text(entry, "PodName"),
            command: json::texts(entry, "Command"),
            created: json::text(entry, "Created"),
            pid: json::pid(entry, "Pid").filter(|_| matches!(state, Some("running" | "paused"))),
            state,
            ..HostContainer::unknown(Engine::Podman, id)
        })
    };
    Some(json::parse(bytes)?.as_array()?.iter().filter_map(parse).collect())
}

/// Parses Docker's list, as [`podman`] does. It has no numbers of processes.
pub(super) fn docker(bytes: &[u8]) -> Option<Vec<HostContainer>> {
    let parse = |entry: &Value| {
        let id = entry.get("Id").and_then(Value::as_str).filter(|id| is_id(id))?;
        let seconds = entry.get("Created").and_then(Value::as_i64);
        let labels = entry.get("Labels").cloned().unwrap_or_default();
        Some(HostContainer {
            name: json::texts(entry, "Names").first().and_then(|name| json::short(name.trim_start_matches('/'))),
            image: json::text(entry, "Image"),
            pod: json::text(&labels, "io.kubernetes.pod.name"),
            namespace: json::text(&labels, "io.kubernetes.pod.namespace"),
            command: json::text(entry, "Command").into_iter().collect(),
            created: seconds.and_then(|seconds| Some(jiff::Timestamp::from_second(seconds).ok()?.to_string())),
            state: state(entry),
            ..HostContainer::unknown(Engine::Docker, id)
        })
    };
    Some(json::parse(bytes)?.as_array()?.iter().filter_map(parse).collect())
}

fn state(entry: &Value) -> Option<&'static str> {
    let word = entry.get("State").and_then(Value::as_str)?;
    STATES.into_iter().find(|state| *state == word)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn podman_of_a_container_in_a_pod_has_the_pods_name() {
        let list = r#"[{"Id": "ID", "Names": ["web", "other"], "Image": "nginx:1", "PodName": "front", "Pid": 7, "State": "running",
            "Created": "2026-01-02T03:04:05.6Z", "Command": ["nginx", "-g"]}, {"Id": "../x", "Names": ["bad"]}, 5]"#
            .replace("ID", ID);
        let expected = HostContainer {
            name: Some("web".to_owned()),
            image: Some("nginx:1".to_owned()),
            pod: Some("front".to_owned()),
            command: vec!["nginx".to_owned(), "-g".to_owned()],
            created: Some("2026-01-02T03:04:05.6Z".to_owned()),
            pid: Some(7),
            state: Some("running"),
            ..HostContainer::unknown(Engine::Podman, ID)
        };
        assert_eq!(podman(list.as_bytes()), Some(vec![expected]));
        // What has ended keeps its number, which may be somebody else's by now.
        let ended = list.replace("running", "exited");
        assert_eq!(podman(ended.as_bytes()).unwrap()[0].pid, None);
    }

    #[test]
    fn docker_has_seconds_and_a_slash_before_the_name() {
        let list = r#"[{"Id": "ID", "Names": ["/web"], "Image": "nginx", "Created": 1767323045, "State": "paused", "Command": "nginx -g",
            "Labels": {"io.kubernetes.pod.name": "p"}}]"#
            .replace("ID", ID);
        let expected = HostContainer {
            name: Some("web".to_owned()),
            image: Some("nginx".to_owned()),
            pod: Some("p".to_owned()),
            command: vec!["nginx -g".to_owned()],
            created: Some("2026-01-02T03:04:05Z".to_owned()),
            state: Some("paused"),
            ..HostContainer::unknown(Engine::Docker, ID)
        };
        assert_eq!(docker(list.as_bytes()), Some(vec![expected]));
    }

    #[test]
    fn state_of_another_word_is_not_told() {
        let list = r#"[{"Id": "ID", "State": "\u001b[2J"}]"#.replace("ID", ID);
        assert_eq!(docker(list.as_bytes()).unwrap()[0].state, None);
        assert_eq!((docker(b"{}"), podman(b"[")), (None, None));
    }

    proptest! {
        #[test]
        fn lists_of_any_text_do_not_panic(text in "[\\[\\]{}\":,a-zId0-9 -]{0,60}") {
            let _ = (podman(text.as_bytes()), docker(text.as_bytes()));
        }
    }
}
