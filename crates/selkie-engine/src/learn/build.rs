//! From the runs to the report.

use std::collections::BTreeSet;
use std::time::Duration;

use selkie_caps::{CapSet, Capability};
use selkie_learn::classify::asked;
use selkie_learn::operation::{operation, result, safe};
use selkie_learn::report::{
    Alternative, Degraded, Facts, Impossible, NeverAsked, Observed, RelativeTo, Required, Run, VERSION, Zero, flags,
};
use selkie_learn::search::Found;
use selkie_learn::{Call, Cause, Report, Trace, class, evidence, explain};
use selkie_plan::{Plan, Seccomp};

use super::run::{Made, Way};
use super::{Learner, was_refused};

impl Learner<'_> {
    pub(super) fn report(&self, found: &Found, plan: &Plan, path_to_zero: Vec<Zero>, took: Duration) -> Report {
        let baseline = self.numbered(found.baseline_run);
        let passing: Vec<&Made> = found.passing_runs.iter().filter_map(|number| self.numbered(*number)).collect();
        let last = passing.last().copied();
        let lost = self.made.iter().any(|made| !made.trace.lost.is_nothing());
        let degraded = degraded(found.set, baseline, &passing);
        let mut problems = Vec::new();
        if lost {
            problems.push("the observer has lost evidence".to_owned());
        }
        for number in &found.failing_runs {
            let failure = self.numbered(*number).and_then(|made| made.failure.clone()).unwrap_or_default();
            problems.push(format!("the workload is not steady: run {number} with the final set failed: {failure}"));
        }
        let asked = self.asked(found.baseline);
        Report {
            version: VERSION,
            proven: found.proven && !lost,
            complete: !lost,
            problems,
            required: found.set.iter().map(|capability| self.required(found, capability)).collect(),
            alternatives: found
                .alternatives
                .iter()
                .map(|(of, instead, run)| Alternative {
                    capability: *instead,
                    instead_of: *of,
                    run: *run,
                    danger: instead.knowledge().danger.word().to_owned(),
                })
                .collect(),
            impossible: self.impossible(found),
            // Where checks are not seen, nobody can say what was not asked for.
            never_asked: self
                .given
                .iter()
                .filter(|_| self.setting.observer.rung().sees_checks())
                .filter(|capability| !asked.contains(*capability) && !found.set.contains(*capability))
                .map(|capability| NeverAsked { capability })
                .collect(),
            degraded,
            path_to_zero,
            flags: flags(found.set),
            relative_to: self.relative_to(found, plan, baseline),
            runs: self.made.len(),
            seconds: took.as_secs_f64(),
            log: self.made.iter().map(line).collect(),
            observed: baseline.map(|made| observed(&made.trace)).unwrap_or_default(),
            facts: facts(plan, last, &passing),
        }
    }

    /// What the workload asked for, in any run, whatever the answer.
    fn asked(&self, baseline: CapSet) -> CapSet {
        let mut asked = CapSet::EMPTY;
        for made in &self.made {
            for count in &made.trace.checks {
                if class(&count.check, made.trace.has_stacks).counts() {
                    asked = asked.with(count.check.capability);
                }
            }
            for (_, cause) in &made.refused {
                asked = asked.union(cause.capabilities());
            }
        }
        asked.intersection(baseline.union(self.given))
    }

    fn required(&self, found: &Found, capability: Capability) -> Required {
        let certificate = found.certificates.get(&capability);
        let made = certificate.and_then(|certificate| self.numbered(certificate.run));
        let evidence = made.and_then(|made| refusal(made, capability));
        // Without it nothing may have been refused: an effect was lost in silence. What was seen when the set grew tells then.
        let evidence = evidence.or_else(|| self.made.iter().find_map(|made| evidence_of(made, capability)));
        Required {
            capability,
            operation: evidence.map(|(call, _)| operation(call)),
            errno: evidence.map(|(call, _)| result(call)),
            process: evidence.map(|(call, _)| format!("{}({})", safe(&call.comm), call.pid)),
            site: evidence
                .and_then(|(call, _)| asked(call.denied.iter().filter(|check| check.capability == capability)).map(str::to_owned)),
            // Without one it is `--strict` that has judged.
            failure: made
                .map_or_else(String::new, |made| made.failure.clone().unwrap_or_else(|| "it passed, but with more refused".to_owned())),
            log_line: made.and_then(|made| {
                let about = evidence.map(|(call, _)| call.comm.as_str());
                complaint(&made.output, self.numbered(found.baseline_run).map_or("", |made| &made.output), about)
            }),
            run: certificate.map_or(0, |certificate| certificate.run),
            danger: capability.knowledge().danger.word().to_owned(),
            phases: self.phases(found, capability),
        }
    }

    /// When the final runs asked for it.
    fn phases(&self, found: &Found, capability: Capability) -> Vec<String> {
        let mut phases = BTreeSet::new();
        for made in found.passing_runs.iter().filter_map(|number| self.numbered(*number)) {
            let ready = u64::try_from(made.ready.as_nanos()).unwrap_or(u64::MAX);
            let checks = made.trace.checks.iter().filter(|count| count.check.capability == capability);
            for count in checks.filter(|count| class(&count.check, made.trace.has_stacks).counts()) {
                for at in [count.first, count.last] {
                    phases.insert(match made.way {
                        Way::Serves if made.stopped_at.is_some_and(|stop| at >= stop) => (2, "stop"),
                        Way::Serves if at > ready => (1, "run"),
                        _ => (0, "start"),
                    });
                }
            }
        }
        phases.into_iter().map(|(_, name)| name.to_owned()).collect()
    }

    fn impossible(&self, found: &Found) -> Vec<Impossible> {
        let ceiling = self.setting.engine.ceiling().unwrap_or(CapSet::KNOWN);
        let mut seen = BTreeSet::new();
        let mut impossible = Vec::new();
        for (call, cause) in self.made.iter().flat_map(|made| &made.refused) {
            let (capabilities, reason) = match cause {
                Cause::InitialNamespace { capabilities } => {
                    (*capabilities, "the kernel wants it in the initial user namespace, and no flag gives it there")
                }
                Cause::Capability { .. } | Cause::FileCapability { .. } | Cause::Capset { .. } => {
                    (cause.capabilities().difference(ceiling), "it is not in the bounding set of this engine and cannot be given here")
                }
                _ => continue,
            };
            for capability in capabilities.iter().filter(|capability| !found.set.contains(*capability)) {
                if seen.insert(capability) {
                    impossible.push(Impossible { capability, reason: reason.to_owned(), operation: operation(call) });
                }
            }
        }
        impossible
    }

    fn relative_to(&self, found: &Found, plan: &Plan, baseline: Option<&Made>) -> RelativeTo {
        let request = &self.wish.request;
        let image = request.image.clone().or_else(|| request.rootfs.clone()).unwrap_or_default();
        let uname = rustix::system::uname();
        let exercise = &self.wish.oracle.exercise;
        RelativeTo {
            image,
            digest: baseline.and_then(|made| made.image.as_ref()).map(|image| image.digest.clone()),
            command: plan.process.args.clone(),
            user: super::user(plan),
            kernel: uname.release().to_string_lossy().into_owned(),
            machine: uname.machine().to_string_lossy().into_owned(),
            engine: format!("selkie {}", env!("CARGO_PKG_VERSION")),
            observer: self.setting.observer.rung().name().to_owned(),
            seccomp: match &plan.seccomp {
                Seccomp::Unconfined => "unconfined".to_owned(),
                Seccomp::Default { nested_userns: false } => "default".to_owned(),
                Seccomp::Default { nested_userns: true } => "default, with nested user namespaces".to_owned(),
                Seccomp::File(path) => path.clone(),
            },
            oracle: self.oracle.describe(baseline.is_none_or(|made| made.way == Way::Ends)),
            exercised: match exercise {
                Some(command) => command.clone(),
                None if baseline.is_some_and(|made| made.way == Way::Ends) => "one run of the command".to_owned(),
                None => "start, readiness and stop only".to_owned(),
            },
            baseline: found.baseline.iter().collect(),
        }
    }
}

/// The refusal in a run that names the capability, best first: one that it alone would have answered, then one of several, then one
/// of the system call filter, which lets the call through with it.
fn refusal(made: &Made, capability: Capability) -> Option<&(Call, Cause)> {
    let rank = |cause: &Cause| match cause {
        Cause::Seccomp { .. } => 2,
        cause if cause.capabilities().len() > 1 => 1,
        _ => 0,
    };
    made.refused.iter().filter(|(_, cause)| cause.capabilities().contains(capability)).min_by_key(|(_, cause)| rank(cause))
}

fn evidence_of(made: &Made, capability: Capability) -> Option<&(Call, Cause)> {
    made.refused.iter().find(|(_, cause)| cause.is_missing_capability() && cause.capabilities().contains(capability))
}

/// What the runs that passed were refused; the baseline may have been, too.
fn degraded(set: CapSet, baseline: Option<&Made>, passing: &[&Made]) -> Vec<Degraded> {
    let mut seen = CapSet::EMPTY;
    let mut degraded = Vec::new();
    for (call, cause) in passing.iter().flat_map(|made| &made.refused) {
        if !cause.is_missing_capability() {
            continue;
        }
        let also = if baseline.is_some_and(|made| was_refused(made, call, cause)) { "; so it was in the baseline" } else { "" };
        let capabilities = match cause {
            // Either would have done, so it is one need.
            Cause::OneOf { capabilities } => {
                capabilities.iter().min_by_key(|capability| capability.knowledge().danger).into_iter().collect()
            }
            _ => cause.capabilities().iter().collect::<Vec<_>>(),
        };
        for capability in capabilities {
            if set.contains(capability) || seen.contains(capability) {
                continue;
            }
            seen.insert(capability);
            degraded.push(Degraded {
                capability,
                operation: operation(call),
                errno: result(call),
                process: format!("{}({})", safe(&call.comm), call.pid),
                sentence: format!("{}{also}", explain(call, cause).sentence),
            });
        }
    }
    degraded
}

fn observed(trace: &Trace) -> Observed {
    let counts = evidence(trace, None).counts;
    let list = |set: CapSet| set.iter().collect();
    Observed { granted: list(counts.granted), audited: list(counts.audited), own: list(counts.own), real: list(counts.real) }
}

fn facts(plan: &Plan, last: Option<&Made>, passing: &[&Made]) -> Facts {
    let user = &plan.process.user;
    let standings = last.map(|made| made.posture.as_slice()).unwrap_or_default();
    let endings = last.map(|made| made.trace.endings.as_slice()).unwrap_or_default();
    let seen = !standings.is_empty() || !endings.is_empty();
    let non_root = standings.iter().all(|standing| !standing.uids.contains(&0)) && endings.iter().all(|ending| ending.credentials.uid != 0);
    Facts {
        non_root: seen.then_some(non_root),
        starts_non_root: Some(user.uid != 0),
        no_new_privileges: None,
        read_only: passing.iter().map(|made| made.wrote.map(|wrote| !wrote)).reduce(|one, other| Some(one? && other?)).flatten(),
        uid: Some(user.uid),
        gid: Some(user.gid),
    }
}

fn line(made: &Made) -> Run {
    Run {
        number: made.number,
        purpose: made.purpose.clone(),
        capabilities: made.set.iter().collect(),
        passed: made.failure.is_none(),
        reason: made.failure.clone().unwrap_or_default(),
        seconds: made.took.as_secs_f64(),
    }
}

/// The line of an output that says what went wrong: one that the run which passed has not said too, of the program that was refused
/// if it names itself, as most do.
fn complaint(output: &str, passed: &str, about: Option<&str>) -> Option<String> {
    const WORDS: [&str; 9] = ["not permitted", "permission denied", "eperm", "eacces", "denied", "failed", "cannot", "error", "unable"];
    let lines: Vec<&str> = output.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let complains = |line: &&&str| {
        let lower = line.to_lowercase();
        WORDS.iter().any(|word| lower.contains(word))
    };
    let before: BTreeSet<&str> = passed.lines().map(str::trim).collect();
    let fresh: Vec<&str> = lines.iter().copied().filter(|line| !before.contains(line)).collect();
    let names_itself = |line: &&&str| about.is_some_and(|comm| line.strip_prefix(comm).is_some_and(|rest| rest.starts_with([':', '['])));
    let found = fresh.iter().filter(complains).find(names_itself).or(fresh.iter().find(complains)).or(fresh.last())?;
    let mut text = safe(found);
    if text.chars().count() > 200 {
        text = text.chars().take(200).chain(['…']).collect();
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaint_is_the_line_that_complains() {
        let output = "starting\nbind() to 0.0.0.0:80 failed (13: Permission denied)\nbye\n";
        assert_eq!(complaint(output, "", Some("nginx")).as_deref(), Some("bind() to 0.0.0.0:80 failed (13: Permission denied)"));
    }

    #[test]
    fn complaint_is_that_of_the_program_that_was_refused() {
        let output = "useradd: warning: chown on '/home/bob' failed\nsu: cannot set groups: Operation not permitted\n";
        assert_eq!(complaint(output, "", Some("su")).as_deref(), Some("su: cannot set groups: Operation not permitted"));
        assert_eq!(complaint(output, "", Some("sudo")).as_deref(), Some("useradd: warning: chown on '/home/bob' failed"));
    }

    #[test]
    fn complaint_is_none_that_the_run_that_passed_has_too() {
        let output = "ulimit: error setting limit\n(13)Permission denied: could not bind\n";
        assert_eq!(complaint(output, "ulimit: error setting limit\n", None).as_deref(), Some("(13)Permission denied: could not bind"));
    }
}
