//! An OCI runtime's config.json: opencontainers/runtime-spec, config-linux.md. What it does not say is not there.

use std::rc::Rc;

use selkie_caps::CapSet;

use super::{Reading, stem};
use crate::subject::{Engine, Mount, Namespace, capability};
use crate::tree::{Node, Value};
use crate::{Confinement, FileType, Located, ReadError, Subject};

pub(super) fn read(reading: &mut Reading, name: &str) -> Result<Vec<Subject>, ReadError> {
    let root = reading.json()?;
    if root.entry("ociVersion").is_none() && root.entry("process").is_none() {
        let problem = "there is neither `ociVersion` nor `process`".to_owned();
        return Err(ReadError::NotThatKind { kind: FileType::Oci, problem, place: root.place });
    }
    let name = if name == "-" { "config.json".to_owned() } else { stem(name) };
    reading.subject.clone_from(&name);
    let mut subject = Subject { name, engine: Engine::Oci, place: Some(root.place), ..Subject::default() };
    process(reading, &root, &mut subject);
    subject.read_only_root = reading.map(&root, "root").cloned().and_then(|node| reading.truth(&node, "readonly"));
    linux(reading, &root, &mut subject);
    mounts(reading, &root, &mut subject);
    let annotation = root.get("annotations").and_then(|node| node.get("io.podman.annotations.privileged")).and_then(|node| node.scalar());
    if annotation.as_deref() == Some("TRUE") {
        subject.privileged = root.get("annotations").map(|node| Located::new(true, node.place));
    }
    Ok(vec![subject])
}

fn process(reading: &mut Reading, root: &Node, subject: &mut Subject) {
    let mut set = CapSet::EMPTY;
    if let Some(process) = reading.map(root, "process").cloned() {
        if let Some(user) = reading.map(&process, "user").cloned() {
            subject.user = reading.text(&user, "uid");
        }
        subject.no_new_privileges = reading.truth(&process, "noNewPrivileges");
        if let Some(apparmor) = reading.text(&process, "apparmorProfile") {
            subject.apparmor = Some(Located { value: super::security_opt::confinement(&apparmor.value), place: apparmor.place });
        }
        if let Some(capabilities) = reading.map(&process, "capabilities").cloned() {
            subject.added = reading.texts(&capabilities, "bounding");
            for name in ["effective", "permitted", "inheritable", "ambient"] {
                subject.also.extend(reading.texts(&capabilities, name));
            }
            set = subject.added.iter().filter_map(|name| capability(&name.value)).fold(set, CapSet::with);
        }
    }
    subject.effective = Some(set);
    if set == CapSet::KNOWN {
        subject.privileged = subject.added.first().map(|first| Located { value: true, place: first.place });
    }
}

fn linux(reading: &mut Reading, root: &Node, subject: &mut Subject) {
    let linux = match reading.map(root, "linux").cloned() {
        Some(linux) => linux,
        None if root.get("windows").is_some() => return,
        // Without it nothing stands between.
        None => Rc::new(Node { place: root.place, value: Value::Map(Vec::new()) }),
    };
    namespaces(reading, &linux, subject);
    let seccomp = reading.map(&linux, "seccomp");
    let refuses = seccomp.is_some_and(|node| refuses(node));
    let value = if refuses { Confinement::Profile("seccomp".to_owned()) } else { Confinement::Unconfined };
    subject.seccomp = Some(Located::new(value, seccomp.map_or(linux.place, |node| node.place)));
    if linux.get("maskedPaths").is_none_or(|paths| paths.items().is_empty()) {
        subject.unmasked.push(Located::new("ALL".to_owned(), linux.get("maskedPaths").map_or(linux.place, |node| node.place)));
    }
    for device in reading.list(&linux, "devices") {
        if let Some(path) = device.get("path") {
            subject.devices.push(Located::new(path.scalar().unwrap_or_default(), path.place));
        }
    }
    for entry in reading.map(&linux, "sysctl").cloned().iter().flat_map(|node| node.entries()) {
        let pair = (entry.key.value.clone(), entry.value.scalar().unwrap_or_default());
        subject.sysctls.push(Located { value: pair, place: entry.key.place });
    }
    let rules = linux.get("resources").and_then(|node| node.get("devices").cloned());
    subject.device_rules = rules.iter().flat_map(|rules| rules.items()).filter_map(rule).collect();
}

/// Namespaces that are not made anew: those that are not named are the runtime's, which is the host's, those with a path are joined.
fn namespaces(reading: &mut Reading, linux: &Node, subject: &mut Subject) {
    let kinds = [
        ("pid", Some(Namespace::Pid)),
        ("network", Some(Namespace::Network)),
        ("ipc", Some(Namespace::Ipc)),
        ("uts", Some(Namespace::Uts)),
        ("cgroup", Some(Namespace::Cgroup)),
        ("user", None),
        ("mount", None),
    ];
    let list = reading.list(linux, "namespaces").to_vec();
    let place = linux.entry("namespaces").and_then(|entry| entry.key.place).or(Some(linux.place));
    for (kind, namespace) in kinds {
        let mut is_named = false;
        for node in list.iter().filter(|node| node.get("type").and_then(|node| node.scalar()).as_deref() == Some(kind)) {
            is_named = true;
            let path = node.get("path").and_then(|path| path.scalar()).filter(|path| !path.is_empty());
            match (path, namespace) {
                (None, _) if kind == "user" => subject.own_users = Some(Located::new(true, node.place)),
                (None, _) => {}
                (Some(path), Some(namespace)) if is_hosts(&path) => subject.host_namespaces.push(Located::new(namespace, node.place)),
                (Some(path), None) if is_hosts(&path) => {
                    subject.mounts.extend((kind == "mount").then(|| Located::new(Mount::root_of_host(), node.place)));
                }
                (Some(path), _) => reading.joined(kind, &format!("`{path}`"), Some(node.place)),
            }
        }
        match namespace {
            // Engines leave it out on cgroup v1, and nothing tells which one this is for: what is mounted decides.
            Some(Namespace::Cgroup) | None => {}
            Some(value) if !is_named => subject.host_namespaces.push(Located { value, place }),
            Some(_) => {}
        }
    }
}

/// Tells whether a path leads to a namespace of the host's first process, or of the runtime itself.
fn is_hosts(path: &str) -> bool {
    let path = crate::check::clean(path);
    let process = path.strip_prefix("/proc/").and_then(|rest| rest.rsplit_once("/ns/")).map(|(process, _)| process);
    process.is_some_and(|process| matches!(process, "1" | "1/task/1" | "self" | "thread-self") || process.starts_with("self/task/"))
}

/// Tells whether a filter refuses any call, by default or by a rule. Without an action by default
/// runc has no filter, and crun takes no such file.
fn refuses(seccomp: &Node) -> bool {
    let lets = |node: &Node, key: &str| {
        let action = node.get(key).and_then(|action| action.scalar()).unwrap_or_default();
        matches!(action.as_str(), "" | "SCMP_ACT_ALLOW" | "SCMP_ACT_LOG")
    };
    let names = |rule: &Node| rule.get("names").is_some_and(|names| !names.items().is_empty()) || rule.get("name").is_some();
    let rules = seccomp.get("syscalls").map_or(&[][..], |rules| rules.items());
    !lets(seccomp, "defaultAction") || rules.iter().any(|rule| names(rule) && !lets(rule, "action"))
}

/// A rule that allows something, in the words of the device cgroup.
fn rule(node: &Rc<Node>) -> Option<Located<String>> {
    let word = |key: &str| node.get(key).and_then(|value| value.scalar());
    if node.get("allow")?.truth() != Some(true) {
        return None;
    }
    let number = |key: &str| word(key).filter(|number| number != "-1").unwrap_or_else(|| "*".to_owned());
    let kind = word("type").unwrap_or_else(|| "a".to_owned());
    let text = format!("{kind} {}:{} {}", number("major"), number("minor"), word("access").unwrap_or_else(|| "rwm".to_owned()));
    Some(Located::new(text, node.place))
}

fn mounts(reading: &mut Reading, root: &Node, subject: &mut Subject) {
    let namespaces = root.get("linux").and_then(|linux| linux.get("namespaces")).map_or(&[][..], |list| list.items());
    let own_cgroups = namespaces.iter().any(|node| node.get("type").and_then(|node| node.scalar()).as_deref() == Some("cgroup"));
    for item in reading.list(root, "mounts") {
        let word = |key: &str| item.get(key).and_then(|value| value.scalar()).unwrap_or_default();
        let options: Vec<String> =
            item.get("options").map_or_else(Vec::new, |options| options.items().iter().filter_map(|option| option.scalar()).collect());
        let has = |names: &[&str]| options.iter().any(|option| names.contains(&option.as_str()));
        let has_own_view = subject.shares(Namespace::Cgroup) || own_cgroups;
        if matches!(word("type").as_str(), "cgroup" | "cgroup2") && !has(&["ro"]) && !has_own_view {
            subject.host_namespaces.push(Located::new(Namespace::Cgroup, item.place));
        }
        let is_bind = word("type") == "bind" || has(&["bind", "rbind"]);
        if is_bind && matches!(item.value, Value::Map(_)) {
            let mount = Mount {
                source: word("source"),
                target: word("destination"),
                of_host: true,
                read_only: has(&["ro"]),
                propagates: has(&["shared", "rshared"]),
            };
            subject.mounts.push(Located::new(mount, item.place));
        }
    }
}
