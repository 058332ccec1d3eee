//! Quadlet's `.container` and `.pod` files, and the others, which describe no container: podman-systemd.unit(5).
//!
//! A key with an empty value takes back those before it, as in all of systemd's files; of keys that have one value the last counts.
//! That of a drop-in comes behind those of its unit.

use std::collections::BTreeMap;

use selkie_caps::CapSet;

use super::{Reading, compose, podman_args, security_opt, stem};
use crate::place::Source;
use crate::subject::{Engine, Mount, Namespace, Selinux};
use crate::unit::{self, Setting};
use crate::{Change, FileType, Fix, Located, ReadError, Rule, Subject, check, drop_in};

pub(super) fn read(reading: &mut Reading, name: &str) -> Result<Vec<Subject>, ReadError> {
    let settings = left(reading.units()?);
    let section = ["Container", "Pod"].into_iter().find(|section| unit::has_section(reading.source, section));
    let Some(section) = section else {
        if ["Kube", "Network", "Volume", "Image", "Build"].iter().any(|section| unit::has_section(reading.source, section)) {
            without_container(reading, name, &settings);
            return Ok(Vec::new());
        }
        if drop_in::unit_of(name).is_some() {
            service_section(reading, &settings);
            return Ok(Vec::new());
        }
        let problem = "there is no section [Container] or [Pod]".to_owned();
        return Err(ReadError::NotThatKind { kind: FileType::Quadlet, problem, place: reading.source.place(0, 0) });
    };
    let unit = drop_in::unit_of(name).map_or_else(|| stem(name), |(unit, _)| unit.to_owned());
    reading.subject.clone_from(&unit);
    service_section(reading, &settings);
    let place = settings.iter().find(|setting| setting.section == section).map(Setting::place);
    let mut subject = Subject { name: unit, engine: Engine::Podman, place, defaults: selkie_caps::PODMAN_DEFAULTS, ..Subject::default() };
    if section == "Pod" {
        // A pod runs nothing itself: what only a container says is not asked of it. Its namespaces and volumes hold for all of its own.
        subject.effective = Some(CapSet::EMPTY);
        subject.non_root = Some(Located::nowhere(true));
        subject.no_new_privileges = Some(Located::nowhere(true));
        subject.read_only_root = Some(Located::nowhere(true));
    }
    for setting in settings.iter().filter(|setting| setting.section == section) {
        one(reading, &mut subject, setting);
    }
    if drop_in::unit_of(name).is_some() {
        reading.subject.clone_from(&subject.name);
        let fix = Fix { text: "audit the unit, with which its drop-ins are read".to_owned(), ..Fix::default() };
        let text = "this is a drop-in: what the unit says is known only when it runs".to_owned();
        reading.note(Rule::KnownOnlyLater, text, subject.place, fix);
    }
    Ok(vec![subject])
}

/// Keys of [Container] and [Pod] that have one value.
const SINGLE: [&str; 5] = ["SecurityLabelDisable", "SecurityLabelType", "SecurityLabelNested", "Unmask", "UserNS"];

/// Returns the settings without those that a later one takes back. In [Service] an empty value may mean nothing at all.
fn left(settings: Vec<Setting>) -> Vec<Setting> {
    let mut last: BTreeMap<(String, String), usize> = BTreeMap::new();
    for (number, setting) in settings.iter().enumerate().filter(|(_, setting)| setting.section != "Service") {
        if setting.value.value.is_empty() || SINGLE.contains(&setting.key.value.as_str()) {
            last.insert((setting.section.clone(), setting.key.value.clone()), number);
        }
    }
    let is_left = |(number, setting): &(usize, Setting)| {
        let last = last.get(&(setting.section.clone(), setting.key.value.clone()));
        last.is_none_or(|last| number > last || number == last && !setting.value.value.is_empty())
    };
    settings.into_iter().enumerate().filter(is_left).map(|(_, setting)| setting).collect()
}

/// A unit that describes no container itself: what it gives those that use it is a finding, and nothing else is asked of it. The
/// pods of a `.kube` unit are in the file that it names.
fn without_container(reading: &mut Reading, name: &str, settings: &[Setting]) {
    let name = drop_in::unit_of(name).map_or_else(|| stem(name), |(unit, _)| unit.to_owned());
    let mut subject = Subject { name: name.clone(), engine: Engine::Podman, defaults: selkie_caps::PODMAN_DEFAULTS, ..Subject::default() };
    reading.subject = name;
    subject.mounts.extend(bind(reading, settings));
    for setting in settings {
        match (setting.section.as_str(), setting.key.value.as_str()) {
            ("Kube", "Yaml") => reading.elsewhere("Yaml", &setting.value.value, setting.value.place),
            ("Build", "PodmanArgs" | "Network" | "Volume") | ("Kube", "PodmanArgs" | "Network" | "UserNS") => {
                one(reading, &mut subject, setting)
            }
            _ => {}
        }
    }
    // What the unit says has a place; what it leaves to others has none.
    reading.findings.extend(check(&subject, &[]).into_iter().filter(|finding| finding.place.is_some()));
    reading.subject.clear();
}

/// Returns what a `.volume` unit mounts of the host: `Device=` with `Options=bind`, or by flags of `podman volume create`.
fn bind(reading: &Reading, settings: &[Setting]) -> Option<Located<Mount>> {
    let (mut device, mut options) = (None, String::new());
    for setting in settings.iter().filter(|setting| setting.section == "Volume") {
        match setting.key.value.as_str() {
            "Device" => device = Some(setting.value.clone()),
            "Options" => options.clone_from(&setting.value.value),
            "PodmanArgs" => {
                for word in setting.words(reading.source) {
                    // `--opt o=bind` and `--opt=o=bind` both end so.
                    let text = word.value.trim_start_matches("--opt=");
                    match text.split_once('=') {
                        Some(("device", path)) => device = Some(Located { value: path.to_owned(), place: word.place }),
                        Some(("o", text)) => text.clone_into(&mut options),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    let has = |names: &[&str]| options.split(',').any(|option| names.contains(&option.trim()));
    let device = device.filter(|_| has(&["bind", "rbind"]))?;
    let mount =
        Mount { source: device.value, of_host: true, read_only: has(&["ro"]), propagates: has(&["shared", "rshared"]), ..Mount::default() };
    Some(Located { value: mount, place: device.place })
}

fn one(reading: &mut Reading, subject: &mut Subject, setting: &Setting) {
    let value = &setting.value;
    let words = || setting.words(reading.source);
    match setting.key.value.as_str() {
        "Image" => subject.image = Some(value.value.clone()),
        "ContainerName" | "PodName" => subject.name.clone_from(&value.value),
        "AddCapability" => subject.added.extend(names(setting, reading.source)),
        "DropCapability" => subject.dropped.extend(names(setting, reading.source)),
        "NoNewPrivileges" => subject.no_new_privileges = truth(reading, setting),
        "ReadOnly" => subject.read_only_root = truth(reading, setting),
        "SeccompProfile" => {
            subject.seccomp = Some(Located { value: security_opt::confinement(&value.value), place: value.place });
        }
        "AppArmor" => subject.apparmor = Some(Located { value: security_opt::confinement(&value.value), place: value.place }),
        "SecurityLabelDisable" if truth(reading, setting).is_some_and(|flag| flag.value) => {
            subject.selinux.push(Located { value: Selinux::Disabled, place: value.place });
        }
        "SecurityLabelType" => subject.selinux.push(Located { value: Selinux::Type(value.value.clone()), place: value.place }),
        "User" => subject.user = Some(value.clone()),
        "UserNS" => podman_args::users(subject, value),
        "UIDMap" | "SubUIDMap" | "RemapUsers" => subject.own_users = Some(Located { value: true, place: value.place }),
        "Network" if is_unit(&value.value, "container") => reading.elsewhere("Network", &value.value, value.place),
        "Network" => podman_args::namespace(subject, Namespace::Network, value),
        "Pod" => reading.elsewhere("Pod", &value.value, value.place),
        "PidMode" | "Pid" => podman_args::namespace(subject, Namespace::Pid, value),
        "Unmask" => {
            let paths = words().into_iter().flat_map(|word| split(&word, ':'));
            subject.unmasked.extend(paths);
        }
        "AddDevice" => subject.devices.extend(words()),
        "Sysctl" => {
            subject.sysctls.extend(words().into_iter().map(|word| Located { value: podman_args::pair(&word.value), place: word.place }));
        }
        "Volume" if is_unit(value.value.split(':').next().unwrap_or_default(), "volume") => {
            reading.elsewhere("Volume", &value.value, value.place);
        }
        "Volume" => subject.mounts.push(Located { value: volume(&value.value), place: value.place }),
        "Mount" => subject.mounts.push(Located { value: podman_args::mount(&value.value), place: value.place }),
        "PodmanArgs" => podman_args::apply(subject, &words()),
        _ => {}
    }
}

/// Tells whether a value is the name of another unit of this kind, which is not read.
fn is_unit(value: &str, kind: &str) -> bool {
    !value.contains('/') && value.rsplit_once('.').is_some_and(|(stem, extension)| !stem.is_empty() && extension == kind)
}

/// A volume, whose source may begin with one of systemd's directories: `%t` is /run or the user's, `%h` the home. systemd.unit(5).
fn volume(text: &str) -> Mount {
    let mut volume = compose::short(text);
    let is_directory = volume.source.strip_prefix('%').is_some_and(|rest| {
        let (specifier, rest) = rest.split_at_checked(1).unwrap_or_default();
        matches!(specifier, "C" | "E" | "h" | "L" | "S" | "t" | "T" | "V") && (rest.is_empty() || rest.starts_with('/'))
    });
    volume.of_host |= is_directory;
    volume
}

/// Names of capabilities stand between blanks or commas.
fn names(setting: &Setting, source: &Source) -> Vec<Located<String>> {
    setting.words(source).iter().flat_map(|word| split(word, ',')).collect()
}

fn split(word: &Located<String>, separator: char) -> Vec<Located<String>> {
    let parts = word.value.split(separator).map(str::trim).filter(|part| !part.is_empty());
    parts.map(|part| Located { value: part.to_owned(), place: word.place }).collect()
}

fn truth(reading: &mut Reading, setting: &Setting) -> Option<Located<bool>> {
    let place = setting.value.place?;
    let truth = unit::truth(&setting.value.value);
    if truth.is_none() {
        reading.wrong(&setting.key.value, place, "text", "`true` or `false`");
    }
    truth.map(|value| Located::new(value, place))
}

/// Settings of systemd that confine Podman, and not the container.
const OF_THE_ENGINE: [&str; 9] = [
    "CapabilityBoundingSet",
    "AmbientCapabilities",
    "NoNewPrivileges",
    "SystemCallFilter",
    "RestrictNamespaces",
    "ProtectSystem",
    "ProtectKernelTunables",
    "PrivateDevices",
    "RestrictAddressFamilies",
];

fn service_section(reading: &mut Reading, settings: &[Setting]) {
    for setting in settings.iter().filter(|setting| setting.section == "Service") {
        let key = setting.key.value.as_str();
        if !OF_THE_ENGINE.contains(&key) {
            continue;
        }
        let changes = setting.value.place.map(|place| Change::Remove { place }).into_iter().collect();
        let instead = match key {
            "CapabilityBoundingSet" | "AmbientCapabilities" => "DropCapability=all and AddCapability=NAME",
            "NoNewPrivileges" => "NoNewPrivileges=true",
            "SystemCallFilter" => "SeccompProfile=PATH",
            "ProtectSystem" => "ReadOnly=true",
            _ => "the container's own settings",
        };
        let fix = Fix { text: format!("{instead} in [Container]"), changes, ..Fix::default() };
        reading.note(
            Rule::BoundsTheEngine,
            format!("`{key}=` of [Service] bounds Podman, and not the container"),
            Some(setting.place()),
            fix,
        );
    }
}
