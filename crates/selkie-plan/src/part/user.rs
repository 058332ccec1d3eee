//! Who the process is: `--user`, `--group-add`, and the image's passwd and group files.
//!
//! Podman's rules: `user[:group]`, each a name or a number; the primary group is the passwd entry's, or else 0;
//! groups of the image are added only when no group is given.

use std::collections::BTreeSet;

use super::{Inputs, Notes};
use crate::accounts::{Reference, accounts, groups};
use crate::{HostFacts, PlanError, User, UserNamespace};

/// The identity of a process.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) user: User,
    /// Home directory by the passwd file; `/` when it says nothing.
    pub(crate) home: String,
    pub(crate) notes: Notes,
}

/// Where a user comes from.
pub(crate) struct Wanted<'a> {
    /// `user[:group]`; empty is root.
    pub(crate) user: &'a str,
    /// `--group-add`.
    pub(crate) group_add: &'a [String],
    /// File mode creation mask.
    pub(crate) umask: u32,
}

/// Computes the identity of the first process; `keep` is the caller's own ids inside, for `--userns keep-id`.
pub(crate) fn part(inputs: &Inputs, keep: Option<(u32, u32)>) -> Result<Part, PlanError> {
    let asked = inputs.request.process.user.as_deref();
    let kept = keep.filter(|_| asked.is_none()).map(|(uid, gid)| format!("{uid}:{gid}"));
    let wanted = Wanted {
        user: kept.as_deref().unwrap_or(inputs.user()),
        group_add: &inputs.request.process.group_add,
        umask: super::process::umask(inputs)?,
    };
    let mut part = resolve(&wanted, inputs.facts)?;
    let because = match (asked, kept) {
        (Some(asked), _) => format!("--user {asked}"),
        (None, Some(_)) => String::from("--userns keep-id"),
        (None, None) if inputs.image.user.is_empty() => String::from("default"),
        (None, None) => format!("user {} of the image", inputs.image.user),
    };
    part.notes.because("user", format!("{}:{}", part.user.uid, part.user.gid), because);
    Ok(part)
}

/// Resolves a user by the image's files.
pub(crate) fn resolve(wanted: &Wanted, facts: &HostFacts) -> Result<Part, PlanError> {
    let (passwd, group_file) = (facts.passwd.as_deref(), facts.group.as_deref());
    let (user, group) = wanted.user.split_once(':').map_or((wanted.user, None), |(user, group)| (user, Some(group)));
    // As in Podman, `alice:` has the group of `alice` and no others: the colon says that groups are not the file's.
    let own_groups = group.is_none();
    let group = group.filter(|group| !group.is_empty());

    let account = match Reference::parse(user)? {
        Reference::Name("") => accounts(passwd)?.find(|account| account.uid() == Ok(0)),
        Reference::Id(uid) => accounts(passwd)?.find(|account| account.uid() == Ok(uid)),
        Reference::Name(name) => {
            let found = accounts(passwd)?.find(|account| account.name == name);
            // `root` needs no passwd file.
            if found.is_none() && name != "root" {
                return Err(PlanError::UnknownUser { user: name.to_owned() });
            }
            found
        }
    };
    let uid = match (Reference::parse(user)?, &account) {
        (Reference::Id(uid), _) => uid,
        (_, Some(account)) => account.uid()?,
        (_, None) => 0,
    };
    let gid = match (group, &account) {
        (Some(group), _) => group_id(group, group_file)?,
        (None, Some(account)) => account.gid()?,
        (None, None) => 0,
    };

    let mut all = BTreeSet::from([gid]);
    if let (true, Some(account)) = (own_groups, &account) {
        for entry in groups(group_file)?.filter(|entry| entry.has_member(account.name)) {
            all.insert(entry.gid()?);
        }
    }
    for name in wanted.group_add {
        all.insert(group_id(name, group_file)?);
    }
    let home = account.map_or("", |account| account.home);
    let home = if home.starts_with('/') && !home.contains(char::is_control) { home } else { "/" };
    let user = User { uid, gid, groups: all.into_iter().collect(), umask: wanted.umask };
    Ok(Part { user, home: home.to_owned(), notes: Notes::default() })
}

/// Returns the group that `--user` names behind the colon: 0 if none, as for a user without an entry.
pub(crate) fn group_of(group: Option<&str>, file: Option<&[u8]>) -> Result<u32, PlanError> {
    group.filter(|group| !group.is_empty()).map_or(Ok(0), |group| group_id(group, file))
}

fn group_id(text: &str, file: Option<&[u8]>) -> Result<u32, PlanError> {
    match Reference::parse(text)? {
        Reference::Id(gid) => Ok(gid),
        Reference::Name("keep-groups") => Err(PlanError::NotSupportedYet { flag: String::from("--group-add keep-groups") }),
        Reference::Name(name) => match groups(file)?.find(|entry| entry.name == name) {
            Some(entry) => entry.gid(),
            None if name == "root" => Ok(0),
            None => Err(PlanError::UnknownGroup { group: name.to_owned() }),
        },
    }
}

/// Fails when an id is not mapped in the container's user namespace: setgroups(2) and setresuid(2) would.
pub(crate) fn check_mapped(user: &User, namespace: &UserNamespace) -> Result<(), PlanError> {
    let Some(maps) = namespace.maps() else { return Ok(()) };
    let mapped = |maps: &[crate::IdMap], id: u32| maps.iter().any(|map| map.to_host(id).is_some());
    if !mapped(&maps.uids, user.uid) {
        return Err(PlanError::UnmappedId { kind: "uid", id: user.uid });
    }
    let groups = std::iter::once(user.gid).chain(user.groups.iter().copied());
    match groups.into_iter().find(|gid| !mapped(&maps.gids, *gid)) {
        Some(id) => Err(PlanError::UnmappedId { kind: "gid", id }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(line: &str) -> String {
        let facts = HostFacts { passwd: Some(line.as_bytes().to_vec()), ..HostFacts::default() };
        resolve(&Wanted { user: "", group_add: &[], umask: 0 }, &facts).unwrap().home
    }

    #[test]
    fn home_that_is_no_plain_path_is_the_root() {
        assert_eq!(home("root:x:0:0::/root:/bin/sh"), "/root");
        assert_eq!(home("root:x:0:0::root:/bin/sh"), "/");
        assert_eq!(home("root:x:0:0::/\u{1b}[2J:/bin/sh"), "/");
        assert_eq!(home("root:x:0:0:"), "/");
    }
}
