//! A plan as text for people: what `run --dry-run` prints. Same plan, same bytes.

use std::fmt::Write as _;

use selkie_caps::{CapSet, Capability};

use crate::part::capabilities::sorted;
use crate::part::seccomp;
use crate::{Device, DeviceKind, DeviceRule, IdMap, Mount, MountSource, Namespace, Plan, Process, Propagation, UserNamespace};

/// A heading and its lines: `(key, value)`.
type Section = (&'static str, Vec<(String, String)>);

impl Plan {
    /// Returns the plan as text, one section a topic; empty sections are left out.
    #[must_use]
    pub fn render(&self) -> String {
        let all: Vec<&str> = self.sections().iter().map(|(name, _)| *name).collect();
        self.render_sections(&all)
    }

    /// Returns only the sections with these names, in the plan's order: `process`, `capabilities`, `seccomp`, `security`,
    /// `namespaces`, `mounts`, `devices`, `limits`, `sysctls`, `files`, `reasons`, `warnings`.
    #[must_use]
    pub fn render_sections(&self, names: &[&str]) -> String {
        let mut text = String::new();
        for (name, lines) in self.sections().into_iter().filter(|(name, lines)| names.contains(name) && !lines.is_empty()) {
            let _ = writeln!(text, "{name}");
            let width = lines.iter().map(|(key, _)| key.chars().count()).max().unwrap_or_default();
            for (key, value) in lines {
                let line = format!("  {key:width$}  {value}");
                let _ = writeln!(text, "{}", line.trim_end());
            }
        }
        text
    }

    fn sections(&self) -> Vec<Section> {
        vec![
            ("process", self.process.lines()),
            ("capabilities", self.capability_lines()),
            ("seccomp", vec![(String::from("filter"), seccomp::shown(&self.seccomp))]),
            ("security", self.security_lines()),
            ("namespaces", self.namespace_lines()),
            ("mounts", self.mounts.iter().map(mount_line).collect()),
            ("devices", self.device_lines()),
            ("limits", self.limit_lines()),
            ("sysctls", self.sysctls.iter().map(|(key, value)| (key.clone(), plain(value))).collect()),
            ("files", self.file_lines()),
            ("reasons", self.reason_lines()),
            ("warnings", self.warnings.iter().map(|warning| pair("-", sentence(&warning.message))).collect()),
        ]
    }

    /// The five sets, then each decision with its capabilities.
    fn capability_lines(&self) -> Vec<(String, String)> {
        let mut lines = self.process.set_lines();
        let mut groups: Vec<((&str, &str), CapSet)> = Vec::new();
        for reason in &self.reasons {
            let Some(capability) = reason.subject.strip_prefix("capability ").and_then(Capability::from_name) else { continue };
            let key = (reason.decision.as_str(), reason.because.as_str());
            match groups.iter_mut().find(|(known, _)| *known == key) {
                Some((_, set)) => set.insert(capability),
                None => groups.push((key, CapSet::EMPTY.with(capability))),
            }
        }
        lines.extend(groups.into_iter().map(|((decision, because), set)| pair(decision, format!("{} ({because})", names(set)))));
        lines
    }

    fn security_lines(&self) -> Vec<(String, String)> {
        let list = |paths: &[String]| {
            if paths.is_empty() { String::from("none") } else { paths.iter().map(|path| plain(path)).collect::<Vec<_>>().join(" ") }
        };
        vec![
            pair("privileged", yes(self.privileged)),
            pair("no_new_privs", if self.process.no_new_privileges { "on" } else { "off" }),
            pair("root", if self.root.readonly { "read-only" } else { "writable" }),
            pair("masked", list(&self.masked_paths)),
            pair("read-only", list(&self.readonly_paths)),
        ]
    }

    fn namespace_lines(&self) -> Vec<(String, String)> {
        let namespaces = &self.namespaces;
        let shown = |namespace: &Namespace| match namespace {
            Namespace::Private => String::from("private"),
            Namespace::Host => String::from("host"),
            Namespace::Path(path) => plain(path),
        };
        let user = match &namespaces.user {
            UserNamespace::Host => String::from("host"),
            UserNamespace::Path { path, maps } => format!("{}, uids {}, gids {}", plain(path), id_maps(&maps.uids), id_maps(&maps.gids)),
            UserNamespace::Private(maps) => format!("private, uids {}, gids {}", id_maps(&maps.uids), id_maps(&maps.gids)),
        };
        vec![
            pair("user", user),
            pair("pid", shown(&namespaces.pid)),
            pair("network", shown(&namespaces.network)),
            pair("ipc", shown(&namespaces.ipc)),
            pair(
                "uts",
                format!(
                    "{}{}",
                    shown(&namespaces.uts),
                    self.hostname.as_ref().map(|name| format!(", hostname {name}")).unwrap_or_default()
                ),
            ),
            pair("cgroup", shown(&namespaces.cgroup)),
        ]
    }

    fn device_lines(&self) -> Vec<(String, String)> {
        let nodes = self.devices.iter().map(device_line);
        nodes.chain(self.device_rules.iter().map(|rule| pair("rule", rule_text(rule)))).collect()
    }

    fn limit_lines(&self) -> Vec<(String, String)> {
        let cgroup = &self.cgroup;
        let mut lines: Vec<(String, String)> = vec![pair("cgroup", cgroup.path.as_deref().map_or_else(|| String::from("none"), plain))];
        let mut put = |key: &str, value: Option<String>| lines.extend(value.map(|value| pair(key, value)));
        put("pids", cgroup.pids.map(limit));
        put("memory", cgroup.memory.map(|bytes| bytes.to_string()));
        put("memory reservation", cgroup.memory_reservation.map(|bytes| bytes.to_string()));
        put("memory and swap", cgroup.memory_swap.map(limit));
        put("swappiness", cgroup.memory_swappiness.map(|value| value.to_string()));
        put("cpu quota", cgroup.cpu_quota.map(|value| format!("{value} us")));
        put("cpu period", cgroup.cpu_period.map(|value| format!("{value} us")));
        put("cpu shares", cgroup.cpu_shares.map(|value| value.to_string()));
        put("cpus", cgroup.cpuset_cpus.as_deref().map(plain));
        put("memory nodes", cgroup.cpuset_mems.as_deref().map(plain));
        put("oom score", self.process.oom_score_adj.map(|value| value.to_string()));
        for (key, value) in &cgroup.unified {
            put(key, Some(plain(value)));
        }
        for limit in &self.process.rlimits {
            put(&limit.resource, Some(format!("{}:{}", infinite(limit.soft), infinite(limit.hard))));
        }
        lines
    }

    fn file_lines(&self) -> Vec<(String, String)> {
        self.files.iter().map(|file| (file.name.clone(), plain(&file.content))).collect()
    }

    fn reason_lines(&self) -> Vec<(String, String)> {
        let others = self.reasons.iter().filter(|reason| !reason.subject.starts_with("capability "));
        others
            .map(|reason| pair(sentence(&reason.subject), format!("{} ({})", sentence(&reason.decision), sentence(&reason.because))))
            .collect()
    }
}

impl Process {
    /// Returns the process as text, as [`Plan::render`] shows it: what `exec --dry-run` prints.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        for (name, lines) in [("process", self.lines()), ("capabilities", self.set_lines())] {
            let _ = writeln!(text, "{name}");
            let width = lines.iter().map(|(key, _)| key.len()).max().unwrap_or_default();
            for (key, value) in lines {
                let _ = writeln!(text, "  {key:width$}  {value}");
            }
        }
        text
    }

    fn lines(&self) -> Vec<(String, String)> {
        let groups: Vec<String> = self.user.groups.iter().map(u32::to_string).collect();
        let user = format!("{}:{}, groups {}, umask {:04o}", self.user.uid, self.user.gid, groups.join(" "), self.user.umask);
        let mut lines = vec![
            pair("args", self.args.iter().map(|word| plain(word)).collect::<Vec<_>>().join(" ")),
            pair("user", user),
            pair("directory", plain(&self.cwd)),
            pair("terminal", yes(self.terminal)),
        ];
        lines.extend(self.env.iter().map(|text| pair("env", plain(text))));
        lines
    }

    /// Names are spelt out once, for the bounding set.
    fn set_lines(&self) -> Vec<(String, String)> {
        let sets = &self.sets;
        let list = [
            ("bounding", sets.bounding),
            ("permitted", sets.permitted),
            ("effective", sets.effective),
            ("inheritable", sets.inheritable),
            ("ambient", sets.ambient),
        ];
        let shown = |name, set: CapSet| {
            let same = name != "bounding" && set == sets.bounding && !set.is_empty();
            if same { String::from("as bounding") } else { names(set) }
        };
        list.into_iter().map(|(name, set)| pair(name, format!("{set:016x} {}", shown(name, set)))).collect()
    }
}

fn pair(key: impl Into<String>, value: impl Into<String>) -> (String, String) {
    (key.into(), value.into())
}

fn yes(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

fn infinite(value: u64) -> String {
    if value == u64::MAX { String::from("unlimited") } else { value.to_string() }
}

fn limit(value: i64) -> String {
    if value < 0 { String::from("unlimited") } else { value.to_string() }
}

/// Names of a set: none, all, all but a few, or each.
fn names(set: CapSet) -> String {
    let words = |set: CapSet| sorted(set).into_iter().map(Capability::short_name).collect::<Vec<_>>().join(" ");
    let missing = CapSet::KNOWN.difference(set);
    match (set.len(), missing.len()) {
        (0, _) => String::from("none"),
        (_, 0) => String::from("all"),
        (_, 1..=8) => format!("all but {}", words(missing)),
        _ => words(set),
    }
}

/// Escapes control characters of a sentence.
fn sentence(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] }).collect()
}

/// Quotes a word that is empty or has blanks or control characters: a terminal must not obey an image.
fn plain(word: &str) -> String {
    let clean = |c: char| c.is_ascii_graphic() || (c.is_alphanumeric() && !c.is_control());
    if !word.is_empty() && word.chars().all(clean) { word.to_owned() } else { format!("{word:?}") }
}

fn id_maps(maps: &[IdMap]) -> String {
    maps.iter().map(|map| format!("{}:{}:{}", map.container, map.host, map.size)).collect::<Vec<_>>().join(" ")
}

fn mount_line(mount: &Mount) -> (String, String) {
    let source = match &mount.source {
        MountSource::Proc => String::from("proc"),
        MountSource::Sysfs => String::from("sysfs"),
        MountSource::Tmpfs => String::from("tmpfs"),
        MountSource::Devpts => String::from("devpts"),
        MountSource::Mqueue => String::from("mqueue"),
        MountSource::Cgroup => String::from("cgroup"),
        MountSource::Bind { path, recursive } => format!("{} {}", if *recursive { "rbind" } else { "bind" }, plain(path)),
        MountSource::File(name) => format!("file {name}"),
        MountSource::Engine => String::from("the engine itself"),
    };
    let flags = [(mount.nosuid, "nosuid"), (mount.nodev, "nodev"), (mount.noexec, "noexec")];
    let mut words = vec![if mount.readonly { "ro" } else { "rw" }];
    words.extend(flags.into_iter().filter_map(|(on, word)| on.then_some(word)));
    words.extend(propagation(mount.propagation));
    words.extend(mount.options.iter().map(String::as_str));
    (plain(&mount.destination), format!("{source} {}", words.join(",")))
}

/// Returns the propagation's name unless it is the default.
fn propagation(propagation: Propagation) -> Option<&'static str> {
    match propagation {
        Propagation::Private => Some("private"),
        Propagation::Rprivate => None,
        Propagation::Slave => Some("slave"),
        Propagation::Rslave => Some("rslave"),
        Propagation::Shared => Some("shared"),
        Propagation::Rshared => Some("rshared"),
    }
}

fn kind(kind: DeviceKind) -> char {
    match kind {
        DeviceKind::Char => 'c',
        DeviceKind::Block => 'b',
    }
}

fn device_line(device: &Device) -> (String, String) {
    let Device { path, major, minor, mode, uid, gid, .. } = device;
    (plain(path), format!("{} {major}:{minor} {mode:04o} {uid}:{gid}", kind(device.kind)))
}

fn rule_text(rule: &DeviceRule) -> String {
    let number = |number: Option<u32>| number.map_or_else(|| String::from("*"), |number| number.to_string());
    let (verb, kind) = (if rule.allow { "allow" } else { "deny" }, rule.kind.map_or('a', kind));
    format!("{verb} {kind} {}:{} {}", number(rule.major), number(rule.minor), rule.access)
}
