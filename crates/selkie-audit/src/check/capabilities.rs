//! What is added, dropped, left, and needed.

use selkie_caps::{CapSet, Capability};

use super::{Findings, Learned, is_conf};
use crate::subject::{Engine, Names, Namespace, capability};
use crate::{Change, Fix, Located, Place, Rule, Setting, Severity, Subject};

pub(super) fn check(findings: &mut Findings, learned: &[Learned]) {
    let subject = findings.subject;
    unknown(findings);
    if subject.has_everything() {
        // The flag is one finding; every capability beside it would be noise.
        learned_profile(findings, learned);
        return;
    }
    let (added, dropped) = (Names::read(&subject.added), Names::read(&subject.dropped));
    if added.has_all && subject.effective.is_none() {
        let severity = findings.by_users(Severity::Critical);
        let fix = Fix::words("name the capabilities that are needed, or learn them: `selkie learn`");
        findings.add(Rule::CapabilityAll, "ALL capabilities are added", added.all, fix).with(severity);
    }
    each(findings);
    let names = &subject.added;
    for name in names.iter().filter(|name| capability(&name.value).is_some_and(|capability| dropped.set.contains(capability))) {
        let text = format!("{} is added and dropped, which engines read differently", name.value);
        findings.add(Rule::CapabilityAddedAndDropped, text, name.place, Fix::words("take one of both away")).capability =
            capability(&name.value);
    }
    if dropped.has_all && !added.has_all {
        for name in subject.dropped.iter().filter(|name| !name.value.eq_ignore_ascii_case("all")) {
            if capability(&name.value).is_some_and(|capability| !added.set.contains(capability)) {
                let text = format!("{} is dropped beside ALL, which drops it already", name.value);
                let fix = Fix::remove(format!("take `{}` away", name.value), name.place);
                findings.add(Rule::DropAfterAll, text, name.place, fix).capability = capability(&name.value);
            }
        }
    }
    left(findings, &dropped);
    learned_profile(findings, learned);
}

/// Names that mean nothing.
fn unknown(findings: &mut Findings) {
    let subject = findings.subject;
    let added = subject.added.iter().map(|name| (name, true));
    // A word of the engines' flags: these files have names alone, and are refused with it.
    let knows_all = !(is_conf(subject) || matches!(subject.engine, Engine::Oci | Engine::Lxc));
    for (name, is_added) in added.chain(subject.dropped.iter().map(|name| (name, false))) {
        let is_all = name.value.eq_ignore_ascii_case("all");
        if is_all && knows_all || capability(&name.value).is_some() || name.value.contains('$') {
            continue;
        }
        if is_all {
            let fix = Fix::words("name each capability that is needed");
            findings.add(
                Rule::CapabilityUnknown,
                format!("`{}` is not a capability, and this file takes names alone", name.value),
                name.place,
                fix,
            );
            continue;
        }
        let closest = Capability::parse_name(&name.value).err().and_then(|unknown| unknown.closest);
        let known =
            |closest: Capability| if name.value.to_ascii_uppercase().starts_with("CAP_") { closest.name() } else { closest.short_name() };
        // To mend an addition would give what nobody has by now: words, and no patch.
        let fix = match closest {
            Some(closest) if is_added => Fix::words(format!("write `{}`", known(closest))),
            Some(closest) => Fix::word(format!("write `{}`", known(closest)), name.place, known(closest)),
            None => Fix::words("`selkie caps list` has all names"),
        };
        let shown: String = name.value.chars().take(60).collect();
        findings.add(Rule::CapabilityUnknown, format!("`{shown}` is not a capability"), name.place, fix);
    }
}

/// What each added capability opens.
fn each(findings: &mut Findings) {
    let subject = findings.subject;
    let is_written_out = subject.effective.is_some();
    let sure = super::escapes::sure(subject);
    let mut seen = CapSet::EMPTY;
    for (capability, place) in held(subject) {
        if seen.contains(capability) {
            continue;
        }
        seen.insert(capability);
        // What LXC keeps by default is nearly everything, and what is written out has no default: harmless is what Podman gives.
        let has_defaults = !is_written_out && subject.engine != Engine::Lxc;
        let defaults = if has_defaults { subject.defaults } else { selkie_caps::PODMAN_DEFAULTS };
        if defaults.contains(capability) {
            let dropped = Names::read(&subject.dropped);
            if has_defaults && !dropped.has_all && !dropped.set.contains(capability) {
                let text = format!("{} is added, and the engine gives it anyway", capability.short_name());
                let fix = Fix::remove_all(format!("take `{}` away", capability.short_name()), subject.places_of(capability));
                findings.add(Rule::CapabilityRedundant, text, place, fix).of(capability);
            }
            continue;
        }
        if is_conf(subject) {
            let text = format!("every container is given {}, which Podman by itself does not give", capability.short_name());
            let fix = Fix::remove_all(format!("take `{}` away", capability.short_name()), subject.places_of(capability));
            findings.add(Rule::DefaultCapabilities, text, place, fix).of(capability);
        }
        opens(findings, capability, place, sure);
    }
    // A user other than root gets nothing of it: the bounding set is no grant. Podman makes it ambient.
    let grants_nothing = matches!(subject.engine, Engine::Kubernetes | Engine::Docker) && subject.is_non_root();
    if !grants_nothing {
        return;
    }
    let gains_nothing = subject.no_new_privileges.as_ref().is_some_and(|flag| flag.value);
    let user = subject.user.as_ref().map_or("not root", |user| user.value.as_str());
    for name in &subject.added {
        let Some(capability) = capability(&name.value) else { continue };
        let (text, fix) = if gains_nothing {
            let text = format!("{} is added, and has no effect: the user is {user}, and gains nothing by execve", name.value);
            (text, Fix::remove_all(format!("take `{}` away", name.value), subject.places_of(capability)))
        } else {
            let text = format!("{} is added, and reaches only programs with file capabilities: the user is {user}", name.value);
            (text, Fix::words("give the program the file capability (setcap), or take it away"))
        };
        findings.add(Rule::CapabilityNoEffect, text, name.place, fix).of(capability);
    }
}

/// The capabilities that are asked for by name, or of a running container those that it has beyond the defaults.
fn held(subject: &Subject) -> Vec<(Capability, Option<Place>)> {
    let dropped = Names::read(&subject.dropped).set;
    let named: Vec<_> = subject.added.iter().filter_map(|name| Some((capability(&name.value)?, name.place))).collect();
    if named.is_empty()
        && let Some(set) = subject.effective
    {
        return set.difference(subject.defaults).iter().map(|capability| (capability, None)).collect();
    }
    if named.is_empty() && matches!(subject.engine, Engine::Lxc | Engine::Nspawn) {
        // A system container has by default what others have to add; only what is worst is worth a line each.
        let worst = subject.capabilities().iter().filter(|capability| {
            matches!(capability, Capability::SysModule | Capability::SysRawio | Capability::DacReadSearch | Capability::MacAdmin)
        });
        return if subject.engine == Engine::Lxc { worst.map(|capability| (capability, None)).collect() } else { Vec::new() };
    }
    named.into_iter().filter(|(capability, _)| !dropped.contains(*capability)).collect()
}

fn opens(findings: &mut Findings, capability: Capability, place: Option<Place>, sure: CapSet) {
    let about = capability.knowledge();
    let name = capability.short_name();
    let text = format!("take `{name}` away; {}", lower_first(about.cheaper));
    let fix = Fix::remove_all(text, findings.subject.places_of(capability));
    // What it takes the host's processes for is not there; containers.conf leaves that to each container.
    let has_own_processes = !findings.subject.shares(Namespace::Pid) && !is_conf(findings.subject);
    let (rule, severity, text) = match (about.danger, about.host_root) {
        _ if capability == Capability::SysPtrace && has_own_processes => {
            let text = format!("{name}: {} of its own PID namespace", about.summary);
            (Rule::CapabilityAdded, Severity::Medium, text)
        }
        (_, Some(way)) => {
            let severity = if sure.contains(capability) { Severity::Critical } else { Severity::High };
            (Rule::CapabilityHostRoot, severity, format!("{name} becomes root of the host: {}", lower_first(way)))
        }
        (selkie_caps::Danger::High, None) => (Rule::CapabilityOutside, Severity::Medium, format!("{name}: {}", lower_first(about.summary))),
        _ if capability == Capability::NetBindService => return,
        _ => (Rule::CapabilityAdded, Severity::Low, format!("{name}: {}", lower_first(about.summary))),
    };
    let severity = findings.by_users(severity);
    findings.add(rule, text.trim_end_matches('.'), place, fix).with(severity).of(capability);
}

/// What nobody asked for and is there by default.
fn left(findings: &mut Findings, dropped: &Names) {
    let subject = findings.subject;
    if dropped.has_all
        || subject.effective.is_some()
        || matches!(subject.engine, Engine::Lxc | Engine::Nspawn | Engine::Oci)
        || is_conf(subject)
    {
        return;
    }
    let left = subject.defaults.difference(dropped.set);
    if left.is_empty() || Names::read(&subject.added).has_all {
        return;
    }
    let all = drop_all(subject);
    let place = subject.dropped.first().map_or(subject.place, |name| name.place);
    let text = format!("{} capabilities of the engine's defaults are not dropped", left.len());
    findings.add(Rule::CapabilitiesNotDropped, text, place, Fix::words(format!("{all}, then add what `selkie learn` proves")));
    if left.contains(Capability::NetRaw) {
        let fix = Fix::words(format!("drop NET_RAW, or {all}"));
        findings.add(Rule::NetRaw, "NET_RAW is left by the engine's defaults", place, fix).of(Capability::NetRaw);
    }
}

fn drop_all(subject: &Subject) -> &'static str {
    match subject.engine {
        Engine::Kubernetes => "capabilities: {drop: [ALL]}",
        Engine::Docker => "cap_drop: [ALL]",
        Engine::Podman => "DropCapability=all",
        _ => "drop ALL",
    }
}

fn learned_profile(findings: &mut Findings, learned: &[Learned]) {
    let subject = findings.subject;
    if !subject.knows_capabilities() {
        return;
    }
    let Some((profile, doubt)) = profile_of(subject, learned) else { return };
    let given = subject.capabilities();
    let (beyond, missing) = (given.difference(profile.needs), profile.needs.difference(given));
    let fix = least(subject, profile.needs);
    let place = subject.added.first().map_or(subject.place, |name| name.place);
    if !missing.is_empty() {
        let text = format!("profile `{}` needs {}, which is not given{doubt}", profile.profile, names(missing));
        findings.add(Rule::LearnedNeedsMore, text, place, fix.clone());
    }
    if !beyond.is_empty() {
        let needs =
            if profile.needs.is_empty() { "none".to_owned() } else { format!("{} ({})", profile.needs.len(), names(profile.needs)) };
        let text = format!(
            "given {} {}, and profile `{}` needs {needs}{doubt}",
            given.len(),
            if given.len() == 1 { "capability" } else { "capabilities" },
            profile.profile
        );
        findings.add(Rule::LearnedNeedsFewer, text, place, fix);
    }
}

/// Returns the profile that was learned of the image, and what is to be said against it: a digest says which image it is, a name
/// only what somebody called it. Without an image the container's name has to do.
fn profile_of<'a>(subject: &Subject, learned: &'a [Learned]) -> Option<(&'a Learned, &'static str)> {
    let digest = subject.digest.as_deref().or_else(|| digest_in(subject.image.as_deref()?));
    if let Some(digest) = digest
        && let Some(profile) = learned.iter().find(|profile| profile.digest.as_deref() == Some(digest))
    {
        return Some((profile, ""));
    }
    let image = subject.image.as_deref().map(short_image);
    let of_image = |profile: &&Learned| image.is_some() && profile.image.as_deref().map(short_image) == image;
    let of_name = |profile: &&Learned| subject.name.rsplit([':', '/']).next() == Some(profile.profile.as_str()) && image.is_none();
    let profile = learned.iter().find(of_image).or_else(|| learned.iter().find(of_name))?;
    let doubt = match (digest, &profile.digest) {
        _ if image.is_none() => "; it is the profile of this name, which image it is of is not said",
        (Some(_), Some(_)) => "; it was learned of another version of this image",
        _ => "; it is known by the image's name only, which may mean another version",
    };
    Some((profile, doubt))
}

/// The digest that a reference ends with.
fn digest_in(image: &str) -> Option<&str> {
    image.rsplit_once('@').map(|(_, digest)| digest).filter(|digest| digest.contains(':'))
}

/// Says how to give exactly this set.
fn least(subject: &Subject, needs: CapSet) -> Fix {
    let list: Vec<String> = needs.iter().map(|capability| capability.short_name().to_owned()).collect();
    let (adds, drops): (&[&'static str], &[&'static str]) = match subject.engine {
        Engine::Kubernetes => (&["securityContext", "capabilities", "add"], &["securityContext", "capabilities", "drop"]),
        Engine::Docker => (&["cap_add"], &["cap_drop"]),
        Engine::Podman if !is_conf(subject) => (&["Container", "AddCapability"], &["Container", "DropCapability"]),
        _ => return Fix::words(format!("give {}", if list.is_empty() { "nothing".to_owned() } else { list.join(", ") })),
    };
    let text = format!("{}, and add {}", drop_all(subject), if list.is_empty() { "nothing".to_owned() } else { list.join(", ") });
    let Some(within) = subject.place else { return Fix::words(text) };
    let mut changes = vec![Change::Set { within, path: drops.to_vec(), value: Setting::List(vec!["ALL".to_owned()]) }];
    if !list.is_empty() {
        changes.push(Change::Set { within, path: adds.to_vec(), value: Setting::List(list) });
    } else if let Some(Located { place: Some(_), .. }) = subject.added.first() {
        changes.extend(subject.added.iter().rev().filter_map(|name| Some(Change::Remove { place: name.place? })));
        // Removing comes first, so that places still hold.
        changes.rotate_left(1);
    }
    Fix { text, changes, ..Fix::default() }
}

fn names(set: CapSet) -> String {
    set.iter().map(Capability::short_name).collect::<Vec<_>>().join(", ")
}

/// The image without registry defaults, tag and digest, so that `nginx` and `docker.io/library/nginx:1` are the same.
fn short_image(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or(image);
    let image =
        ["docker.io/library/", "docker.io/", "localhost/"].into_iter().find_map(|prefix| image.strip_prefix(prefix)).unwrap_or(image);
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => image,
    }
}

fn lower_first(text: &str) -> String {
    // Names of capabilities and files keep their capitals.
    let second = text.chars().nth(1);
    if second.is_some_and(|second| second.is_uppercase() || second == '_') {
        return text.to_owned();
    }
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_lowercase().chain(characters).collect())
}
