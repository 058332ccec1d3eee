//! Learns which capabilities a workload needs, by running it: the effects behind `selkie_learn::search`.
//!
//! ```text
//! search (pure) --Trial--> Learner --Order--> run: trial process + observer + oracle --Made--> Outcome --> search
//! ```

mod build;
mod notify;
mod oracle;
mod processes;
mod run;
mod sight;
mod zero;

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use selkie_caps::{CapSet, Capability};
use selkie_learn::report::Zero;
use selkie_learn::search::{CONTAINED, Certificate, Found, OF_NETWORK, Options, Outcome, Purpose, Runner, Stop, Trial, search};
use selkie_learn::{Call, Cause, Report, Trace, class, explained};
use selkie_observe::Observer;
use selkie_plan::{Namespace, Plan, Request, Seccomp, UserNamespace};
use selkie_seccomp::Resolved;

use self::processes::Port;
use self::run::{Doubt, Made, Setting, Wanted, Way, needs};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::filter::{Filter, resolved_for};
use crate::trial::Order;

pub use oracle::{Http, Oracle, Pattern};
pub use zero::change;

/// What is to be learned.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The container, with the capabilities that the user gives.
    pub request: Request,
    /// How it is told whether it works.
    pub oracle: Oracle,
    /// How often the result has to pass.
    pub repeats: u32,
    /// Nothing may be refused that the baseline was not refused.
    pub strict: bool,
    /// Look for changes that remove needs.
    pub zero: bool,
    /// The capabilities that the baseline begins with, in place of those that the request gives.
    pub start_from: Option<CapSet>,
}

/// What was learned.
#[derive(Clone, Debug)]
pub struct Learned {
    /// The result.
    pub report: Report,
    /// What was seen of the last run that passed.
    pub trace: Trace,
    /// Why it is not all that was wanted.
    pub failure: Option<Failure>,
}

/// What happens meanwhile.
#[derive(Clone, Debug)]
pub enum Progress {
    /// A run begins.
    Begins {
        /// From 1.
        number: usize,
        /// What for.
        purpose: String,
        /// Its capabilities.
        set: CapSet,
    },
    /// A run has ended.
    Ended {
        /// From 1.
        number: usize,
        /// What for.
        purpose: String,
        /// Its capabilities.
        set: CapSet,
        /// Why it failed; `None` when it passed.
        failure: Option<String>,
        /// How long it took.
        took: Duration,
    },
    /// Something to know.
    Note(String),
}

/// Why nothing could be learned.
#[derive(Clone, Debug)]
pub enum Failure {
    /// The workload does not pass with anything: what it was refused, and how it failed.
    NeverPasses {
        /// How.
        failure: String,
        /// The end of its output.
        output: String,
        /// What its processes did when it had been waited for long enough; empty when it ended.
        processes: String,
        /// What it was refused, explained.
        refused: Vec<selkie_learn::Explanation>,
        /// Capabilities that it asks for and that cannot be given here.
        lacking: CapSet,
        /// Capabilities that it asks for and that only the user can give.
        withheld: CapSet,
    },
    /// It passes and fails with the same capabilities.
    Unsteady {
        /// How it failed.
        failure: String,
        /// The end of its output.
        output: String,
    },
    /// The user has had enough; what was learned before is in the report.
    Interrupted,
}

/// How long a baseline may take unless the user says otherwise.
const PATIENCE: Duration = Duration::from_secs(60);

/// Plans the container of a wish, as a process of one thread only can.
///
/// # Errors
/// What `run` would say.
pub fn prepare(engine: &Engine, wish: &Wish) -> Result<Plan> {
    engine.store().prepare()?;
    engine.dry_run(wish.request.clone(), Vec::new())
}

/// Learns what the workload of `wish` needs, whose plan [`prepare`] has made.
///
/// # Errors
/// No run can be made. What a run shows is no error, see [`Learned::failure`].
pub fn learn(
    engine: &Engine,
    wish: &Wish,
    plan: &Plan,
    observer: &dyn Observer,
    interrupted: &AtomicBool,
    progress: &mut dyn FnMut(Progress),
) -> Result<Learned> {
    let begun = Instant::now();
    let ceiling = engine.ceiling()?;
    let given = wish.start_from.unwrap_or(plan.process.sets.bounding);
    let scratch = engine.store().run().join("learn");
    let mut learner = Learner {
        setting: Setting { engine, observer, interrupted, scratch: &scratch },
        wish,
        oracle: wish.oracle.clone(),
        given,
        seccomp: plan.seccomp.clone(),
        users: plan.namespaces.user.clone(),
        baseline: None,
        made: Vec::new(),
        progress,
        parallel: if is_separate(&wish.request, plan) { cores().min(2) } else { 1 },
    };
    for warning in &plan.warnings {
        (learner.progress)(Progress::Note(warning.message.clone()));
    }
    // Another user than root holds only what is added by name.
    let held = if plan.process.user.uid == 0 { given } else { plan.process.sets.permitted };
    let options = Options {
        given,
        held,
        ceiling,
        free: free(plan),
        instead: instead(&plan.seccomp),
        repeats: wish.repeats,
        parallel: learner.parallel,
        strict: wish.strict,
    };
    let (found, mut failure) = match search(&options, &mut learner) {
        Ok(found) => (found, None),
        Err(Stop::Runner(Error::Interrupted)) => (learner.so_far(), Some(Failure::Interrupted)),
        Err(Stop::Runner(error)) => return Err(error),
        Err(stop) => (learner.so_far(), learner.explain(stop)),
    };
    let mut more = More::default();
    if wish.zero && found.proven {
        match learner.look_further(&found, &mut more) {
            Err(Error::Interrupted) => failure = Some(Failure::Interrupted),
            looked => looked?,
        }
    }
    let mut report = learner.report(&found, plan, more.zero, begun.elapsed());
    report.facts.no_new_privileges = more.no_new_privileges;
    report.problems.extend(failure.as_ref().map(Failure::describe));
    let last = found.passing_runs.last().and_then(|number| learner.numbered(*number));
    Ok(Learned { report, trace: last.map(|made| made.trace.clone()).unwrap_or_default(), failure })
}

/// What is asked when the set is known.
#[derive(Default)]
struct More {
    zero: Vec<Zero>,
    no_new_privileges: Option<bool>,
}

impl Failure {
    /// Returns it in one line.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::NeverPasses { failure, .. } => format!("the workload does not pass with any capability that may be tried: {failure}"),
            Self::Unsteady { failure, .. } => {
                format!("the workload is not steady: it passed, and failed with the same capabilities: {failure}")
            }
            Self::Interrupted => "interrupted".to_owned(),
        }
    }
}

/// Returns whether runs of this container cannot meet: each has its own network and name, and writes nothing that another one reads.
fn is_separate(request: &Request, plan: &Plan) -> bool {
    let shares = request.mounts.volumes.iter().any(|volume| !volume.readonly) || !request.mounts.mounts.is_empty();
    let overlay = request.rootfs.as_deref().is_none_or(|rootfs| rootfs.ends_with(":O"));
    has_own_network(plan) && !shares && overlay && request.name.is_none()
}

/// Returns what may be tried without the user giving it.
fn free(plan: &Plan) -> CapSet {
    if has_own_network(plan) { CONTAINED } else { CONTAINED.difference(OF_NETWORK) }
}

/// The plan knows what a request leaves to containers.conf.
fn has_own_network(plan: &Plan) -> bool {
    plan.namespaces.network == Namespace::Private
}

/// Returns what may be tried in place of a proven capability: with the built-in filter, which keeps open_by_handle_at(2) shut,
/// `DAC_READ_SEARCH` gives no more than `DAC_OVERRIDE` does to read.
const fn instead(seccomp: &Seccomp) -> CapSet {
    match seccomp {
        Seccomp::Default { .. } => CapSet::EMPTY.with(Capability::DacReadSearch),
        Seccomp::Unconfined | Seccomp::File(_) => CapSet::EMPTY,
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

struct Learner<'a> {
    setting: Setting<'a>,
    wish: &'a Wish,
    /// What the user says, with what the baseline has shown.
    oracle: Oracle,
    given: CapSet,
    seccomp: Seccomp,
    /// Of the container, whose users have other numbers outside where it has its own.
    users: UserNamespace,
    /// Index of the run that passed first. The filter is held at its capabilities.
    baseline: Option<usize>,
    /// In the order of their numbers, which count from 1.
    made: Vec<Made>,
    progress: &'a mut dyn FnMut(Progress),
    parallel: usize,
}

/// A run to make.
struct Planned {
    purpose: String,
    set: CapSet,
    request: Request,
    /// The capabilities that the filter is for; `None`: its own.
    filter_for: Option<CapSet>,
    /// Its processes have to be those of the baseline.
    guard: bool,
    /// It is not hurried.
    patient: bool,
}

impl Runner for Learner<'_> {
    type Error = Error;

    fn run(&mut self, trials: &[Trial]) -> Result<Vec<Outcome>> {
        let mut outcomes = Vec::new();
        for chunk in trials.chunks(self.parallel.max(1)) {
            outcomes.extend(self.run_together(chunk)?);
        }
        Ok(outcomes)
    }
}

impl Learner<'_> {
    fn run_together(&mut self, trials: &[Trial]) -> Result<Vec<Outcome>> {
        let prepared = trials
            .iter()
            .map(|trial| Planned {
                purpose: describe(trial),
                set: trial.set,
                request: self.request(*trial),
                filter_for: self.baseline().map(|made| made.set).filter(|_| !trial.own_filter),
                guard: true,
                patient: trial.patient,
            })
            .collect();
        let first = self.made.len();
        self.make(prepared)?;
        let outcomes = trials.iter().enumerate().map(|(index, trial)| self.outcome(first + index, *trial)).collect();
        for (index, trial) in trials.iter().enumerate() {
            if trial.purpose == Purpose::Baseline && self.baseline.is_none() {
                self.adopt(first + index);
            }
        }
        Ok(outcomes)
    }

    /// Returns the run with a number; there is none with 0.
    fn numbered(&self, number: usize) -> Option<&Made> {
        self.made.get(number.wrapping_sub(1))
    }

    /// Returns the run that passed first.
    fn baseline(&self) -> Option<&Made> {
        self.baseline.and_then(|index| self.made.get(index))
    }

    /// Makes runs at the same time.
    fn make(&mut self, planned: Vec<Planned>) -> Result<()> {
        let first = self.made.len();
        let trace = !self.setting.observer.rung().sees_checks();
        let mut filters: Vec<Option<Resolved>> = Vec::new();
        for (index, run) in planned.iter().enumerate() {
            (self.progress)(Progress::Begins { number: first + index + 1, purpose: run.purpose.clone(), set: run.set });
            filters.push(resolved_for(Filter { seccomp: &self.seccomp, capabilities: run.filter_for.unwrap_or(run.set) })?);
        }
        let baseline = self.baseline();
        let (limit, hurry) = self.limits(baseline);
        let check_within = self.check_within(baseline);
        let passed = self.made.iter().filter(|made| made.failure.is_none());
        let spared = passed.fold(CapSet::EMPTY, |spared, made| spared.union(made.lacking()));
        let in_vain = self.made.last().filter(|made| baseline.is_none() && made.failure.is_some() && !made.seen).map(|made| &made.sights);
        let (setting, oracle) = (&self.setting, &self.oracle);
        let way = baseline.map_or_else(
            || {
                if oracle.serves() {
                    Way::Serves
                } else if oracle.exit_code.is_some() {
                    Way::Ends
                } else {
                    Way::Explore
                }
            },
            |made| made.way,
        );
        let results: Vec<Result<Made>> = std::thread::scope(|scope| {
            let threads: Vec<_> = planned
                .into_iter()
                .zip(&filters)
                .enumerate()
                .map(|(index, (Planned { purpose, set, request, filter_for, guard, patient }, filter))| {
                    let wanted = Wanted {
                        number: first + index + 1,
                        purpose,
                        order: Order { request, filter_for, trace },
                        set,
                        filter: filter.as_ref(),
                        oracle,
                        way,
                        limit,
                        hurry: if patient { limit } else { hurry },
                        check_within,
                        spared,
                        baseline,
                        in_vain,
                        guard,
                    };
                    scope.spawn(move || run::run(setting, wanted))
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap_or(Err(Error::Interrupted))).collect()
        });
        let mut failed = None;
        for result in results {
            match result {
                // Runs are found by their number: there is none behind one that was not made.
                Ok(_) if failed.is_some() => {}
                Ok(made) => {
                    (self.progress)(Progress::Ended {
                        number: made.number,
                        purpose: made.purpose.clone(),
                        set: made.set,
                        failure: made.failure.clone(),
                        took: made.took,
                    });
                    self.made.push(made);
                }
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(()), Err)
    }

    fn limits(&self, baseline: Option<&Made>) -> (Duration, Duration) {
        match baseline {
            None => {
                let patience = self.oracle.patience.unwrap_or(PATIENCE);
                (patience, patience)
            }
            Some(made) => {
                let thrice = made.ready.saturating_mul(3);
                (thrice.max(made.ready + Duration::from_secs(5)), thrice.max(made.ready + Duration::from_millis(700)))
            }
        }
    }

    /// Returns how long the user's check may fail. A baseline is asked when it has been quiet for long; a run that passed later tells
    /// better how soon it can pass.
    fn check_within(&self, baseline: Option<&Made>) -> Duration {
        const MORE: Duration = Duration::from_secs(1);
        let Some(baseline) = baseline else { return Duration::ZERO };
        let passed = self.made.iter().filter(|made| made.failure.is_none() && made.number != baseline.number);
        let sooner = passed.map(|made| made.checked.saturating_mul(2)).max();
        let at_most = baseline.checked.mul_f64(1.25);
        sooner.map_or(at_most, |sooner| sooner.min(at_most)) + MORE
    }

    /// Takes a run that passed as what the others are compared with.
    fn adopt(&mut self, index: usize) {
        let Some(made) = self.made.get(index).filter(|made| made.failure.is_none()) else { return };
        if made.way == Way::Serves && !self.wish.oracle.serves() {
            // What it does, as nobody said what it should do.
            for port in &made.ports {
                match *port {
                    Port::Tcp(port) => self.oracle.tcp.push(port),
                    // An unconnected socket on a high port is a client's.
                    Port::Udp(port) if port < 32768 => self.oracle.udp.push(port),
                    Port::Udp(_) => {}
                }
            }
            self.oracle.http.extend(made.http.iter().cloned());
            let said = self.oracle.describe(false);
            (self.progress)(Progress::Note(format!("no oracle was given; what the baseline does has to go on: {said}")));
        }
        self.baseline = Some(index);
    }

    /// Returns the container of a trial.
    fn request(&self, trial: Trial) -> Request {
        let mut request = self.wish.request.clone();
        let security = &mut request.security;
        if trial.purpose == Purpose::Baseline && self.wish.start_from.is_none() {
            if !self.given.union(trial.extra).contains(Capability::NetRaw) {
                // Takes nothing away but the sysctl that lets root ping without it, which a container with exact capabilities has not.
                security.cap_drop.push(Capability::NetRaw.short_name().to_owned());
            }
            if !trial.extra.is_empty() {
                // More than the user gives, in the user's own way, which for other users than root makes a difference.
                let more = trial.extra;
                security.cap_add.extend(more.iter().map(|capability| capability.short_name().to_owned()));
                security.cap_drop.retain(|name| Capability::parse_name(name).is_ok_and(|capability| !more.contains(capability)));
            }
            return request;
        }
        give(&mut request, trial.set);
        request
    }

    fn outcome(&self, index: usize, trial: Trial) -> Outcome {
        let Some(made) = self.made.get(index) else { return Outcome::default() };
        // What the baseline was refused alike, it passed without.
        let known = |call: &Call, cause: &Cause| self.baseline().is_some_and(|baseline| was_refused(baseline, call, cause));
        let (needs, one_of) = needs(made.refused.iter().filter(|(call, cause)| !known(call, cause)));
        let counting = || made.trace.checks.iter().map(|count| &count.check).filter(|check| class(check, made.trace.has_stacks).counts());
        let asked = counting().fold(needs, |set, check| set.with(check.capability));
        let missed = counting().filter(|check| check.denied).fold(CapSet::EMPTY, |set, check| set.with(check.capability));
        let denied = match trial.purpose {
            Purpose::Without(capability) => needs.contains(capability) || one_of.iter().any(|choice| choice.contains(capability)),
            // The same set has passed before.
            Purpose::Repeat => false,
            _ => !needs.difference(trial.set).is_empty(),
        };
        let conclusive = match made.doubt {
            // What failed without being denied anything is seen to fail once more before it is a proof.
            None if matches!(trial.purpose, Purpose::Without(_)) && !trial.patient => denied,
            None => made.seen || denied,
            Some(Doubt::Posture) => denied,
            Some(Doubt::Pressure) => false,
        };
        Outcome { run: made.number, passed: made.failure.is_none(), conclusive, needs, one_of, denied: missed, asked }
    }

    /// Asks what else is good to know of a proven set.
    fn look_further(&mut self, found: &Found, more: &mut More) -> Result<()> {
        if !found.set.is_empty() {
            let looked = self.path_to_zero(found, &mut more.zero);
            self.without_costing_the_proof(looked)?;
        }
        let looked = self.without_new_privileges(found);
        more.no_new_privileges = self.without_costing_the_proof(looked)?;
        Ok(())
    }

    /// Takes a run that could not be made for a question without an answer: what is proven stays so.
    fn without_costing_the_proof<T>(&mut self, looked: Result<T>) -> Result<Option<T>> {
        match looked {
            Err(Error::Interrupted) => Err(Error::Interrupted),
            Err(error) => {
                (self.progress)(Progress::Note(format!("not tried further: {error}")));
                Ok(None)
            }
            Ok(found) => Ok(Some(found)),
        }
    }

    /// Returns what the runs up to now show: the smallest set that has passed, and which of it was seen to be needed.
    fn so_far(&self) -> Found {
        let passed = self.made.iter().filter(|made| made.failure.is_none()).min_by_key(|made| made.set.len());
        let baseline = self.baseline().or(self.made.last());
        let set = passed.map_or(CapSet::EMPTY, |made| made.set);
        let failed = |capability: Capability| {
            let run = self.made.iter().find(|made| made.set == set.without(capability) && made.failure.is_some())?;
            Some((capability, Certificate { base: set, run: run.number }))
        };
        Found {
            set,
            baseline: baseline.map_or(CapSet::EMPTY, |made| made.set),
            baseline_run: baseline.map_or(0, |made| made.number),
            certificates: set.iter().filter_map(failed).collect(),
            passing_runs: passed.map(|made| made.number).into_iter().collect(),
            ..Found::default()
        }
    }

    fn explain(&self, stop: Stop<Error>) -> Option<Failure> {
        let failure = |made: Option<&Made>| made.and_then(|made| made.failure.clone()).unwrap_or_default();
        let output = |made: Option<&Made>| made.map(|made| tail(&made.output)).unwrap_or_default();
        match stop {
            Stop::NeverPasses { run, lacking, withheld } => {
                let made = self.numbered(run);
                let refused =
                    made.map(|made| explained(made.refused.iter().map(|(call, cause)| (call, cause.clone())))).unwrap_or_default();
                let processes = made.filter(|made| !made.seen).map(|made| made.sights.describe()).unwrap_or_default();
                Some(Failure::NeverPasses { failure: failure(made), output: output(made), processes, refused, lacking, withheld })
            }
            Stop::Unsteady { failed, .. } => {
                Some(Failure::Unsteady { failure: failure(self.numbered(failed)), output: output(self.numbered(failed)) })
            }
            // Told as an error, or as an interruption.
            Stop::Runner(_) => None,
        }
    }
}

/// Gives a container exactly these capabilities.
fn give(request: &mut Request, set: CapSet) {
    let security = &mut request.security;
    security.privileged = Some(false);
    security.cap_drop = vec!["all".to_owned()];
    security.cap_add = set.iter().map(|capability| capability.short_name().to_owned()).collect();
}

/// Returns whether the baseline was refused the same thing: it passed all the same.
fn was_refused(baseline: &Made, call: &Call, cause: &Cause) -> bool {
    baseline
        .refused
        .iter()
        .any(|(other, known)| other.comm == call.comm && other.syscall == call.syscall && other.detail == call.detail && known == cause)
}

fn describe(trial: &Trial) -> String {
    match trial.purpose {
        Purpose::Baseline => "baseline".to_owned(),
        Purpose::Grow => "grow".to_owned(),
        Purpose::Narrow => "narrow".to_owned(),
        Purpose::Without(capability) => format!("without {}", capability.short_name()),
        Purpose::Repeat if trial.own_filter => "repeat with its own filter".to_owned(),
        Purpose::Repeat => "repeat".to_owned(),
        Purpose::Alternative { instead, of } => format!("{} in place of {}", instead.short_name(), of.short_name()),
    }
}

/// Returns the last lines of an output.
fn tail(output: &str) -> String {
    const LINES: usize = 10;
    let lines: Vec<&str> = output.lines().collect();
    lines.get(lines.len().saturating_sub(LINES)..).unwrap_or_default().join("\n")
}

impl Engine {
    /// Returns the capabilities that can be given here at all: our own bounding set.
    ///
    /// # Errors
    /// The kernel does not say.
    pub fn ceiling(&self) -> Result<CapSet> {
        let sets = selkie_sys::capability::read().map_err(Error::system("read our own capabilities"))?;
        Ok(sets.bounding.intersection(CapSet::KNOWN))
    }
}

/// What of a plan a report tells.
fn user(plan: &Plan) -> String {
    format!("{}:{}", plan.process.user.uid, plan.process.user.gid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dangerous_alternative_is_tried_behind_the_built_in_filter_only() {
        assert_eq!(instead(&Seccomp::Unconfined), CapSet::EMPTY);
        assert!(instead(&Seccomp::Default { nested_userns: false }).contains(Capability::DacReadSearch));
    }

    #[test]
    fn trial_has_exactly_its_set() {
        let mut request = Request::default();
        request.security.cap_add = vec!["NET_RAW".to_owned()];
        request.security.privileged = Some(true);
        give(&mut request, CapSet::EMPTY.with(Capability::Setuid));
        assert_eq!((request.security.cap_drop, request.security.cap_add), (vec!["all".to_owned()], vec!["SETUID".to_owned()]));
        assert_eq!(request.security.privileged, Some(false));
    }
}
