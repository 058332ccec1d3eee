//! `--security-opt` of Docker and Podman: docker-run(1), podman-run(1).

use crate::{Confinement, Located, Selinux, Subject};

/// Adds one option to what is known of `subject`.
pub(super) fn apply(subject: &mut Subject, option: &Located<String>) {
    let text = option.value.trim();
    let (name, value) = text.split_once(['=', ':']).unwrap_or((text, ""));
    let located = |value: Confinement| Some(Located { value, place: option.place });
    match name.trim() {
        "no-new-privileges" => {
            let on = !matches!(value.trim(), "false" | "0");
            subject.no_new_privileges = Some(Located { value: on, place: option.place });
        }
        "seccomp" => subject.seccomp = located(confinement(value)),
        "apparmor" => subject.apparmor = located(confinement(value)),
        "label" => subject.selinux.extend(selinux(value).map(|value| Located { value, place: option.place })),
        "systempaths" if value.trim() == "unconfined" => subject.unmasked.push(Located { value: "ALL".to_owned(), place: option.place }),
        "unmask" => {
            let paths = value.split(':').filter(|path| !path.trim().is_empty());
            subject.unmasked.extend(paths.map(|path| Located { value: path.trim().to_owned(), place: option.place }));
        }
        _ => {}
    }
}

/// Reads the name of a profile.
pub(super) fn confinement(value: &str) -> Confinement {
    match value.trim() {
        "unconfined" => Confinement::Unconfined,
        "" | "default" | "docker-default" | "builtin" => Confinement::Default,
        other => Confinement::Profile(other.to_owned()),
    }
}

fn selinux(value: &str) -> Option<Selinux> {
    let value = value.trim();
    if value == "disable" {
        return Some(Selinux::Disabled);
    }
    let (part, text) = value.split_once([':', '='])?;
    match part {
        "type" => Some(Selinux::Type(text.to_owned())),
        "user" => Some(Selinux::User(text.to_owned())),
        "role" => Some(Selinux::Role(text.to_owned())),
        _ => None,
    }
}
