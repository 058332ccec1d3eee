//! What a program with file capabilities or set-id bits gives to whoever executes it, beyond what any other program does.
//!
//! Not a rule of its own: [`Exec::apply`] of the file beside [`Exec::apply`] of a plain one, and the reason where they agree.
//!
//! ```text
//! refused            EPERM: needs NET_ADMIN, which is not in the bounding set
//! as a plain file    ignored: nosuid mount | rootid 1000 of another user namespace | no_new_privs;  nothing more than any program
//! otherwise          uid 0, permitted and effective CHOWN,KILL
//! ```

use alloc::string::String;
use core::fmt;

use crate::{CapSet, Credentials, Exec, ExecError, File, Revision};

/// What execve(2) of a program with privileges does to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gain {
    /// `EPERM`: the file insists on capabilities that the process cannot get.
    Refused {
        /// Which.
        missing: CapSet,
    },
    /// What the file says does not count.
    Ignored(Ignored),
    /// The process holds what it would hold behind any other program: for uid 0 that is the usual case.
    Nothing,
    /// The process holds something else than behind any other program: mostly more, of ambient capabilities less.
    Holds {
        /// The effective uid, when it changes.
        user: Option<u32>,
        /// The effective gid, when it changes.
        group: Option<u32>,
        /// The permitted set.
        permitted: CapSet,
        /// The effective set.
        effective: CapSet,
        /// Whether both sets are those behind any other program, so that only ids change.
        same_sets: bool,
    },
}

/// Why the privileges of a file do not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ignored {
    /// The mount ignores them.
    Nosuid,
    /// They are for another user namespace.
    Namespace {
        /// Uid 0 of that one; `None` for that of the file system.
        rootid: Option<u32>,
    },
    /// The process can never gain anything.
    NoNewPrivs,
}

impl Exec<'_> {
    /// Returns what this execve(2) gives to `old` beyond what a file without privileges would.
    #[must_use]
    pub fn gain(&self, old: &Credentials) -> Gain {
        let new = match self.apply(old) {
            Ok(new) => new,
            Err(ExecError::Incapable { missing }) => return Gain::Refused { missing },
        };
        let plain = self.plain(old);
        if new == plain {
            return self.ignored(old).map_or(Gain::Nothing, Gain::Ignored);
        }
        Gain::Holds {
            user: (new.user.effective != old.user.effective).then_some(new.user.effective),
            group: (new.group.effective != old.group.effective).then_some(new.group.effective),
            permitted: new.sets.permitted,
            effective: new.sets.effective,
            same_sets: new.sets == plain.sets,
        }
    }

    /// What `old` holds behind a file without privileges, which the kernel never refuses.
    fn plain(&self, old: &Credentials) -> Credentials {
        Exec { file: File::default(), ..*self }.apply(old).unwrap_or(*old)
    }

    /// Returns why the file gives nothing, if it would give something elsewhere.
    fn ignored(&self, old: &Credentials) -> Option<Ignored> {
        let counts = |exec: &Self, old: &Credentials| exec.apply(old) != Ok(exec.plain(old));
        let suid = Self { file: File { nosuid: false, ..self.file }, ..*self };
        if self.file.nosuid && counts(&suid, old) {
            return Some(Ignored::Nosuid);
        }
        let foreign = self.file.capabilities.filter(|caps| !caps.counts_for(self.roots()));
        if let Some(caps) = foreign {
            let rootid = if let Revision::V3 { rootid } = caps.revision() { Some(rootid) } else { None };
            return Some(Ignored::Namespace { rootid });
        }
        let free = Credentials { no_new_privs: false, ..*old };
        (old.no_new_privs && counts(self, &free)).then_some(Ignored::NoNewPrivs)
    }
}

impl fmt::Display for Gain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { missing } => {
                let are = if missing.iter().count() == 1 { "is" } else { "are" };
                write!(f, "EPERM: needs {}, which {are} not in the bounding set", short(*missing))
            }
            Self::Ignored(why) => write!(f, "ignored: {why}"),
            Self::Nothing => f.write_str("nothing more than any program"),
            Self::Holds { user, group, permitted, effective, same_sets } => {
                if let Some(user) = user {
                    write!(f, "uid {user}, ")?;
                }
                if let Some(group) = group {
                    write!(f, "gid {group}, ")?;
                }
                if *same_sets {
                    f.write_str("no other capabilities")
                } else if permitted == effective {
                    write!(f, "permitted and effective {}", short(*permitted))
                } else {
                    write!(f, "permitted {}, effective {}", short(*permitted), short(*effective))
                }
            }
        }
    }
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nosuid => f.write_str("nosuid mount"),
            Self::Namespace { rootid: Some(rootid) } => write!(f, "rootid {rootid} of another user namespace"),
            Self::Namespace { rootid: None } => f.write_str("for another user namespace"),
            Self::NoNewPrivs => f.write_str("no_new_privs"),
        }
    }
}

/// Names without their prefix, by number; `none`.
fn short(set: CapSet) -> String {
    let mut text = String::new();
    for capability in set.iter() {
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(capability.short_name());
    }
    if text.is_empty() { String::from("none") } else { text }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;
    use crate::{Capability, FileCaps, FiveSets, Ids};

    const NET_RAW: CapSet = CapSet::EMPTY.with(Capability::NetRaw);
    const BOUNDING: CapSet = CapSet::EMPTY.with(Capability::Chown).with(Capability::Kill);

    fn root() -> Credentials {
        let sets = FiveSets { bounding: BOUNDING, permitted: BOUNDING, effective: BOUNDING, ..FiveSets::NONE };
        Credentials { sets, ..Credentials::default() }
    }

    fn user(bounding: CapSet) -> Credentials {
        let sets = FiveSets { bounding, ..FiveSets::NONE };
        Credentials { user: Ids::all(1000), group: Ids::all(1000), sets, ..Credentials::default() }
    }

    fn ping(effective: bool) -> File {
        File { capabilities: Some(FileCaps::new(NET_RAW, CapSet::EMPTY, effective)), ..File::default() }
    }

    const SU: File = File { owner: 0, group: 0, set_user_id: true, set_group_id: false, capabilities: None, nosuid: false };

    fn said(file: File, old: Credentials) -> alloc::string::String {
        Exec { file, ..Exec::default() }.gain(&old).to_string()
    }

    #[test]
    fn gain_of_capabilities_above_the_bounding_set_is_eperm_for_everybody() {
        assert_eq!(said(ping(true), user(BOUNDING)), "EPERM: needs NET_RAW, which is not in the bounding set");
        assert_eq!(said(ping(true), root()), "EPERM: needs NET_RAW, which is not in the bounding set");
        let file = File { capabilities: Some(FileCaps::new(NET_RAW.union(BOUNDING), CapSet::EMPTY, true)), ..File::default() };
        assert_eq!(said(file, user(CapSet::EMPTY)), "EPERM: needs CHOWN,KILL,NET_RAW, which are not in the bounding set");
    }

    #[test]
    fn gain_without_the_effective_flag_is_never_eperm() {
        assert_eq!(said(ping(false), user(BOUNDING)), "nothing more than any program");
        assert_eq!(said(ping(false), user(NET_RAW)), "permitted NET_RAW, effective none");
    }

    #[test]
    fn gain_of_a_user_by_set_user_id_is_the_bounding_set() {
        assert_eq!(said(SU, user(BOUNDING)), "uid 0, permitted and effective CHOWN,KILL");
        assert_eq!(said(SU, root()), "nothing more than any program");
    }

    #[test]
    fn gain_by_set_group_id_is_the_group() {
        let file = File { set_group_id: true, group: 42, ..File::default() };
        assert_eq!(said(file, user(BOUNDING)), "gid 42, no other capabilities");
    }

    #[test]
    fn gain_that_is_ignored_says_why() {
        let nosuid = |file: File| File { nosuid: true, ..file };
        assert_eq!(said(nosuid(SU), user(BOUNDING)), "ignored: nosuid mount");
        assert_eq!(said(nosuid(ping(true)), user(BOUNDING)), "ignored: nosuid mount");
        assert_eq!(said(SU, user(BOUNDING).set_no_new_privs()), "ignored: no_new_privs");
        assert_eq!(said(ping(true), user(NET_RAW).set_no_new_privs()), "ignored: no_new_privs");
        let foreign = File { capabilities: ping(true).capabilities.map(|caps| caps.with_rootid(1000)), ..File::default() };
        assert_eq!(said(foreign, user(NET_RAW)), "ignored: rootid 1000 of another user namespace");
        let exec = Exec { file: ping(true), namespace_roots: &[100_000], ..Exec::default() };
        assert_eq!(exec.gain(&user(NET_RAW)).to_string(), "ignored: for another user namespace");
    }

    #[test]
    fn gain_above_the_bounding_set_is_eperm_under_no_new_privs_too() {
        assert_eq!(said(ping(true), user(BOUNDING).set_no_new_privs()), "EPERM: needs NET_RAW, which is not in the bounding set");
    }

    #[test]
    fn gain_of_root_under_no_new_privs_is_nothing_and_not_ignored() {
        assert_eq!(said(SU, root().set_no_new_privs()), "nothing more than any program");
    }
}
