//! Who the processes of a container are, and whether a run with less made one of them more.
//!
//! A program that may not drop its privileges can go on with them: apache answers requests as root when setuid(2) is refused. A run
//! in which that happens has not passed, whatever its oracle says.

use std::collections::{BTreeMap, BTreeSet};

use selkie_caps::FiveSets;
use serde::{Deserialize, Serialize};

use crate::trace::Ending;

/// One process, as procfs shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Its name.
    pub comm: String,
    /// Real, effective, saved and file system user ids.
    pub uids: [u32; 4],
    /// Group ids, likewise.
    pub gids: [u32; 4],
    /// Supplementary groups, sorted.
    pub groups: Vec<u32>,
    /// Its sets.
    pub sets: FiveSets,
    /// `no_new_privs`.
    pub no_new_privileges: bool,
}

impl Standing {
    fn ids(&self) -> Ids {
        (self.uids, self.gids, self.groups.clone())
    }
}

type Ids = ([u32; 4], [u32; 4], Vec<u32>);

/// Returns how the processes of a run differ from those of the baseline, for the worse; empty if they do not.
#[must_use]
pub fn differences(baseline: &[Standing], run: &[Standing]) -> Vec<String> {
    let known: BTreeSet<&str> = baseline.iter().map(|standing| standing.comm.as_str()).collect();
    let mut found = BTreeSet::new();
    for standing in run.iter().filter(|standing| known.contains(standing.comm.as_str())) {
        let alike: Vec<&Standing> = baseline.iter().filter(|other| other.comm == standing.comm && other.ids() == standing.ids()).collect();
        if alike.is_empty() {
            found.insert(format!("{} runs as {}", standing.comm, who(standing)));
        } else if !alike.iter().any(|other| holds_no_more(standing, other)) {
            found.insert(format!("{} as {} holds more than in the baseline", standing.comm, who(standing)));
        } else if alike.iter().all(|other| other.no_new_privileges) && !standing.no_new_privileges {
            found.insert(format!("{} has no no_new_privs", standing.comm));
        }
    }
    let there: BTreeSet<(&str, Ids)> = run.iter().map(|standing| (standing.comm.as_str(), standing.ids())).collect();
    for standing in baseline {
        if !there.contains(&(standing.comm.as_str(), standing.ids())) {
            found.insert(format!("no {} runs as {}", standing.comm, who(standing)));
        }
    }
    found.into_iter().collect()
}

fn holds_no_more(run: &Standing, baseline: &Standing) -> bool {
    let (run, baseline) = (&run.sets, &baseline.sets);
    run.effective.is_subset(baseline.effective)
        && run.permitted.is_subset(baseline.permitted)
        && run.inheritable.is_subset(baseline.inheritable)
        && run.ambient.is_subset(baseline.ambient)
        && run.bounding.is_subset(baseline.bounding)
}

fn who(standing: &Standing) -> String {
    let [real, effective, ..] = standing.uids;
    let [_, group, ..] = standing.gids;
    let uid = if real == effective { effective.to_string() } else { format!("{effective} (real {real})") };
    let groups: Vec<String> = standing.groups.iter().map(u32::to_string).collect();
    let groups = if groups.is_empty() { String::new() } else { format!(", groups {}", groups.join(" ")) };
    format!("uid {uid}, gid {group}{groups}")
}

/// Returns how processes ended otherwise than in the baseline, for the worse: as root where none did, or none as the user that
/// some were. Tells what happened to processes that no snapshot caught.
#[must_use]
pub fn ended_differently(baseline: &[Ending], run: &[Ending]) -> Vec<String> {
    let (before, now) = (by_name(baseline), by_name(run));
    let mut found = Vec::new();
    for (comm, ids) in &now {
        let Some(known) = before.get(comm) else { continue };
        if ids.iter().any(|(uid, _)| *uid == 0) && !known.iter().any(|(uid, _)| *uid == 0) {
            found.push(format!("{comm} ended as uid 0"));
        }
        for (uid, gid) in known.iter().filter(|(uid, _)| *uid != 0) {
            if !ids.iter().any(|(other, _)| other == uid) {
                found.push(format!("no {comm} ended as uid {uid}"));
            } else if !ids.contains(&(*uid, *gid)) {
                found.push(format!("no {comm} ended as uid {uid}, gid {gid}"));
            }
        }
    }
    // A program that could not become the user may never have been executed.
    let users: BTreeSet<u32> = now.values().flatten().map(|(uid, _)| *uid).collect();
    for (comm, ids) in before.iter().filter(|(comm, _)| !now.contains_key(*comm)) {
        let lost: BTreeSet<u32> = ids.iter().map(|(uid, _)| *uid).filter(|uid| *uid != 0 && !users.contains(uid)).collect();
        found.extend(lost.iter().map(|uid| format!("no process ended as uid {uid}, as {comm} did")));
    }
    found
}

fn by_name(endings: &[Ending]) -> BTreeMap<&str, BTreeSet<(u32, u32)>> {
    let mut names: BTreeMap<&str, BTreeSet<(u32, u32)>> = BTreeMap::new();
    for ending in endings {
        names.entry(ending.comm.as_str()).or_default().insert((ending.credentials.uid, ending.credentials.gid));
    }
    names
}

#[cfg(test)]
mod tests {
    use selkie_caps::{CapSet, Capability};

    use super::*;
    use crate::trace::Credentials;

    fn standing(comm: &str, id: u32, effective: CapSet) -> Standing {
        Standing {
            comm: comm.to_owned(),
            uids: [id; 4],
            gids: [id; 4],
            groups: Vec::new(),
            sets: FiveSets { effective, permitted: effective, bounding: effective, ..FiveSets::default() },
            no_new_privileges: false,
        }
    }

    #[test]
    fn worker_that_stays_root_is_a_difference() {
        let full = CapSet::EMPTY.with(Capability::Setuid).with(Capability::NetBindService);
        let baseline = [standing("apache2", 0, full), standing("apache2", 33, CapSet::EMPTY)];
        let run = [standing("apache2", 0, CapSet::EMPTY.with(Capability::NetBindService))];
        assert_eq!(differences(&baseline, &run), ["no apache2 runs as uid 33, gid 33"]);
    }

    #[test]
    fn same_processes_with_less_are_no_difference() {
        let full = CapSet::EMPTY.with(Capability::Setuid).with(Capability::Chown);
        let baseline = [standing("nginx", 0, full), standing("nginx", 33, CapSet::EMPTY)];
        let run = [standing("nginx", 0, CapSet::EMPTY.with(Capability::Setuid)), standing("nginx", 33, CapSet::EMPTY)];
        assert_eq!(differences(&baseline, &run), Vec::<String>::new());
    }

    #[test]
    fn process_that_keeps_what_it_gave_up_before_is_a_difference() {
        let baseline = [standing("named", 53, CapSet::EMPTY)];
        let run = [standing("named", 53, CapSet::EMPTY.with(Capability::NetAdmin))];
        assert_eq!(differences(&baseline, &run), ["named as uid 53, gid 53 holds more than in the baseline"]);
    }

    fn ending(comm: &str, uid: u32) -> Ending {
        Ending { comm: comm.to_owned(), credentials: Credentials { uid, gid: uid, ..Credentials::default() }, ..Ending::default() }
    }

    #[test]
    fn user_that_nobody_is_any_more_is_a_difference_and_another_program_is_none() {
        let baseline = [ending("sh", 0), ending("sleep", 33), ending("head", 0)];
        assert_eq!(ended_differently(&baseline, &[ending("sh", 0)]), ["no process ended as uid 33, as sleep did"]);
        assert_eq!(ended_differently(&baseline, &[ending("sh", 0), ending("usleep", 33)]), Vec::<String>::new());
    }

    #[test]
    fn short_process_that_ended_as_root() {
        let baseline = [ending("tcpdump", 107)];
        assert_eq!(ended_differently(&baseline, &[ending("tcpdump", 0)]), ["tcpdump ended as uid 0", "no tcpdump ended as uid 107"]);
    }
}
