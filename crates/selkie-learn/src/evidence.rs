//! What one trace shows, without any claim about what is needed: for `--attach`, `--from-trace` and `why`.

use std::collections::{BTreeMap, BTreeSet};

use selkie_caps::{CapSet, Capability};
use selkie_seccomp::Resolved;
use serde::Serialize;

use crate::classify::{Class, class, site};
use crate::denial;
use crate::explain::{Explanation, explain};
use crate::refusal::{Cause, causes};
use crate::trace::{Call, Lost, Rung, Trace};

/// What a trace shows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// How it was seen.
    pub observer: Rung,
    /// Whether nobody watched: [`Self::refused`] has denied checks, of which it is not known what became of the call.
    pub only_denials: bool,
    /// Whether nothing was lost.
    pub complete: bool,
    /// What was lost.
    pub lost: Lost,
    /// What was granted to the workload, most asked for first.
    pub granted: Vec<Granted>,
    /// What it was refused, each kind once; or, if nobody watched, which checks were denied (see [`Explanation::result`]).
    pub refused: Vec<Explanation>,
    /// How many checks were of which class.
    pub classes: BTreeMap<&'static str, u64>,
    /// What other rules would have made of the same checks.
    pub counts: Counts,
}

/// A capability that was asked for and granted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Granted {
    /// Which.
    pub capability: Capability,
    /// How often.
    pub count: u64,
    /// The kernel functions that asked.
    pub sites: BTreeSet<String>,
    /// In which system calls.
    pub syscalls: BTreeSet<String>,
}

/// How many capabilities count as used by a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Every one that was granted.
    pub granted: CapSet,
    /// Without checks that leave no audit record: the rule of bcc's `capable` and of the security profiles operator.
    pub audited: CapSet,
    /// Without those made with borrowed credentials too: the rule of Inspektor Gadget.
    pub own: CapSet,
    /// Those that are about the workload, by the classes of this crate.
    pub real: CapSet,
}

/// Returns what `trace` shows. `filter` is the container's, if it has one and it is known.
#[must_use]
pub fn evidence(trace: &Trace, filter: Option<&Resolved>) -> Evidence {
    let mut shown = Evidence {
        observer: trace.rung,
        only_denials: trace.only_denials,
        complete: trace.lost.is_nothing(),
        lost: trace.lost,
        ..Evidence::default()
    };
    let mut granted: BTreeMap<Capability, Granted> = BTreeMap::new();
    for count in &trace.checks {
        let check = &count.check;
        let class = class(check, trace.has_stacks);
        *shown.classes.entry(class.name()).or_default() += count.count;
        if check.denied {
            continue;
        }
        let counts = &mut shown.counts;
        counts.granted.insert(check.capability);
        let audited = !matches!(class, Class::MemoryOvercommit | Class::Silent);
        if audited {
            counts.audited.insert(check.capability);
        }
        if audited && !check.flags.borrowed {
            counts.own.insert(check.capability);
        }
        if class.counts() {
            counts.real.insert(check.capability);
            let entry = granted.entry(check.capability).or_insert_with(|| Granted {
                capability: check.capability,
                count: 0,
                sites: BTreeSet::new(),
                syscalls: BTreeSet::new(),
            });
            entry.count += count.count;
            entry.sites.extend(site(check).map(str::to_owned));
            entry.syscalls.extend(count.syscall.clone());
        }
    }
    shown.granted = granted.into_values().collect();
    shown.granted.sort_by(|one, other| other.count.cmp(&one.count).then(one.capability.cmp(&other.capability)));
    shown.refused = explained(causes(trace, filter));
    shown.refused.extend(denial::explained(trace));
    shown
}

/// Explains refused calls, each kind once with how often it was.
pub fn explained<'a>(refused: impl Iterator<Item = (&'a Call, Cause)>) -> Vec<Explanation> {
    let mut all: Vec<Explanation> = Vec::new();
    let mut places: BTreeMap<(String, String, Vec<Capability>), usize> = BTreeMap::new();
    for (call, cause) in refused {
        let explanation = explain(call, &cause);
        let kind = (call.comm.clone(), explanation.operation.clone(), explanation.capabilities.clone());
        let place = *places.entry(kind).or_insert(all.len());
        match all.get_mut(place) {
            Some(known) => known.count += explanation.count,
            None => all.push(explanation),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{Check, Count, Flags};

    #[test]
    fn noise_is_counted_and_not_granted() {
        let count = |capability, stack: &[&str], borrowed| Count {
            check: Check {
                capability,
                denied: false,
                flags: Flags { borrowed, ..Flags::default() },
                stack: stack.iter().map(|&frame| frame.to_owned()).collect(),
            },
            syscall: Some("write".to_owned()),
            count: 5,
            first: 0,
            last: 0,
            comm: String::new(),
            sampled: false,
        };
        let trace = Trace {
            has_stacks: true,
            checks: vec![
                count(Capability::SysAdmin, &["cap_capable", "security_vm_enough_memory_mm"], false),
                count(Capability::DacOverride, &["cap_capable", "generic_permission", "ovl_permission"], true),
                count(Capability::Chown, &["cap_capable", "setattr_prepare"], false),
            ],
            ..Trace::default()
        };
        let shown = evidence(&trace, None);
        let names: Vec<Capability> = shown.granted.iter().map(|granted| granted.capability).collect();
        assert_eq!(names, [Capability::Chown]);
        let lengths = [shown.counts.granted, shown.counts.audited, shown.counts.own, shown.counts.real].map(CapSet::len);
        assert_eq!(lengths, [3, 2, 1, 1]);
    }
}
