//! Runtimes used by hand: `/run/runc/ID/state.json`, `/run/crun/ID/status`, `/run/youki/ID/state.json`. Of running containers
//! and of those that were not deleted. Engines use the same directories: what has an engine is completed, never listed twice.

use serde_json::Value;

use super::{HostContainer, json, spec};
use crate::Engine;
use crate::engines::is_name;

/// A record, and where the specification of its container is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bare {
    pub(super) container: HostContainer,
    pub(super) bundle: Option<String>,
}

/// The directories, with the file in each and who writes it.
pub(super) const RUNTIMES: [(&str, &str, Engine); 3] =
    [("runc", "state.json", Engine::Runc), ("crun", "status", Engine::Crun), ("youki", "state.json", Engine::Youki)];

/// Parses the record of the container whose directory is called `id`.
pub(super) fn container(runtime: Engine, id: &str, bytes: &[u8]) -> Option<Bare> {
    if !is_name(id) {
        return None;
    }
    let value = json::parse(bytes)?;
    let base = HostContainer { created: json::text(&value, "created"), ..HostContainer::unknown(runtime, id) };
    Some(match runtime {
        Engine::Runc => runc(&value, base),
        Engine::Crun => Bare {
            bundle: json::text(&value, "bundle"),
            container: HostContainer {
                pid: json::pid(&value, "pid"),
                start: value.get("process-start-time").and_then(Value::as_u64).filter(|start| *start > 0),
                ..base
            },
        },
        _ => Bare {
            bundle: json::text(&value, "bundle"),
            // What has stopped keeps its number, which may be somebody else's by now.
            container: HostContainer {
                pid: json::pid(&value, "pid").filter(|_| json::text(&value, "status").is_some_and(|status| status == "running")),
                ..base
            },
        },
    })
}

fn runc(value: &Value, base: HostContainer) -> Bare {
    let config = value.get("config").cloned().unwrap_or_default();
    let labels = json::texts(&config, "labels");
    let label = |key: &str| labels.iter().find_map(|label| label.strip_prefix(key)?.strip_prefix('='));
    let mut owner = base.owner.clone();
    // Podman's store may be where nobody looks: the runtime's record still says whose it is.
    if label("io.container.manager") == Some("libpod") && crate::engines::is_id(&owner.id) {
        owner.engine = Engine::Podman;
    }
    let privileged = label("io.podman.annotations.privileged").filter(|_| owner.engine == Engine::Podman);
    Bare {
        bundle: label("bundle").map(str::to_owned),
        container: HostContainer {
            owner,
            privileged: privileged.map(|flag| flag.eq_ignore_ascii_case("true")),
            pid: json::pid(value, "init_process_pid"),
            start: value.get("init_process_start").and_then(Value::as_u64).filter(|start| *start > 0),
            bounding: config
                .get("capabilities")
                .filter(|sets| sets.is_object())
                .map(|sets| spec::capabilities(sets.get("Bounding").or_else(|| sets.get("bounding")))),
            ..base
        },
    }
}

#[cfg(test)]
mod tests {
    use selkie_caps::{CapSet, Capability};

    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn container_of_each_runtime() {
        let runc = br#"{"id": "web", "init_process_pid": 101, "init_process_start": 4224792, "created": "2026-01-02T03:04:05Z",
            "config": {"capabilities": {"Bounding": ["CAP_KILL"]}, "labels": ["bundle=/srv/web"]}}"#;
        let found = container(Engine::Runc, "web", runc).unwrap();
        assert_eq!(found.bundle.as_deref(), Some("/srv/web"));
        assert_eq!(
            found.container,
            HostContainer {
                bounding: Some(CapSet::EMPTY.with(Capability::Kill)),
                created: Some("2026-01-02T03:04:05Z".to_owned()),
                pid: Some(101),
                start: Some(4_224_792),
                ..HostContainer::unknown(Engine::Runc, "web")
            }
        );
        let crun = container(Engine::Crun, "web", br#"{"pid": 7, "process-start-time": 9, "bundle": "/srv/web"}"#).unwrap();
        assert_eq!((crun.container.pid, crun.container.start, crun.bundle.as_deref()), (Some(7), Some(9), Some("/srv/web")));
        let youki = |status: &str| format!(r#"{{"id": "web", "status": "{status}", "pid": 7, "bundle": "/srv/web"}}"#);
        assert_eq!(container(Engine::Youki, "web", youki("running").as_bytes()).unwrap().container.pid, Some(7));
        assert_eq!(container(Engine::Youki, "web", youki("stopped").as_bytes()).unwrap().container.pid, None);
    }

    #[test]
    fn container_of_podman_in_runcs_directory_is_podmans() {
        let state =
            br#"{"init_process_pid": 7, "config": {"labels": ["io.container.manager=libpod", "io.podman.annotations.privileged=TRUE"]}}"#;
        let found = container(Engine::Runc, ID, state).unwrap().container;
        assert_eq!((found.owner.engine, found.privileged), (Engine::Podman, Some(true)));
    }

    #[test]
    fn container_with_a_hostile_id_or_file_is_none() {
        assert_eq!(container(Engine::Runc, "..", b"{}"), None);
        assert_eq!(container(Engine::Runc, "a\x1b[2J", b"{}"), None);
        assert_eq!(container(Engine::Runc, "web", b"nonsense"), None);
        assert!(container(Engine::Runc, "web", b"{}").is_some());
    }
}
