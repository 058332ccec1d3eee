//! From a profile to the rules that count on this machine, for this capability set.
//!
//! Follows containers-common `pkg/seccomp` (which rules count) and what OCI runtimes do before they call libseccomp:
//! calls that do not exist are skipped, a rule that only repeats the default is skipped, and conditions that name one
//! argument twice are alternatives, not a conjunction.

use std::borrow::Cow;

use selkie_caps::CapSet;

use crate::{Action, Arch, Architectures, Condition, Flags, KernelVersion, Listener, Profile, Rule, profile::Applies, syscall};

/// What a profile depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The bounding set of the container.
    pub capabilities: CapSet,
    /// The machine's native architecture.
    pub arch: Arch,
    /// The running kernel; `None` if unknown, and then no rule for newer kernels counts.
    pub kernel: Option<KernelVersion>,
}

/// The rules that count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// What happens to calls that no rule matches.
    pub default_action: Action,
    /// The architectures covered, the native one first; a call of any other kills the process.
    pub arches: Vec<Arch>,
    /// Flags of seccomp(2).
    pub flags: Flags,
    /// Where the listener of `SCMP_ACT_NOTIFY` is sent.
    pub listener: Option<Listener>,
    /// The rules in order.
    pub rules: Vec<ResolvedRule>,
    /// Rules that only say again what the default says: kept for their comments.
    pub(crate) redundant: Vec<ResolvedRule>,
    /// Rules that would let calls through if the capabilities were there.
    pub(crate) closed: Vec<Closed>,
    /// For each architecture, by number and then in the order of decision, which rules apply.
    pub(crate) calls: Vec<Calls>,
}

/// A rule that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedRule {
    /// Names of system calls.
    pub names: Vec<Cow<'static, str>>,
    /// What happens.
    pub action: Action,
    /// What the arguments have to be, all of it, each argument at most once.
    pub conditions: Vec<Condition>,
    /// Which rule of the profile it is, counted from 0.
    pub origin: usize,
    /// The profile's own words on it.
    pub comment: Cow<'static, str>,
    /// Not from the profile: the way of i386 to the same call by `socketcall` or `ipc`.
    pub(crate) multiplexed: bool,
}

/// A rule that does not count for want of capabilities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Closed {
    pub(crate) names: Vec<Cow<'static, str>>,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) missing: CapSet,
}

/// The calls of one architecture that rules apply to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Calls {
    pub(crate) arch: Arch,
    /// Number of the call and index of the rule, sorted; a rule without conditions stands alone for its number.
    pub(crate) rules: Vec<(u32, usize)>,
}

/// Returns the rules of `profile` that count for `facts`.
#[must_use]
pub fn resolve(profile: &Profile, facts: &Facts) -> Resolved {
    let mut resolved = Resolved {
        default_action: profile.default_action,
        arches: arches(&profile.architectures, facts.arch),
        flags: profile.flags,
        listener: profile.listener.clone(),
        rules: Vec::with_capacity(profile.rules.len()),
        redundant: Vec::new(),
        closed: Vec::new(),
        calls: Vec::new(),
    };
    for (origin, rule) in profile.rules.iter().enumerate() {
        match rule.applies.missing(facts) {
            Some(CapSet::EMPTY) => resolved.add(rule, origin),
            Some(missing) if rule.action.lets_through() => resolved.close(rule, missing),
            _ => {}
        }
    }
    resolved.number_calls();
    resolved
}

impl Applies {
    /// Returns the capabilities without which the rule does not count; `None` if it does not count for another reason.
    fn missing(&self, facts: &Facts) -> Option<CapSet> {
        let go_name = facts.arch.go_name();
        let arch = (self.arches.is_empty() || self.arches.iter().any(|arch| arch == go_name))
            && !self.not_arches.iter().any(|arch| arch == go_name);
        let at_least = |version: KernelVersion| facts.kernel.is_some_and(|kernel| kernel >= version);
        let kernel = self.min_kernel.is_none_or(at_least) && !self.below_kernel.is_some_and(at_least);
        let counts = arch && kernel && self.without.intersection(facts.capabilities).is_empty();
        counts.then(|| self.with.difference(facts.capabilities))
    }
}

impl Resolved {
    fn add(&mut self, rule: &Rule, origin: usize) {
        let resolved = |conditions: &[Condition]| ResolvedRule {
            names: rule.names.clone(),
            action: rule.action,
            conditions: conditions.to_vec(),
            origin,
            comment: rule.comment.clone(),
            multiplexed: false,
        };
        let rules = if rule.action == self.default_action { &mut self.redundant } else { &mut self.rules };
        if repeats_an_argument(&rule.conditions) {
            rules.extend(rule.conditions.chunks(1).map(resolved));
        } else {
            rules.push(resolved(&rule.conditions));
        }
    }

    fn close(&mut self, rule: &Rule, missing: CapSet) {
        self.closed.push(Closed { names: rule.names.clone(), conditions: rule.conditions.clone(), missing });
    }

    fn number_calls(&mut self) {
        let mut calls: Vec<_> = self.arches.iter().map(|arch| Calls { arch: *arch, rules: Vec::with_capacity(512) }).collect();
        let mut multiplexed = Vec::new();
        for (index, rule) in self.rules.iter().enumerate() {
            for name in &rule.names {
                // Unknown names are no error: a profile may be newer than the table, or for another machine.
                let Some(numbers) = syscall::numbers(name) else { continue };
                for calls in &mut calls {
                    if let Some(number) = syscall::on(numbers, calls.arch) {
                        calls.rules.push((number, index));
                    }
                    if calls.arch == Arch::X86
                        && let Some(call) = syscall::multiplexed(name)
                    {
                        calls.rules.push((call.number, self.rules.len() + multiplexed.len()));
                        multiplexed.push(ResolvedRule {
                            names: vec![name.clone()],
                            conditions: selected(call.selector, &rule.conditions),
                            multiplexed: true,
                            ..rule.clone()
                        });
                    }
                }
            }
        }
        self.rules.extend(multiplexed);
        for calls in &mut calls {
            calls.settle(&self.rules);
        }
        self.calls = calls;
    }

    /// Returns what happens to a call; [`verdict`](crate::verdict()) says why as well.
    #[must_use]
    pub fn action(&self, arch: Arch, number: u32, arguments: &[u64; 6]) -> Action {
        let arch = Arch::of_call(arch.token(), number).unwrap_or(arch);
        if !self.arches.contains(&arch) {
            return Action::KillProcess;
        }
        self.deciding(arch, number, arguments).map_or(self.default_action, |rule| rule.action)
    }

    /// Returns the rule that decides a call of a covered architecture.
    pub(crate) fn deciding(&self, arch: Arch, number: u32, arguments: &[u64; 6]) -> Option<&ResolvedRule> {
        self.rules_of(arch, number).find(|rule| all_hold(&rule.conditions, arch, arguments))
    }

    /// Returns the rules for one call, in the order of decision.
    fn rules_of(&self, arch: Arch, number: u32) -> impl Iterator<Item = &ResolvedRule> {
        let calls = self.calls.iter().find(|calls| calls.arch == arch);
        let rules = calls.map_or(&[][..], |calls| {
            let from = calls.rules.partition_point(|(known, _)| *known < number);
            let to = calls.rules.partition_point(|(known, _)| *known <= number);
            calls.rules.get(from..to).unwrap_or_default()
        });
        rules.iter().filter_map(|(_, rule)| self.rules.get(*rule))
    }
}

impl ResolvedRule {
    /// Returns whether the profile has it; the others are the ways of i386 to the same calls by `socketcall` and `ipc`.
    #[must_use]
    pub const fn is_from_profile(&self) -> bool {
        !self.multiplexed
    }
}

impl Calls {
    /// Sorts, and leaves a rule without conditions alone for its number, as libseccomp does.
    fn settle(&mut self, rules: &[ResolvedRule]) {
        // A multiplexed rule takes the place of the rule it comes from.
        let position = |index: usize| rules.get(index).map_or((usize::MAX, index), |rule| (rule.origin, index));
        self.rules.sort_by_key(|(number, rule)| (*number, position(*rule)));
        self.rules.dedup();
        let mut settled: Vec<(u32, usize)> = Vec::with_capacity(self.rules.len());
        for group in self.rules.chunk_by(|left, right| left.0 == right.0) {
            let free = group.iter().find(|(_, rule)| rules.get(*rule).is_some_and(|rule| rule.conditions.is_empty()));
            settled.extend(free.map_or(group, std::slice::from_ref));
        }
        self.rules = settled;
    }
}

/// Returns whether `arguments` of a call of `arch` meet all `conditions`.
pub(crate) fn all_hold(conditions: &[Condition], arch: Arch, arguments: &[u64; 6]) -> bool {
    conditions.iter().all(|condition| condition.holds(arguments, arch.width()))
}

fn arches(architectures: &Architectures, native: Arch) -> Vec<Arch> {
    let more = match architectures {
        Architectures::Listed(listed) => listed.as_slice(),
        Architectures::Map(map) => map.iter().find(|(arch, _)| *arch == native).map_or(&[][..], |(_, subs)| subs),
    };
    let mut arches = vec![native];
    for arch in more {
        if !arches.contains(arch) {
            arches.push(*arch);
        }
    }
    arches
}

fn repeats_an_argument(conditions: &[Condition]) -> bool {
    (0..6).any(|index| conditions.iter().filter(|condition| condition.index == index).count() > 1)
}

/// libseccomp puts the selector in the place of the first argument and leaves the other conditions as they are, although
/// the multiplexer finds the call's arguments in memory, where no filter sees them.
fn selected(selector: u64, conditions: &[Condition]) -> Vec<Condition> {
    let others = conditions.iter().filter(|condition| condition.index != 0).copied();
    std::iter::once(Condition::equal(0, selector)).chain(others).collect()
}
