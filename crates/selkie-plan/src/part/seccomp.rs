//! Which system call filter: seccomp(2).
//!
//! A filter that was asked for is applied even to a privileged container. The built-in profile depends on the
//! bounding set, so it is compiled after the capabilities are known.

use super::{Inputs, Notes};
use crate::value::SecurityOpt;
use crate::{PlanError, Seccomp};

const IMAGE_LABEL: &str = "io.containers.seccomp.profile";
/// Naming one of these is as naming none, as in Podman.
const SYSTEM_PROFILES: [&str; 2] = ["/etc/containers/seccomp.json", "/usr/share/containers/seccomp.json"];

/// Computes the filter.
pub(crate) fn part(inputs: &Inputs, notes: &mut Notes) -> Result<Seccomp, PlanError> {
    if inputs.request.security.seccomp_from_image {
        return Err(if inputs.image.labels.contains_key(IMAGE_LABEL) {
            PlanError::NotSupportedYet { flag: String::from("--seccomp-policy image") }
        } else {
            PlanError::NoSeccompInImage
        });
    }
    let nested_userns = nested_userns(inputs);
    let options = inputs.request.security.options.iter().rev();
    let asked = options.into_iter().find_map(|option| match option {
        SecurityOpt::Seccomp(value) if !SYSTEM_PROFILES.contains(&value.as_str()) => Some(value.as_str()),
        _ => None,
    });
    let conf = inputs.facts.conf.seccomp_profile.as_deref().filter(|path| !path.is_empty() && !SYSTEM_PROFILES.contains(path));
    let (value, because) = match (asked, conf) {
        (Some(value), _) => (value, format!("--security-opt seccomp={value}")),
        (None, _) if inputs.privileged() => ("unconfined", String::from("--privileged")),
        (None, Some(path)) => (path, String::from("seccomp_profile of containers.conf")),
        (None, None) => ("", String::from("default")),
    };
    let seccomp = match value {
        "" => Seccomp::Default { nested_userns },
        "unconfined" => Seccomp::Unconfined,
        path => Seccomp::File(path.to_owned()),
    };
    notes.because("seccomp", shown(&seccomp), because);
    if nested_userns && !matches!(seccomp, Seccomp::Default { .. }) {
        notes.because("seccomp nested-userns", "no effect", "only the built-in profile refuses new user namespaces");
    }
    Ok(seccomp)
}

/// Returns whether processes may make user namespaces, by `--security-opt nested-userns`.
fn nested_userns(inputs: &Inputs) -> bool {
    let options = inputs.request.security.options.iter().rev();
    options.into_iter().find_map(|option| if let SecurityOpt::NestedUserns(on) = option { Some(*on) } else { None }).unwrap_or(false)
}

/// Returns the filter in words.
pub(crate) fn shown(seccomp: &Seccomp) -> String {
    match seccomp {
        Seccomp::Unconfined => String::from("unconfined"),
        Seccomp::Default { nested_userns: false } => String::from("built-in profile"),
        Seccomp::Default { nested_userns: true } => String::from("built-in profile, new user namespaces allowed"),
        Seccomp::File(path) => format!("profile {path}"),
    }
}
