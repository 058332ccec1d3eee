//! Masks, read-only paths, no_new_privs, security modules: the rest of `--security-opt`.

use super::{Inputs, Notes, mounts, namespaces};
use crate::value::{Label, SecurityOpt, clean};
use crate::{Namespace, PlanError, UserNamespace};

/// Masked unless unmasked or privileged: Podman's list, and `/sys/dev/block` of earlier versions.
const MASKED: [&str; 13] = [
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/dev/block",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
    "/sys/fs/selinux",
];
/// Read-only unless unmasked or privileged.
const READONLY: [&str; 6] = ["/proc/asound", "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Masks and flags.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) masked: Vec<String>,
    pub(crate) readonly: Vec<String>,
    pub(crate) no_new_privileges: bool,
    pub(crate) notes: Notes,
}

/// Computes masks and flags.
pub(crate) fn part(inputs: &Inputs, namespaces: &namespaces::Part) -> Result<Part, PlanError> {
    let mut notes = Notes::default();
    modules(inputs)?;
    let label_disabled =
        options(inputs).any(|option| *option == SecurityOpt::Label(Label::Disable)) || inputs.facts.conf.label == Some(false);
    if inputs.facts.kernel.selinux && !inputs.privileged() && !label_disabled {
        notes.warn(
            "SELinux does not separate this container yet: it runs in the domain of the engine",
            Some("--security-opt label=disable"),
        );
    }
    let unmasked = unmasked(inputs);
    let kept = |path: &&str| !inputs.privileged() && !unmasked.iter().any(|pattern| matches(pattern, path));
    let mut masked: Vec<String> = MASKED.iter().filter(|path| kept(path)).map(|path| (*path).to_owned()).collect();
    let throttle = inputs.facts.kernel.thermal_throttle.iter();
    masked.extend(throttle.filter(|path| kept(&path.as_str())).cloned());
    let readonly = READONLY.iter().filter(|path| kept(path)).map(|path| (*path).to_owned()).collect();
    if inputs.privileged() {
        notes.because("masked and read-only paths", "none", "--privileged");
    } else if !unmasked.is_empty() {
        notes.because("masked and read-only paths", format!("without {}", unmasked.join(":")), "--security-opt unmask");
    }
    let new_user = namespaces.namespaces.user != UserNamespace::Host;
    if inputs.facts.own.rootless && !mounts::can_mount_sys(namespaces) && !inputs.privileged() {
        masked.push(String::from("/sys/kernel"));
    }
    // The host's own /proc is bound there, and the mask would be on the host's processes.
    if new_user && namespaces.namespaces.pid == Namespace::Host {
        if asked_masks(inputs).next().is_some() {
            notes.warn("--security-opt mask has no effect with --pid host in a user namespace", None);
        }
    } else {
        for path in asked_masks(inputs) {
            if path.starts_with('/') && !path.contains('\0') {
                masked.push(clean(path));
            } else {
                notes.warn(format!("Path \"{path}\" is not an absolute path, skipping..."), None);
            }
        }
    }
    masked.sort();
    masked.dedup();
    Ok(Part { masked, readonly, no_new_privileges: no_new_privileges(inputs, &mut notes), notes })
}

fn options<'a>(inputs: &Inputs<'a>) -> impl DoubleEndedIterator<Item = &'a SecurityOpt> {
    inputs.request.security.options.iter()
}

fn no_new_privileges(inputs: &Inputs, notes: &mut Notes) -> bool {
    let asked = options(inputs).rev().find_map(|option| if let SecurityOpt::NoNewPrivileges(on) = option { Some(*on) } else { None });
    if let Some(on) = asked {
        notes.because("no_new_privs", if on { "on" } else { "off" }, "--security-opt no-new-privileges");
    }
    asked.unwrap_or(false)
}

/// Returns the paths and patterns of `unmask=`.
fn unmasked<'a>(inputs: &Inputs<'a>) -> Vec<&'a str> {
    options(inputs)
        .filter_map(|option| if let SecurityOpt::Unmask(paths) = option { Some(paths) } else { None })
        .flatten()
        .map(String::as_str)
        .collect()
}

fn asked_masks<'a>(inputs: &Inputs<'a>) -> impl Iterator<Item = &'a str> {
    let lists = options(inputs).filter_map(|option| if let SecurityOpt::Mask(paths) = option { Some(paths) } else { None });
    lists.flatten().map(String::as_str).filter(|path| !path.is_empty())
}

/// Returns whether the cgroup mount is writable by `unmask=ALL` or `unmask=/sys/fs/cgroup`.
pub(crate) fn cgroup_unmasked(inputs: &Inputs) -> bool {
    let unmasked = unmasked(inputs);
    unmasked.first() == Some(&"ALL") || unmasked.iter().any(|path| path.starts_with('/') && clean(path) == "/sys/fs/cgroup")
}

/// Returns the options of `/proc` that the user asks for.
pub(crate) fn proc_options<'a>(inputs: &Inputs<'a>) -> Option<&'a Vec<String>> {
    options(inputs).rev().find_map(|option| if let SecurityOpt::ProcOpts(words) = option { Some(words) } else { None })
}

/// Checks AppArmor and SELinux: what is asked for and cannot be done is an error.
fn modules(inputs: &Inputs) -> Result<(), PlanError> {
    let kernel = &inputs.facts.kernel;
    for option in options(inputs) {
        match option {
            SecurityOpt::Apparmor(profile) if profile == "unconfined" => {}
            SecurityOpt::Apparmor(profile) if !kernel.apparmor => return Err(PlanError::NoApparmor { profile: profile.clone() }),
            SecurityOpt::Apparmor(_) => return Err(PlanError::NotSupportedYet { flag: String::from("--security-opt apparmor") }),
            SecurityOpt::Label(Label::Disable) => {}
            SecurityOpt::Label(_) if kernel.selinux => {
                return Err(PlanError::NotSupportedYet { flag: String::from("--security-opt label") });
            }
            _ => {}
        }
    }
    Ok(())
}

/// Matches as Go's `filepath.Match`, of which paths use `*`, `?` and `[...]`; `all` in any case matches everything.
fn matches(pattern: &str, path: &str) -> bool {
    pattern.eq_ignore_ascii_case("all") || glob(&pattern.chars().collect::<Vec<_>>(), &path.chars().collect::<Vec<_>>())
}

fn glob(pattern: &[char], path: &[char]) -> bool {
    match (pattern, path) {
        ([], []) => true,
        (['*', pattern @ ..], _) => {
            let longest = path.iter().position(|c| *c == '/').unwrap_or(path.len());
            (0..=longest).any(|taken| path.get(taken..).is_some_and(|rest| glob(pattern, rest)))
        }
        (['?', pattern @ ..], [c, path @ ..]) => *c != '/' && glob(pattern, path),
        (['[', class @ ..], [c, path @ ..]) => {
            let Some(end) = class.iter().position(|c| *c == ']') else { return false };
            let (class, rest) = class.split_at(end);
            *c != '/' && in_class(class, *c) && glob(rest.get(1..).unwrap_or_default(), path)
        }
        (['\\', quoted, pattern @ ..], [c, path @ ..]) => quoted == c && glob(pattern, path),
        ([plain, pattern @ ..], [c, path @ ..]) => plain == c && glob(pattern, path),
        _ => false,
    }
}

fn in_class(class: &[char], c: char) -> bool {
    let (negated, mut class) = match class {
        ['^', class @ ..] => (true, class),
        class => (false, class),
    };
    let mut found = false;
    while let [first, rest @ ..] = class {
        class = if let ['-', last, rest @ ..] = rest {
            found |= (*first..=*last).contains(&c);
            rest
        } else {
            found |= *first == c;
            rest
        };
    }
    found != negated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unmask_patterns_are_gos() {
        for (pattern, path, expected) in [
            ("all", "/proc/acpi", true),
            ("/proc/acpi", "/proc/acpi", true),
            ("/proc/*", "/proc/acpi", true),
            ("/proc*", "/proc/acpi", false),
            ("/sys/*", "/sys/dev/block", false),
            ("/proc/a?p[a-i]", "/proc/acpi", true),
            ("/proc/[^b]cpi", "/proc/acpi", true),
            ("/proc/[b", "/proc/acpi", false),
            ("/proc/\\acpi", "/proc/acpi", true),
            ("", "/proc/acpi", false),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern}");
        }
    }
}
