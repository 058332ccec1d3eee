//! Denied checks of which only the number is known, because nobody watched the container: what the kernel said no to, and not what
//! became of the call.
//!
//! A check that is denied need not be a call that fails: the kernel often asks for something that makes no difference. So these are
//! told apart from refusals in every sentence.

use std::collections::BTreeMap;

use selkie_caps::{CapSet, Capability};

use crate::classify::{Class, class, site};
use crate::explain::{Explanation, explain_denial};
use crate::trace::{Count, Trace};

/// Denied checks of one place in the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// What was asked for: both where one of `DAC_READ_SEARCH` and `DAC_OVERRIDE` is enough.
    pub capabilities: CapSet,
    /// In which system call; `None` for none.
    pub syscall: Option<String>,
    /// Name of the thread that was first.
    pub comm: String,
    /// The kernel function that asked, if it is known.
    pub site: Option<String>,
    /// Held, and wanted in the initial user namespace.
    pub is_initial: bool,
    /// How often.
    pub count: u64,
}

/// Returns the denied checks of a trace that are about the workload, most often made first.
#[must_use]
pub fn denials(trace: &Trace) -> Vec<Denial> {
    let mut found: Vec<Denial> = Vec::new();
    let mut places: BTreeMap<_, usize> = BTreeMap::new();
    for Count { check, syscall, count, comm, .. } in trace.checks.iter().filter(|count| count.check.denied) {
        let class = class(check, trace.has_stacks);
        if !class.counts() && class != Class::InitialNamespace {
            continue;
        }
        let site = site(check);
        let place = *places.entry((check.capability, syscall, comm, site, class)).or_insert(found.len());
        match found.get_mut(place) {
            Some(known) => known.count += count,
            None => found.push(Denial {
                capabilities: CapSet::EMPTY.with(check.capability),
                syscall: syscall.clone(),
                comm: comm.clone(),
                site: site.map(str::to_owned),
                is_initial: class == Class::InitialNamespace,
                count: *count,
            }),
        }
    }
    join_pairs(&mut found);
    found.sort_by_key(|denial| std::cmp::Reverse(denial.count));
    found
}

/// Who reads a file is asked for `DAC_READ_SEARCH`, then for `DAC_OVERRIDE`: one question with two answers.
fn join_pairs(found: &mut Vec<Denial>) {
    let [read, any] = [Capability::DacReadSearch, Capability::DacOverride].map(|capability| CapSet::EMPTY.with(capability));
    let alike =
        |one: &Denial, other: &Denial| Denial { capabilities: any, count: 0, ..one.clone() } == Denial { count: 0, ..other.clone() };
    let (readings, mut others): (Vec<Denial>, Vec<Denial>) =
        std::mem::take(found).into_iter().partition(|denial| denial.capabilities == read);
    for reading in readings {
        let other = others.iter_mut().find(|other| other.capabilities == any && other.count >= reading.count && alike(&reading, other));
        match other {
            Some(other) => {
                other.count -= reading.count;
                found.push(Denial { capabilities: read.union(any), ..reading });
            }
            None => found.push(reading),
        }
    }
    found.extend(others.into_iter().filter(|denial| denial.count > 0));
}

/// Returns the denied checks of a trace, explained, if that is all it has.
pub(crate) fn explained(trace: &Trace) -> Vec<Explanation> {
    if trace.only_denials { denials(trace).iter().map(explain_denial).collect() } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{Check, Flags};

    fn count(capability: Capability, syscall: &str, stack: &[&str], count: u64) -> Count {
        let stack = std::iter::once(&"cap_capable").chain(stack).map(|&frame| frame.to_owned()).collect();
        Count {
            check: Check { capability, denied: true, flags: Flags::default(), stack },
            syscall: Some(syscall.to_owned()),
            count,
            first: 0,
            last: 0,
            comm: "nginx".to_owned(),
            sampled: false,
        }
    }

    fn trace(checks: Vec<Count>) -> Trace {
        Trace { has_stacks: true, only_denials: true, checks, ..Trace::default() }
    }

    #[test]
    fn denied_checks_are_said_without_claiming_a_refusal() {
        let checks = vec![
            count(Capability::SysAdmin, "mmap", &["security_vm_enough_memory_mm"], 900),
            count(Capability::NetBindService, "bind", &["ns_capable", "__inet_bind"], 3),
        ];
        let said = explained(&trace(checks));
        assert_eq!(said.len(), 1);
        assert_eq!(
            said[0].sentence,
            "nginx: NET_BIND_SERVICE was asked for in bind, by __inet_bind, and denied; \
             what became of the call was not recorded: `run --why` records that"
        );
        assert_eq!((said[0].count, said[0].is_missing_capability, said[0].result.as_str()), (3, false, "unknown"));
        assert_eq!(said[0].fix.as_deref(), Some("--cap-add NET_BIND_SERVICE"));
    }

    #[test]
    fn reading_is_one_question_and_writing_is_another() {
        let asked = |capability, times| count(capability, "openat", &["generic_permission"], times);
        let trace = trace(vec![asked(Capability::DacReadSearch, 2), asked(Capability::DacOverride, 5)]);
        let found: Vec<(u32, u64)> = denials(&trace).iter().map(|denial| (denial.capabilities.len(), denial.count)).collect();
        assert_eq!(found, [(1, 3), (2, 2)]);
    }

    #[test]
    fn watched_container_has_calls_and_no_denials() {
        let watched = Trace { only_denials: false, ..trace(vec![count(Capability::Chown, "chown", &["setattr_prepare"], 1)]) };
        assert_eq!(explained(&watched), []);
    }
}
