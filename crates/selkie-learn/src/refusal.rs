//! Why a system call was refused: the sharpest evidence there is, because it needs neither the stack nor the audit flag of a check.
//!
//! A check that was denied in a call that succeeds was harmless. One that was denied in a call that returns `EPERM` or `EACCES` was
//! not; locking memory returns `ENOMEM` or `EAGAIN`. Four refusals show in no result and no check: netlink answers in a message, a
//! file capability above the bounding set makes execve(2) fail without a check, so does a capset(2) beyond the permitted set, and a
//! system call filter comes before all checks.

use selkie_caps::{CapSet, Capability};
use selkie_seccomp::{Arch, Resolved, syscall, verdict};
use serde::{Deserialize, Serialize};

use crate::classify::{Class, class, is_netlink, site};
use crate::trace::{Call, Check, Detail, EACCES, EAGAIN, ENOMEM, EPERM, EROFS, Trace};

/// Why a call was refused, or what it lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "cause")]
pub enum Cause {
    /// All of these would have to be there.
    Capability {
        /// Which.
        capabilities: CapSet,
    },
    /// One of these would be enough: to read, `CAP_DAC_READ_SEARCH` or `CAP_DAC_OVERRIDE`.
    OneOf {
        /// Which.
        capabilities: CapSet,
    },
    /// The call works, but without this: set-group-ID is not kept.
    Lost {
        /// Which.
        capabilities: CapSet,
        /// What does not happen.
        what: String,
    },
    /// The program relies on file capabilities that the bounding set does not have.
    FileCapability {
        /// Those that are missing.
        capabilities: CapSet,
    },
    /// The process asks for more than it may have.
    Capset {
        /// What it asked for and does not have.
        capabilities: CapSet,
    },
    /// Held, and wanted in the initial user namespace: no flag gives it there.
    InitialNamespace {
        /// Which.
        capabilities: CapSet,
    },
    /// The system call filter.
    Seccomp {
        /// Capabilities with which the profile would let the call through.
        allowed_with: CapSet,
    },
    /// A read-only file system or mount.
    ReadOnly,
    /// No check was denied: a Linux security module, an immutable file, a `noexec` mount, rules of devices, or the ids themselves.
    Other,
}

impl Cause {
    /// Returns the capabilities that it names.
    pub fn capabilities(&self) -> CapSet {
        match self {
            Self::Capability { capabilities }
            | Self::OneOf { capabilities }
            | Self::Lost { capabilities, .. }
            | Self::FileCapability { capabilities }
            | Self::Capset { capabilities }
            | Self::InitialNamespace { capabilities } => *capabilities,
            Self::Seccomp { allowed_with } => *allowed_with,
            Self::ReadOnly | Self::Other => CapSet::EMPTY,
        }
    }

    /// Returns whether the operation was refused for want of a capability that can be given.
    #[must_use]
    pub const fn is_missing_capability(&self) -> bool {
        matches!(self, Self::Capability { .. } | Self::OneOf { .. } | Self::FileCapability { .. } | Self::Capset { .. } | Self::Lost { .. })
    }
}

/// What refusals are judged against.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// The container's system call filter; `None` without one.
    pub filter: Option<&'a Resolved>,
    /// Whether the observer could take stacks.
    pub has_stacks: bool,
}

/// Returns why `call` was refused or what it lost; `None` if it lost nothing that matters.
#[must_use]
pub fn cause(call: &Call, around: Surroundings<'_>) -> Option<Cause> {
    let refused = matches!(call.result, EPERM | EACCES);
    if call.result == EROFS {
        return Some(Cause::ReadOnly);
    }
    let counting: Vec<&Check> = call.denied.iter().filter(|check| class(check, around.has_stacks).counts()).collect();
    let of = |checks: &[&Check]| checks.iter().fold(CapSet::EMPTY, |set, check| set.with(check.capability));
    if !refused {
        let answered: Vec<&Check> = counting.iter().copied().filter(|check| is_netlink(check)).collect();
        if !answered.is_empty() || (!counting.is_empty() && matches!(call.detail, Detail::Netlink { .. })) {
            let checks = if answered.is_empty() { counting } else { answered };
            return Some(Cause::Capability { capabilities: of(&checks) });
        }
        return unlocked(call, &of(&counting)).or_else(|| lost(call, &of(&counting)));
    }
    let initial: CapSet = call
        .denied
        .iter()
        .filter(|check| class(check, around.has_stacks) == Class::InitialNamespace)
        .fold(CapSet::EMPTY, |set, check| set.with(check.capability));
    if !initial.is_empty() {
        return Some(Cause::InitialNamespace { capabilities: initial });
    }
    // The kernel asks for SETPCAP in every capset(2) (cap_inh_is_capped), and that is not what it refuses when more is asked for
    // than is permitted.
    if let Some(capabilities) = not_permitted(call) {
        return Some(Cause::Capset { capabilities });
    }
    if !counting.is_empty() {
        return Some(linked(call, of(&counting)).unwrap_or_else(|| needed(&counting)));
    }
    // A check that is harmless as a rule was not this time.
    let silent: Vec<&Check> = call.denied.iter().filter(|check| class(check, around.has_stacks) == Class::Silent).collect();
    if !silent.is_empty() {
        return Some(needed(&silent));
    }
    Some(without_check(call, around))
}

/// The kernel asks for `DAC_READ_SEARCH`, then for `DAC_OVERRIDE`, when a file is to be read: either would do.
fn needed(checks: &[&Check]) -> Cause {
    let all = checks.iter().fold(CapSet::EMPTY, |set, check| set.with(check.capability));
    let pair = CapSet::EMPTY.with(Capability::DacReadSearch).with(Capability::DacOverride);
    let alternate = checks.windows(2).all(|two| matches!(two, [a, b] if a.capability != b.capability)) || checks.len() == 2;
    if (all == pair && alternate) || (all.len() > 1 && !all.contains(Capability::DacOverride) && at_one_place(checks)) {
        Cause::OneOf { capabilities: all }
    } else {
        Cause::Capability { capabilities: all.difference(covered(all)) }
    }
}

/// To link to a foreign file (may_linkat(): fs.protected_hardlinks) it is enough to be able to write it, or to own it.
fn linked(call: &Call, all: CapSet) -> Option<Cause> {
    let either = CapSet::EMPTY.with(Capability::DacOverride).with(Capability::Fowner);
    (matches!(call.syscall.as_str(), "link" | "linkat") && all == either).then_some(Cause::OneOf { capabilities: all })
}

/// A function that goes on to ask for another capability after a no takes either (`ioprio_check_cap`, `sk_setsockopt`, `bpf(2)`):
/// where both had to be there, it would have returned at the first.
fn at_one_place(checks: &[&Check]) -> bool {
    match checks {
        [first, rest @ ..] => site(first).is_some() && rest.iter().all(|check| site(check) == site(first)),
        [] => false,
    }
}

/// What another capability of the set gives too: to read is less than to override.
fn covered(all: CapSet) -> CapSet {
    if all.len() > 2 && all.contains(Capability::DacOverride) { CapSet::EMPTY.with(Capability::DacReadSearch) } else { CapSet::EMPTY }
}

/// What a capset(2) asks for and may not have: as permitted or effective, and as inheritable without `SETPCAP`, which would leave
/// it unusable all the same.
fn not_permitted(call: &Call) -> Option<CapSet> {
    match &call.detail {
        Detail::Sets { effective, permitted, inheritable } if call.result == EPERM => {
            let is_capped = call.denied.iter().any(|check| check.capability == Capability::Setpcap);
            let wanted = effective.union(*permitted).union(if is_capped { *inheritable } else { CapSet::EMPTY });
            Some(wanted.difference(call.credentials.permitted)).filter(|missing| !missing.is_empty())
        }
        _ => None,
    }
}

/// Memory that may not be locked is answered as if there were none: `ENOMEM`, by mmap(2) `EAGAIN`.
fn unlocked(call: &Call, denied: &CapSet) -> Option<Cause> {
    let is_refused = matches!(call.result, ENOMEM | EAGAIN) && denied.contains(Capability::IpcLock);
    is_refused.then(|| Cause::Capability { capabilities: CapSet::EMPTY.with(Capability::IpcLock) })
}

/// A call that succeeded without all that it was to do.
fn lost(call: &Call, denied: &CapSet) -> Option<Cause> {
    const SET_GROUP_ID: u64 = 0o2000;
    let mode = match call.syscall.as_str() {
        "chmod" | "fchmod" => call.arguments.get(1),
        "fchmodat" | "fchmodat2" => call.arguments.get(2),
        _ => None,
    };
    if denied.contains(Capability::Fsetid) && mode.is_some_and(|mode| mode & SET_GROUP_ID != 0) {
        let capabilities = CapSet::EMPTY.with(Capability::Fsetid);
        return Some(Cause::Lost { capabilities, what: "the set-group-ID bit was dropped".to_owned() });
    }
    None
}

fn without_check(call: &Call, around: Surroundings<'_>) -> Cause {
    match &call.detail {
        Detail::Program { permitted, effective: true, .. } if !permitted.is_subset(call.credentials.bounding) => {
            return Cause::FileCapability { capabilities: permitted.difference(call.credentials.bounding) };
        }
        Detail::Sets { inheritable, .. } if call.result == EPERM => {
            let missing = inheritable.difference(call.credentials.permitted.union(call.credentials.bounding));
            if !missing.is_empty() {
                return Cause::Capset { capabilities: missing };
            }
        }
        _ => {}
    }
    if let Some(raised) = ambient(call) {
        return Cause::Capset { capabilities: raised };
    }
    if let (Some(filter), Some(arch)) = (around.filter, Arch::native())
        && let Some(number) = syscall::number(arch, &call.syscall)
    {
        let said = verdict(filter, arch, number, &call.arguments);
        if !said.action.lets_through() {
            return Cause::Seccomp { allowed_with: said.allowed_with };
        }
    }
    Cause::Other
}

/// `prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP)` of a capability that is not permitted.
fn ambient(call: &Call) -> Option<CapSet> {
    const PR_CAP_AMBIENT: u64 = 47;
    const RAISE: u64 = 2;
    match call.arguments {
        [PR_CAP_AMBIENT, RAISE, number, ..] if call.syscall == "prctl" && call.result == EPERM => {
            let capability = u8::try_from(number).ok().and_then(Capability::from_number)?;
            (!call.credentials.permitted.contains(capability)).then(|| CapSet::EMPTY.with(capability))
        }
        _ => None,
    }
}

/// Returns every refused call of a trace with its reason.
pub fn causes<'a>(trace: &'a Trace, filter: Option<&'a Resolved>) -> impl Iterator<Item = (&'a Call, Cause)> {
    let around = Surroundings { filter, has_stacks: trace.has_stacks };
    trace.calls.iter().filter_map(move |call| Some((call, cause(call, around)?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{Credentials, Flags};

    const AROUND: Surroundings<'_> = Surroundings { filter: None, has_stacks: true };

    fn denied(capability: Capability, stack: &[&str]) -> Check {
        let stack = std::iter::once(&"cap_capable").chain(stack).map(|&frame| frame.to_owned()).collect();
        Check { capability, denied: true, flags: Flags::default(), stack }
    }

    fn call(syscall: &str, result: i64, denied: Vec<Check>) -> Call {
        Call { syscall: syscall.to_owned(), result, denied, count: 1, ..Call::default() }
    }

    fn set(capabilities: &[Capability]) -> CapSet {
        capabilities.iter().fold(CapSet::EMPTY, |set, capability| set.with(*capability))
    }

    #[test]
    fn denied_check_and_eacces_is_a_missing_capability() {
        let call = call("bind", EACCES, vec![denied(Capability::NetBindService, &["__inet_bind"])]);
        assert_eq!(cause(&call, AROUND), Some(Cause::Capability { capabilities: set(&[Capability::NetBindService]) }));
    }

    #[test]
    fn denied_check_in_a_call_that_succeeds_is_harmless() {
        let call = call("openat", 3, vec![denied(Capability::SysAdmin, &["some_function"])]);
        assert_eq!(cause(&call, AROUND), None);
    }

    #[test]
    fn netlink_says_no_in_its_answer() {
        let call = call("sendto", 40, vec![denied(Capability::NetAdmin, &["netlink_net_capable", "rtnetlink_rcv_msg"])]);
        assert_eq!(cause(&call, AROUND), Some(Cause::Capability { capabilities: set(&[Capability::NetAdmin]) }));
    }

    #[test]
    fn reading_a_file_of_others_has_two_answers() {
        let checks =
            vec![denied(Capability::DacReadSearch, &["generic_permission"]), denied(Capability::DacOverride, &["generic_permission"])];
        let expected = Cause::OneOf { capabilities: set(&[Capability::DacReadSearch, Capability::DacOverride]) };
        assert_eq!(cause(&call("openat", EACCES, checks), AROUND), Some(expected));
    }

    #[test]
    fn two_capabilities_at_one_place_are_alternatives() {
        let checks = vec![denied(Capability::SysAdmin, &["ioprio_check_cap"]), denied(Capability::SysNice, &["ioprio_check_cap"])];
        let expected = Cause::OneOf { capabilities: set(&[Capability::SysAdmin, Capability::SysNice]) };
        assert_eq!(cause(&call("ioprio_set", EPERM, checks), AROUND), Some(expected));
    }

    #[test]
    fn two_capabilities_at_two_places_are_both_needed() {
        let checks = vec![denied(Capability::SysNice, &["can_nice"]), denied(Capability::SysResource, &["other"])];
        let expected = Cause::Capability { capabilities: set(&[Capability::SysNice, Capability::SysResource]) };
        assert_eq!(cause(&call("setpriority", EPERM, checks), AROUND), Some(expected));
    }

    #[test]
    fn memory_that_may_not_be_locked_is_refused_as_if_there_were_none() {
        let expected = Cause::Capability { capabilities: set(&[Capability::IpcLock]) };
        let asked = || vec![denied(Capability::IpcLock, &["__do_sys_mlockall"])];
        assert_eq!(cause(&call("mlockall", ENOMEM, asked()), AROUND), Some(expected));
        assert_eq!(cause(&call("mlockall", 0, asked()), AROUND), None);
    }

    #[test]
    fn file_capability_above_the_bounding_set_shows_no_check() {
        let mut call = call("execve", EPERM, Vec::new());
        let permitted = set(&[Capability::NetRaw]);
        call.detail = Detail::Program { path: "/bin/ping".to_owned(), capabilities: None, permitted, effective: true };
        assert_eq!(cause(&call, AROUND), Some(Cause::FileCapability { capabilities: permitted }));
    }

    #[test]
    fn capset_beyond_the_permitted_set_names_the_difference() {
        let mut call = call("capset", EPERM, vec![denied(Capability::Setpcap, &["cap_capset"])]);
        let held = set(&[Capability::Setuid]);
        call.credentials = Credentials { permitted: held, bounding: held, ..Credentials::default() };
        let wanted = set(&[Capability::Setuid, Capability::NetAdmin]);
        call.detail = Detail::Sets { effective: wanted, permitted: wanted, inheritable: CapSet::EMPTY };
        assert_eq!(cause(&call, AROUND), Some(Cause::Capset { capabilities: set(&[Capability::NetAdmin]) }));
    }

    #[test]
    fn capset_of_more_to_hand_on_than_is_permitted_names_it_and_not_setpcap() {
        let mut call = call("capset", EPERM, vec![denied(Capability::Setpcap, &["cap_capset"])]);
        let held = set(&[Capability::Setuid]);
        call.credentials = Credentials { permitted: held, bounding: held, ..Credentials::default() };
        let inheritable = set(&[Capability::NetBindService]);
        call.detail = Detail::Sets { effective: held, permitted: held, inheritable };
        assert_eq!(cause(&call, AROUND), Some(Cause::Capset { capabilities: inheritable }));
    }

    #[test]
    fn link_to_a_foreign_file_needs_either() {
        let checks = || vec![denied(Capability::DacOverride, &["generic_permission"]), denied(Capability::Fowner, &["may_linkat"])];
        let either = set(&[Capability::DacOverride, Capability::Fowner]);
        assert_eq!(cause(&call("linkat", EPERM, checks()), AROUND), Some(Cause::OneOf { capabilities: either }));
        assert_eq!(cause(&call("unlinkat", EPERM, checks()), AROUND), Some(Cause::Capability { capabilities: either }));
    }

    #[test]
    fn set_group_id_that_is_dropped_in_silence() {
        let mut call = call("fchmodat", 0, vec![denied(Capability::Fsetid, &["setattr_prepare"])]);
        call.arguments = [0, 0, 0o2755, 0, 0, 0];
        assert!(matches!(cause(&call, AROUND), Some(Cause::Lost { .. })));
    }

    #[test]
    fn filter_comes_before_all_checks() {
        let profile = selkie_seccomp::Profile::default_profile_with(selkie_seccomp::DefaultOptions::default());
        let Some(arch) = Arch::native() else { return };
        let facts = selkie_seccomp::Facts { capabilities: CapSet::EMPTY, arch, kernel: None };
        let resolved = selkie_seccomp::resolve(&profile, &facts);
        let around = Surroundings { filter: Some(&resolved), ..AROUND };
        let expected = Cause::Seccomp { allowed_with: set(&[Capability::SysAdmin]) };
        assert_eq!(cause(&call("sethostname", EPERM, Vec::new()), around), Some(expected));
    }
}
