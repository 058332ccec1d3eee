//! The five capability sets: Podman's rules of merging, then what each kind of user gets of the result.
//!
//! The bounding set is the merge of defaults, `--cap-add` and `--cap-drop`, cut down to what the engine itself
//! could ever give, and reduced further by the label `io.containers.capabilities`. Root has all of it; another
//! user has nothing but what `--cap-add` names, and that is ambient, so that it survives execve(2): capabilities(7).
//!
//! ```text
//! who             bounding   effective = permitted   inheritable = ambient
//! uid 0           merged     merged                  -
//! other           merged     --cap-add               --cap-add
//! ```

use std::collections::BTreeSet;

use selkie_caps::{CapSet, Capability, FiveSets, PODMAN_DEFAULTS};

use super::{Inputs, Notes};
use crate::{HostFacts, PlanError};

/// What a container has when nothing else is said.
pub const DEFAULT_CAPABILITIES: CapSet = PODMAN_DEFAULTS;

const LABEL: &str = "io.containers.capabilities";

/// A list of capability names after [`normalise`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// The capabilities named.
    pub set: CapSet,
    /// `all` was among them.
    pub all: bool,
}

/// Reads capability names as Podman does: any case, with or without `CAP_`, or `all`; `last` is the kernel's last one.
///
/// # Errors
/// [`PlanError::UnknownCapability`] for the first name that this kernel does not have.
pub fn normalise<S: AsRef<str>>(names: &[S], last: u8) -> Result<Named, PlanError> {
    let mut named = Named::default();
    for name in names {
        let upper = name.as_ref().to_uppercase();
        if upper == "ALL" {
            named.all = true;
            continue;
        }
        let name = if upper.starts_with("CAP_") { upper } else { format!("CAP_{upper}") };
        match Capability::from_name(&name) {
            Some(capability) if capability.number() <= last => named.set.insert(capability),
            _ => return Err(PlanError::UnknownCapability { name }),
        }
    }
    Ok(named)
}

/// Merges defaults, additions and removals as Podman does; `bounding` is what `all` means among the additions.
///
/// # Errors
/// Podman's: an unknown name among `drops` first, then among `adds`; `all` in both; one capability in both.
pub fn merge<S: AsRef<str>>(base: CapSet, adds: &[S], drops: &[S], bounding: CapSet, last: u8) -> Result<CapSet, PlanError> {
    let drops = normalise(drops, last)?;
    let adds = normalise(adds, last)?;
    if drops.all {
        return if adds.all { Err(PlanError::AllAddedAndDropped) } else { Ok(adds.set) };
    }
    if adds.all {
        return Ok(bounding.difference(drops.set));
    }
    match sorted(adds.set.intersection(drops.set)).first() {
        Some(both) => Err(PlanError::AddedAndDropped { name: both.name().to_owned() }),
        None => Ok(base.difference(drops.set).union(adds.set)),
    }
}

/// Returns `HostConfig.CapAdd` and `HostConfig.CapDrop` as `inspect` computes them: the difference between the
/// bounding set and the defaults (privileged: all that is known), sorted names with their prefix.
#[must_use]
pub fn cap_add_drop(bounding: CapSet, defaults: CapSet, privileged: bool) -> (Vec<String>, Vec<String>) {
    let base = if privileged { CapSet::KNOWN } else { defaults };
    let names = |set: CapSet| sorted(set).into_iter().map(|capability| capability.name().to_owned()).collect();
    (names(bounding.difference(base)), names(base.difference(bounding)))
}

/// Returns the capabilities of `set` sorted by name, as Podman lists them.
pub(crate) fn sorted(set: CapSet) -> Vec<Capability> {
    let mut list: Vec<Capability> = set.iter().collect();
    list.sort_by_key(|capability| capability.name());
    list
}

/// Returns what the engine could give at the most: what it may pass on and has itself.
pub(crate) fn ceiling(facts: &HostFacts) -> CapSet {
    facts.own.bounding.intersection(facts.own.permitted).intersection(CapSet::up_to(facts.kernel.last_cap))
}

/// The capabilities of the first process.
pub(crate) struct Part {
    pub(crate) sets: FiveSets,
    pub(crate) notes: Notes,
}

/// Computes the five sets for a process whose uid in the container is `uid`.
pub(crate) fn part(inputs: &Inputs, uid: u32) -> Result<Part, PlanError> {
    let mut notes = Notes::default();
    let bounding = bounding(inputs, &mut notes)?;
    let sets = if uid == 0 {
        FiveSets { bounding, permitted: bounding, effective: bounding, ..FiveSets::NONE }
    } else {
        other_user(inputs, bounding, &mut notes)?
    };
    Ok(Part { sets, notes })
}

/// Computes the bounding set.
fn bounding(inputs: &Inputs, notes: &mut Notes) -> Result<CapSet, PlanError> {
    let (facts, security) = (inputs.facts, &inputs.request.security);
    let ceiling = ceiling(facts);
    let last = facts.kernel.last_cap;
    if inputs.privileged() {
        let because = if security.privileged.is_some() { "--privileged" } else { "privileged of containers.conf" };
        explain(notes, ceiling, "granted", because);
        missing(notes, CapSet::up_to(last).intersection(CapSet::KNOWN).difference(ceiling), because);
        return Ok(ceiling);
    }
    let defaults = defaults(facts)?;
    let merged = merge(defaults, &security.cap_add, &security.cap_drop, ceiling, last)?;
    let (adds, drops) = (normalise(&security.cap_add, last)?, normalise(&security.cap_drop, last)?);
    let granted = merged.intersection(ceiling);
    let default_name = if facts.conf.default_capabilities.is_some() { "default_capabilities of containers.conf" } else { "default" };

    let kept = if drops.all || adds.all { CapSet::EMPTY } else { defaults.difference(adds.set) };
    explain(notes, granted.intersection(kept), "granted", default_name);
    explain(notes, granted.intersection(adds.set), "granted", "--cap-add");
    if adds.all {
        explain(notes, granted.difference(adds.set), "granted", "--cap-add all");
        missing(notes, CapSet::up_to(last).intersection(CapSet::KNOWN).difference(ceiling).difference(drops.set), "--cap-add all");
    }
    let dropped = if adds.all { ceiling } else { defaults }.difference(merged);
    explain(notes, dropped, "denied", if drops.all { "--cap-drop all" } else { "--cap-drop" });
    missing(notes, adds.set.difference(ceiling), "--cap-add");
    explain(notes, merged.intersection(kept).difference(ceiling), "denied", "the engine itself does not have it");
    by_label(inputs, granted, notes)
}

/// Returns the default capabilities: containers.conf, or else the built-in ones. `inspect` compares with them.
///
/// # Errors
/// [`PlanError::UnknownCapability`] for a bad name in containers.conf.
pub fn defaults(facts: &HostFacts) -> Result<CapSet, PlanError> {
    let Some(names) = &facts.conf.default_capabilities else { return Ok(DEFAULT_CAPABILITIES) };
    let named = normalise(names, facts.kernel.last_cap)?;
    Ok(if named.all { ceiling(facts) } else { named.set })
}

/// Lets the label of the image (or `--label`) reduce the set: it never adds to it.
fn by_label(inputs: &Inputs, granted: CapSet, notes: &mut Notes) -> Result<CapSet, PlanError> {
    let Some(label) = inputs.request.labels.get(LABEL).or_else(|| inputs.image.labels.get(LABEL)) else { return Ok(granted) };
    let names: Vec<&str> = if label.is_empty() { Vec::new() } else { label.split(',').collect() };
    let named =
        normalise(&names, inputs.facts.kernel.last_cap).map_err(|error| PlanError::LabelCapabilities { source: Box::new(error) })?;
    let wanted = if named.all { ceiling(inputs.facts).union(named.set) } else { named.set };
    let beyond = wanted.difference(granted);
    if beyond.is_empty() {
        let removed = granted.difference(wanted);
        notes.reasons.retain(|reason| !removed.iter().any(|capability| reason.subject == subject(capability)));
        explain(notes, removed, "denied", format!("label {LABEL}"));
        return Ok(wanted);
    }
    let names: Vec<&str> = sorted(beyond).into_iter().map(Capability::name).collect();
    notes.warn(
        format!("Capabilities requested by user or image are not allowed by default: \"{}\"", names.join(",")),
        Some("the label can only take capabilities away; add them with --cap-add"),
    );
    notes.because(format!("label {LABEL}"), "ignored", format!("it asks for more than is granted: {}", names.join(",")));
    Ok(granted)
}

/// Computes the sets of a user other than root: only what `--cap-add` names, ambient.
fn other_user(inputs: &Inputs, bounding: CapSet, notes: &mut Notes) -> Result<FiveSets, PlanError> {
    let (facts, adds) = (inputs.facts, &inputs.request.security.cap_add);
    let named = normalise(adds, facts.kernel.last_cap)
        .map_err(|error| PlanError::UserCapabilities { names: adds.join(","), source: Box::new(error) })?;
    let usable = if named.all { bounding } else { named.set.intersection(bounding) };
    let beyond = named.set.difference(bounding);
    if inputs.privileged() {
        missing(notes, beyond, "--cap-add");
    }
    if usable.is_empty() {
        notes.because("effective set", "empty", "the user is not root and no --cap-add names a capability for it");
    } else {
        notes.because("effective set", "what --cap-add names", "the user is not root; ambient, so that it survives execve");
    }
    if !facts.kernel.ambient {
        notes.warn("this kernel has no ambient capabilities: a user other than root loses them at execve", None);
        return Ok(FiveSets { bounding, permitted: usable, effective: usable, ..FiveSets::NONE });
    }
    Ok(FiveSets { bounding, permitted: usable, effective: usable, inheritable: usable, ambient: usable })
}

fn subject(capability: Capability) -> String {
    format!("capability {capability}")
}

/// Notes one decision about each capability of `set`.
fn explain(notes: &mut Notes, set: CapSet, decision: &str, because: impl Into<String>) {
    let because = because.into();
    for capability in sorted(set) {
        notes.because(subject(capability), decision, because.as_str());
    }
}

/// Notes and warns that capabilities were asked for that the engine itself does not have: Podman says nothing.
fn missing(notes: &mut Notes, set: CapSet, asked: &str) {
    if set.is_empty() {
        return;
    }
    explain(notes, set, "denied", format!("{asked}, but the engine itself does not have it"));
    let names: BTreeSet<&str> = set.iter().map(Capability::name).collect();
    let names = names.into_iter().collect::<Vec<_>>().join(", ");
    notes.warn(
        format!("{asked} cannot give {names}: the bounding set of the engine lacks it"),
        Some("`selkie doctor` shows what this engine can give"),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDING: CapSet = CapSet::KNOWN.without(Capability::SysResource);

    fn set(names: &[&str]) -> CapSet {
        normalise(names, 40).unwrap().set
    }

    fn merged(base: &[&str], adds: &[&str], drops: &[&str]) -> Result<CapSet, PlanError> {
        merge(set(base), adds, drops, BOUNDING, 40)
    }

    #[test]
    fn merge_drop_verify() {
        assert_eq!(merged(&["CHOWN"], &["SETUID", "SYS_ADMIN"], &["NET_ADMIN", "cap_chown"]), Ok(set(&["SETUID", "SYS_ADMIN"])));
    }

    #[test]
    fn merge_drop_add_conflict_error() {
        assert_eq!(merged(&["CHOWN"], &["CHOWN", "SETUID"], &["CHOWN"]), Err(PlanError::AddedAndDropped { name: "CAP_CHOWN".into() }));
    }

    #[test]
    fn merge_drop_takes_away() {
        assert_eq!(merged(&["CHOWN", "SYS_ADMIN"], &[], &["chown"]), Ok(set(&["SYS_ADMIN"])));
    }

    #[test]
    fn merge_drop_all_leaves_additions() {
        assert_eq!(merged(&["CHOWN"], &["SETUID", "SYS_ADMIN"], &["all"]), Ok(set(&["SETUID", "SYS_ADMIN"])));
    }

    #[test]
    fn merge_add_all_is_the_bounding_set() {
        assert_eq!(merged(&["CHOWN"], &["all"], &[]), Ok(BOUNDING));
        assert_eq!(merged(&["CHOWN"], &["all"], &["chown"]), Ok(BOUNDING.without(Capability::Chown)));
    }

    #[test]
    fn merge_add_all_and_drop_all_error() {
        assert_eq!(merged(&["CHOWN"], &["ALL"], &["all"]), Err(PlanError::AllAddedAndDropped));
    }

    #[test]
    fn normalise_reads_any_case_and_refuses_unknown_names() {
        assert_eq!(normalise(&["chown", "CAP_KILL", "All"], 40), Ok(Named { set: set(&["kill", "chown"]), all: true }));
        assert_eq!(normalise(&["CHOWN", "CAP_CHMOD"], 40), Err(PlanError::UnknownCapability { name: "CAP_CHMOD".into() }));
    }

    #[test]
    fn default_set_is_podmans() {
        assert_eq!(DEFAULT_CAPABILITIES.bits(), 0x8004_05fb);
    }

    #[test]
    fn inspect_recomputes_what_was_added_and_dropped() {
        let (add, drop) = cap_add_drop(set(&["setuid", "setgid", "net_raw"]), set(&["setuid", "setgid", "chown"]), false);
        assert_eq!((add, drop), (vec!["CAP_NET_RAW".to_owned()], vec!["CAP_CHOWN".to_owned()]));
        let (add, drop) = cap_add_drop(BOUNDING, DEFAULT_CAPABILITIES, true);
        assert_eq!((add, drop), (Vec::new(), vec!["CAP_SYS_RESOURCE".to_owned()]));
    }
}
