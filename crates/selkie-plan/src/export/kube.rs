//! A Pod of Kubernetes: core/v1, `PodSpec`, `Container`, `SecurityContext`.
//!
//! Kubernetes puts variables in place of `$(NAME)` in commands and variables, so each `$(` is written `$$(`.

use serde_json::{Map, Value, json};

use super::flags::{Flag, bind_options, tmpfs_options};
use super::{Notes, Source, yaml};
use crate::Propagation;
use crate::value::{BindMount, RestartPolicy, TmpfsMount, UserMount, parse_size};

pub(super) fn write(source: &Source<'_>, notes: &mut Notes) -> String {
    let mut pod = Pod::default();
    pod.container(source, notes);
    for flag in &source.flags {
        pod.place(flag, notes);
    }
    pod.mounts(source, notes);
    pod.security(source, notes);
    format!("# {}\n{}", source.provenance(), yaml::write(&pod.finish(source, notes)))
}

/// The parts of a Pod.
#[derive(Default)]
struct Pod {
    metadata: Map<String, Value>,
    spec: Map<String, Value>,
    pod_security: Map<String, Value>,
    dns: Map<String, Value>,
    container: Map<String, Value>,
    limits: Map<String, Value>,
    requests: Map<String, Value>,
    volumes: Vec<Value>,
    mounts: Vec<Value>,
}

impl Pod {
    fn container(&mut self, source: &Source<'_>, notes: &mut Notes) {
        let request = source.subject.request;
        let name = request.name.as_deref().unwrap_or("app");
        let safe = label_name(name);
        if safe != name {
            notes.say(format!("the name `{name}` becomes `{safe}`: Kubernetes takes small letters, digits and `-`"));
        }
        self.metadata.insert("name".to_owned(), json!(safe));
        self.container.insert("name".to_owned(), json!(safe));
        self.container.insert("image".to_owned(), json!(source.image(notes)));
        let command = match (&request.process.entrypoint, request.command.as_slice()) {
            // An entrypoint that is reset leaves the command alone.
            (Some(entrypoint), command) if entrypoint.is_empty() => [("command", command.to_vec()), ("args", Vec::new())],
            (Some(entrypoint), command) => [("command", entrypoint.clone()), ("args", command.to_vec())],
            (None, command) => [("command", Vec::new()), ("args", command.to_vec())],
        };
        for (key, words) in command.into_iter().filter(|(_, words)| !words.is_empty()) {
            self.container.insert(key.to_owned(), words.iter().map(|word| literal(word)).collect());
        }
        let restart = match request.lifecycle.restart {
            RestartPolicy::No => "Never",
            RestartPolicy::OnFailure { .. } => "OnFailure",
            RestartPolicy::Always | RestartPolicy::UnlessStopped => "Always",
        };
        self.spec.insert("restartPolicy".to_owned(), json!(restart));
    }

    fn place(&mut self, flag: &Flag, notes: &mut Notes) {
        let text = flag.text();
        let pair = || text.split_once('=').unwrap_or((text, ""));
        match flag.name {
            // Written from what they are, or what a Pod is anyway.
            "detach" | "entrypoint" | "name" | "user" | "volume" | "tmpfs" | "cpu-quota" | "cpu-period" => {}
            "mount" if !text.starts_with("type=devpts") => {}
            "restart" if text.contains(':') => notes.lost(flag, "a Pod is restarted without end; `on-failure` itself is there"),
            "restart" => {}
            "security-opt" if text.starts_with("no-new-privileges") || text.starts_with("seccomp=") => {}
            "env" => {
                let (key, value) = pair();
                list(&mut self.container, "env", json!({ "name": key, "value": literal(value) }));
            }
            "workdir" => drop(self.container.insert("workingDir".to_owned(), json!(text))),
            "interactive" => drop(self.container.insert("stdin".to_owned(), json!(true))),
            "tty" => drop(self.container.insert("tty".to_owned(), json!(true))),
            "read-only" => {}
            "network" if text == "host" => drop(self.spec.insert("hostNetwork".to_owned(), json!(true))),
            "pid" if text == "host" => drop(self.spec.insert("hostPID".to_owned(), json!(true))),
            "ipc" if text == "host" => drop(self.spec.insert("hostIPC".to_owned(), json!(true))),
            "userns" if text.starts_with("auto") => drop(self.spec.insert("hostUsers".to_owned(), json!(false))),
            "hostname" if label_name(text) == text => drop(self.spec.insert("hostname".to_owned(), json!(text))),
            "group-add" => match text.parse::<u32>() {
                Ok(group) => list(&mut self.pod_security, "supplementalGroups", json!(group)),
                Err(_) => notes.lost(flag, "Kubernetes wants the number of a group"),
            },
            "sysctl" => self.sysctl(pair(), notes),
            "memory" => drop(self.limits.insert("memory".to_owned(), json!(text.trim_end_matches('b')))),
            "memory-reservation" => drop(self.requests.insert("memory".to_owned(), json!(text.trim_end_matches('b')))),
            "cpu-shares" => self.shares(text),
            "stop-timeout" => {
                self.spec.insert("terminationGracePeriodSeconds".to_owned(), json!(text.parse::<u64>().unwrap_or(0)));
            }
            "timeout" => drop(self.spec.insert("activeDeadlineSeconds".to_owned(), json!(text.parse::<u64>().unwrap_or(0)))),
            "dns" => list(&mut self.dns, "nameservers", json!(text)),
            "dns-search" => list(&mut self.dns, "searches", json!(text)),
            "dns-option" => list(&mut self.dns, "options", option(text)),
            "add-host" => self.host(flag, notes),
            "expose" => self.port(flag, notes),
            "pull" if text != "newer" => {
                self.container.insert("imagePullPolicy".to_owned(), json!(if text == "always" { "Always" } else { "Never" }));
            }
            "label" => self.label(flag, pair(), notes),
            "annotation" => self.annotation(flag, pair(), notes),
            "shm-size" => self.memory_volume("/dev/shm", Some(text.trim_end_matches('b').to_owned())),
            _ => notes.unplaced(flag),
        }
    }

    fn sysctl(&mut self, (name, value): (&str, &str), notes: &mut Notes) {
        /// What the kubelet allows by itself (Kubernetes 1.32).
        const SAFE: [&str; 10] = [
            "kernel.shm_rmid_forced",
            "net.ipv4.ip_local_port_range",
            "net.ipv4.tcp_syncookies",
            "net.ipv4.ping_group_range",
            "net.ipv4.ip_unprivileged_port_start",
            "net.ipv4.ip_local_reserved_ports",
            "net.ipv4.tcp_keepalive_time",
            "net.ipv4.tcp_fin_timeout",
            "net.ipv4.tcp_keepalive_intvl",
            "net.ipv4.tcp_keepalive_probes",
        ];
        if !SAFE.contains(&name) {
            notes.say(format!("the kubelet has to allow the sysctl `{name}` (`--allowed-unsafe-sysctls`)"));
        }
        list(&mut self.pod_security, "sysctls", json!({ "name": name, "value": value }));
    }

    /// 1024 shares are one processor's weight.
    fn shares(&mut self, text: &str) {
        let milli = text.parse::<u64>().unwrap_or(0).saturating_mul(1000) / 1024;
        self.requests.insert("cpu".to_owned(), json!(format!("{}m", milli.max(1))));
    }

    fn host(&mut self, flag: &Flag, notes: &mut Notes) {
        let (names, address) = flag.text().split_once(':').unwrap_or((flag.text(), ""));
        if address.parse::<std::net::IpAddr>().is_err() {
            return notes.unplaced(flag);
        }
        let names: Vec<&str> = names.split(';').collect();
        list(&mut self.spec, "hostAliases", json!({ "ip": address, "hostnames": names }));
    }

    fn port(&mut self, flag: &Flag, notes: &mut Notes) {
        let (port, protocol) = flag.text().split_once('/').unwrap_or((flag.text(), "tcp"));
        match port.parse::<u16>() {
            Ok(port) if port > 0 => {
                list(&mut self.container, "ports", json!({ "containerPort": port, "protocol": protocol.to_ascii_uppercase() }));
            }
            _ => notes.unplaced(flag),
        }
    }

    fn label(&mut self, flag: &Flag, (key, value): (&str, &str), notes: &mut Notes) {
        if is_key(key) && is_label_value(value) {
            return insert(&mut self.metadata, "labels", key, value);
        }
        if is_key(key) {
            notes.say(format!("the label `{key}` becomes an annotation: its value is not one that a label of Kubernetes can have"));
        }
        self.annotation(flag, (key, value), notes);
    }

    fn annotation(&mut self, flag: &Flag, (key, value): (&str, &str), notes: &mut Notes) {
        if is_key(key) { insert(&mut self.metadata, "annotations", key, value) } else { notes.unplaced(flag) }
    }

    fn mounts(&mut self, source: &Source<'_>, notes: &mut Notes) {
        let request = &source.subject.request.mounts;
        for mount in &request.volumes {
            self.bind(mount, notes);
        }
        for mount in &request.mounts {
            match mount {
                UserMount::Bind(mount) => self.bind(mount, notes),
                UserMount::Tmpfs(mount) => self.tmpfs(mount, notes),
                UserMount::Devpts(_) => {}
            }
        }
        for mount in &request.tmpfs {
            self.tmpfs(mount, notes);
        }
        if source.flags.iter().any(|flag| flag.name == "read-only" && flag.is_on()) {
            let kept = request.read_only_tmpfs != Some(false);
            if kept {
                notes.say("with `--read-only` Podman mounts an empty /tmp, /run and /var/tmp; a Pod has to name each as an emptyDir");
            }
        }
    }

    fn bind(&mut self, mount: &BindMount, notes: &mut Notes) {
        let name = format!("volume-{}", self.volumes.len());
        notes.say(format!("the volume `{}` is that path of whatever node the Pod runs on", mount.source));
        let mut place = Map::from_iter([("name".to_owned(), json!(name)), ("mountPath".to_owned(), json!(mount.destination))]);
        if mount.readonly {
            place.insert("readOnly".to_owned(), json!(true));
        }
        match mount.propagation {
            Propagation::Rslave | Propagation::Slave => drop(place.insert("mountPropagation".to_owned(), json!("HostToContainer"))),
            Propagation::Rshared | Propagation::Shared => drop(place.insert("mountPropagation".to_owned(), json!("Bidirectional"))),
            Propagation::Private | Propagation::Rprivate => {}
        }
        let known = ["ro", "private", "slave", "rslave", "shared", "rshared"];
        let lost: Vec<&str> = bind_options(mount).into_iter().filter(|option| !known.contains(option)).collect();
        if !lost.is_empty() {
            notes.say(format!("the options {} of the volume `{}` cannot be expressed in a Pod", lost.join(","), mount.source));
        }
        self.volumes.push(json!({ "name": name, "hostPath": { "path": mount.source } }));
        self.mounts.push(Value::Object(place));
    }

    fn tmpfs(&mut self, mount: &TmpfsMount, notes: &mut Notes) {
        let options = tmpfs_options(mount);
        let size = options.iter().find_map(|option| option.strip_prefix("size=")).and_then(|size| parse_size("--tmpfs", size).ok());
        let lost: Vec<&str> = options.iter().map(String::as_str).filter(|option| size.is_none() || !option.starts_with("size=")).collect();
        if !lost.is_empty() {
            notes.say(format!("the options {} of the tmpfs `{}` cannot be expressed in a Pod", lost.join(","), mount.destination));
        }
        self.memory_volume(&mount.destination, size.map(|size| size.to_string()));
    }

    fn memory_volume(&mut self, path: &str, size: Option<String>) {
        let name = format!("volume-{}", self.volumes.len());
        let mut directory = Map::from_iter([("medium".to_owned(), json!("Memory"))]);
        if let Some(size) = size {
            directory.insert("sizeLimit".to_owned(), json!(size));
        }
        self.volumes.push(json!({ "name": name, "emptyDir": directory }));
        self.mounts.push(json!({ "name": name, "mountPath": path }));
    }

    fn security(&mut self, source: &Source<'_>, notes: &mut Notes) {
        let names = source.short_names();
        let mut capabilities = Map::from_iter([("drop".to_owned(), json!(["ALL"]))]);
        if !names.is_empty() {
            capabilities.insert("add".to_owned(), json!(names));
        }
        let mut security = Map::from_iter([("capabilities".to_owned(), Value::Object(capabilities))]);
        user(source, &mut security, notes);
        escalation(source, &mut security, notes);
        let read_only = source.flags.iter().find(|flag| flag.name == "read-only").map(Flag::is_on);
        if let Some(on) = read_only {
            security.insert("readOnlyRootFilesystem".to_owned(), json!(on));
        }
        let seccomp =
            source.flags.iter().rev().find_map(|flag| flag.text().strip_prefix("seccomp=").filter(|_| flag.name == "security-opt"));
        if let Some(path) = seccomp.filter(|profile| *profile != "unconfined") {
            notes.say(format!("the seccomp profile `{path}` has to be on every node, beneath the kubelet's directory (`type: Localhost`)"));
        }
        let kind = if seccomp == Some("unconfined") { "Unconfined" } else { "RuntimeDefault" };
        security.insert("seccompProfile".to_owned(), json!({ "type": kind }));
        self.container.insert("securityContext".to_owned(), Value::Object(security));
    }

    fn finish(mut self, source: &Source<'_>, notes: &mut Notes) -> Value {
        let limits = &source.subject.request.limits;
        if let Some(quota) = limits.cpu_quota.and_then(|quota| u64::try_from(quota).ok()) {
            let milli = quota.saturating_mul(1000) / limits.cpu_period.unwrap_or(100_000).max(1);
            self.limits.insert("cpu".to_owned(), json!(format!("{}m", milli.max(1))));
        } else if let Some(period) = limits.cpu_period {
            notes.say(format!("--cpu-period={period} without a quota limits nothing, and has no place in a Pod"));
        }
        let mut resources = Map::new();
        for (key, map) in [("limits", self.limits), ("requests", self.requests)] {
            if !map.is_empty() {
                resources.insert(key.to_owned(), Value::Object(map));
            }
        }
        let parts = [("resources", Value::Object(resources)), ("volumeMounts", Value::Array(self.mounts))];
        self.container.extend(parts.into_iter().filter(|(_, part)| !is_empty(part)).map(|(key, part)| (key.to_owned(), part)));
        if self.dns.contains_key("nameservers") {
            self.spec.insert("dnsPolicy".to_owned(), json!("None"));
        }
        let parts = [
            ("dnsConfig", Value::Object(self.dns)),
            ("securityContext", Value::Object(self.pod_security)),
            ("containers", json!([self.container])),
            ("volumes", Value::Array(self.volumes)),
        ];
        self.spec.extend(parts.into_iter().filter(|(_, part)| !is_empty(part)).map(|(key, part)| (key.to_owned(), part)));
        json!({ "apiVersion": "v1", "kind": "Pod", "metadata": self.metadata, "spec": self.spec })
    }
}

/// The user, and what Kubernetes does not give one that is not root.
fn user(source: &Source<'_>, security: &mut Map<String, Value>, notes: &mut Notes) {
    let user = &source.user;
    if source.subject.request.process.user.is_some() && user.uid.is_some() {
        security.insert("runAsUser".to_owned(), json!(user.uid));
    }
    if let Some(group) = user.gid {
        security.insert("runAsGroup".to_owned(), json!(group));
    }
    match user.uid {
        Some(0) if source.subject.facts.ends_non_root == Some(true) => {
            notes.say("all processes end as another user than root, but the first one starts as root: `runAsNonRoot` would refuse it");
        }
        Some(0) => {}
        Some(_) => drop(security.insert("runAsNonRoot".to_owned(), json!(true))),
        None => notes.say(format!("the user `{}` is a name: `runAsUser` and `runAsNonRoot` want its number", user.text)),
    }
    if user.text.split_once(':').is_some_and(|(_, group)| group.parse::<u32>().is_err()) {
        notes.say(format!("the group in `{}` is a name: `runAsGroup` wants its number", user.text));
    }
    if !user.is_root() && !source.names().is_empty() {
        notes.say(format!(
            "Kubernetes has no ambient capabilities: the user `{}` gets none of {}. It works as root, or if the program file has them \
             (setcap) and `allowPrivilegeEscalation` is true",
            user.text,
            source.names().join(", ")
        ));
    }
}

/// Kubernetes' name for no_new_privs, the other way round.
fn escalation(source: &Source<'_>, security: &mut Map<String, Value>, notes: &mut Notes) {
    let admin = source.names().contains(&"CAP_SYS_ADMIN");
    match source.no_new_privileges() {
        Some(true) if admin => notes.say("`allowPrivilegeEscalation: false` is not accepted together with SYS_ADMIN"),
        Some(on) => drop(security.insert("allowPrivilegeEscalation".to_owned(), json!(!on))),
        None => notes.say("it is not known whether it works with no_new_privs: `allowPrivilegeEscalation` is left out, which means true"),
    }
}

fn is_empty(value: &Value) -> bool {
    value.as_object().is_some_and(Map::is_empty) || value.as_array().is_some_and(Vec::is_empty)
}

fn list(map: &mut Map<String, Value>, key: &str, value: Value) {
    if let Some(list) = map.entry(key).or_insert_with(|| json!([])).as_array_mut() {
        list.push(value);
    }
}

fn insert(map: &mut Map<String, Value>, key: &str, name: &str, value: &str) {
    if let Some(inner) = map.entry(key).or_insert_with(|| json!({})).as_object_mut() {
        inner.insert(name.to_owned(), json!(value));
    }
}

fn option(text: &str) -> Value {
    match text.split_once(':') {
        Some((name, value)) => json!({ "name": name, "value": value }),
        None => json!({ "name": text }),
    }
}

fn literal(text: &str) -> Value {
    Value::from(text.replace("$(", "$$("))
}

/// Returns the nearest name of RFC 1123: at most 63 small letters, digits and `-`, which neither begins nor ends it.
fn label_name(text: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let name: String = text.trim_start_matches(|c: char| !c.is_ascii_alphanumeric()).chars().map(safe).take(63).collect();
    let name = name.trim_end_matches('-');
    if name.is_empty() { "app".to_owned() } else { name.to_owned() }
}

/// `[prefix/]name`, as keys of labels and annotations have to be.
fn is_key(key: &str) -> bool {
    let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    let prefix_fits = prefix.is_none_or(|prefix| {
        prefix.len() <= 253 && prefix.split('.').all(|part| !part.is_empty() && part.len() <= 63 && label_name(part) == part)
    });
    prefix_fits && !name.is_empty() && is_label_value(name)
}

fn is_label_value(value: &str) -> bool {
    let ends = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
    value.len() <= 63
        && value.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
        && ends(value.chars().next())
        && ends(value.chars().next_back())
}
