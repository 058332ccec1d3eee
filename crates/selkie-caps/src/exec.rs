//! The kernel's rule of what a process holds after execve(2), as a function.
//!
//! Follows `cap_bprm_creds_from_file` (`security/commoncap.c`) and `bprm_fill_uid` (`fs/exec.c`) of Linux 6.18, with the older
//! rule of set-id programs beside it ([`IdRule`]). Proved against the running kernel by `selkie-sys/tests/exec_rule`.
//! Not here: what no capability rule decides (permission to execute the file at all, LSMs, `no_file_caps` on the kernel's command line).
//!
//! ```text
//! P' = (X & fP) | (I & fI) | A'        root: P' = X | I | A'      A' = nothing for set-id programs and files with capabilities
//! E' = fE or effective root ? P' : A'
//! I' = I      X' = X                   gained something it may not gain: ids back to the real ones, P' & P
//! ```

use crate::{CapSet, Capability, Credentials, FileCaps, Securebits};

/// The parts of an executable that decide what it gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct File {
    /// Owner, as the process' user namespace numbers it.
    pub owner: u32,
    /// Group, likewise.
    pub group: u32,
    /// The set-user-ID bit.
    pub set_user_id: bool,
    /// The set-group-ID bit together with the group's execute bit (without which it means something else).
    pub set_group_id: bool,
    /// The `security.capability` attribute.
    pub capabilities: Option<FileCaps>,
    /// Whether the mount ignores set-id bits and attributes: `nosuid`, or owned by a foreign user namespace.
    pub nosuid: bool,
}

/// Which changes of ids count as gaining privilege.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum IdRule {
    /// Since Linux 6.16: the effective uid changes, or the effective gid becomes one that is not among the process' groups.
    #[default]
    Changed,
    /// Before: the new effective ids differ from the old REAL ids, so that a process already acting as someone else counts too.
    DiffersFromReal,
}

/// One execve(2): the file, and what of the process' surroundings decides.
#[derive(Clone, Copy, Debug, Default)]
pub struct Exec<'a> {
    /// What is executed.
    pub file: File,
    /// The supplementary groups of the process.
    pub groups: &'a [u32],
    /// The uids that uid 0 of the process' user namespace and of its ancestors are in the file system's numbering; empty means the initial namespace.
    pub namespace_roots: &'a [u32],
    /// Whether a tracer without `CAP_SYS_PTRACE` over it traces the process.
    pub weakly_traced: bool,
    /// Whether another process shares its root and working directory (`CLONE_FS`).
    pub shares_directories: bool,
    /// The kernel's rule of set-id programs.
    pub id_rule: IdRule,
}

/// Why execve(2) fails for its capabilities.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExecError {
    /// `EPERM`: the file insists on capabilities (its effective flag is set) that the process cannot get.
    #[error(
        "execve refuses the file (EPERM): its capabilities {missing} are effective at once, but neither in the bounding set nor inheritable"
    )]
    Incapable {
        /// What it cannot get.
        missing: CapSet,
    },
}

impl Exec<'_> {
    /// Returns the credentials that `old` has after this execve(2).
    ///
    /// # Errors
    /// [`ExecError`] where the kernel refuses.
    pub fn apply(&self, old: &Credentials) -> Result<Credentials, ExecError> {
        let mut new = *old;
        self.set_ids(&mut new);
        let file_caps = self.file_caps();
        let mut effective = false;
        new.sets.permitted = CapSet::EMPTY;
        if let Some(caps) = file_caps {
            effective = caps.effective();
            new.sets.permitted = give(caps, old)?;
        }
        privilege_root(&mut new, file_caps.is_some(), &mut effective);

        let id_changed = self.id_changed(old, &new);
        let gained = !new.sets.permitted.is_subset(old.sets.permitted);
        let unsafe_gain = old.no_new_privs || self.shares_directories || self.weakly_traced;
        if (id_changed || gained) && unsafe_gain {
            downgrade(&mut new, old);
        }
        new.user.saved = new.user.effective;
        new.user.filesystem = new.user.effective;
        new.group.saved = new.group.effective;
        new.group.filesystem = new.group.effective;

        if file_caps.is_some() || id_changed {
            new.sets.ambient = CapSet::EMPTY;
        }
        new.sets.permitted = new.sets.permitted.union(new.sets.ambient);
        new.sets.effective = if effective { new.sets.permitted } else { new.sets.ambient };
        new.securebits = new.securebits.difference(Securebits::KEEP_CAPS);
        Ok(new)
    }

    /// `bprm_fill_uid`: the set-id bits, which neither a nosuid mount nor no_new_privs lets count.
    fn set_ids(&self, new: &mut Credentials) {
        if self.file.nosuid || new.no_new_privs {
            return;
        }
        if self.file.set_user_id {
            new.user.effective = self.file.owner;
        }
        if self.file.set_group_id {
            new.group.effective = self.file.group;
        }
    }

    /// `get_file_caps`: the attribute, where the mount and the user namespace let it count.
    fn file_caps(&self) -> Option<FileCaps> {
        self.file.capabilities.filter(|caps| !self.file.nosuid && caps.counts_for(self.roots()))
    }

    /// The roots of the process' user namespaces; the initial one's when nothing was said.
    pub(crate) const fn roots(&self) -> &[u32] {
        if self.namespace_roots.is_empty() { &[0] } else { self.namespace_roots }
    }

    fn id_changed(&self, old: &Credentials, new: &Credentials) -> bool {
        match self.id_rule {
            IdRule::Changed => {
                let mine = old.group.filesystem == new.group.effective || self.groups.contains(&new.group.effective);
                new.user.effective != old.user.effective || !mine
            }
            IdRule::DiffersFromReal => new.user.effective != old.user.real || new.group.effective != old.group.real,
        }
    }
}

/// `bprm_caps_from_vfs_caps`.
fn give(caps: FileCaps, old: &Credentials) -> Result<CapSet, ExecError> {
    let inherited = old.sets.inheritable.intersection(caps.inheritable());
    let given = old.sets.bounding.intersection(caps.permitted()).union(inherited);
    let missing = caps.permitted().difference(given);
    if caps.effective() && !missing.is_empty() { Err(ExecError::Incapable { missing }) } else { Ok(given) }
}

/// `handle_privileged_root`: uid 0 gets everything in reach, unless a set-uid-root file has capabilities of its own.
fn privilege_root(new: &mut Credentials, has_file_caps: bool, effective: &mut bool) {
    if new.securebits.contains(Securebits::NOROOT) {
        return;
    }
    let (real_root, effective_root) = (new.user.real == 0, new.user.effective == 0);
    if has_file_caps && effective_root && !real_root {
        return;
    }
    if real_root || effective_root {
        new.sets.permitted = new.sets.bounding.union(new.sets.inheritable);
    }
    if effective_root {
        *effective = true;
    }
}

/// "They get no more than they had, and maybe less."
fn downgrade(new: &mut Credentials, old: &Credentials) {
    if old.no_new_privs || !old.capable(Capability::Setuid) {
        new.user.effective = new.user.real;
        new.group.effective = new.group.real;
    }
    new.sets.permitted = new.sets.permitted.intersection(old.sets.permitted);
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use proptest::prelude::*;

    use super::*;
    use crate::{FiveSets, Ids};

    const NET_RAW: CapSet = CapSet::EMPTY.with(Capability::NetRaw);
    const DEFAULT: CapSet = CapSet::from_bits(0x8004_05fb);

    fn with_sets(uid: u32, sets: FiveSets) -> Credentials {
        Credentials { user: Ids::all(uid), group: Ids::all(uid), sets, ..Credentials::default() }
    }

    fn user() -> Credentials {
        with_sets(1000, FiveSets { bounding: DEFAULT.union(NET_RAW), ..FiveSets::NONE })
    }

    fn ping(effective: bool) -> Exec<'static> {
        let capabilities = Some(FileCaps::new(NET_RAW, CapSet::EMPTY, effective));
        Exec { file: File { capabilities, ..File::default() }, ..Exec::default() }
    }

    fn sudo() -> Exec<'static> {
        Exec { file: File { set_user_id: true, ..File::default() }, ..Exec::default() }
    }

    #[test]
    fn root_plain_file_gets_bounding_and_inheritable() {
        let root = with_sets(0, FiveSets { bounding: DEFAULT, inheritable: NET_RAW, ..FiveSets::NONE });
        let after = Exec::default().apply(&root).unwrap().sets;
        assert_eq!((after.permitted, after.effective), (DEFAULT.union(NET_RAW), DEFAULT.union(NET_RAW)));
    }

    #[test]
    fn root_under_noroot_gets_nothing() {
        let mut root = with_sets(0, FiveSets { bounding: DEFAULT, permitted: DEFAULT, effective: DEFAULT, ..FiveSets::NONE });
        root.securebits = Securebits::NOROOT;
        assert_eq!(Exec::default().apply(&root).unwrap().sets, FiveSets { bounding: DEFAULT, ..FiveSets::NONE });
    }

    #[test]
    fn user_ambient_survives_plain_file() {
        let sets = FiveSets { bounding: DEFAULT, inheritable: NET_RAW, permitted: NET_RAW, effective: NET_RAW, ambient: NET_RAW };
        assert_eq!(Exec::default().apply(&with_sets(1000, sets)).unwrap().sets, sets);
    }

    #[test]
    fn user_file_caps_are_given_within_bounding() {
        let after = ping(true).apply(&user()).unwrap().sets;
        assert_eq!((after.permitted, after.effective), (NET_RAW, NET_RAW));
    }

    #[test]
    fn user_file_caps_outside_bounding_are_refused_when_effective() {
        let bare = with_sets(1000, FiveSets::NONE);
        assert_eq!(ping(true).apply(&bare), Err(ExecError::Incapable { missing: NET_RAW }));
        assert_eq!(ping(false).apply(&bare).unwrap().sets, FiveSets::NONE);
        assert_eq!(
            ping(true).apply(&bare).unwrap_err().to_string(),
            "execve refuses the file (EPERM): its capabilities CAP_NET_RAW are effective at once, but neither in the bounding set nor inheritable"
        );
    }

    #[test]
    fn user_no_new_privs_file_caps_give_nothing() {
        assert_eq!(ping(true).apply(&user().set_no_new_privs()).unwrap().sets.permitted, CapSet::EMPTY);
    }

    #[test]
    fn user_set_uid_root_becomes_root_within_bounding() {
        let after = sudo().apply(&user()).unwrap();
        assert_eq!(after.user, Ids { real: 1000, effective: 0, saved: 0, filesystem: 0 });
        assert_eq!(after.sets.effective, user().sets.bounding);
    }

    #[test]
    fn user_set_uid_root_on_nosuid_or_no_new_privs_stays_user() {
        let mut nosuid = sudo();
        nosuid.file.nosuid = true;
        assert_eq!(nosuid.apply(&user()), Ok(user()));
        assert_eq!(sudo().apply(&user().set_no_new_privs()), Ok(user().set_no_new_privs()));
    }

    #[test]
    fn user_set_uid_root_with_file_caps_gets_file_caps_only() {
        let mut both = ping(true);
        both.file.set_user_id = true;
        let after = both.apply(&user()).unwrap();
        assert_eq!((after.user.effective, after.sets.permitted), (0, NET_RAW));
    }

    #[test]
    fn set_gid_to_own_group_keeps_ambient_since_6_16() {
        let sets = FiveSets { inheritable: NET_RAW, permitted: NET_RAW, ambient: NET_RAW, ..FiveSets::NONE };
        let old = with_sets(1000, sets);
        let mut exec = Exec { file: File { set_group_id: true, group: 27, ..File::default() }, groups: &[27], ..Exec::default() };
        assert_eq!(exec.apply(&old).unwrap().sets.ambient, NET_RAW);
        exec.id_rule = IdRule::DiffersFromReal;
        assert_eq!(exec.apply(&old).unwrap().sets.ambient, CapSet::EMPTY);
    }

    #[test]
    fn weakly_traced_set_uid_root_is_downgraded() {
        let mut exec = sudo();
        exec.weakly_traced = true;
        assert_eq!(exec.apply(&user()), Ok(user()));
    }

    #[test]
    fn foreign_namespace_attribute_does_not_count() {
        let mut exec = ping(true);
        exec.file.capabilities = exec.file.capabilities.map(|caps| caps.with_rootid(100_000));
        assert_eq!(exec.apply(&user()), Ok(user()));
        exec.namespace_roots = &[100_000, 0];
        assert_eq!(exec.apply(&user()).unwrap().sets.permitted, NET_RAW);
    }

    proptest! {
        /// What `--security-opt no-new-privileges` promises.
        #[test]
        fn no_new_privs_never_gives_more(bits: [u64; 5], uids: [u8; 3], file: (bool, bool, bool, u64, u64)) {
            let [inheritable, permitted, effective, bounding, ambient] = bits.map(CapSet::from_bits);
            let ambient = ambient.intersection(permitted).intersection(inheritable);
            let sets = FiveSets { inheritable, permitted, effective: effective.intersection(permitted), bounding, ambient };
            let [real, effective, saved] = uids.map(|uid| u32::from(uid % 2) * 1000);
            let user = Ids { real, effective, saved, filesystem: effective };
            let old = Credentials { user, group: user, sets, no_new_privs: true, ..Credentials::default() };
            let capabilities = Some(FileCaps::new(CapSet::from_bits(file.3), CapSet::from_bits(file.4), file.0));
            let exec = Exec { file: File { set_user_id: file.1, set_group_id: file.2, capabilities, ..File::default() }, ..Exec::default() };
            if let Ok(new) = exec.apply(&old) {
                prop_assert!(new.sets.permitted.is_subset(old.sets.permitted));
                prop_assert!(new.sets.effective.is_subset(new.sets.permitted));
                prop_assert!(new.sets.bounding == old.sets.bounding && new.user.real == old.user.real);
            }
        }
    }
}
