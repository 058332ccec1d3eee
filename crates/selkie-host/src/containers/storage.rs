//! containers/storage, where Podman and CRI-O keep their containers: `DRIVER-containers/containers.json` lists them,
//! `DRIVER-containers/ID/userdata/config.json` is the specification of one.
//!
//! Both may share one store. What CRI-O made has a pod in its metadata; what has no metadata is a build's.

use std::collections::BTreeMap;

use serde_json::Value;

use super::spec::Spec;
use super::{HostContainer, json};
use crate::Engine;
use crate::engines::is_id;

/// The digests of images' manifests, by the images' ids.
pub(super) type Digests = BTreeMap<String, String>;

/// Parses `images.json`.
pub(super) fn digests(bytes: &[u8]) -> Option<Digests> {
    let value = json::parse(bytes)?;
    let entry = |image: &Value| Some((image.get("id")?.as_str()?.to_owned(), json::digest(image, "digest")?));
    Some(value.as_array()?.iter().filter_map(entry).collect())
}

/// Parses `containers.json`; entries without a valid id, and those of builds, are left out.
pub(super) fn list(bytes: &[u8], digests: &Digests) -> Option<Vec<HostContainer>> {
    let value = json::parse(bytes)?;
    Some(value.as_array()?.iter().filter_map(|value| entry(value, digests)).collect())
}

fn entry(value: &Value, digests: &Digests) -> Option<HostContainer> {
    let id = value.get("id").and_then(Value::as_str).filter(|id| is_id(id))?;
    let metadata = json::parse(value.get("metadata").and_then(Value::as_str)?.as_bytes())?;
    let pod = json::text(&metadata, "pod-name");
    let crio = pod.is_some() || metadata.get("pod-id").is_some();
    let engine = if crio { Engine::CriO } else { Engine::Podman };
    Some(HostContainer {
        name: json::text(&metadata, "name").or_else(|| json::texts(value, "names").into_iter().next()),
        image: json::text(&metadata, "image-name"),
        digest: value.get("image").and_then(Value::as_str).and_then(|id| digests.get(id)).cloned(),
        privileged: metadata.get("privileged").and_then(Value::as_bool).filter(|_| crio),
        pod,
        namespace: json::text(&metadata, "namespace"),
        created: json::text(value, "created"),
        ..HostContainer::unknown(engine, id)
    })
}

/// Adds what the specification says.
pub(super) fn describe(container: &mut HostContainer, spec: Spec) {
    let podman = container.owner.engine == Engine::Podman;
    let flag = if podman {
        // A pod's name is in Podman's data base alone. The annotation is the pod only where that has no infra container, nor a cgroup.
        let annotated = || spec.annotation("io.kubernetes.cri-o.SandboxID").filter(|id| is_id(id));
        let pod = spec.cgroup.as_deref().and_then(pod_of).map(str::to_owned).or_else(annotated);
        container.pod = container.pod.take().or(pod.and_then(|id| Some(id.get(..12)?.to_owned())));
        // Podman leaves the annotation out where it is not so, in some versions.
        Some(spec.switch("io.podman.annotations.privileged").unwrap_or(false))
    } else {
        container.name = spec.annotation("io.kubernetes.cri-o.ContainerName").or(container.name.take());
        container.namespace = spec.annotation("io.kubernetes.cri-o.Namespace").or(container.namespace.take());
        container.image = spec.annotation("io.kubernetes.cri-o.ImageName").or(container.image.take());
        spec.switch("io.kubernetes.cri-o.PrivilegedRuntime")
    };
    container.privileged = flag.or(container.privileged);
    container.bounding = spec.bounding;
    container.filter = spec.filter;
    container.command = spec.command;
}

/// Returns the id of the pod that one of Podman's cgroups is in: `/libpod_parent/POD/libpod-ID`, `machine-libpod_pod_POD.slice:libpod:ID`.
fn pod_of(cgroup: &str) -> Option<&str> {
    let (parent, _) = cgroup.split_once(":libpod:").or_else(|| cgroup.rsplit_once('/'))?;
    let last = parent.rsplit('/').next()?;
    let slice = last.strip_suffix(".slice").and_then(|slice| slice.rsplit_once("libpod_pod_"));
    Some(slice.map_or(last, |(_, id)| id)).filter(|id| is_id(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn list_of_podmans_crios_and_a_builds_containers() {
        let file = r#"[
            {"id": "ID", "names": ["web"], "image": "ID", "metadata": "{\"image-name\":\"docker.io/nginx\",\"name\":\"web\"}", "created": "2026-01-02T03:04:05Z"},
            {"id": "ID", "names": ["k8s_x"], "metadata": "{\"pod-name\":\"p\",\"pod-id\":\"1\",\"namespace\":\"prod\",\"privileged\":true,\"name\":\"k8s_x\"}"},
            {"id": "ID", "names": ["working"], "metadata": ""},
            {"id": "../../etc", "metadata": "{}"}, 7]"#
            .replace("ID", ID);
        let digest = format!("sha256:{ID}");
        let images = format!(r#"[{{"id": "ID", "digest": "{digest}"}}, {{"id": "other", "digest": "sha256:../x"}}, 7]"#).replace("ID", ID);
        let digests = digests(images.as_bytes()).unwrap();
        assert_eq!(digests, [(ID.to_owned(), digest.clone())].into());
        let found = list(file.as_bytes(), &digests).unwrap();
        assert_eq!(
            found,
            [
                HostContainer {
                    name: Some("web".to_owned()),
                    image: Some("docker.io/nginx".to_owned()),
                    digest: Some(digest),
                    created: Some("2026-01-02T03:04:05Z".to_owned()),
                    ..HostContainer::unknown(Engine::Podman, ID)
                },
                HostContainer {
                    name: Some("k8s_x".to_owned()),
                    pod: Some("p".to_owned()),
                    namespace: Some("prod".to_owned()),
                    privileged: Some(true),
                    ..HostContainer::unknown(Engine::CriO, ID)
                },
            ]
        );
        assert_eq!((list(b"{}", &digests), super::digests(b"{}")), (None, None));
    }

    #[test]
    fn describe_takes_the_engines_flag_from_its_annotation() {
        let spec = |key: &str, value: &str| Spec { annotations: [(key.to_owned(), value.to_owned())].into(), ..Spec::default() };
        let flag = |engine, spec| {
            let mut container = HostContainer::unknown(engine, ID);
            describe(&mut container, spec);
            container.privileged
        };
        assert_eq!(flag(Engine::Podman, spec("io.podman.annotations.privileged", "TRUE")), Some(true));
        assert_eq!(flag(Engine::Podman, Spec::default()), Some(false));
        assert_eq!(flag(Engine::CriO, spec("io.kubernetes.cri-o.PrivilegedRuntime", "true")), Some(true));
        assert_eq!(flag(Engine::CriO, Spec::default()), None);
    }

    #[test]
    fn describe_of_podmans_container_in_a_pod_has_the_beginning_of_the_pods_id() {
        const INFRA: &str = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";
        let pod = |cgroup: &str, sandbox: &str| {
            let mut container = HostContainer::unknown(Engine::Podman, ID);
            let annotations = [("io.kubernetes.cri-o.SandboxID".to_owned(), sandbox.to_owned())].into();
            describe(&mut container, Spec { cgroup: Some(cgroup.replace("ID", ID)), annotations, ..Spec::default() });
            container.pod
        };
        for cgroup in
            ["/libpod_parent/ID/libpod-ID", "machine-libpod_pod_ID.slice:libpod:ID", "user.slice/user-libpod_pod_ID.slice:libpod:ID"]
        {
            assert_eq!(pod(cgroup, INFRA).as_deref(), Some("0123456789ab"), "{cgroup}");
        }
        for cgroup in ["", "/", "/libpod_parent/libpod-ID", "machine.slice:libpod:ID", "/x/../libpod-ID", "machine-libpod_pod_ID:libpod:ID"]
        {
            assert_eq!(pod(cgroup, ID).as_deref(), Some("0123456789ab"), "{cgroup}: a pod without an infra container");
            assert_eq!(pod(cgroup, "../x"), None, "{cgroup}");
        }
    }
}
