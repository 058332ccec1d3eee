//! A plan as the `config.json` of the OCI runtime specification 1.2: what `run --dry-run=spec` prints and what
//! an external runtime is given.

use selkie_caps::{CapSet, Capability};
use serde_json::{Map, Value, json};

use crate::part::capabilities::sorted;
use crate::{
    Cgroup, DeviceKind, DeviceRule, IdMap, IdMaps, Mount, MountSource, Namespace, Namespaces, Plan, Process, Propagation, UserNamespace,
};

/// Builds the specification. `seccomp` is the profile in OCI form, already filtered by the capabilities; what the engine
/// makes itself (generated files, the init) has a source relative to the bundle.
#[must_use]
pub fn spec(plan: &Plan, seccomp: Option<Value>) -> Value {
    let mut annotations = Map::new();
    if plan.privileged {
        annotations.insert(String::from("io.podman.annotations.privileged"), json!("TRUE"));
    }
    let mut spec = json!({
        "ociVersion": "1.2.0",
        "process": process(&plan.process),
        "root": { "path": "rootfs", "readonly": plan.root.readonly },
        "mounts": plan.mounts.iter().map(mount).collect::<Vec<_>>(),
        "linux": linux(plan, seccomp),
    });
    if let Some(object) = spec.as_object_mut() {
        object.extend(plan.hostname.as_ref().map(|name| (String::from("hostname"), json!(name))));
        object.extend((!annotations.is_empty()).then(|| (String::from("annotations"), Value::Object(annotations))));
    }
    spec
}

fn process(process: &Process) -> Value {
    let user = &process.user;
    let sets = &process.sets;
    let mut value = json!({
        "terminal": process.terminal,
        "user": { "uid": user.uid, "gid": user.gid, "umask": user.umask, "additionalGids": user.groups },
        "args": process.args,
        "env": process.env,
        "cwd": process.cwd,
        "capabilities": {
            "bounding": names(sets.bounding),
            "effective": names(sets.effective),
            "inheritable": names(sets.inheritable),
            "permitted": names(sets.permitted),
            "ambient": names(sets.ambient),
        },
        "rlimits": process.rlimits.iter().map(|limit| json!({
            "type": format!("RLIMIT_{}", limit.resource.to_uppercase()), "hard": limit.hard, "soft": limit.soft,
        })).collect::<Vec<_>>(),
        "noNewPrivileges": process.no_new_privileges,
    });
    if let (Some(object), Some(score)) = (value.as_object_mut(), process.oom_score_adj) {
        object.insert(String::from("oomScoreAdj"), json!(score));
    }
    value
}

fn names(set: CapSet) -> Vec<&'static str> {
    sorted(set).into_iter().map(Capability::name).collect()
}

fn mount(mount: &Mount) -> Value {
    let (kind, source, own) = match &mount.source {
        MountSource::Proc => ("proc", String::from("proc"), None),
        MountSource::Sysfs => ("sysfs", String::from("sysfs"), None),
        MountSource::Tmpfs => ("tmpfs", String::from("tmpfs"), None),
        MountSource::Devpts => ("devpts", String::from("devpts"), None),
        MountSource::Mqueue => ("mqueue", String::from("mqueue"), None),
        MountSource::Cgroup => ("cgroup", String::from("cgroup"), None),
        MountSource::Bind { path, recursive } => ("bind", path.clone(), Some(if *recursive { "rbind" } else { "bind" })),
        MountSource::File(name) => ("bind", format!("files/{name}"), Some("bind")),
        MountSource::Engine => ("bind", String::from("init"), Some("bind")),
    };
    let mut options: Vec<&str> = own.into_iter().collect();
    options.push(if mount.readonly { "ro" } else { "rw" });
    let flags = [(mount.nosuid, "nosuid"), (mount.nodev, "nodev"), (mount.noexec, "noexec")];
    options.extend(flags.into_iter().filter_map(|(on, word)| on.then_some(word)));
    options.push(match mount.propagation {
        Propagation::Private => "private",
        Propagation::Rprivate => "rprivate",
        Propagation::Slave => "slave",
        Propagation::Rslave => "rslave",
        Propagation::Shared => "shared",
        Propagation::Rshared => "rshared",
    });
    options.extend(mount.options.iter().map(String::as_str));
    json!({ "destination": mount.destination, "type": kind, "source": source, "options": options })
}

fn linux(plan: &Plan, seccomp: Option<Value>) -> Value {
    let mut linux = Map::new();
    let mut put = |key: &str, value: Value| drop(linux.insert(key.to_owned(), value));
    put("namespaces", namespaces(&plan.namespaces));
    if let UserNamespace::Private(IdMaps { uids, gids }) = &plan.namespaces.user {
        put("uidMappings", maps(uids));
        put("gidMappings", maps(gids));
    }
    put(
        "devices",
        plan.devices
            .iter()
            .map(|device| {
                json!({
                    "path": device.path, "type": kind(device.kind), "major": device.major, "minor": device.minor,
                    "fileMode": device.mode, "uid": device.uid, "gid": device.gid,
                })
            })
            .collect(),
    );
    put("sysctl", json!(plan.sysctls));
    put("resources", resources(&plan.cgroup, &plan.device_rules));
    if let Some(path) = &plan.cgroup.path {
        put("cgroupsPath", json!(path));
    }
    put("rootfsPropagation", json!("private"));
    put("maskedPaths", json!(plan.masked_paths));
    put("readonlyPaths", json!(plan.readonly_paths));
    if let Some(seccomp) = seccomp {
        put("seccomp", seccomp);
    }
    Value::Object(linux)
}

fn namespaces(namespaces: &Namespaces) -> Value {
    let list = [
        ("pid", &namespaces.pid),
        ("network", &namespaces.network),
        ("ipc", &namespaces.ipc),
        ("uts", &namespaces.uts),
        ("cgroup", &namespaces.cgroup),
    ];
    let mut values = vec![json!({ "type": "mount" })];
    values.extend(list.into_iter().filter_map(|(kind, namespace)| match namespace {
        Namespace::Private => Some(json!({ "type": kind })),
        Namespace::Path(path) => Some(json!({ "type": kind, "path": path })),
        Namespace::Host => None,
    }));
    match &namespaces.user {
        UserNamespace::Host => {}
        UserNamespace::Private(_) => values.push(json!({ "type": "user" })),
        UserNamespace::Path { path, .. } => values.push(json!({ "type": "user", "path": path })),
    }
    Value::Array(values)
}

fn maps(maps: &[IdMap]) -> Value {
    maps.iter().map(|map| json!({ "containerID": map.container, "hostID": map.host, "size": map.size })).collect()
}

fn kind(kind: DeviceKind) -> &'static str {
    match kind {
        DeviceKind::Char => "c",
        DeviceKind::Block => "b",
    }
}

fn resources(cgroup: &Cgroup, rules: &[DeviceRule]) -> Value {
    let mut resources = Map::new();
    let mut put = |key: &str, value: Value| {
        if value.as_object().is_some_and(|object| !object.is_empty()) || value.as_array().is_some_and(|list| !list.is_empty()) {
            resources.insert(key.to_owned(), value);
        }
    };
    // No rules means no device cgroup; runtimes take an empty list for their own defaults.
    let all = DeviceRule { allow: true, kind: None, major: None, minor: None, access: String::from("rwm") };
    put("devices", if rules.is_empty() { json!([rule(&all)]) } else { rules.iter().map(rule).collect() });
    put(
        "memory",
        object([
            ("limit", cgroup.memory.map(Value::from)),
            ("reservation", cgroup.memory_reservation.map(Value::from)),
            ("swap", cgroup.memory_swap.map(Value::from)),
            ("swappiness", cgroup.memory_swappiness.map(Value::from)),
        ]),
    );
    put(
        "cpu",
        object([
            ("shares", cgroup.cpu_shares.map(Value::from)),
            ("quota", cgroup.cpu_quota.map(Value::from)),
            ("period", cgroup.cpu_period.map(Value::from)),
            ("cpus", cgroup.cpuset_cpus.clone().map(Value::from)),
            ("mems", cgroup.cpuset_mems.clone().map(Value::from)),
        ]),
    );
    put("pids", object([("limit", cgroup.pids.map(Value::from))]));
    put("unified", json!(cgroup.unified));
    Value::Object(resources)
}

fn object<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    Value::Object(fields.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect())
}

fn rule(rule: &DeviceRule) -> Value {
    let mut value = object([
        ("allow", Some(json!(rule.allow))),
        ("type", rule.kind.map(|one| json!(kind(one)))),
        ("major", rule.major.map(Value::from)),
        ("minor", rule.minor.map(Value::from)),
        ("access", Some(json!(rule.access))),
    ]);
    if let (None, Some(object)) = (rule.kind, value.as_object_mut()) {
        object.insert(String::from("type"), json!("a"));
    }
    value
}
