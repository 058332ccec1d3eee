//! lxc.container.conf(5). `lxc.include` names other files, which are not read: common.conf of LXC drops five capabilities and has a
//! filter, and both are taken for so when it is included. Without an include everything is known, and what is not said is not there.

use selkie_caps::{CapSet, Capability};

use super::{Reading, stem};
use crate::subject::{Engine, Mount, Namespace};
use crate::unit::{self, Setting};
use crate::{Confinement, FileType, Located, ReadError, Subject};

/// What `common.conf` of LXC's templates drops.
const COMMON: [Capability; 5] =
    [Capability::MacAdmin, Capability::MacOverride, Capability::SysTime, Capability::SysModule, Capability::SysRawio];

pub(super) fn read(reading: &mut Reading, name: &str) -> Result<Vec<Subject>, ReadError> {
    let settings = unit::parse_lxc(reading.source)?;
    if !settings.iter().any(|setting| setting.key.value.starts_with("lxc.")) {
        let problem = "there is no key that begins with `lxc.`".to_owned();
        return Err(ReadError::NotThatKind { kind: FileType::Lxc, problem, place: reading.source.place(0, 0) });
    }
    let named = settings.iter().rev().find(|setting| matches!(setting.key.value.as_str(), "lxc.uts.name" | "lxc.utsname"));
    let name = named.map_or_else(|| stem(name), |setting| setting.value.value.clone());
    reading.subject.clone_from(&name);
    let place = settings.first().map(unit::Setting::place);
    let mut subject = Subject { name, engine: Engine::Lxc, place, defaults: CapSet::KNOWN, ..Subject::default() };
    // Without a map of ids there is no user namespace.
    subject.own_users = Some(Located { value: false, place });
    let mut later = Later::default();
    for setting in &settings {
        one(reading, &mut subject, &mut later, setting);
    }
    finish(reading, &mut subject, later);
    Ok(vec![subject])
}

/// What is known only when the whole file is read.
#[derive(Default)]
struct Later {
    /// A file is included of which nothing is known.
    includes: bool,
    /// Namespaces that are made; none named means all of them.
    made: Vec<Located<String>>,
    /// The word that mounts /proc or /sys so that it can be written.
    proc: Option<Located<String>>,
    sys: Option<Located<String>>,
}

fn finish(reading: &mut Reading, subject: &mut Subject, later: Later) {
    if subject.seccomp.is_none() && !later.includes {
        subject.seccomp = Some(Located { value: Confinement::Unconfined, place: subject.place });
    }
    for (word, path) in [(later.proc, "/proc"), (later.sys, "/sys")] {
        subject.unmasked.extend(word.map(|word| Located { value: path.to_owned(), place: word.place }));
    }
    if let Some(first) = later.made.first() {
        let is_made = |kind: &str| later.made.iter().any(|word| word.value == kind);
        for kind in ["pid", "net", "ipc", "uts", "cgroup", "mnt"].into_iter().filter(|kind| !is_made(kind)) {
            share(reading, subject, kind, &Located { value: "1".to_owned(), place: first.place });
        }
    }
    let is_open =
        subject.is_seccomp_off() && [Capability::SysAdmin, Capability::SysModule].iter().any(|one| subject.capabilities().contains(*one));
    subject.is_open = !subject.has_own_users() && !later.includes && (subject.capabilities() == CapSet::KNOWN || is_open);
}

fn one(reading: &mut Reading, subject: &mut Subject, later: &mut Later, setting: &Setting) {
    let value = &setting.value;
    let located = |value: Confinement| Some(Located { value, place: setting.value.place });
    match setting.key.value.as_str() {
        // These say nothing of what is asked here but for a user namespace.
        "lxc.include" if ["userns.conf", "/oci.common.conf"].iter().any(|name| value.value.ends_with(name)) => {}
        "lxc.include" if value.value.ends_with("common.conf") || value.value.contains("/common.conf.d") => {
            subject.defaults = COMMON.into_iter().fold(subject.defaults, CapSet::without);
            subject.seccomp = located(Confinement::Profile("common.seccomp".to_owned()));
        }
        "lxc.include" => {
            reading.elsewhere("lxc.include", &value.value, value.place);
            later.includes = true;
            subject.seccomp = None;
        }
        // It takes back what is before it, of files that are included too.
        "lxc.cap.drop" if value.value.is_empty() => {
            subject.dropped.clear();
            subject.defaults = CapSet::KNOWN;
        }
        "lxc.cap.drop" => subject.dropped.extend(setting.words(reading.source)),
        "lxc.cap.keep" => keep(reading, subject, setting),
        "lxc.apparmor.profile" | "lxc.aa_profile" => {
            let profile = match value.value.as_str() {
                "generated" => Confinement::Default,
                // That of whoever starts it: on a host there is none.
                "unchanged" => Confinement::Unconfined,
                name => super::security_opt::confinement(name),
            };
            subject.apparmor = located(profile);
        }
        "lxc.seccomp.profile" | "lxc.seccomp" if value.value.is_empty() => subject.seccomp = located(Confinement::Unconfined),
        "lxc.seccomp.profile" | "lxc.seccomp" => subject.seccomp = located(Confinement::Profile(value.value.clone())),
        "lxc.no_new_privs" => {
            subject.no_new_privileges = unit::truth(&value.value).map(|value| Located { value, place: setting.value.place })
        }
        "lxc.idmap" | "lxc.id_map" => subject.own_users = Some(Located { value: !value.value.is_empty(), place: value.place }),
        "lxc.namespace.keep" => {
            for word in setting.words(reading.source) {
                share(reading, subject, &word.value, &Located { value: "1".to_owned(), place: word.place });
            }
        }
        "lxc.namespace.clone" if value.value.is_empty() => later.made.clear(),
        "lxc.namespace.clone" => later.made.extend(setting.words(reading.source)),
        "lxc.mount.entry" => {
            subject.mounts.extend(mount(setting));
            subject.unmasked.extend(kernel_files(setting));
        }
        "lxc.mount.auto" => auto(reading, later, setting),
        "lxc.cgroup.devices.allow" | "lxc.cgroup2.devices.allow" => subject.device_rules.push(value.clone()),
        "lxc.init.uid" => subject.user = Some(value.clone()),
        _ if setting.key.value.starts_with("lxc.sysctl.") => {
            let name = setting.key.value.trim_start_matches("lxc.sysctl.").to_owned();
            subject.sysctls.push(Located { value: (name, value.value.clone()), place: setting.key.place });
        }
        key if let Some(kind) = key.strip_prefix("lxc.namespace.share.") => share(reading, subject, kind, value),
        key if is_type_of_network(key) && value.value == "none" => {
            subject.host_namespaces.push(Located { value: Namespace::Network, place: value.place });
        }
        _ => {}
    }
}

/// `none` takes back what is before it and keeps nothing by itself; without any word all is taken back, and everything is kept.
fn keep(reading: &Reading, subject: &mut Subject, setting: &Setting) {
    let words = setting.words(reading.source);
    if words.is_empty() {
        subject.added.clear();
        subject.effective = None;
        return;
    }
    for word in words {
        if word.value == "none" { subject.added.clear() } else { subject.added.push(word) }
    }
    subject.effective = Some(crate::subject::Names::read(&subject.added).set);
}

/// A line of fstab(5): source, target, type, options.
fn mount(setting: &Setting) -> Option<Located<Mount>> {
    let mut words = setting.value.value.split_whitespace();
    let (source, target, _, options) = (words.next()?, words.next()?, words.next()?, words.next().unwrap_or_default());
    let has = |names: &[&str]| options.split(',').any(|option| names.contains(&option));
    let mount = Mount {
        source: source.to_owned(),
        target: target.to_owned(),
        of_host: has(&["bind", "rbind"]),
        read_only: has(&["ro"]),
        propagates: has(&["shared", "rshared"]),
    };
    Some(Located { value: mount, place: setting.value.place })
}

/// A procfs or sysfs of its own that can be written, without what lxc.mount.auto makes read-only in it.
fn kernel_files(setting: &Setting) -> Option<Located<String>> {
    let mut words = setting.value.value.split_whitespace().skip(2);
    let (kind, options) = (words.next()?, words.next().unwrap_or_default());
    let path = [("proc", "/proc"), ("sysfs", "/sys")].into_iter().find(|(name, _)| *name == kind)?.1;
    (!options.split(',').any(|option| option == "ro")).then(|| Located { value: path.to_owned(), place: setting.value.place })
}

/// Of each file system the last word counts; without a word all are taken back.
fn auto(reading: &Reading, later: &mut Later, setting: &Setting) {
    let words = setting.words(reading.source);
    if words.is_empty() {
        (later.proc, later.sys) = (None, None);
    }
    for word in words {
        match word.value.split(':').next() {
            Some("proc") => later.proc = Some(word).filter(|word| word.value == "proc:rw"),
            Some("sys") => later.sys = Some(word).filter(|word| word.value == "sys:rw"),
            _ => {}
        }
    }
}

/// `lxc.net.N.type`, `lxc.network.type`.
fn is_type_of_network(key: &str) -> bool {
    key == "lxc.network.type" || key.strip_prefix("lxc.net.").is_some_and(|rest| rest.ends_with(".type"))
}

/// A namespace of a process, by its number, or of another container, by its name or path.
fn share(reading: &mut Reading, subject: &mut Subject, kind: &str, whose: &Located<String>) {
    let kinds = [
        ("pid", Namespace::Pid),
        ("net", Namespace::Network),
        ("ipc", Namespace::Ipc),
        ("uts", Namespace::Uts),
        ("cgroup", Namespace::Cgroup),
        ("user", Namespace::User),
    ];
    let namespace = kinds.iter().find(|(name, _)| *name == kind).map(|(_, namespace)| *namespace);
    match (whose.value.as_str(), namespace) {
        ("", _) => {}
        ("1", Some(value)) => subject.host_namespaces.push(Located { value, place: whose.place }),
        ("1", None) if kind == "mnt" => subject.mounts.push(Located { value: Mount::root_of_host(), place: whose.place }),
        (name, _) => {
            // Where it is not known whose users these are, nothing is milder for them.
            if kind == "user" {
                subject.host_namespaces.push(Located { value: Namespace::User, place: whose.place });
            }
            let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
            reading.joined(kind, &if is_number { format!("process {name}") } else { format!("`{name}`") }, whose.place);
        }
    }
}
