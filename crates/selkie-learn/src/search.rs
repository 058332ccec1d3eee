//! The search for a set: grow it from nothing, then prove that nothing of it can go.
//!
//! ```text
//! BASELINE  what the user gives passes (or the least more that does)
//! GROW      from the empty set, add what was refused, run again
//! STUCK     nothing was refused and it still fails: QuickXplain over the rest
//! PRUNE     run without each one; what still passes goes, what fails is its certificate
//! REPEAT    the set passes again, at last with the filter that it will have
//! ```
//!
//! Whether more capabilities can make a program fail is not assumed (apache passes with one, fails with two, passes with three):
//! the claim is *1-minimal*, each certificate is a run without that one capability, on the final set.

use std::collections::BTreeMap;

use selkie_caps::{CapSet, Capability};

/// One run to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trial {
    /// The capabilities of the container.
    pub set: CapSet,
    /// What for.
    pub purpose: Purpose,
    /// Of them, those that the user does not give, in a baseline.
    pub extra: CapSet,
    /// The filter is the one that the set leads to, not the one held during the search.
    pub own_filter: bool,
    /// It gets all the time that there is: a run before it may only have been slow.
    pub patient: bool,
}

impl Trial {
    const fn new(set: CapSet, purpose: Purpose) -> Self {
        Self { set, purpose, extra: CapSet::EMPTY, own_filter: false, patient: false }
    }
}

/// What a run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Shows what passes.
    Baseline,
    /// Finds what is refused.
    Grow,
    /// Halves what may be missing.
    Narrow,
    /// Shows that this one is needed, or not.
    Without(Capability),
    /// Shows that the result was no accident.
    Repeat,
    /// Shows that `instead` does as well as `of`.
    Alternative {
        /// Tried.
        instead: Capability,
        /// Left out.
        of: Capability,
    },
}

/// How a run went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Number of the run, for whoever asked for it.
    pub run: usize,
    /// The oracle was content and the posture that of the baseline.
    pub passed: bool,
    /// Of a failure: a run that is made again will hardly end otherwise. What was only waited for may have been slow, and who the
    /// processes are may differ from run to run where nothing was denied.
    pub conclusive: bool,
    /// Refused for want of all of these.
    pub needs: CapSet,
    /// Refused for want of one of each.
    pub one_of: Vec<CapSet>,
    /// Denied to the workload, whether the call failed or went on with less.
    pub denied: CapSet,
    /// Asked for by the workload, whether granted or not.
    pub asked: CapSet,
}

/// Makes runs.
pub trait Runner {
    /// Why no run can be made any more.
    type Error;

    /// Makes the runs, at the same time if it can, and returns how they went in the same order.
    ///
    /// # Errors
    /// The search cannot go on.
    fn run(&mut self, trials: &[Trial]) -> Result<Vec<Outcome>, Self::Error>;
}

/// What is searched.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The capabilities that the user gives: the bounding set.
    pub given: CapSet,
    /// Of them, those that the first process holds; another user than root holds only what is added by name.
    pub held: CapSet,
    /// The capabilities that can be given here at all.
    pub ceiling: CapSet,
    /// The capabilities that may be tried without the user giving them ([`CONTAINED`] as a rule).
    pub free: CapSet,
    /// The capabilities that may be tried in place of a proven one, beside those that are given or free.
    pub instead: CapSet,
    /// How often the final set has to pass, at least 1.
    pub repeats: u32,
    /// How many runs are made at the same time, at least 1.
    pub parallel: usize,
    /// Nothing may be refused that the baseline was not refused.
    pub strict: bool,
}

/// A capability that has to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The set that it was taken from.
    pub base: CapSet,
    /// The run that failed without it.
    pub run: usize,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The set.
    pub set: CapSet,
    /// The set of the baseline.
    pub baseline: CapSet,
    /// The run of the baseline.
    pub baseline_run: usize,
    /// Why each one is needed.
    pub certificates: BTreeMap<Capability, Certificate>,
    /// What does as well: (needed, instead of it, the run).
    pub alternatives: Vec<(Capability, Capability, usize)>,
    /// Runs of the final set that passed.
    pub passing_runs: Vec<usize>,
    /// Runs of the final set that did not.
    pub failing_runs: Vec<usize>,
    /// How many runs it took to grow the set.
    pub grow_runs: usize,
    /// Whether every certificate is there and every repeat passed.
    pub proven: bool,
}

/// Why nothing was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop<E> {
    /// It fails with everything that may be given.
    NeverPasses {
        /// The run with most capabilities.
        run: usize,
        /// What was asked for and cannot be given here.
        lacking: CapSet,
        /// What was asked for and has to be given by the user.
        withheld: CapSet,
    },
    /// It passed with the baseline and cannot be made to pass again.
    Unsteady {
        /// The baseline.
        passed: usize,
        /// The same set, later.
        failed: usize,
    },
    /// No run can be made.
    Runner(E),
}

impl<E> From<E> for Stop<E> {
    fn from(error: E) -> Self {
        Self::Runner(error)
    }
}

/// Capabilities that a workload can be given to try, because in namespaces of its own they act on nothing but its own container.
///
/// The others are only tried when the user gives them: with `CAP_SYS_TIME` a run sets the clock of the machine, and to learn
/// what a stranger's image needs must not mean to give it what it asks for.
pub const CONTAINED: CapSet = {
    use Capability as C;
    CapSet::EMPTY
        .with(C::Chown)
        .with(C::DacOverride)
        .with(C::Fowner)
        .with(C::Fsetid)
        .with(C::Kill)
        .with(C::Setgid)
        .with(C::Setuid)
        .with(C::Setpcap)
        .with(C::LinuxImmutable)
        .with(C::NetBindService)
        .with(C::NetBroadcast)
        .with(C::NetAdmin)
        .with(C::NetRaw)
        .with(C::IpcLock)
        .with(C::IpcOwner)
        .with(C::SysChroot)
        .with(C::Mknod)
        .with(C::Lease)
        .with(C::AuditWrite)
        .with(C::Setfcap)
};

/// Of [`CONTAINED`], those that act on the network namespace, which may be the host's.
pub const OF_NETWORK: CapSet =
    CapSet::EMPTY.with(Capability::NetBindService).with(Capability::NetBroadcast).with(Capability::NetAdmin).with(Capability::NetRaw);

/// How many times the baseline grows before everything is given.
const BASELINE_ROUNDS: usize = 3;
/// How many runs grow by what is refused alone.
const PATIENT_RUNS: usize = 2;
/// How many times a set is proven anew when a repeat fails for a reason.
const PROOF_ROUNDS: usize = 3;

/// Searches for a set that passes and of which nothing can go.
///
/// # Errors
/// [`Stop`].
pub fn search<R: Runner>(options: &Options, runner: &mut R) -> Result<Found, Stop<R::Error>> {
    let mut search =
        Search { options, runner, known: BTreeMap::new(), refused_before: CapSet::EMPTY, choices: BTreeMap::new(), own_filter: false };
    let (baseline, outcome) = search.baseline()?;
    let mut found = Found { baseline, baseline_run: outcome.run, ..Found::default() };
    search.refused_before = outcome.needs;
    let (mut set, mut asked, runs) = search.grow(baseline, &outcome)?;
    found.grow_runs = runs;
    for _ in 0..PROOF_ROUNDS {
        (found.set, found.certificates) = search.prune(set, &mut asked)?;
        let more;
        (found.passing_runs, found.failing_runs, more) = search.repeat(found.set, baseline)?;
        if more.is_empty() {
            break;
        }
        // What fails with the filter of the set and not with the one that was held is about the filter: it counts from now on.
        search.own_filter = true;
        search.known.clear();
        set = found.set.union(more);
    }
    found.proven = found.failing_runs.is_empty()
        && found.certificates.len() == found.set.iter().count()
        && found.certificates.values().all(|certificate| certificate.base == found.set);
    if found.proven {
        found.alternatives = search.alternatives(&found)?;
    }
    Ok(found)
}

struct Search<'a, R> {
    options: &'a Options,
    runner: &'a mut R,
    /// Outcomes by set.
    known: BTreeMap<u64, Outcome>,
    /// What the baseline was refused and passed without.
    refused_before: CapSet,
    /// Capabilities in whose place a failing run would have taken another one, and which.
    choices: BTreeMap<Capability, CapSet>,
    /// Every run has the filter that its set leads to.
    own_filter: bool,
}

impl<R: Runner> Search<'_, R> {
    fn run(&mut self, set: CapSet, purpose: Purpose) -> Result<Outcome, R::Error> {
        let mut outcomes = self.runner.run(&[self.trial(set, purpose)])?;
        let outcome = self.judged(outcomes.pop().unwrap_or_default());
        self.known.insert(set.bits(), outcome.clone());
        Ok(outcome)
    }

    fn trial(&self, set: CapSet, purpose: Purpose) -> Trial {
        Trial { own_filter: self.own_filter, ..Trial::new(set, purpose) }
    }

    /// With `strict`, a run that was refused more than the baseline has not passed.
    fn judged(&self, mut outcome: Outcome) -> Outcome {
        if self.options.strict && !outcome.needs.is_subset(self.refused_before) {
            outcome.passed = false;
            outcome.conclusive = true;
        }
        outcome
    }

    fn baseline(&mut self) -> Result<(CapSet, Outcome), Stop<R::Error>> {
        let ceiling = self.options.ceiling;
        let mut set = self.options.given.intersection(ceiling);
        let reach = set.union(self.options.free.intersection(ceiling));
        let mut held = self.options.held.intersection(set);
        let mut extra = CapSet::EMPTY;
        let mut wanted = CapSet::EMPTY;
        for _ in 0..BASELINE_ROUNDS {
            let trial = Trial { extra, ..Trial::new(set, Purpose::Baseline) };
            let outcome = self.runner.run(&[trial])?.pop().unwrap_or_default();
            if outcome.passed {
                return Ok((set, outcome));
            }
            let missing = added(&outcome, reach, held);
            wanted = wanted.union(outcome.needs);
            if missing.is_empty() {
                break;
            }
            set = set.union(missing);
            held = held.union(missing);
            extra = extra.union(missing);
        }
        let trial = Trial { extra: reach.difference(self.options.held), ..Trial::new(reach, Purpose::Baseline) };
        let outcome = self.runner.run(&[trial])?.pop().unwrap_or_default();
        if outcome.passed {
            return Ok((reach, outcome));
        }
        let wanted = outcome.needs.union(added(&outcome, ceiling, reach)).union(wanted);
        let withheld = wanted.intersection(ceiling).difference(reach);
        Err(Stop::NeverPasses { run: outcome.run, lacking: wanted.difference(ceiling), withheld })
    }

    /// Returns a set that passes, what was asked for with it, and after how many runs.
    fn grow(&mut self, universe: CapSet, baseline: &Outcome) -> Result<(CapSet, CapSet, usize), Stop<R::Error>> {
        // A program that ends at the first refusal shows one need a run. What the baseline was granted shows the rest at once,
        // with some that are not needed and cost a run each later.
        let granted = baseline.asked.iter().filter(|capability| !tolerated(*capability));
        let granted = granted.fold(CapSet::EMPTY, |set, capability| set.with(capability)).intersection(universe);
        let mut set = CapSet::EMPTY;
        let mut runs = 0;
        loop {
            let outcome = self.run(set, Purpose::Grow)?;
            runs += 1;
            if outcome.passed {
                return Ok((set, outcome.asked, runs));
            }
            let mut missing = added(&outcome, universe, set);
            if missing.is_empty() {
                // What was denied in a call that went on without it, as chmod(2) does without the set-group-ID bit.
                missing = outcome.denied.intersection(universe).difference(set);
            }
            if !missing.is_empty() {
                set = set.union(missing);
                if runs == PATIENT_RUNS {
                    set = set.union(granted);
                }
                continue;
            }
            if set == universe {
                let again = self.patiently(self.trial(set, Purpose::Grow), outcome.clone())?;
                if again.passed {
                    self.known.insert(set.bits(), again.clone());
                    return Ok((set, again.asked, runs));
                }
                return Err(Stop::Unsteady { passed: baseline.run, failed: outcome.run });
            }
            let mut candidates: Vec<Capability> = universe.difference(set).iter().collect();
            candidates.sort_by_key(|capability| (rare(*capability), capability.knowledge().danger));
            let more = self.narrow(set, false, &candidates)?;
            set = more.iter().fold(set, |set, capability| set.with(*capability));
            if let Some(outcome) = self.known.get(&set.bits()).filter(|outcome| outcome.passed) {
                return Ok((set, outcome.asked, runs));
            }
        }
    }

    /// QuickXplain (Junker 2004): the least of `candidates` that passes together with `background`.
    fn narrow(&mut self, background: CapSet, is_new: bool, candidates: &[Capability]) -> Result<Vec<Capability>, R::Error> {
        if is_new && self.passes(background)? {
            return Ok(Vec::new());
        }
        if candidates.len() <= 1 {
            return Ok(candidates.to_vec());
        }
        let (likely, rest) = candidates.split_at(candidates.len() / 2);
        let with = |set: CapSet, more: &[Capability]| more.iter().fold(set, |set, capability| set.with(*capability));
        let mut of_rest = self.narrow(with(background, likely), true, rest)?;
        let of_likely = self.narrow(with(background, &of_rest), !of_rest.is_empty(), likely)?;
        of_rest.extend(of_likely);
        Ok(of_rest)
    }

    fn passes(&mut self, set: CapSet) -> Result<bool, R::Error> {
        match self.known.get(&set.bits()) {
            Some(outcome) => Ok(outcome.passed),
            None => Ok(self.run(set, Purpose::Narrow)?.passed),
        }
    }

    /// Takes away what can go; returns the set and a failing run for each one that stays.
    fn prune(&mut self, mut set: CapSet, asked: &mut CapSet) -> Result<(CapSet, BTreeMap<Capability, Certificate>), R::Error> {
        let mut certificates: BTreeMap<Capability, Certificate> = BTreeMap::new();
        loop {
            let is_open = |capability: &Capability| certificates.get(capability).is_none_or(|certificate| certificate.base != set);
            let mut open: Vec<Capability> = set.iter().filter(is_open).collect();
            if open.is_empty() {
                return Ok((set, certificates));
            }
            // Those that will hardly be needed first: a certificate counts for the set that it was taken from.
            let certified = |capability: Capability| certificates.contains_key(&capability);
            // Where both are held the kernel asks for the more dangerous of the pair only.
            let is_less = |capability: Capability| capability == Capability::DacReadSearch && set.contains(Capability::DacOverride);
            open.sort_by_key(|capability| {
                let danger = core::cmp::Reverse(capability.knowledge().danger);
                (!is_less(*capability), certified(*capability), asked.contains(*capability), !tolerated(*capability), danger, *capability)
            });
            // Where something may go, what is proven meanwhile would have to be proven again.
            let doubtful = open
                .iter()
                .take_while(|&&capability| !certified(capability) && (is_less(capability) || is_doubtful(capability, *asked)))
                .count();
            open.truncate(if doubtful == 0 { self.options.parallel } else { doubtful.min(self.options.parallel) });
            let trial = |capability: &Capability| self.trial(set.without(*capability), Purpose::Without(*capability));
            let trials: Vec<Trial> = open.iter().map(trial).collect();
            let outcomes = self.runner.run(&trials)?;
            let base = set;
            for ((capability, trial), outcome) in open.into_iter().zip(trials).zip(outcomes) {
                let outcome = self.patiently(trial, outcome)?;
                if outcome.passed {
                    // Another one may have gone in the same round; this one is tried again then.
                    if set == base {
                        set = set.without(capability);
                        *asked = outcome.asked;
                    }
                    self.known.insert(base.without(capability).bits(), outcome);
                } else {
                    if !outcome.needs.contains(capability) {
                        let choices = outcome.one_of.iter().filter(|choice| choice.contains(capability)).copied();
                        // Where it was refused in several ways, the other one has to do in all of them.
                        if let Some(choice) = choices.reduce(CapSet::intersection) {
                            self.choices.insert(capability, choice.without(capability));
                        }
                    }
                    certificates.insert(capability, Certificate { base, run: outcome.run });
                }
            }
            certificates.retain(|capability, _| set.contains(*capability));
        }
    }

    /// Makes a run again that failed by chance, maybe: a program that was only slow has not failed.
    fn patiently(&mut self, trial: Trial, outcome: Outcome) -> Result<Outcome, R::Error> {
        let outcome = self.judged(outcome);
        if outcome.passed || outcome.conclusive {
            return Ok(outcome);
        }
        let again = self.runner.run(&[Trial { patient: true, ..trial }])?.pop().unwrap_or_default();
        Ok(self.judged(again))
    }

    /// Returns the runs that passed, those that failed, and what those were refused.
    fn repeat(&mut self, set: CapSet, universe: CapSet) -> Result<(Vec<usize>, Vec<usize>, CapSet), R::Error> {
        let known = self.known.get(&set.bits()).filter(|outcome| outcome.passed);
        let mut passing: Vec<usize> = known.map(|outcome| outcome.run).into_iter().collect();
        let wanted = usize::try_from(self.options.repeats.max(1)).unwrap_or(1);
        let count = wanted.saturating_sub(passing.len()).max(1);
        let mut failing = Vec::new();
        let mut more = CapSet::EMPTY;
        let last = |number| self.own_filter || number + 1 == count;
        let trials: Vec<Trial> = (0..count).map(|number| Trial { own_filter: last(number), ..Trial::new(set, Purpose::Repeat) }).collect();
        let outcomes = self.runner.run(&trials)?;
        for (trial, outcome) in trials.into_iter().zip(outcomes) {
            let outcome = self.patiently(trial, outcome)?;
            if outcome.passed {
                passing.push(outcome.run);
            } else {
                more = more.union(added(&outcome, universe, set));
                failing.push(outcome.run);
            }
        }
        Ok((passing, failing, more))
    }

    /// Tries what the failing runs say would have done as well.
    fn alternatives(&mut self, found: &Found) -> Result<Vec<(Capability, Capability, usize)>, R::Error> {
        let reach = self.options.given.union(self.options.free);
        let may = reach.union(self.options.instead).intersection(self.options.ceiling).difference(found.set);
        let mut alternatives = Vec::new();
        for (of, choice) in self.choices.clone() {
            if !found.certificates.contains_key(&of) {
                continue;
            }
            for instead in choice.intersection(may).iter() {
                let set = found.set.without(of).with(instead);
                // What is beyond reach has the filter held, which opens nothing that the capability alone would:
                // open_by_handle_at(2) reads any file of the host.
                let trial = Trial { own_filter: reach.contains(instead), ..Trial::new(set, Purpose::Alternative { instead, of }) };
                let outcome = self.runner.run(&[trial])?.pop().unwrap_or_default();
                if self.judged(outcome.clone()).passed {
                    alternatives.push((of, instead, outcome.run));
                }
            }
        }
        Ok(alternatives)
    }
}

/// Returns what of `universe` a run was refused, beyond its `set`. Of two that would do, the less dangerous one.
fn added(outcome: &Outcome, universe: CapSet, set: CapSet) -> CapSet {
    let mut added = outcome.needs.intersection(universe).difference(set);
    for choice in &outcome.one_of {
        if choice.intersection(set.union(added)).is_empty()
            && let Some(best) = choice.intersection(universe).iter().min_by_key(|capability| capability.knowledge().danger)
        {
            added = added.with(best);
        }
    }
    added
}

/// Capabilities whose refusal programs are used to.
const fn tolerated(capability: Capability) -> bool {
    use Capability as C;
    matches!(
        capability,
        C::AuditWrite
            | C::AuditControl
            | C::Fsetid
            | C::Fowner
            | C::SysResource
            | C::SysNice
            | C::Kill
            | C::Setpcap
            | C::SysPtrace
            | C::IpcLock
            | C::DacReadSearch
            | C::Lease
            | C::Setfcap
            | C::Syslog
            | C::SysTtyConfig
    )
}

/// Returns whether a capability may well not be needed.
fn is_doubtful(capability: Capability, asked: CapSet) -> bool {
    tolerated(capability) || !asked.contains(capability)
}

/// How seldom workloads need it: 0 often, 1 sometimes, 2 hardly ever.
const fn rare(capability: Capability) -> u8 {
    use Capability as C;
    match capability {
        C::Setuid | C::Setgid | C::NetBindService | C::Chown | C::DacOverride => 0,
        C::NetRaw | C::SysChroot | C::Kill | C::Fowner | C::NetAdmin | C::Mknod | C::Setpcap | C::Fsetid => 1,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use Capability as C;
    use proptest::prelude::*;

    use super::*;

    /// A workload that needs some capabilities and tells of those that it is refused, except the silent ones.
    struct Workload<F> {
        passes: F,
        needs: CapSet,
        silent: CapSet,
        runs: Vec<Trial>,
    }

    impl<F: Fn(CapSet) -> bool> Runner for Workload<F> {
        type Error = std::convert::Infallible;

        fn run(&mut self, trials: &[Trial]) -> Result<Vec<Outcome>, Self::Error> {
            let outcomes = trials.iter().map(|trial| {
                self.runs.push(*trial);
                Outcome {
                    run: self.runs.len(),
                    passed: (self.passes)(trial.set),
                    conclusive: true,
                    needs: self.needs.difference(trial.set).difference(self.silent),
                    asked: self.needs,
                    ..Outcome::default()
                }
            });
            Ok(outcomes.collect())
        }
    }

    fn set(capabilities: &[C]) -> CapSet {
        capabilities.iter().fold(CapSet::EMPTY, |set, capability| set.with(*capability))
    }

    fn options(given: CapSet) -> Options {
        Options {
            given,
            held: given,
            ceiling: CapSet::KNOWN,
            free: CapSet::KNOWN,
            instead: CapSet::EMPTY,
            repeats: 3,
            parallel: 1,
            strict: false,
        }
    }

    const DEFAULT: [C; 11] = [
        C::Chown,
        C::DacOverride,
        C::Fowner,
        C::Fsetid,
        C::Kill,
        C::Setgid,
        C::Setuid,
        C::Setpcap,
        C::NetBindService,
        C::SysChroot,
        C::Setfcap,
    ];

    fn monotone(needs: CapSet, silent: CapSet) -> Workload<impl Fn(CapSet) -> bool> {
        Workload { passes: move |set: CapSet| needs.is_subset(set), needs, silent, runs: Vec::new() }
    }

    #[test]
    fn nginx_takes_one_run_a_capability_and_no_more() {
        let needs = set(&[C::Chown, C::DacOverride, C::NetBindService, C::Setgid, C::Setuid]);
        let mut workload = monotone(needs, CapSet::EMPTY);
        let found = search(&options(set(&DEFAULT)), &mut workload).unwrap();
        assert_eq!((found.set, found.proven), (needs, true));
        // Baseline, two to grow, five proofs, two repeats.
        assert_eq!(workload.runs.len(), 1 + 2 + 5 + 2);
        assert!(workload.runs.last().unwrap().own_filter);
    }

    #[test]
    fn workload_without_needs_takes_four_runs() {
        let mut workload = monotone(CapSet::EMPTY, CapSet::EMPTY);
        let found = search(&options(set(&DEFAULT)), &mut workload).unwrap();
        assert_eq!((found.set, found.proven, workload.runs.len()), (CapSet::EMPTY, true, 4));
    }

    #[test]
    fn need_beyond_what_is_given_is_found() {
        let needs = set(&[C::NetRaw, C::Setuid]);
        let mut workload = monotone(needs, CapSet::EMPTY);
        let found = search(&options(set(&DEFAULT)), &mut workload).unwrap();
        assert_eq!((found.set, found.proven, found.baseline), (needs, true, set(&DEFAULT).with(C::NetRaw)));
    }

    #[test]
    fn fail_open_of_apache_is_caught_by_the_posture_which_fails_its_runs() {
        let needs = set(&[C::NetBindService, C::Setgid, C::Setuid]);
        let mut workload = monotone(needs, CapSet::EMPTY);
        assert_eq!(search(&options(set(&DEFAULT)), &mut workload).unwrap().set, needs);
    }

    #[test]
    fn what_is_refused_and_tolerated_is_pruned() {
        let needs = set(&[C::Setuid]);
        let asked = needs.with(C::AuditWrite).with(C::Fsetid);
        let mut workload =
            Workload { passes: |set: CapSet| set.contains(C::Setuid), needs: asked, silent: CapSet::EMPTY, runs: Vec::new() };
        let found = search(&options(set(&DEFAULT).with(C::AuditWrite)), &mut workload).unwrap();
        assert_eq!((found.set, found.proven), (needs, true));
    }

    #[test]
    fn programs_that_fail_with_more_are_proven_on_the_final_set() {
        // apache without the posture guard: passes with one, fails with two, passes with three.
        let passes = |set: CapSet| set.contains(C::NetBindService) && (!set.contains(C::Setgid) || set.contains(C::Setuid));
        let needs = set(&[C::NetBindService, C::Setgid, C::Setuid]);
        let mut workload = Workload { passes, needs, silent: CapSet::EMPTY, runs: Vec::new() };
        let found = search(&options(set(&DEFAULT)), &mut workload).unwrap();
        assert!(found.proven);
        assert!(passes(found.set) && found.set.iter().all(|capability| !passes(found.set.without(capability))));
    }

    #[test]
    fn workload_that_never_passes_says_what_cannot_be_given() {
        let needs = set(&[C::SysResource]);
        let mut workload = monotone(needs, CapSet::EMPTY);
        let mut options = options(set(&DEFAULT));
        options.ceiling = CapSet::KNOWN.without(C::SysResource);
        assert!(matches!(search(&options, &mut workload), Err(Stop::NeverPasses { lacking, .. }) if lacking == needs));
    }

    #[test]
    fn filter_that_depends_on_the_set_counts_in_the_proof() {
        // unshare -U: nothing asks for a capability, and the filter lets it through with SYS_ADMIN only.
        struct Filtered(Vec<Trial>);
        impl Runner for Filtered {
            type Error = std::convert::Infallible;
            fn run(&mut self, trials: &[Trial]) -> Result<Vec<Outcome>, Self::Error> {
                let outcomes = trials.iter().map(|trial| {
                    self.0.push(*trial);
                    let passed = trial.set.contains(C::SysAdmin) || !trial.own_filter && trial.purpose != Purpose::Baseline;
                    let needs = if passed { CapSet::EMPTY } else { set(&[C::SysAdmin]) };
                    Outcome { run: self.0.len(), passed, conclusive: true, needs, ..Outcome::default() }
                });
                Ok(outcomes.collect())
            }
        }
        let mut workload = Filtered(Vec::new());
        let found = search(&options(set(&[C::SysAdmin, C::Chown])), &mut workload).unwrap();
        assert_eq!((found.set, found.proven), (set(&[C::SysAdmin]), true));
    }

    #[test]
    fn what_is_denied_in_a_call_that_succeeds_is_suspected_before_the_rest_is_halved() {
        struct Silent(usize);
        impl Runner for Silent {
            type Error = std::convert::Infallible;
            fn run(&mut self, trials: &[Trial]) -> Result<Vec<Outcome>, Self::Error> {
                let outcomes = trials.iter().map(|trial| {
                    self.0 += 1;
                    let denied = set(&[C::Fsetid]).difference(trial.set);
                    Outcome { run: self.0, passed: denied.is_empty(), conclusive: true, denied, ..Outcome::default() }
                });
                Ok(outcomes.collect())
            }
        }
        let mut workload = Silent(0);
        let found = search(&options(set(&DEFAULT)), &mut workload).unwrap();
        assert_eq!((found.set, found.proven), (set(&[C::Fsetid]), true));
        // Baseline, two to grow, a proof, two repeats.
        assert_eq!(workload.0, 6);
    }

    /// A workload that needs one capability and fails by chance the first time that it is run for a purpose.
    struct Loaded {
        needed: Capability,
        is_hit: fn(Purpose) -> bool,
        conclusive: bool,
        runs: Vec<Trial>,
    }

    impl Runner for Loaded {
        type Error = std::convert::Infallible;

        fn run(&mut self, trials: &[Trial]) -> Result<Vec<Outcome>, Self::Error> {
            let outcomes = trials.iter().map(|trial| {
                let is_late = (self.is_hit)(trial.purpose) && !self.runs.iter().any(|run| run.purpose == trial.purpose);
                self.runs.push(*trial);
                let needs = set(&[self.needed]).difference(trial.set);
                let conclusive = self.conclusive || !is_late;
                Outcome { run: self.runs.len(), passed: needs.is_empty() && !is_late, conclusive, needs, ..Outcome::default() }
            });
            Ok(outcomes.collect())
        }
    }

    #[test]
    fn what_fails_by_chance_while_the_machine_is_busy_is_made_again_and_waited_for() {
        let purposes: [fn(Purpose) -> bool; 3] = [
            |purpose| purpose == Purpose::Repeat,
            |purpose| matches!(purpose, Purpose::Without(_)),
            |purpose| matches!(purpose, Purpose::Repeat | Purpose::Without(_)),
        ];
        for is_hit in purposes {
            let mut workload = Loaded { needed: C::Chown, is_hit, conclusive: false, runs: Vec::new() };
            let found = search(&Options { repeats: 1, ..options(set(&DEFAULT)) }, &mut workload).unwrap();
            assert_eq!((found.set, found.proven), (set(&[C::Chown]), true));
            let patient: Vec<Trial> = workload.runs.iter().filter(|run| run.patient).copied().collect();
            let first = workload.runs.iter().filter(|run| is_hit(run.purpose) && !run.patient).count();
            assert!(!patient.is_empty() && patient.len() <= first, "{patient:?}");
            assert!(patient.iter().all(|run| is_hit(run.purpose)), "{patient:?}");
        }
    }

    #[test]
    fn failure_that_was_seen_is_not_tried_until_it_passes() {
        let is_hit = |purpose| purpose == Purpose::Repeat;
        let mut workload = Loaded { needed: C::Chown, is_hit, conclusive: true, runs: Vec::new() };
        let found = search(&options(set(&DEFAULT)), &mut workload).unwrap();
        assert!(!found.proven);
        assert_eq!(found.failing_runs.len(), 1);
    }

    /// A workload that takes any one of some capabilities.
    struct Either(CapSet, Vec<Trial>);

    impl Runner for Either {
        type Error = std::convert::Infallible;

        fn run(&mut self, trials: &[Trial]) -> Result<Vec<Outcome>, Self::Error> {
            let outcomes = trials.iter().map(|trial| {
                self.1.push(*trial);
                let passed = !trial.set.intersection(self.0).is_empty();
                let one_of = if passed { Vec::new() } else { vec![self.0] };
                Outcome { run: self.1.len(), passed, conclusive: true, one_of, ..Outcome::default() }
            });
            Ok(outcomes.collect())
        }
    }

    #[test]
    fn whatever_pair_the_kernel_takes_one_of_is_tried_both_ways() {
        let given = set(&DEFAULT).with(C::SysNice).with(C::SysAdmin);
        let mut workload = Either(set(&[C::SysAdmin, C::SysNice]), Vec::new());
        let found = search(&Options { free: CONTAINED, ..options(given) }, &mut workload).unwrap();
        let last = workload.1.len();
        assert_eq!((found.set, found.alternatives), (set(&[C::SysNice]), vec![(C::SysNice, C::SysAdmin, last)]));
        assert!(workload.1.last().unwrap().own_filter);
    }

    #[test]
    fn alternative_that_nobody_gives_is_not_tried() {
        let mut workload = Either(set(&[C::SysAdmin, C::SysNice]), Vec::new());
        let found = search(&Options { free: CONTAINED, ..options(set(&DEFAULT).with(C::SysNice)) }, &mut workload).unwrap();
        assert_eq!((found.set, found.alternatives), (set(&[C::SysNice]), Vec::new()));
        assert!(workload.1.iter().all(|trial| !trial.set.contains(C::SysAdmin)));
    }

    #[test]
    fn user_who_is_not_root_is_given_by_name_what_is_refused() {
        // The bounding set has it; the process holds it only when it is added by name.
        struct Unprivileged(Vec<Trial>);
        impl Runner for Unprivileged {
            type Error = std::convert::Infallible;
            fn run(&mut self, trials: &[Trial]) -> Result<Vec<Outcome>, Self::Error> {
                let outcomes = trials.iter().map(|trial| {
                    self.0.push(*trial);
                    let holds = if trial.purpose == Purpose::Baseline { trial.extra } else { trial.set };
                    let passed = holds.contains(C::NetBindService);
                    let needs = if passed { CapSet::EMPTY } else { set(&[C::NetBindService]) };
                    Outcome { run: self.0.len(), passed, conclusive: true, needs, ..Outcome::default() }
                });
                Ok(outcomes.collect())
            }
        }
        let mut workload = Unprivileged(Vec::new());
        let found = search(&Options { held: CapSet::EMPTY, ..options(set(&DEFAULT)) }, &mut workload).unwrap();
        assert_eq!((found.set, found.proven), (set(&[C::NetBindService]), true));
    }

    #[test]
    fn what_reaches_beyond_the_container_is_not_tried_unless_it_is_given() {
        let needs = set(&[C::SysTime]);
        let mut workload = monotone(needs, CapSet::EMPTY);
        let careful = Options { free: CONTAINED, ..options(set(&DEFAULT)) };
        assert!(matches!(search(&careful, &mut workload), Err(Stop::NeverPasses { withheld, .. }) if withheld == needs));
        assert!(workload.runs.iter().all(|trial| !trial.set.contains(C::SysTime)));
        let mut workload = monotone(needs, CapSet::EMPTY);
        let given = Options { given: set(&DEFAULT).with(C::SysTime), held: set(&DEFAULT).with(C::SysTime), ..careful };
        assert_eq!(search(&given, &mut workload).unwrap().set, needs);
    }

    #[test]
    fn of_two_that_would_do_the_less_dangerous_one_is_named_when_neither_may_be_tried() {
        struct Refused;
        impl Runner for Refused {
            type Error = std::convert::Infallible;
            fn run(&mut self, trials: &[Trial]) -> Result<Vec<Outcome>, Self::Error> {
                let one_of = vec![set(&[C::SysAdmin, C::SysNice])];
                Ok(trials.iter().map(|_| Outcome { conclusive: true, one_of: one_of.clone(), ..Outcome::default() }).collect())
            }
        }
        let careful = Options { free: CONTAINED, ..options(set(&DEFAULT)) };
        assert!(matches!(search(&careful, &mut Refused), Err(Stop::NeverPasses { withheld, .. }) if withheld == set(&[C::SysNice])));
    }

    proptest! {
        #[test]
        fn set_is_proven_whatever_is_needed_and_however_little_is_said(
            needs in proptest::sample::subsequence(C::ALL.to_vec(), 0..6),
            silent in proptest::sample::subsequence(C::ALL.to_vec(), 0..20),
            parallel in 1_usize..4,
        ) {
            let needs = set(&needs);
            let mut workload = monotone(needs, set(&silent));
            let found = search(&Options { parallel, ..options(set(&DEFAULT)) }, &mut workload).unwrap();
            prop_assert_eq!(found.set, needs);
            prop_assert!(found.proven);
        }
    }
}
