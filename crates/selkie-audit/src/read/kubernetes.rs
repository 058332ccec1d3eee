//! Kubernetes objects that make pods. Settings of pod and container are merged as the API documents it: `SecurityContext`,
//! "values specified in SecurityContext take precedence"; capabilities, `privileged`, `procMount` and the root file system are the
//! container's only, sysctls and host namespaces the pod's only.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::Reading;
use crate::subject::{Engine, KubernetesExtra, Mount, Namespace, Selinux};
use crate::tree::{Node, Value};
use crate::{Confinement, FileType, Fix, Located, ReadError, Rule, Subject};

/// How deep a `List` may hold lists.
const LISTS: usize = 4;

pub(super) fn read(reading: &mut Reading) -> Result<Vec<Subject>, ReadError> {
    let documents = reading.yaml()?;
    let is_object = |node: &Rc<Node>| node.entry("kind").is_some() || matches!(node.value, Value::Null);
    if !documents.iter().any(is_object) {
        let problem = "there is no object with a `kind`".to_owned();
        return Err(ReadError::NotThatKind { kind: FileType::Kubernetes, problem, place: reading.source.place(0, 0) });
    }
    let mut subjects = Vec::new();
    for document in &documents {
        object(reading, document, None, 0, &mut subjects);
        if subjects.len() > super::SUBJECT_LIMIT {
            break;
        }
    }
    reading.subject.clear();
    Ok(subjects)
}

/// Reads an object; items of a `PodList` need no kind, they are of the list's.
fn object(reading: &mut Reading, node: &Node, item_of: Option<&str>, depth: usize, subjects: &mut Vec<Subject>) {
    let kind = node.get("kind").and_then(|kind| kind.scalar()).filter(|kind| !kind.is_empty());
    let kind = kind.unwrap_or_else(|| item_of.unwrap_or_default().to_owned());
    let metadata = node.get("metadata");
    let word = |key: &str| metadata.and_then(|metadata| metadata.get(key)).and_then(|value| value.scalar());
    let name = word("name").or_else(|| word("generateName")).unwrap_or_else(|| "?".to_owned());
    let namespace = word("namespace").map_or_else(String::new, |namespace| format!("{namespace}/"));
    reading.subject = format!("{namespace}{kind}/{name}");
    if kind == "List" || kind.ends_with("List") && node.entry("items").is_some() {
        for item in reading.list(node, "items").iter().take(super::SUBJECT_LIMIT) {
            if depth < LISTS {
                object(reading, item, kind.strip_suffix("List"), depth + 1, subjects);
            }
        }
        return;
    }
    let template = |reading: &mut Reading, node: &Node| reading.map(node, "template").cloned();
    let pod: Option<Rc<Node>> = match kind.as_str() {
        "Pod" => None,
        "PodTemplate" => template(reading, node),
        "Deployment" | "StatefulSet" | "DaemonSet" | "Job" | "ReplicaSet" | "ReplicationController" => {
            reading.map(node, "spec").cloned().and_then(|spec| template(reading, &spec))
        }
        "CronJob" => {
            let spec = reading.map(node, "spec").cloned().and_then(|spec| reading.map(&spec, "jobTemplate").cloned());
            spec.and_then(|job| reading.map(&job, "spec").cloned()).and_then(|spec| template(reading, &spec))
        }
        // Kinds that others have defined, as Argo's Rollout and Knative's Service, mostly have their pods where a Deployment has them.
        _ => foreign(node),
    };
    let pod: &Node = match (&pod, kind.as_str()) {
        (Some(pod), _) => pod,
        (None, "Pod") => node,
        _ => return,
    };
    let Some(spec) = reading.map(pod, "spec").cloned() else { return };
    let base = reading.subject.clone();
    let general = pod_level(reading, pod, &spec);
    let volumes = volumes(reading, &spec);
    let mut used = BTreeSet::new();
    for key in ["initContainers", "containers", "ephemeralContainers"] {
        for item in reading.list(&spec, key) {
            let name = item.get("name").and_then(|name| name.scalar()).unwrap_or_else(|| "?".to_owned());
            reading.subject = format!("{base}:{name}");
            if matches!(item.value, Value::Map(_)) {
                let subject = container(reading, &general, &volumes, &mut used, pod, item, &name);
                subjects.push(Subject { name: reading.subject.clone(), ..subject });
            } else {
                reading.wrong(key, item.place, item.kind(), "a list of maps");
            }
        }
    }
    // A volume that no container mounts is the pod's all the same, and the standards forbid it; it opens no container.
    reading.subject = base;
    for (_, volume) in volumes.iter().filter(|(name, _)| !used.contains(*name)) {
        let source: String = volume.value.source.chars().take(100).collect();
        let fix = Fix { text: "take the volume away".to_owned(), ..Fix::default() };
        if volume.value.of_host {
            let text = format!("{source} of the node is a volume, which no container mounts");
            reading.note(Rule::HostPath, text, volume.place, fix);
        } else {
            let text = format!("a volume of type `{source}` is none of the restricted standard, and no container mounts it");
            reading.note(Rule::VolumeType, text, volume.place, fix);
        }
    }
}

/// Returns the pod template of an object whose kind is not known: of anything else that is called `template` nothing is expected.
fn foreign(node: &Node) -> Option<Rc<Node>> {
    let within = |node: &Rc<Node>, keys: &[&str]| keys.iter().try_fold(node.clone(), |node, key| node.get(key).cloned());
    let spec = node.get("spec")?;
    let templates = [&["template"][..], &["jobTemplate", "spec", "template"]];
    let has_containers = |pod: &Rc<Node>| {
        let lists = ["containers", "initContainers"].map(|key| within(pod, &["spec", key]));
        lists.into_iter().flatten().any(|list| list.items().iter().any(|item| matches!(item.value, Value::Map(_))))
    };
    templates.into_iter().filter_map(|keys| within(spec, keys)).find(has_containers)
}

/// What the pod says for all of its containers.
fn pod_level(reading: &mut Reading, pod: &Node, spec: &Rc<Node>) -> Subject {
    let mut subject = Subject { engine: Engine::Kubernetes, defaults: selkie_caps::DOCKER_DEFAULTS, ..Subject::default() };
    let host = [("hostPID", Namespace::Pid), ("hostNetwork", Namespace::Network), ("hostIPC", Namespace::Ipc)];
    for (key, namespace) in host {
        let shared = reading.truth(spec, key).filter(|flag| flag.value);
        subject.host_namespaces.extend(shared.map(|flag| Located { value: namespace, place: flag.place }));
    }
    // `hostUsers: false` asks for an own user namespace; `true` is what is usual.
    subject.own_users = reading.truth(spec, "hostUsers").map(|flag| Located { value: !flag.value, place: flag.place });
    if let Some(context) = reading.map(spec, "securityContext").cloned() {
        common(reading, &context, &mut subject);
        for item in reading.list(&context, "sysctls") {
            let word = |key: &str| item.get(key).and_then(|value| value.scalar()).unwrap_or_default();
            subject.sysctls.push(Located::new((word("name"), word("value")), item.place));
        }
    }
    for entry in pod.get("metadata").and_then(|metadata| metadata.get("annotations")).map_or(&[][..], |node| node.entries()) {
        if entry.key.value == "seccomp.security.alpha.kubernetes.io/pod" && subject.seccomp.is_none() {
            subject.seccomp = entry.value.scalar().map(|text| Located::new(annotation(&text), entry.value.place));
        }
    }
    subject
}

/// What pod and container may both say; what is said here wins.
fn common(reading: &mut Reading, context: &Node, subject: &mut Subject) {
    if let Some(user) = reading.text(context, "runAsUser") {
        subject.user = Some(user);
    }
    if let Some(flag) = reading.truth(context, "runAsNonRoot") {
        subject.non_root = Some(flag);
    }
    if let Some(profile) = profile(reading, context, "seccompProfile") {
        subject.seccomp = Some(profile);
    }
    if let Some(profile) = profile(reading, context, "appArmorProfile") {
        subject.apparmor = Some(profile);
    }
    if let Some(options) = reading.map(context, "seLinuxOptions").cloned() {
        let part = |key: &str, make: fn(String) -> Selinux| {
            options.get(key).and_then(|value| Some(Located::new(make(value.scalar()?), value.place)))
        };
        let parts = [part("type", Selinux::Type), part("user", Selinux::User), part("role", Selinux::Role)];
        subject.selinux = parts.into_iter().flatten().collect();
    }
    let windows = context.get("windowsOptions").and_then(|options| options.get("hostProcess"));
    let host_process = windows.filter(|flag| flag.truth() == Some(true));
    subject.kubernetes.extend(host_process.map(|flag| Located::new(KubernetesExtra::HostProcess, flag.place)));
}

fn profile(reading: &mut Reading, context: &Node, key: &str) -> Option<Located<Confinement>> {
    let profile = reading.map(context, key)?.clone();
    let kind = reading.text(&profile, "type")?;
    let value = match kind.value.as_str() {
        "Unconfined" => Confinement::Unconfined,
        "RuntimeDefault" => Confinement::Default,
        "Localhost" => Confinement::Profile(profile.get("localhostProfile").and_then(|name| name.scalar()).unwrap_or_default()),
        _ => {
            reading.wrong("type", profile.get("type")?.place, "another word", "`RuntimeDefault`, `Localhost` or `Unconfined`");
            return None;
        }
    };
    Some(Located { value, place: kind.place })
}

/// Profiles as annotations named them before they were fields.
fn annotation(text: &str) -> Confinement {
    match text {
        "unconfined" => Confinement::Unconfined,
        "runtime/default" | "docker/default" => Confinement::Default,
        other => Confinement::Profile(other.trim_start_matches("localhost/").to_owned()),
    }
}

fn container(
    reading: &mut Reading,
    general: &Subject,
    volumes: &Volumes,
    used: &mut BTreeSet<String>,
    pod: &Node,
    node: &Rc<Node>,
    name: &str,
) -> Subject {
    let mut subject = Subject { place: Some(node.place), ..general.clone() };
    subject.image = reading.text(node, "image").map(|image| image.value);
    let annotations = pod.get("metadata").and_then(|metadata| metadata.get("annotations"));
    let old = annotations.and_then(|node| node.get(&format!("container.apparmor.security.beta.kubernetes.io/{name}")));
    if let Some(old) = old {
        subject.apparmor = old.scalar().map(|text| Located::new(annotation(&text), old.place));
    }
    if let Some(context) = reading.map(node, "securityContext").cloned() {
        common(reading, &context, &mut subject);
        subject.privileged = reading.truth(&context, "privileged");
        subject.read_only_root = reading.truth(&context, "readOnlyRootFilesystem");
        let escalation = reading.truth(&context, "allowPrivilegeEscalation");
        subject.no_new_privileges = escalation.map(|flag| Located { value: !flag.value, place: flag.place });
        if let Some(capabilities) = reading.map(&context, "capabilities").cloned() {
            subject.added = reading.texts(&capabilities, "add");
            subject.dropped = reading.texts(&capabilities, "drop");
        }
        let unmasked = reading.text(&context, "procMount").filter(|mount| mount.value == "Unmasked");
        subject.unmasked.extend(unmasked.map(|mount| Located { value: "ALL".to_owned(), place: mount.place }));
    }
    for port in reading.list(node, "ports") {
        if let Some(host) = port.get("hostPort")
            && host.scalar().is_some_and(|port| port != "0")
        {
            subject.host_ports.push(Located::new(host.scalar().unwrap_or_default(), host.place));
        }
    }
    subject.mounts = mounts(reading, volumes, used, node);
    subject.kubernetes.extend(probes(node));
    for item in reading.list(node, "volumeMounts") {
        if let Some(mode) = item.get("mountPropagation").filter(|mode| mode.scalar().as_deref() == Some("Bidirectional")) {
            let target = item.get("mountPath").and_then(|path| path.scalar()).unwrap_or_default();
            subject.kubernetes.push(Located::new(KubernetesExtra::Bidirectional(target), mode.place));
        }
    }
    subject
}

/// Hosts of probes and hooks: Pod Security Standards, "Host Probes / Lifecycle Hooks" (v1.34), which allow none, the node's own neither.
fn probes(node: &Node) -> Vec<Located<KubernetesExtra>> {
    let probes = ["livenessProbe", "readinessProbe", "startupProbe"].into_iter().filter_map(|key| node.get(key));
    let hooks = node.get("lifecycle").into_iter().flat_map(|hooks| ["postStart", "preStop"].into_iter().filter_map(|key| hooks.get(key)));
    let actions = probes.chain(hooks).flat_map(|probe| ["httpGet", "tcpSocket"].into_iter().filter_map(|key| probe.get(key)));
    let host = |action: &Rc<Node>| {
        let host = action.get("host")?;
        let name = host.scalar().filter(|name| !name.is_empty())?;
        Some(Located::new(KubernetesExtra::ProbeHost(name), host.place))
    };
    actions.filter_map(host).collect()
}

/// Volumes of the pod that are paths of the node or of unusual types, by name, each as it would be mounted read-only.
type Volumes = BTreeMap<String, Located<Mount>>;

/// Types that the restricted standard lists.
const USUAL: [&str; 9] =
    ["configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret", "image"];

fn volumes(reading: &mut Reading, spec: &Node) -> Volumes {
    let mut volumes = Volumes::new();
    for item in reading.list(spec, "volumes") {
        let name = item.get("name").and_then(|name| name.scalar()).unwrap_or_default();
        for entry in item.entries() {
            let kind = entry.key.value.as_str();
            if kind == "name" || USUAL.contains(&kind) {
                continue;
            }
            let path = entry.value.get("path").filter(|_| kind == "hostPath");
            let source = path.and_then(|path| path.scalar());
            let place = path.map_or(entry.key.place, |path| Some(path.place));
            let mount = Mount {
                of_host: kind == "hostPath",
                source: source.unwrap_or_else(|| kind.to_owned()),
                read_only: true,
                ..Mount::default()
            };
            volumes.insert(name.clone(), Located { value: mount, place });
        }
    }
    volumes
}

fn mounts(reading: &mut Reading, volumes: &Volumes, used: &mut BTreeSet<String>, node: &Node) -> Vec<Located<Mount>> {
    let mut mounts = Vec::new();
    for item in reading.list(node, "volumeMounts") {
        let word = |key: &str| item.get(key).and_then(|value| value.scalar()).unwrap_or_default();
        let Some((name, volume)) = volumes.get_key_value(&word("name")) else { continue };
        used.insert(name.clone());
        let mount = Mount {
            target: word("mountPath"),
            read_only: item.get("readOnly").and_then(|value| value.truth()).unwrap_or(false),
            ..volume.value.clone()
        };
        mounts.push(Located { value: mount, place: volume.place });
    }
    mounts
}
