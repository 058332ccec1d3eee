//! A file of the Compose specification: compose-spec `05-services.md`.
//!
//! Compose puts variables in place of `$NAME` in every value, so each `$` is doubled.

use serde_json::{Map, Value, json};

use super::flags::{Flag, bind_options, tmpfs_options};
use super::{Notes, Source, yaml};
use crate::value::{BindMount, TmpfsMount, Ulimit, UserMount};

/// Lists of texts by flag.
const LISTS: [(&str, &str); 10] = [
    ("device", "devices"),
    ("device-cgroup-rule", "device_cgroup_rules"),
    ("dns", "dns"),
    ("dns-option", "dns_opt"),
    ("dns-search", "dns_search"),
    ("env", "environment"),
    ("expose", "expose"),
    ("group-add", "group_add"),
    ("label", "labels"),
    ("annotation", "annotations"),
];

/// Texts by flag.
const TEXTS: [(&str, &str); 14] = [
    ("cgroup-parent", "cgroup_parent"),
    ("cpuset-cpus", "cpuset"),
    ("hostname", "hostname"),
    ("ipc", "ipc"),
    ("memory", "mem_limit"),
    ("memory-reservation", "mem_reservation"),
    ("memory-swap", "memswap_limit"),
    ("name", "container_name"),
    ("pid", "pid"),
    ("platform", "platform"),
    ("shm-size", "shm_size"),
    ("stop-signal", "stop_signal"),
    ("user", "user"),
    ("workdir", "working_dir"),
];

/// Numbers by flag.
const NUMBERS: [(&str, &str); 6] = [
    ("cpu-period", "cpu_period"),
    ("cpu-quota", "cpu_quota"),
    ("cpu-shares", "cpu_shares"),
    ("memory-swappiness", "mem_swappiness"),
    ("oom-score-adj", "oom_score_adj"),
    ("pids-limit", "pids_limit"),
];

pub(super) fn write(source: &Source<'_>, notes: &mut Notes) -> String {
    let request = source.subject.request;
    let mut service = Map::new();
    service.insert("image".to_owned(), text(source.image(notes)));
    if let Some(entrypoint) = &request.process.entrypoint {
        service.insert("entrypoint".to_owned(), texts(entrypoint));
    }
    if !request.command.is_empty() {
        service.insert("command".to_owned(), texts(&request.command));
    }
    service.insert("cap_drop".to_owned(), json!(["ALL"]));
    if !source.names().is_empty() {
        service.insert("cap_add".to_owned(), Value::from(source.short_names()));
    }
    for flag in &source.flags {
        place(&mut service, flag, notes);
    }
    mounts(source, &mut service, notes);
    limits(source, &mut service, notes);
    ambient(source, notes);
    let name = request.name.clone().filter(|name| is_service_name(name)).unwrap_or_else(|| "app".to_owned());
    let document = json!({ "services": { name: service } });
    format!("# {}\n{}", source.provenance(), yaml::write(&document))
}

/// Docker gives an added capability to root only; Podman makes it ambient.
fn ambient(source: &Source<'_>, notes: &mut Notes) {
    if !source.user.is_root() && !source.names().is_empty() {
        notes.say(format!(
            "with Docker the user `{}` gets none of the added capabilities (Docker has no ambient set); podman-compose gives them",
            source.user.text
        ));
    }
}

fn place(service: &mut Map<String, Value>, flag: &Flag, notes: &mut Notes) {
    let value = flag.text();
    let known = |table: &[(&str, &'static str)]| table.iter().find(|(name, _)| *name == flag.name).map(|(_, key)| *key);
    if let Some(key) = known(&LISTS) {
        return push(service, key, text(value));
    }
    let (key, value) = match flag.name {
        // A service runs detached; its mounts, limits and entrypoint are written from what they are.
        "detach" | "entrypoint" | "volume" | "tmpfs" | "ulimit" => return,
        "mount" if !value.starts_with("type=devpts") => return,
        "ipc" if value.starts_with("ns:") => return notes.unplaced(flag),
        "pid" if value.starts_with("ns:") || value == "private" => return notes.unplaced(flag),
        "network" if value.starts_with("ns:") || value == "private" => return notes.unplaced(flag),
        "network" => ("network_mode", text(value)),
        "uts" if value == "host" => ("uts", text(value)),
        "cgroupns" if matches!(value, "host" | "private") => ("cgroup", text(value)),
        "userns" if value == "host" => ("userns_mode", text(value)),
        "sysctl" => return push(service, "sysctls", text(value)),
        "add-host" => return hosts(service, value),
        "security-opt" => return security(service, flag, notes),
        "read-only" => ("read_only", json!(flag.is_on())),
        "interactive" => ("stdin_open", json!(true)),
        "tty" => ("tty", json!(true)),
        "init" => ("init", json!(flag.is_on())),
        "stop-timeout" => ("stop_grace_period", text(&format!("{value}s"))),
        "restart" => ("restart", text(value)),
        "pull" if value != "newer" => ("pull_policy", text(value)),
        "log-driver" => return logging(service, "driver", text(value)),
        "log-opt" => return log_option(service, value),
        _ => match (known(&TEXTS), known(&NUMBERS)) {
            (Some(key), _) => (key, text(value)),
            (_, Some(key)) => (key, json!(value.parse::<i64>().unwrap_or(0))),
            _ => return notes.unplaced(flag),
        },
    };
    service.insert(key.to_owned(), value);
}

fn security(service: &mut Map<String, Value>, flag: &Flag, notes: &mut Notes) {
    let value = match flag.text() {
        "no-new-privileges" => "no-new-privileges:true".to_owned(),
        "no-new-privileges=false" => "no-new-privileges:false".to_owned(),
        value => match value.split_once('=') {
            Some((key @ ("seccomp" | "apparmor" | "label"), value)) => format!("{key}:{value}"),
            _ => return notes.unplaced(flag),
        },
    };
    push(service, "security_opt", text(&value));
}

fn hosts(service: &mut Map<String, Value>, value: &str) {
    let (names, address) = value.split_once(':').unwrap_or((value, ""));
    for name in names.split(';') {
        push(service, "extra_hosts", text(&format!("{name}={address}")));
    }
}

fn logging(service: &mut Map<String, Value>, key: &str, value: Value) {
    if let Some(map) = service.entry("logging").or_insert_with(|| json!({})).as_object_mut() {
        map.insert(key.to_owned(), value);
    }
}

fn log_option(service: &mut Map<String, Value>, value: &str) {
    let (key, value) = value.split_once('=').unwrap_or((value, ""));
    let known = service.get("logging").and_then(|logging| logging.get("options")).cloned();
    let mut options = known.unwrap_or_else(|| json!({}));
    if let Some(map) = options.as_object_mut() {
        map.insert(key.to_owned(), text(value));
    }
    logging(service, "options", options);
}

/// In the long form, in which no path is taken apart at a colon.
fn mounts(source: &Source<'_>, service: &mut Map<String, Value>, notes: &mut Notes) {
    let request = &source.subject.request.mounts;
    for mount in &request.volumes {
        push(service, "volumes", bind(mount, notes));
    }
    for mount in &request.mounts {
        match mount {
            UserMount::Bind(mount) => push(service, "volumes", bind(mount, notes)),
            UserMount::Tmpfs(mount) => push(service, "tmpfs", tmpfs(mount)),
            UserMount::Devpts(_) => {}
        }
    }
    for mount in &request.tmpfs {
        push(service, "tmpfs", tmpfs(mount));
    }
}

fn bind(mount: &BindMount, notes: &mut Notes) -> Value {
    let mut volume = Map::from_iter([
        ("type".to_owned(), json!("bind")),
        ("source".to_owned(), text(&mount.source)),
        ("target".to_owned(), text(&mount.destination)),
    ]);
    let mut options = Map::new();
    for option in bind_options(mount) {
        match option {
            "ro" => drop(volume.insert("read_only".to_owned(), json!(true))),
            "z" | "Z" => drop(options.insert("selinux".to_owned(), json!(option))),
            "bind" => drop(options.insert("recursive".to_owned(), json!("disabled"))),
            "nosuid" | "nodev" | "noexec" | "U" => {
                notes.say(format!("the option {option} of the volume `{}` cannot be expressed in a Compose file", mount.source))
            }
            propagation => drop(options.insert("propagation".to_owned(), json!(propagation))),
        }
    }
    if !options.is_empty() {
        volume.insert("bind".to_owned(), Value::Object(options));
    }
    Value::Object(volume)
}

fn tmpfs(mount: &TmpfsMount) -> Value {
    let options = tmpfs_options(mount);
    let suffix = if options.is_empty() { String::new() } else { format!(":{}", options.join(",")) };
    text(&format!("{}{suffix}", mount.destination))
}

fn limits(source: &Source<'_>, service: &mut Map<String, Value>, notes: &mut Notes) {
    let number = |value: u64| i64::try_from(value).unwrap_or(-1);
    let mut ulimits = Map::new();
    for limit in &source.subject.request.limits.ulimits {
        match limit {
            Ulimit::Set { resource, soft, hard } => {
                ulimits.insert(resource.clone(), json!({ "soft": number(*soft), "hard": number(*hard) }));
            }
            Ulimit::Host => notes.say("--ulimit=host cannot be expressed in a Compose file"),
        }
    }
    if !ulimits.is_empty() {
        service.insert("ulimits".to_owned(), Value::Object(ulimits));
    }
}

fn push(service: &mut Map<String, Value>, key: &str, value: Value) {
    if let Some(list) = service.entry(key).or_insert_with(|| json!([])).as_array_mut() {
        list.push(value);
    }
}

fn text(value: &str) -> Value {
    Value::from(value.replace('$', "$$"))
}

fn texts(values: &[String]) -> Value {
    values.iter().map(|value| text(value)).collect()
}

fn is_service_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}
