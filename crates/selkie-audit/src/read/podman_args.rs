//! Flags of `podman run` that hide in `PodmanArgs=`: the only way in which a Quadlet file says `--privileged`.

use super::{compose, security_opt};
use crate::subject::{Mount, Namespace};
use crate::{Located, Subject};

/// Adds what these words say to what is known of `subject`.
pub(super) fn apply(subject: &mut Subject, words: &[Located<String>]) {
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let (flag, inline) = word.value.split_once('=').map_or((word.value.as_str(), None), |(flag, value)| (flag, Some(value)));
        if flag == "--privileged" || flag == "--read-only" {
            let flag_is_on = Located { value: inline.is_none_or(|value| !matches!(value, "false" | "0")), place: word.place };
            let field = if flag == "--privileged" { &mut subject.privileged } else { &mut subject.read_only_root };
            *field = Some(flag_is_on);
            continue;
        }
        if !WITH_VALUE.contains(&flag) {
            continue;
        }
        let value = match inline {
            Some(value) => Located { value: value.to_owned(), place: word.place },
            None => match words.next() {
                Some(next) => next.clone(),
                None => break,
            },
        };
        one(subject, flag, &value);
    }
}

/// Flags that are looked at and take a value.
const WITH_VALUE: [&str; 17] = [
    "--cap-add",
    "--cap-drop",
    "--security-opt",
    "--user",
    "-u",
    "--pid",
    "--network",
    "--net",
    "--ipc",
    "--uts",
    "--userns",
    "--cgroupns",
    "--device",
    "--device-cgroup-rule",
    "--volume",
    "-v",
    "--sysctl",
];

fn one(subject: &mut Subject, flag: &str, value: &Located<String>) {
    let names = || value.value.split(',').map(|name| Located { value: name.trim().to_owned(), place: value.place });
    match flag {
        "--cap-add" => subject.added.extend(names()),
        "--cap-drop" => subject.dropped.extend(names()),
        "--security-opt" => security_opt::apply(subject, value),
        "--user" | "-u" => subject.user = Some(value.clone()),
        "--pid" => namespace(subject, Namespace::Pid, value),
        "--network" | "--net" => namespace(subject, Namespace::Network, value),
        "--ipc" => namespace(subject, Namespace::Ipc, value),
        "--uts" => namespace(subject, Namespace::Uts, value),
        "--cgroupns" => namespace(subject, Namespace::Cgroup, value),
        "--userns" => users(subject, value),
        "--device" => subject.devices.push(value.clone()),
        "--device-cgroup-rule" => subject.device_rules.push(value.clone()),
        "--volume" | "-v" => subject.mounts.push(Located { value: compose::short(&value.value), place: value.place }),
        _ => subject.sysctls.push(Located { value: pair(&value.value), place: value.place }),
    }
}

/// Notes the host's namespace.
pub(super) fn namespace(subject: &mut Subject, namespace: Namespace, value: &Located<String>) {
    if value.value == "host" {
        subject.host_namespaces.push(Located { value: namespace, place: value.place });
    }
}

/// `--userns`: everything but `host` and nothing is a namespace of its own.
pub(super) fn users(subject: &mut Subject, value: &Located<String>) {
    if value.value == "host" {
        subject.host_namespaces.push(Located { value: Namespace::User, place: value.place });
    } else if !value.value.is_empty() {
        subject.own_users = Some(Located { value: true, place: value.place });
    }
}

/// Splits `NAME=VALUE`.
pub(super) fn pair(text: &str) -> (String, String) {
    text.split_once('=').map_or((text.to_owned(), String::new()), |(name, value)| (name.to_owned(), value.to_owned()))
}

/// Reads `--mount type=bind,source=...,target=...,ro`.
pub(super) fn mount(text: &str) -> Mount {
    let (mut mount, mut is_glob) = (Mount::default(), false);
    for option in text.split(',') {
        let (key, value) = pair(option);
        match key.as_str() {
            "type" => {
                is_glob = value == "glob";
                mount.of_host = is_glob || value == "bind";
            }
            "source" | "src" => mount.source = value,
            "target" | "destination" | "dst" => mount.target = value,
            "ro" | "readonly" => mount.read_only = value != "false",
            "bind-propagation" => mount.propagates = matches!(value.as_str(), "shared" | "rshared"),
            _ => {}
        }
    }
    // Each path that matches is mounted: as good as the directory that they are in.
    if is_glob && let Some((before, _)) = mount.source.split_once(['*', '?', '[']) {
        let directory = before.rsplit_once('/').map_or(".", |(directory, _)| if directory.is_empty() { "/" } else { directory });
        mount.source = directory.to_owned();
    }
    mount
}
