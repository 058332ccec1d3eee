//! The system calls that change capability sets, each as a function from credentials to credentials.
//!
//! Follows `security/commoncap.c` and `kernel/sys.c` of Linux 6.18: capset(2), the capability operations of prctl(2), setresuid(2),
//! setresgid(2), setfsuid(2). Not execve(2), which is [`Exec`](crate::Exec), and nothing about user namespaces: uid 0 is the root of
//! the thread's own. Proved against the running kernel by `selkie-sys/tests/exec_rule`.

use crate::{CapSet, CapState, Capability, Credentials, Ids, Securebits};

/// Capabilities that follow the file-system uid (`CAP_FS_SET`).
const FS_SET: CapSet = CapSet::EMPTY
    .with(Capability::Chown)
    .with(Capability::Mknod)
    .with(Capability::DacOverride)
    .with(Capability::DacReadSearch)
    .with(Capability::Fowner)
    .with(Capability::Fsetid)
    .with(Capability::LinuxImmutable)
    .with(Capability::MacOverride);

/// Why the kernel refuses a change; each is `EPERM`, except where said.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransitionError {
    /// The call needs a capability that is not effective.
    #[error("{call} needs {needed} in the effective set")]
    NotEffective {
        /// The system call.
        call: &'static str,
        /// What it asks for.
        needed: Capability,
    },
    /// capset(2) would add to the permitted set.
    #[error("capset cannot add {excess} to the permitted set")]
    PermittedGrows {
        /// What is too much.
        excess: CapSet,
    },
    /// capset(2) would make more effective than permitted.
    #[error("capset cannot make {excess} effective, it is not permitted")]
    EffectiveNotPermitted {
        /// What is too much.
        excess: CapSet,
    },
    /// capset(2) would add to the inheritable set what is neither permitted nor, with `CAP_SETPCAP`, in the bounding set.
    #[error("capset cannot add {excess} to the inheritable set")]
    InheritableGrows {
        /// What is too much.
        excess: CapSet,
    },
    /// Ambient is only what is permitted and inheritable.
    #[error("{excess} cannot be ambient, it is not both permitted and inheritable")]
    NotAmbientable {
        /// What is missing.
        excess: CapSet,
    },
    /// A securebit forbids it.
    #[error("{call} is forbidden by the securebits `{securebits}`")]
    Securebits {
        /// The system call.
        call: &'static str,
        /// The securebits of the thread.
        securebits: Securebits,
    },
}

impl Credentials {
    /// capset(2) on the thread itself; what is no longer permitted and inheritable leaves the ambient set.
    ///
    /// # Errors
    /// As the kernel's `cap_capset`, in its order.
    pub fn capset(mut self, new: CapState) -> Result<Self, TransitionError> {
        let old = self.sets;
        let excess = |set: CapSet, limit: CapSet| Some(set.difference(limit)).filter(|excess| !excess.is_empty());
        let capped = !self.capable(Capability::Setpcap);
        if let Some(excess) = excess(new.inheritable, old.inheritable.union(old.permitted)).filter(|_| capped) {
            return Err(TransitionError::InheritableGrows { excess });
        }
        if let Some(excess) = excess(new.inheritable, old.inheritable.union(old.bounding)) {
            return Err(TransitionError::InheritableGrows { excess });
        }
        if let Some(excess) = excess(new.permitted, old.permitted) {
            return Err(TransitionError::PermittedGrows { excess });
        }
        if let Some(excess) = excess(new.effective, new.permitted) {
            return Err(TransitionError::EffectiveNotPermitted { excess });
        }
        self.sets.effective = new.effective;
        self.sets.inheritable = new.inheritable;
        self.sets.permitted = new.permitted;
        self.sets.ambient = old.ambient.intersection(new.permitted).intersection(new.inheritable);
        Ok(self)
    }

    /// `prctl(PR_CAPBSET_DROP)` for each of `dropped`.
    ///
    /// # Errors
    /// Without `CAP_SETPCAP`, even for what is not in the bounding set.
    pub fn drop_bounding(mut self, dropped: CapSet) -> Result<Self, TransitionError> {
        if !dropped.is_empty() {
            self.need(Capability::Setpcap, "prctl(PR_CAPBSET_DROP)")?;
        }
        self.sets.bounding = self.sets.bounding.difference(dropped);
        Ok(self)
    }

    /// `prctl(PR_CAP_AMBIENT_RAISE)` for each of `raised`.
    ///
    /// # Errors
    /// Unless all are permitted and inheritable, and while a securebit forbids it.
    pub fn raise_ambient(mut self, raised: CapSet) -> Result<Self, TransitionError> {
        let excess = raised.difference(self.sets.permitted.intersection(self.sets.inheritable));
        if !excess.is_empty() {
            return Err(TransitionError::NotAmbientable { excess });
        }
        if !raised.is_empty() && self.securebits.contains(Securebits::NO_CAP_AMBIENT_RAISE) {
            return Err(TransitionError::Securebits { call: "prctl(PR_CAP_AMBIENT_RAISE)", securebits: self.securebits });
        }
        self.sets.ambient = self.sets.ambient.union(raised);
        Ok(self)
    }

    /// `prctl(PR_CAP_AMBIENT_LOWER)` for each of `lowered`; never fails.
    #[must_use]
    pub fn lower_ambient(mut self, lowered: CapSet) -> Self {
        self.sets.ambient = self.sets.ambient.difference(lowered);
        self
    }

    /// `prctl(PR_SET_KEEPCAPS)`.
    ///
    /// # Errors
    /// When the securebit is locked, even if it would not change.
    pub fn set_keep_caps(mut self, keep: bool) -> Result<Self, TransitionError> {
        if self.securebits.contains(Securebits::KEEP_CAPS.locks()) {
            return Err(TransitionError::Securebits { call: "prctl(PR_SET_KEEPCAPS)", securebits: self.securebits });
        }
        let others = self.securebits.difference(Securebits::KEEP_CAPS);
        self.securebits = if keep { others.union(Securebits::KEEP_CAPS) } else { others };
        Ok(self)
    }

    /// `prctl(PR_SET_SECUREBITS)`.
    ///
    /// # Errors
    /// When a lock forbids it, or without `CAP_SETPCAP` (which since Linux 6.14 the two `EXEC_` switches and their locks do not need).
    pub fn set_securebits(mut self, new: Securebits) -> Result<Self, TransitionError> {
        let call = "prctl(PR_SET_SECUREBITS)";
        if !self.securebits.may_become(new) {
            return Err(TransitionError::Securebits { call, securebits: self.securebits });
        }
        let changed = self.securebits.bits() ^ new.bits();
        let free = Securebits::UNPRIVILEGED.union(Securebits::UNPRIVILEGED.locks());
        // Without a change the kernel asks for the capability too, "for legacy reason".
        if changed == 0 || !free.contains(Securebits::from_bits(changed)) {
            self.need(Capability::Setpcap, call)?;
        }
        self.securebits = new;
        Ok(self)
    }

    /// `prctl(PR_SET_NO_NEW_PRIVS)`; never fails, and nothing takes it back.
    #[must_use]
    pub const fn set_no_new_privs(mut self) -> Self {
        self.no_new_privs = true;
        self
    }

    /// `setresuid(uid, uid, uid)`, with the kernel's juggling of the sets when root is left or entered.
    ///
    /// # Errors
    /// Without `CAP_SETUID`, unless `uid` is one of the real, effective and saved ids.
    pub fn set_uid(self, uid: u32) -> Result<Self, TransitionError> {
        self.setresuid(uid, uid, uid)
    }

    /// setresuid(2) with all three ids given.
    ///
    /// # Errors
    /// Without `CAP_SETUID`, unless each is one of the real, effective and saved ids.
    pub fn setresuid(mut self, real: u32, effective: u32, saved: u32) -> Result<Self, TransitionError> {
        if ![real, effective, saved].into_iter().all(|uid| self.user.may_become(uid)) {
            self.need(Capability::Setuid, "setresuid")?;
        }
        let old = self.user;
        self.user = Ids { real, effective, saved, filesystem: effective };
        if !self.securebits.contains(Securebits::NO_SETUID_FIXUP) {
            self.fix_sets(old);
        }
        Ok(self)
    }

    /// `setresgid(gid, gid, gid)`.
    ///
    /// # Errors
    /// Without `CAP_SETGID`, unless `gid` is one of the real, effective and saved ids.
    pub fn set_gid(mut self, gid: u32) -> Result<Self, TransitionError> {
        if !self.group.may_become(gid) {
            self.need(Capability::Setgid, "setresgid")?;
        }
        self.group = Ids::all(gid);
        Ok(self)
    }

    /// setfsuid(2), which says nothing when it is refused.
    #[must_use]
    pub fn set_fsuid(mut self, uid: u32) -> Self {
        if self.user.filesystem != uid && !self.user.may_become(uid) && !self.capable(Capability::Setuid) {
            return self;
        }
        let was_root = self.user.filesystem == 0;
        self.user.filesystem = uid;
        let sets = &mut self.sets;
        if !self.securebits.contains(Securebits::NO_SETUID_FIXUP) {
            match (was_root, uid == 0) {
                (true, false) => sets.effective = sets.effective.difference(FS_SET),
                (false, true) => sets.effective = sets.effective.union(FS_SET.intersection(sets.permitted)),
                _ => {}
            }
        }
        self
    }

    /// Returns whether `capability` is effective.
    #[must_use]
    pub const fn capable(&self, capability: Capability) -> bool {
        self.sets.effective.contains(capability)
    }

    pub(crate) fn need(&self, needed: Capability, call: &'static str) -> Result<(), TransitionError> {
        if self.capable(needed) { Ok(()) } else { Err(TransitionError::NotEffective { call, needed }) }
    }

    /// `cap_emulate_setxuid`: leaving root by all three ids drops permitted and ambient, leaving it by the effective id drops effective, entering it restores.
    fn fix_sets(&mut self, old: Ids) {
        let sets = &mut self.sets;
        if old.may_become(0) && !self.user.may_become(0) {
            if !self.securebits.contains(Securebits::KEEP_CAPS) {
                sets.permitted = CapSet::EMPTY;
                sets.effective = CapSet::EMPTY;
            }
            sets.ambient = CapSet::EMPTY;
        }
        match (old.effective == 0, self.user.effective == 0) {
            (true, false) => sets.effective = CapSet::EMPTY,
            (false, true) => sets.effective = sets.permitted,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;
    use crate::FiveSets;

    fn root() -> Credentials {
        let full = CapSet::KNOWN;
        Credentials { sets: FiveSets { permitted: full, effective: full, bounding: full, ..FiveSets::NONE }, ..Credentials::default() }
    }

    const CHOWN: CapSet = CapSet::EMPTY.with(Capability::Chown);

    #[test]
    fn set_uid_leaving_root_empties_permitted_and_effective() {
        let user = root().set_uid(1000).unwrap();
        assert_eq!((user.sets.permitted, user.sets.effective, user.sets.bounding), (CapSet::EMPTY, CapSet::EMPTY, CapSet::KNOWN));
    }

    #[test]
    fn set_uid_with_keep_caps_keeps_permitted_only() {
        let user = root().set_keep_caps(true).unwrap().set_uid(1000).unwrap();
        assert_eq!((user.sets.permitted, user.sets.effective), (CapSet::KNOWN, CapSet::EMPTY));
    }

    #[test]
    fn set_uid_without_fixup_changes_no_set() {
        let mut state = root();
        state.securebits = Securebits::NO_SETUID_FIXUP;
        assert_eq!(state.set_uid(1000).unwrap().sets, root().sets);
    }

    #[test]
    fn setresuid_back_to_root_restores_effective() {
        let away = root().setresuid(0, 1000, 0).unwrap();
        assert_eq!((away.sets.permitted, away.sets.effective), (CapSet::KNOWN, CapSet::EMPTY));
        assert_eq!(away.set_uid(0).unwrap().sets.effective, CapSet::KNOWN);
    }

    #[test]
    fn set_uid_without_setuid_is_refused() {
        let nobody = root().set_uid(1000).unwrap();
        assert_eq!(nobody.set_uid(0).unwrap_err().to_string(), "setresuid needs CAP_SETUID in the effective set");
        assert_eq!(nobody.set_uid(1000), Ok(nobody));
    }

    #[test]
    fn set_fsuid_leaving_root_lowers_file_capabilities() {
        let state = root().set_fsuid(1000);
        assert_eq!(state.sets.effective, CapSet::KNOWN.difference(FS_SET));
        assert_eq!(state.set_fsuid(0).sets.effective, CapSet::KNOWN);
    }

    #[test]
    fn capset_growing_permitted_is_refused() {
        let mut state = root();
        state.sets.permitted = CHOWN;
        state.sets.effective = CHOWN;
        let new = CapState { permitted: CapSet::from_bits(3), ..CapState::default() };
        assert_eq!(state.capset(new), Err(TransitionError::PermittedGrows { excess: CapSet::from_bits(2) }));
    }

    #[test]
    fn capset_inheritable_outside_bounding_is_refused_even_with_setpcap() {
        let mut state = root();
        state.sets.bounding = CapSet::EMPTY;
        let new = CapState { inheritable: CHOWN, permitted: CapSet::KNOWN, effective: CapSet::KNOWN };
        assert_eq!(state.capset(new), Err(TransitionError::InheritableGrows { excess: CHOWN }));
    }

    #[test]
    fn capset_inheritable_beyond_permitted_needs_setpcap() {
        let setpcap = CapSet::EMPTY.with(Capability::Setpcap);
        let mut state = root();
        state.sets.permitted = setpcap;
        state.sets.effective = setpcap;
        let new = CapState { inheritable: CHOWN, ..CapState::default() };
        assert!(state.capset(new).is_ok());
        state.sets.effective = CapSet::EMPTY;
        assert_eq!(state.capset(new), Err(TransitionError::InheritableGrows { excess: CHOWN }));
    }

    #[test]
    fn capset_lowering_takes_ambient_along() {
        let mut state = root();
        state.sets.inheritable = CHOWN;
        let state = state.raise_ambient(CHOWN).unwrap();
        let lowered = state.capset(CapState { inheritable: CapSet::EMPTY, permitted: CHOWN, effective: CHOWN }).unwrap();
        assert_eq!(lowered.sets.ambient, CapSet::EMPTY);
    }

    #[test]
    fn raise_ambient_needs_permitted_and_inheritable() {
        assert_eq!(root().raise_ambient(CHOWN), Err(TransitionError::NotAmbientable { excess: CHOWN }));
    }

    #[test]
    fn raise_ambient_under_securebit_is_refused() {
        let mut state = root();
        state.sets.inheritable = CHOWN;
        state.securebits = Securebits::NO_CAP_AMBIENT_RAISE;
        assert_eq!(
            state.raise_ambient(CHOWN).unwrap_err().to_string(),
            "prctl(PR_CAP_AMBIENT_RAISE) is forbidden by the securebits `no-cap-ambient-raise`"
        );
    }

    #[test]
    fn drop_bounding_without_setpcap_is_refused() {
        let nobody = root().set_uid(1000).unwrap();
        assert_eq!(
            nobody.drop_bounding(CHOWN),
            Err(TransitionError::NotEffective { call: "prctl(PR_CAPBSET_DROP)", needed: Capability::Setpcap })
        );
    }

    #[test]
    fn set_securebits_needs_setpcap_except_for_exec_switches() {
        let nobody = root().set_uid(1000).unwrap();
        assert!(nobody.set_securebits(Securebits::EXEC_RESTRICT_FILE).is_ok());
        assert!(nobody.set_securebits(Securebits::NOROOT).is_err());
        assert!(nobody.set_securebits(Securebits::NONE).is_err(), "no change is refused too");
        assert!(root().set_securebits(Securebits::NOROOT).is_ok());
    }
}
