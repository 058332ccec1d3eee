//! lxc.container.conf(5). `lxc.include` names other files, which are not read: common.conf of LXC drops five capabilities, and those
//! are taken as dropped when it is included.

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
    for setting in &settings {
        one(reading, &mut subject, setting);
    }
    Ok(vec![subject])
}

fn one(reading: &mut Reading, subject: &mut Subject, setting: &Setting) {
    let value = &setting.value;
    let located = |value: Confinement| Some(Located { value, place: setting.value.place });
    match setting.key.value.as_str() {
        "lxc.include" if value.value.ends_with("common.conf") || value.value.contains("/common.conf.d") => {
            subject.defaults = COMMON.into_iter().fold(subject.defaults, CapSet::without);
        }
        "lxc.include" if value.value.ends_with("userns.conf") => {}
        "lxc.include" => reading.elsewhere("lxc.include", &value.value, value.place),
        // It takes back what is before it, of files that are included too.
        "lxc.cap.drop" if value.value.is_empty() => {
            subject.dropped.clear();
            subject.defaults = CapSet::KNOWN;
        }
        "lxc.cap.drop" => subject.dropped.extend(setting.words(reading.source)),
        "lxc.cap.keep" => keep(reading, subject, setting),
        "lxc.apparmor.profile" | "lxc.aa_profile" => {
            let profile = if value.value == "generated" { Confinement::Default } else { super::security_opt::confinement(&value.value) };
            subject.apparmor = located(profile);
        }
        "lxc.seccomp.profile" | "lxc.seccomp" => subject.seccomp = located(Confinement::Profile(value.value.clone())),
        "lxc.no_new_privs" => {
            subject.no_new_privileges = unit::truth(&value.value).map(|value| Located { value, place: setting.value.place })
        }
        "lxc.idmap" | "lxc.id_map" => subject.own_users = Some(Located { value: true, place: value.place }),
        "lxc.net.0.type" | "lxc.network.type" if value.value == "none" => {
            subject.host_namespaces.push(Located { value: Namespace::Network, place: value.place });
        }
        "lxc.namespace.keep" => {
            let kinds = [
                ("pid", Namespace::Pid),
                ("net", Namespace::Network),
                ("ipc", Namespace::Ipc),
                ("uts", Namespace::Uts),
                ("cgroup", Namespace::Cgroup),
            ];
            for word in setting.words(reading.source) {
                let kind = kinds.iter().find(|(kind, _)| *kind == word.value);
                subject.host_namespaces.extend(kind.map(|(_, value)| Located { value: *value, place: word.place }));
            }
        }
        "lxc.mount.entry" => subject.mounts.extend(mount(setting)),
        "lxc.mount.auto" => auto(reading, subject, setting),
        "lxc.cgroup.devices.allow" | "lxc.cgroup2.devices.allow" => subject.device_rules.push(value.clone()),
        "lxc.init.uid" => subject.user = Some(value.clone()),
        _ if setting.key.value.starts_with("lxc.sysctl.") => {
            let name = setting.key.value.trim_start_matches("lxc.sysctl.").to_owned();
            subject.sysctls.push(Located { value: (name, value.value.clone()), place: setting.key.place });
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

fn auto(reading: &Reading, subject: &mut Subject, setting: &Setting) {
    for word in setting.words(reading.source) {
        if matches!(word.value.as_str(), "proc:rw" | "proc" | "sys:rw" | "sys") && word.value.ends_with("rw") {
            subject.unmasked.push(Located { value: format!("/{}", word.value.trim_end_matches(":rw")), place: word.place });
        }
    }
}
