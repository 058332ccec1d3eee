//! The way from what a process holds to what it should hold: ordered system calls, computed before anything is changed.
//!
//! Follows prctl(2), capset(2), setresuid(2), seccomp(2). Not for execve(2): the target is the state just before it.
//! The steps hold plain numbers only, so that a freshly cloned child can run them without allocating.
//!
//! ```text
//! 1 CapSet        only if a needed capability is permitted but not effective, or has to become inheritable while it still can
//! 2 DropBounding  needs SETPCAP
//! 3 SetGroups, SetGid, KeepCaps, SetUid, KeepCaps        groups before the uid: they need SETGID
//! 4 CapSet, Ambient*, Seccomp, CapSet                    without no_new_privs: the filter needs SYS_ADMIN, so it comes before the last drop;
//!   or  CapSet, Ambient*, NoNewPrivs, Seccomp            all is done by then, so that after the filter one capset(2) at most is left
//! ```

use alloc::vec::Vec;
use core::fmt;

use crate::{CapSet, CapState, Capability, Credentials, FiveSets, Ids, Securebits, TransitionError};

/// Where a process should arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// All four user ids.
    pub uid: u32,
    /// All four group ids.
    pub gid: u32,
    /// What happens to the supplementary groups.
    pub groups: Groups,
    /// The five sets.
    pub sets: FiveSets,
    /// Whether `no_new_privs` is set. What is set already cannot be taken back.
    pub no_new_privs: bool,
    /// Whether a seccomp filter is loaded.
    pub seccomp: bool,
}

/// What happens to the supplementary groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Groups {
    /// setgroups(2) with the plan's list, also when it is empty.
    #[default]
    Replace,
    /// Left alone: a user namespace whose `setgroups` file says `deny` allows nothing else.
    Keep,
}

/// One system call, or one kind of it for each capability of a set ([`CapSet::numbers`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// capset(2) with these three sets.
    CapSet {
        /// Effective.
        effective: CapSet,
        /// Permitted.
        permitted: CapSet,
        /// Inheritable.
        inheritable: CapSet,
    },
    /// `prctl(PR_CAPBSET_DROP)` for each.
    DropBounding(CapSet),
    /// setgroups(2) with the plan's list, which is not kept here.
    SetGroups,
    /// `setresgid(gid, gid, gid)`.
    SetGid(u32),
    /// `prctl(PR_SET_KEEPCAPS)`.
    KeepCaps(bool),
    /// `setresuid(uid, uid, uid)`.
    SetUid(u32),
    /// `prctl(PR_CAP_AMBIENT_CLEAR_ALL)`.
    ClearAmbient,
    /// `prctl(PR_CAP_AMBIENT_LOWER)` for each.
    LowerAmbient(CapSet),
    /// `prctl(PR_CAP_AMBIENT_RAISE)` for each.
    RaiseAmbient(CapSet),
    /// `prctl(PR_SET_NO_NEW_PRIVS)`.
    NoNewPrivs,
    /// seccomp(2) with the plan's filter.
    Seccomp,
}

/// Why a target cannot be reached.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StepsError {
    /// The target itself is no state that a process can be in.
    #[error("target is impossible: {excess} is {set} but not {required}")]
    Impossible {
        /// The set that holds too much.
        set: &'static str,
        /// What it holds too much.
        excess: CapSet,
        /// Where it would have to be too.
        required: &'static str,
    },
    /// A set that only shrinks would have to grow.
    #[error("{missing} cannot enter the {set} set: the process does not have it there, and nothing but execve adds to it")]
    Absent {
        /// The set.
        set: &'static str,
        /// What it would have to gain.
        missing: CapSet,
    },
    /// A step needs a capability that the process does not have.
    #[error("cannot {action} without {needed}, which the process does not have")]
    Needs {
        /// What is to be done.
        action: &'static str,
        /// The capability that it takes.
        needed: Capability,
    },
    /// `no_new_privs` would have to be taken back.
    #[error("no_new_privs is set and cannot be taken back")]
    NoNewPrivs,
    /// A locked securebit is in the way.
    #[error("cannot {action} under the securebits `{securebits}`")]
    Securebits {
        /// What is to be done.
        action: &'static str,
        /// The securebits of the process.
        securebits: Securebits,
    },
    /// The kernel's rule refuses a step for a reason not foreseen above.
    #[error("step `{step}` is refused")]
    Refused {
        /// The step.
        step: Step,
        /// The rule.
        source: TransitionError,
    },
}

/// Returns the system calls, in order, that lead from `from` to `target`. Their outcome is the target exactly, securebits unchanged.
///
/// # Errors
/// [`StepsError`] says which capability is missing and for what. Nothing has been done by then.
pub fn steps(from: &Credentials, target: &Target) -> Result<Vec<Step>, StepsError> {
    target.check()?;
    let mut way = Way { state: *from, steps: Vec::new(), target };
    way.check()?;
    way.make_ready()?;
    way.drop_bounding()?;
    way.change_ids()?;
    way.finish()?;
    Ok(way.steps)
}

impl Target {
    /// Refuses targets that no process can be in.
    fn check(&self) -> Result<(), StepsError> {
        let sets = &self.sets;
        let rules = [
            ("effective", sets.effective, "permitted", sets.permitted),
            ("ambient", sets.ambient, "permitted", sets.permitted),
            ("ambient", sets.ambient, "inheritable", sets.inheritable),
        ];
        match rules.into_iter().find(|(_, inner, _, outer)| !inner.is_subset(*outer)) {
            Some((set, inner, required, outer)) => Err(StepsError::Impossible { set, excess: inner.difference(outer), required }),
            None => Ok(()),
        }
    }
}

impl Step {
    /// Returns the state after this step, as far as capabilities go: groups and filters change nothing of it.
    ///
    /// # Errors
    /// [`TransitionError`] where the kernel refuses it.
    pub fn apply(self, state: &Credentials) -> Result<Credentials, TransitionError> {
        match self {
            Self::CapSet { effective, permitted, inheritable } => state.capset(CapState { effective, inheritable, permitted }),
            Self::DropBounding(set) => state.drop_bounding(set),
            Self::SetGroups => state.need(Capability::Setgid, "setgroups").map(|()| *state),
            Self::SetGid(gid) => state.set_gid(gid),
            Self::KeepCaps(keep) => state.set_keep_caps(keep),
            Self::SetUid(uid) => state.set_uid(uid),
            Self::ClearAmbient => Ok(state.lower_ambient(CapSet::from_bits(u64::MAX))),
            Self::LowerAmbient(set) => Ok(state.lower_ambient(set)),
            Self::RaiseAmbient(set) => state.raise_ambient(set),
            Self::NoNewPrivs => Ok(state.set_no_new_privs()),
            Self::Seccomp if state.no_new_privs => Ok(*state),
            Self::Seccomp => state.need(Capability::SysAdmin, "seccomp without no_new_privs").map(|()| *state),
        }
    }
}

/// The call as it is made, `prctl(PR_CAPBSET_DROP, CAP_SYS_ADMIN)`; a call for each of many names them all.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CapSet { effective, permitted, inheritable } => {
                write!(f, "capset(effective={effective}, permitted={permitted}, inheritable={inheritable})")
            }
            Self::DropBounding(set) => write!(f, "prctl(PR_CAPBSET_DROP, {set})"),
            Self::SetGroups => f.write_str("setgroups"),
            Self::SetGid(gid) => write!(f, "setresgid({gid}, {gid}, {gid})"),
            Self::KeepCaps(keep) => write!(f, "prctl(PR_SET_KEEPCAPS, {})", u8::from(*keep)),
            Self::SetUid(uid) => write!(f, "setresuid({uid}, {uid}, {uid})"),
            Self::ClearAmbient => f.write_str("prctl(PR_CAP_AMBIENT_CLEAR_ALL)"),
            Self::LowerAmbient(set) => write!(f, "prctl(PR_CAP_AMBIENT_LOWER, {set})"),
            Self::RaiseAmbient(set) => write!(f, "prctl(PR_CAP_AMBIENT_RAISE, {set})"),
            Self::NoNewPrivs => f.write_str("prctl(PR_SET_NO_NEW_PRIVS)"),
            Self::Seccomp => f.write_str("seccomp(SECCOMP_SET_MODE_FILTER)"),
        }
    }
}

/// The steps so far and where they lead.
struct Way<'a> {
    state: Credentials,
    steps: Vec<Step>,
    target: &'a Target,
}

impl Way<'_> {
    fn push(&mut self, step: Step) -> Result<(), StepsError> {
        self.state = step.apply(&self.state).map_err(|source| StepsError::Refused { step, source })?;
        self.steps.push(step);
        Ok(())
    }

    /// What no order of steps could reach.
    fn check(&self) -> Result<(), StepsError> {
        let (old, new) = (&self.state.sets, &self.target.sets);
        let absent = |set, missing: CapSet| if missing.is_empty() { Ok(()) } else { Err(StepsError::Absent { set, missing }) };
        absent("bounding", new.bounding.difference(old.bounding))?;
        absent("permitted", new.permitted.difference(old.permitted))?;
        absent("inheritable", new.inheritable.difference(old.inheritable.union(old.bounding)))?;
        if self.state.no_new_privs && !self.target.no_new_privs {
            return Err(StepsError::NoNewPrivs);
        }
        self.needs()
            .into_iter()
            .find(|(needed, _)| !old.permitted.contains(*needed) && !old.effective.contains(*needed))
            .map_or(Ok(()), |(needed, action)| Err(StepsError::Needs { action, needed }))
    }

    /// The capabilities that the steps to come will be asked for, with what for.
    fn needs(&self) -> Vec<(Capability, &'static str)> {
        let (old, new) = (&self.state, self.target);
        let in_reach = old.sets.inheritable.union(old.sets.permitted);
        [
            (old.sets.bounding != new.sets.bounding, Capability::Setpcap, "drop from the bounding set"),
            (!new.sets.inheritable.is_subset(in_reach), Capability::Setpcap, "make inheritable what is not permitted"),
            (new.groups == Groups::Replace, Capability::Setgid, "set the supplementary groups"),
            (!old.group.may_become(new.gid), Capability::Setgid, "change the group id"),
            (!old.user.may_become(new.uid), Capability::Setuid, "change the user id"),
            (new.seccomp && !new.no_new_privs, Capability::SysAdmin, "load a seccomp filter before no_new_privs is set"),
        ]
        .into_iter()
        .filter_map(|(needed, capability, action)| needed.then_some((capability, action)))
        .collect()
    }

    /// Raises what will be needed, and makes inheritable what could not become so later.
    fn make_ready(&mut self) -> Result<(), StepsError> {
        let sets = self.state.sets;
        if self.needs().iter().any(|(needed, _)| !sets.effective.contains(*needed)) {
            self.capset(sets.permitted, sets.permitted, sets.inheritable)?;
        }
        // A permitted set that is not wanted may be gone with uid 0 by the time of the last capset(2).
        let permitted = if self.target.sets.permitted.is_empty() { CapSet::EMPTY } else { sets.permitted };
        let later = sets.inheritable.union(permitted.intersection(self.target.sets.bounding));
        if !self.target.sets.inheritable.is_subset(later) {
            self.capset(self.state.sets.effective, sets.permitted, sets.inheritable.union(self.target.sets.inheritable))?;
        }
        Ok(())
    }

    fn drop_bounding(&mut self) -> Result<(), StepsError> {
        let dropped = self.state.sets.bounding.difference(self.target.sets.bounding);
        if dropped.is_empty() { Ok(()) } else { self.push(Step::DropBounding(dropped)) }
    }

    fn change_ids(&mut self) -> Result<(), StepsError> {
        let (uid, gid) = (self.target.uid, self.target.gid);
        if self.target.groups == Groups::Replace {
            self.push(Step::SetGroups)?;
        }
        if self.state.group != Ids::all(gid) {
            self.push(Step::SetGid(gid))?;
        }
        if self.state.user == Ids::all(uid) {
            return Ok(());
        }
        let keep = self.loses_permitted_by_uid();
        if keep && self.state.securebits.contains(Securebits::KEEP_CAPS.locks()) {
            let action = "keep capabilities while leaving uid 0";
            return Err(StepsError::Securebits { action, securebits: self.state.securebits });
        }
        if keep {
            self.push(Step::KeepCaps(true))?;
        }
        self.push(Step::SetUid(uid))?;
        if keep {
            self.push(Step::KeepCaps(false))?;
        }
        Ok(())
    }

    /// Whether the uid change would empty a permitted set that is still wanted.
    fn loses_permitted_by_uid(&self) -> bool {
        let leaves_root = self.state.user.may_become(0) && self.target.uid != 0;
        let kept = self.state.securebits.contains(Securebits::KEEP_CAPS) || self.state.securebits.contains(Securebits::NO_SETUID_FIXUP);
        leaves_root && !kept && (!self.target.sets.permitted.is_empty() || self.filter_before_drop())
    }

    /// Whether the filter has to be loaded while a capability that will go is still there.
    fn filter_before_drop(&self) -> bool {
        self.target.seccomp && !self.target.no_new_privs && !self.target.sets.effective.contains(Capability::SysAdmin)
    }

    fn finish(&mut self) -> Result<(), StepsError> {
        let wanted = self.target.sets;
        let early = self.filter_before_drop();
        if early {
            // Everything that can be done before the filter is, so that a strict profile has to allow capset(2) only.
            let permitted = self.state.sets.permitted;
            self.capset(permitted, permitted, wanted.inheritable)?;
            self.ambient()?;
            self.push(Step::Seccomp)?;
        }
        self.capset(wanted.effective, wanted.permitted, wanted.inheritable)?;
        if !early {
            self.ambient()?;
        }
        if self.target.no_new_privs && !self.state.no_new_privs {
            self.push(Step::NoNewPrivs)?;
        }
        if self.target.seccomp && !early {
            self.push(Step::Seccomp)?;
        }
        Ok(())
    }

    fn ambient(&mut self) -> Result<(), StepsError> {
        let wanted = self.target.sets.ambient;
        let lowered = self.state.sets.ambient.difference(wanted);
        if wanted.is_empty() {
            self.push(Step::ClearAmbient)?;
        } else if !lowered.is_empty() {
            self.push(Step::LowerAmbient(lowered))?;
        }
        let raised = wanted.difference(self.state.sets.ambient);
        if raised.is_empty() {
            return Ok(());
        }
        if self.state.securebits.contains(Securebits::NO_CAP_AMBIENT_RAISE) {
            return Err(StepsError::Securebits { action: "raise ambient capabilities", securebits: self.state.securebits });
        }
        self.push(Step::RaiseAmbient(raised))
    }

    fn capset(&mut self, effective: CapSet, permitted: CapSet, inheritable: CapSet) -> Result<(), StepsError> {
        self.push(Step::CapSet { effective, permitted, inheritable })
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::{String, ToString};

    use proptest::prelude::*;

    use super::*;

    const DEFAULT: CapSet = CapSet::from_bits(0x8004_05fb);
    const NET_RAW: CapSet = CapSet::EMPTY.with(Capability::NetRaw);

    fn root() -> Credentials {
        let full = CapSet::KNOWN;
        Credentials { sets: FiveSets { permitted: full, effective: full, bounding: full, ..FiveSets::NONE }, ..Credentials::default() }
    }

    fn target(uid: u32, sets: FiveSets) -> Target {
        Target { uid, gid: uid, groups: Groups::Replace, sets, no_new_privs: false, seccomp: true }
    }

    fn printed(from: &Credentials, target: &Target) -> String {
        steps(from, target).unwrap().iter().map(|step| alloc::format!("{step}\n")).collect()
    }

    #[test]
    fn root_default_loads_filter_before_last_capset() {
        let sets = FiveSets { permitted: DEFAULT, effective: DEFAULT, bounding: CapSet::from_bits(0x1ff_ffff_fffe), ..FiveSets::NONE };
        let found = printed(&root(), &target(0, FiveSets { permitted: CapSet::EMPTY, effective: CapSet::EMPTY, ..sets }));
        assert_eq!(
            found.replace(&CapSet::KNOWN.to_string(), "FULL"),
            "prctl(PR_CAPBSET_DROP, CAP_CHOWN)\n\
             setgroups\n\
             capset(effective=FULL, permitted=FULL, inheritable=none)\n\
             prctl(PR_CAP_AMBIENT_CLEAR_ALL)\n\
             seccomp(SECCOMP_SET_MODE_FILTER)\n\
             capset(effective=none, permitted=none, inheritable=none)\n"
        );
    }

    #[test]
    fn user_with_ambient_and_no_new_privs_loads_filter_last() {
        let sets = FiveSets { inheritable: NET_RAW, permitted: NET_RAW, effective: NET_RAW, bounding: CapSet::KNOWN, ambient: NET_RAW };
        let found = printed(&root(), &Target { no_new_privs: true, ..target(1000, sets) });
        assert_eq!(
            found,
            "setgroups\n\
             setresgid(1000, 1000, 1000)\n\
             prctl(PR_SET_KEEPCAPS, 1)\n\
             setresuid(1000, 1000, 1000)\n\
             prctl(PR_SET_KEEPCAPS, 0)\n\
             capset(effective=CAP_NET_RAW, permitted=CAP_NET_RAW, inheritable=CAP_NET_RAW)\n\
             prctl(PR_CAP_AMBIENT_RAISE, CAP_NET_RAW)\n\
             prctl(PR_SET_NO_NEW_PRIVS)\n\
             seccomp(SECCOMP_SET_MODE_FILTER)\n"
        );
    }

    #[test]
    fn bounding_growing_is_refused_by_name() {
        let mut from = root();
        from.sets.bounding = DEFAULT;
        let wanted = target(0, FiveSets { bounding: DEFAULT.union(NET_RAW), ..FiveSets::NONE });
        assert_eq!(
            steps(&from, &wanted).unwrap_err().to_string(),
            "CAP_NET_RAW cannot enter the bounding set: the process does not have it there, and nothing but execve adds to it"
        );
    }

    #[test]
    fn filter_without_sys_admin_and_no_new_privs_is_refused_by_name() {
        let mut from = root();
        from.sets.permitted.remove(Capability::SysAdmin);
        from.sets.effective.remove(Capability::SysAdmin);
        let sets = FiveSets { bounding: CapSet::KNOWN, ..FiveSets::NONE };
        assert_eq!(
            steps(&from, &target(0, sets)).unwrap_err().to_string(),
            "cannot load a seccomp filter before no_new_privs is set without CAP_SYS_ADMIN, which the process does not have"
        );
        assert!(steps(&from, &Target { no_new_privs: true, ..target(0, sets) }).is_ok());
    }

    #[test]
    fn ambient_outside_inheritable_is_impossible() {
        let sets = FiveSets { permitted: NET_RAW, ambient: NET_RAW, bounding: CapSet::KNOWN, ..FiveSets::NONE };
        assert_eq!(
            steps(&root(), &target(0, sets)).unwrap_err().to_string(),
            "target is impossible: CAP_NET_RAW is ambient but not inheritable"
        );
    }

    #[test]
    fn no_new_privs_cannot_be_taken_back() {
        let sets = FiveSets { bounding: CapSet::KNOWN, ..FiveSets::NONE };
        assert_eq!(steps(&root().set_no_new_privs(), &target(0, sets)), Err(StepsError::NoNewPrivs));
    }

    #[test]
    fn needed_capability_not_effective_is_raised_first() {
        let mut from = root();
        from.sets.effective = CapSet::EMPTY;
        let found = steps(&from, &target(0, FiveSets::NONE)).unwrap();
        let full = CapSet::KNOWN;
        assert_eq!(found.first(), Some(&Step::CapSet { effective: full, permitted: full, inheritable: CapSet::EMPTY }));
    }

    /// Few capabilities, so that random states and targets meet often: the ones that steps need, and one that none does.
    fn set() -> impl Strategy<Value = CapSet> {
        let mask = [Capability::Setpcap, Capability::Setgid, Capability::Setuid, Capability::SysAdmin, Capability::NetRaw];
        let mask: CapSet = mask.into_iter().collect();
        prop_oneof![Just(mask), Just(CapSet::EMPTY), any::<u64>().prop_map(move |bits| CapSet::from_bits(bits).intersection(mask))]
    }

    fn sets() -> impl Strategy<Value = FiveSets> {
        (set(), set(), set(), set(), set()).prop_map(|(inheritable, permitted, effective, bounding, ambient)| FiveSets {
            inheritable,
            permitted,
            effective: effective.intersection(permitted),
            bounding,
            ambient: ambient.intersection(permitted).intersection(inheritable),
        })
    }

    fn ids() -> impl Strategy<Value = Ids> {
        let id = prop_oneof![Just(0_u32), Just(1000)];
        prop_oneof![
            Just(Ids::all(0)),
            (id.clone(), id.clone(), id).prop_map(|(real, effective, saved)| Ids { real, effective, saved, filesystem: effective })
        ]
    }

    fn state() -> impl Strategy<Value = Credentials> {
        let bits = prop_oneof![3 => Just(0_u32), 1 => 0_u32..256];
        (ids(), ids(), sets(), bits, prop::bool::weighted(0.2)).prop_map(|(user, group, sets, bits, no_new_privs)| Credentials {
            user,
            group,
            sets,
            securebits: Securebits::from_bits(bits),
            no_new_privs,
        })
    }

    fn goal() -> impl Strategy<Value = Target> {
        let id = prop_oneof![Just(0_u32), Just(1000)];
        (id, sets(), any::<[bool; 3]>()).prop_map(|(uid, sets, [keep, no_new_privs, seccomp])| Target {
            uid,
            gid: uid,
            groups: if keep { Groups::Keep } else { Groups::Replace },
            sets,
            no_new_privs,
            seccomp,
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn steps_any_state_reach_the_target_or_say_why(from in state(), wanted in goal()) {
            match steps(&from, &wanted) {
                Ok(steps) => {
                    let mut state = from;
                    for step in &steps {
                        state = step.apply(&state).unwrap();
                    }
                    let arrived = Credentials {
                        user: Ids::all(wanted.uid),
                        group: Ids::all(wanted.gid),
                        sets: wanted.sets,
                        securebits: from.securebits,
                        no_new_privs: wanted.no_new_privs,
                    };
                    prop_assert_eq!(state, arrived);
                    prop_assert_eq!(steps.iter().filter(|step| **step == Step::Seccomp).count(), usize::from(wanted.seccomp));
                }
                Err(StepsError::Refused { step, source }) => prop_assert!(false, "unforeseen: {step}: {source}"),
                Err(_) => {}
            }
        }
    }
}
