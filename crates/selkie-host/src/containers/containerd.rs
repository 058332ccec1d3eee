//! containerd: `io.containerd.runtime.v2.task/NAMESPACE/ID/config.json` beneath its run directory, of containers that have a task
//! only; of all there is its [database](super::metadata).
//!
//! The namespace says who used containerd: `moby` is Docker, `k8s.io` a kubelet, `default` is ctr and nerdctl.

use super::HostContainer;
use super::spec::Spec;
use crate::engines::{is_id, is_name};
use crate::{Engine, Owner};

/// What a pod's own container is called, which holds its namespaces and has no name.
pub(super) const POD: &str = "POD";

/// Returns whose the container `id` of a namespace is; `None` when one of both names is none that containerd takes.
pub(super) fn owner(namespace: &str, id: &str) -> Option<Owner> {
    if !is_name(namespace) || !is_name(id) {
        return None;
    }
    Some(match namespace {
        "moby" => Owner { engine: Engine::Docker, id: Some(id).filter(|id| is_id(id))?.to_owned() },
        "default" | "k8s.io" => Owner { engine: Engine::Containerd, id: id.to_owned() },
        _ => Owner { engine: Engine::Containerd, id: format!("{namespace}/{id}") },
    })
}

/// Describes a container by its specification, and by its first process.
pub(super) fn container(namespace: &str, owner: Owner, spec: Option<Spec>, pid: Option<u32>) -> HostContainer {
    let Owner { engine, id } = owner;
    let spec = spec.unwrap_or_default();
    let cri = |key: &str| spec.annotation(&format!("io.kubernetes.cri.{key}"));
    let name = match cri("container-type").as_deref() {
        Some("sandbox") => Some(POD.to_owned()),
        _ => cri("container-name").or_else(|| spec.annotation("nerdctl/name")),
    };
    HostContainer {
        name,
        image: cri("image-name"),
        pod: cri("sandbox-name"),
        namespace: cri("sandbox-namespace").or_else(|| (engine == Engine::Containerd).then(|| namespace.to_owned())),
        bounding: spec.bounding,
        filter: spec.filter.clone(),
        command: spec.command.clone(),
        pid,
        ..HostContainer::unknown(engine, id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::containers::spec;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn owner_by_namespace() {
        let of = |namespace: &str, id: &str| owner(namespace, id).map(|owner| (owner.engine, owner.id));
        assert_eq!(of("moby", ID), Some((Engine::Docker, ID.to_owned())));
        assert_eq!(of("k8s.io", ID), Some((Engine::Containerd, ID.to_owned())));
        assert_eq!(of("default", "redis"), Some((Engine::Containerd, "redis".to_owned())));
        assert_eq!(of("build", "redis"), Some((Engine::Containerd, "build/redis".to_owned())));
        assert_eq!(of("moby", "short"), None);
        assert_eq!(of("..", "x"), None);
        assert_eq!(of("default", "\x1b[2J"), None);
    }

    #[test]
    fn container_of_a_kubelet_has_its_pod() {
        let spec = spec::parse(
            br#"{"process": {"args": ["nginx"]}, "annotations": {"io.kubernetes.cri.container-type": "container",
                "io.kubernetes.cri.container-name": "web", "io.kubernetes.cri.sandbox-name": "front", "io.kubernetes.cri.sandbox-namespace": "prod",
                "io.kubernetes.cri.image-name": "nginx:1"}}"#,
        );
        let found = container("k8s.io", owner("k8s.io", ID).unwrap(), spec, Some(7));
        assert_eq!(
            [found.title(), found.image.as_deref().unwrap(), found.pod.as_deref().unwrap(), found.namespace.as_deref().unwrap()],
            ["web", "nginx:1", "front", "prod"]
        );
        assert_eq!((found.pid, found.privileged), (Some(7), None));
    }

    #[test]
    fn container_without_a_specification_is_still_one() {
        let found = container("default", owner("default", "redis").unwrap(), None, None);
        assert_eq!((found.title(), found.namespace.as_deref()), ("redis", Some("default")));
    }
}
