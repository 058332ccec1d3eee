//! Compose files: the keys of a service that decide what it may do. compose-spec.io, "Services top-level elements".
//!
//! `extends` of another file and `include` name files that are not read: that is said.

use std::rc::Rc;

use super::project::{Project, Shared};
use super::{Reading, extends, is_path, security_opt, variables};
use crate::subject::{Engine, Hook, Mount, Namespace};
use crate::tree::{Node, Value};
use crate::{FileType, Located, Place, ReadError, Subject};

pub(super) fn read(reading: &mut Reading, name: &str) -> Result<Vec<Subject>, ReadError> {
    let documents = reading.yaml()?;
    let problem = "there is no map of `services`".to_owned();
    let missing = ReadError::NotThatKind { kind: FileType::Compose, problem, place: reading.source.place(0, 0) };
    if !documents.iter().any(|document| document.entry("services").is_some() || document.entry("include").is_some()) {
        return Err(missing);
    }
    let mut subjects = Vec::new();
    for document in documents {
        if let Some(include) = document.entry("include") {
            reading.later("include", "other files", include.key.place);
        }
        let Some(services) = reading.map(&document, "services").cloned() else { continue };
        let services = extends::resolve(reading, name, services.entries())?;
        let project = Project::new(&document, &services);
        for one in &services {
            reading.subject.clone_from(&one.name);
            if let Some((text, place)) = &one.elsewhere {
                reading.later("extends", text, *place);
            }
            subjects.push(service(reading, &project, &one.name, &one.node));
        }
        reading.subject.clear();
    }
    Ok(subjects)
}

fn service(reading: &mut Reading, project: &Project, name: &str, node: &Rc<Node>) -> Subject {
    let mut subject = Subject {
        name: name.to_owned(),
        engine: Engine::Docker,
        place: Some(node.place),
        image: text(reading, node, "image").map(|image| image.value),
        defaults: selkie_caps::DOCKER_DEFAULTS,
        added: texts(reading, node, "cap_add"),
        dropped: texts(reading, node, "cap_drop"),
        privileged: truth(reading, node, "privileged"),
        user: text(reading, node, "user"),
        read_only_root: truth(reading, node, "read_only"),
        devices: devices(reading, node),
        device_rules: texts(reading, node, "device_cgroup_rules"),
        ..Subject::default()
    };
    for option in texts(reading, node, "security_opt") {
        security_opt::apply(&mut subject, &option);
    }
    subject.host_namespaces = namespaces(reading, project, node);
    subject.sysctls = sysctls(reading, node);
    subject.mounts = mounts(reading, project, node);
    subject.hooks = hooks(reading, node);
    subject
}

/// Namespaces of the host, also by way of another service.
fn namespaces(reading: &mut Reading, project: &Project, node: &Node) -> Vec<Located<Namespace>> {
    let keys = [
        ("pid", Namespace::Pid),
        ("network_mode", Namespace::Network),
        ("ipc", Namespace::Ipc),
        ("uts", Namespace::Uts),
        ("userns_mode", Namespace::User),
        ("cgroup", Namespace::Cgroup),
    ];
    let mut shared = Vec::new();
    for (key, namespace) in keys {
        let value = text(reading, node, key);
        match project.namespace(node, key) {
            Shared::Host(place) => shared.push(Located { value: namespace, place }),
            Shared::Own => {}
            Shared::Unknown => {
                let (text, place) = value.map_or((String::new(), None), |value| (value.value, value.place));
                reading.later(key, &text, place);
            }
        }
    }
    shared
}

/// `post_start` and `pre_stop`: commands with a user and a `privileged` of their own.
fn hooks(reading: &mut Reading, node: &Node) -> Vec<Hook> {
    let mut hooks = Vec::new();
    for key in ["post_start", "pre_stop"] {
        for item in reading.list(node, key) {
            if matches!(item.value, Value::Map(_)) {
                let (privileged, user) = (truth(reading, item, "privileged"), text(reading, item, "user"));
                hooks.push(Hook { name: key.to_owned(), privileged, user });
            } else {
                reading.wrong(key, item.place, item.kind(), "a list of maps");
            }
        }
    }
    hooks
}

/// Returns the text at `key` with its variables filled in.
fn text(reading: &mut Reading, node: &Node, key: &str) -> Option<Located<String>> {
    let text = reading.text(node, key)?;
    Some(filled(reading, key, text))
}

fn filled(reading: &mut Reading, key: &str, text: Located<String>) -> Located<String> {
    let filled = variables::fill(&text.value);
    // A tag or a name that changes is usual, and says nothing about privileges.
    if filled.open && !matches!(key, "image" | "volumes") {
        reading.later(key, &text.value, text.place);
    }
    Located { value: filled.text, place: text.place }
}

fn texts(reading: &mut Reading, node: &Node, key: &str) -> Vec<Located<String>> {
    reading.texts(node, key).into_iter().map(|text| filled(reading, key, text)).collect()
}

/// Returns the truth value at `key`; text is taken too, since variables are text.
fn truth(reading: &mut Reading, node: &Node, key: &str) -> Option<Located<bool>> {
    let value = node.get(key)?;
    let Value::Text { text, plain: _ } = &value.value else { return reading.truth(node, key) };
    let filled = filled(reading, key, Located::new(text.clone(), value.place));
    match filled.value.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "y" | "1" => Some(Located::new(true, value.place)),
        "false" | "no" | "off" | "n" | "0" => Some(Located::new(false, value.place)),
        "" => None,
        _ => {
            reading.wrong(key, value.place, value.kind(), "`true` or `false`");
            None
        }
    }
}

/// `devices`: `HOST:CONTAINER:RIGHTS`, or a map with `source`.
fn devices(reading: &mut Reading, node: &Node) -> Vec<Located<String>> {
    let mut devices = Vec::new();
    for item in reading.list(node, "devices") {
        let device =
            if matches!(item.value, Value::Map(_)) { item.get("source").and_then(|source| source.scalar()) } else { item.scalar() };
        match device {
            Some(device) => {
                unset(reading, "devices", item);
                devices.push(Located::new(variables::fill(&device).text, item.place));
            }
            None => reading.wrong("devices", item.place, item.kind(), "a list of texts"),
        }
    }
    devices
}

/// `sysctls`: a map, or a list of `NAME=VALUE`.
fn sysctls(reading: &mut Reading, node: &Node) -> Vec<Located<(String, String)>> {
    let Some(value) = node.get("sysctls") else { return Vec::new() };
    if let Value::Map(entries) = &value.value {
        let pair = |place: Place, key: &str, value: &Node| Located::new((key.to_owned(), value.scalar().unwrap_or_default()), place);
        return entries.iter().map(|entry| pair(entry.key.place.unwrap_or(entry.value.place), &entry.key.value, &entry.value)).collect();
    }
    let split = |text: &str| text.split_once('=').map_or((text.to_owned(), String::new()), |(key, value)| (key.into(), value.into()));
    texts(reading, node, "sysctls").into_iter().map(|text| Located { value: split(&text.value), place: text.place }).collect()
}

fn mounts(reading: &mut Reading, project: &Project, node: &Node) -> Vec<Located<Mount>> {
    let mut mounts = Vec::new();
    for item in reading.list(node, "volumes") {
        let Some(mount) = project.mount(item) else {
            reading.wrong("volumes", item.place, item.kind(), "a list of texts or maps");
            continue;
        };
        unset(reading, "volumes", item);
        mounts.push(Located::new(mount, item.place));
    }
    // Docker's own socket, given by the engine itself.
    if let Some(flag) = truth(reading, node, "use_api_socket").filter(|flag| flag.value) {
        let socket = "/var/run/docker.sock".to_owned();
        let mount = Mount { source: socket.clone(), target: socket, of_host: true, ..Mount::default() };
        mounts.push(Located { value: mount, place: flag.place });
    }
    let others = texts(reading, node, "volumes_from");
    for unknown in project.mounts_of_others(&others, &mut mounts) {
        reading.later("volumes_from", &unknown.value, unknown.place);
    }
    mounts
}

/// Notes that the source of a mount or device is a variable without a default.
fn unset(reading: &mut Reading, key: &str, item: &Node) {
    let Some(text) = item.get("source").map_or(item, AsRef::as_ref).scalar() else { return };
    let source = if matches!(item.value, Value::Map(_)) { text.as_str() } else { variables::source(&text) };
    if variables::fill(source).unset {
        reading.later(key, &text, Some(item.place));
    }
}

/// Returns what an item of `volumes` mounts.
pub(super) fn mount(item: &Node) -> Option<Mount> {
    match &item.value {
        Value::Map(_) => Some(long(item)),
        _ => item.scalar().map(|text| short(&variables::fill(&text).text)),
    }
}

/// Returns the path of the container that an item of `volumes` or `devices` is for.
pub(super) fn target(item: &Node) -> Option<String> {
    mount(item).map(|mount| mount.target)
}

/// `SOURCE:TARGET:OPTIONS`, `VOLUME:TARGET`, or `TARGET`.
pub(super) fn short(text: &str) -> Mount {
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, options) = match parts.as_slice() {
        [source, target, options, ..] => (*source, *target, *options),
        [source, target] => (*source, *target, ""),
        _ => ("", text, ""),
    };
    let has = |names: &[&str]| options.split(',').any(|option| names.contains(&option));
    Mount {
        source: source.to_owned(),
        target: target.to_owned(),
        of_host: is_path(source),
        read_only: has(&["ro", "readonly"]),
        propagates: has(&["shared", "rshared"]),
    }
}

fn long(node: &Node) -> Mount {
    let text = |key: &str| node.get(key).and_then(|value| value.scalar()).map(|text| variables::fill(&text).text).unwrap_or_default();
    let bind = node.get("bind").and_then(|bind| bind.get("propagation")).and_then(|value| value.scalar()).unwrap_or_default();
    Mount {
        source: text("source"),
        target: text("target"),
        of_host: text("type") == "bind" || is_path(&text("source")),
        read_only: node.get("read_only").and_then(|value| value.truth()).unwrap_or(false),
        propagates: matches!(bind.as_str(), "shared" | "rshared"),
    }
}
