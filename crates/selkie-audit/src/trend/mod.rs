//! What has changed since older results: documents of `--format json`, from anybody.
//!
//! ```text
//! JSON --Older::parse--> Older --+
//!                                +--> Trend::of --> counts of each, and against the last of them: new, fixed, gone, changed
//! Report ------------------------+
//! ```
//!
//! A finding is the same in both when file, container, rule and capability are; what it says may have other words. Of several that
//! are the same in all four as many are new, or fixed, as there are more, or fewer. Of a container that has started or stopped since
//! none is: by what configures it other things are seen of it than of its processes.

mod older;

use std::collections::{BTreeMap, BTreeSet};

use selkie_caps::CapSet;

use crate::{Finding, Report, Severity, Verdict};

pub use older::{Older, OlderError};

/// How findings have changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trend {
    /// The counts of each result, the oldest first; the last one is of now.
    pub points: Vec<Point>,
    /// Findings of now that were not there: the number of the entry, and of the finding in it.
    pub new: BTreeSet<(usize, usize)>,
    /// Findings that are not there any more.
    pub fixed: Vec<Past>,
    /// Findings that are as they were but for how bad they are, by the same numbers as the new ones, with how bad they were.
    pub shifted: BTreeMap<(usize, usize), Severity>,
    /// Containers that have come.
    pub came: Vec<Named>,
    /// Containers that have gone.
    pub gone: Vec<Named>,
    /// Containers that stand otherwise than they did.
    pub changed: Vec<Changed>,
}

/// The counts of one result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Point {
    /// What it is called; empty for now.
    pub name: String,
    /// Containers.
    pub containers: usize,
    /// Findings that nobody accepts, by [`Severity::ALL`].
    pub counts: [usize; 4],
}

/// A finding of an older result.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Past {
    /// How bad it was.
    pub severity: Severity,
    /// Of which file, container, rule and capability.
    pub key: Key,
}

/// By what two findings are the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The file, or the engine.
    pub file: String,
    /// The container.
    pub container: String,
    /// The rule's id: of a rule that there is not any more, too.
    pub rule: String,
    /// The capability; empty without one.
    pub capability: String,
}

/// Takes one of this kind away; `None` when there is none left.
fn take(kinds: &mut BTreeMap<(bool, Severity), usize>, kind: (bool, Severity)) -> Option<(bool, Severity)> {
    let count = kinds.get_mut(&kind)?;
    *count -= 1;
    if *count == 0 {
        kinds.remove(&kind);
    }
    Some(kind)
}

impl Key {
    fn of(file: &str, finding: &Finding) -> Self {
        Self {
            file: file.to_owned(),
            container: finding.subject.clone(),
            rule: finding.rule.id().to_owned(),
            capability: finding.capability.map_or("", selkie_caps::Capability::short_name).to_owned(),
        }
    }
}

/// A container.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    /// Its file, or its engine.
    pub file: String,
    /// Its name.
    pub container: String,
}

/// A container that stands otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Which one.
    pub named: Named,
    /// Whether it ran, and runs, `running` or `stopped`; `None` of one in a file.
    pub state: (Option<String>, Option<&'static str>),
    /// How it stood, and stands.
    pub verdict: (String, Verdict),
    /// Whether it was, and is, privileged.
    pub privileged: (Option<bool>, Option<bool>),
    /// The capabilities that it has more, and fewer.
    pub gained: CapSet,
    /// Those that it has not any more.
    pub lost: CapSet,
}

impl Trend {
    /// Compares `report` with the last of `older`, and counts them all; `None` without any.
    #[must_use]
    pub fn of(report: &Report, older: &[Older]) -> Option<Self> {
        let last = older.last()?;
        let mut trend = Self { points: older.iter().map(|older| older.point.clone()).collect(), ..Self::default() };
        trend.points.push(Point {
            name: String::new(),
            containers: report.containers(),
            counts: Severity::ALL.map(|severity| report.count(severity)),
        });
        trend.containers(report, last);
        trend.findings(report, last);
        Some(trend)
    }

    fn findings(&mut self, report: &Report, last: &Older) {
        let moved: BTreeSet<(&str, &str)> = self.changed.iter().filter(|changed| changed.has_moved()).map(Changed::place).collect();
        // How many there were of each, by whether they were open and how bad they were: nothing here grows with their number squared.
        let mut before: BTreeMap<&Key, BTreeMap<(bool, Severity), usize>> = BTreeMap::new();
        for (key, severity, open) in &last.findings {
            *before.entry(key).or_default().entry((*open, *severity)).or_default() += 1;
        }
        let numbered = report.entries.iter().enumerate();
        let mut now: Vec<((usize, usize), Key, &Finding)> = numbered
            .flat_map(|(number, entry)| {
                entry.findings.iter().enumerate().map(move |(index, finding)| ((number, index), Key::of(&entry.name, finding), finding))
            })
            .collect();
        // First those that are the same in everything, so that of several each finds its own.
        now.retain(|(_, key, finding)| {
            let same = (finding.accepted.is_none(), finding.severity);
            before.get_mut(key).and_then(|kinds| take(kinds, same)).is_none()
        });
        for (place, key, finding) in now {
            let any = before.get_mut(&key).and_then(|kinds| take(kinds, *kinds.keys().next_back()?));
            if moved.contains(&(key.file.as_str(), key.container.as_str())) {
                continue;
            }
            match any {
                None if finding.accepted.is_none() => _ = self.new.insert(place),
                Some((true, severity)) if finding.accepted.is_none() => _ = self.shifted.insert(place, severity),
                None | Some(_) => {}
            }
        }
        for (key, left) in before {
            if moved.contains(&(key.file.as_str(), key.container.as_str())) {
                continue;
            }
            for ((_, severity), count) in left.into_iter().filter(|((open, _), _)| *open) {
                self.fixed.extend(std::iter::repeat_n(Past { severity, key: key.clone() }, count));
            }
        }
        self.fixed.sort_by(|one, other| other.severity.cmp(&one.severity).then_with(|| one.key.cmp(&other.key)));
    }

    fn containers(&mut self, report: &Report, last: &Older) {
        let mut before: BTreeMap<&Named, Vec<&older::Container>> = BTreeMap::new();
        for container in &last.containers {
            before.entry(&container.named).or_default().push(container);
        }
        for entry in &report.entries {
            for (subject, verdict) in entry.subjects.iter().zip(entry.verdicts()) {
                let named = Named { file: entry.name.clone(), container: subject.name.clone() };
                let Some(was) = before.get_mut(&named).and_then(Vec::pop) else {
                    self.came.push(named);
                    continue;
                };
                let (now, then) = (subject.knows_capabilities().then(|| subject.capabilities()), was.capabilities);
                let (now, then) = now.zip(then).unwrap_or_default();
                let changed = Changed {
                    named,
                    state: (was.state.clone(), subject.state()),
                    verdict: (was.verdict.clone(), verdict),
                    privileged: (was.privileged, subject.is_privileged()),
                    gained: now.difference(then),
                    lost: then.difference(now),
                };
                if changed.has_moved() || changed.verdict.0 != verdict.word() || changed.privileged.0 != changed.privileged.1 || now != then
                {
                    self.changed.push(changed);
                }
            }
        }
        self.gone.extend(before.into_iter().flat_map(|(named, left)| left.into_iter().map(|_| named.clone())));
    }

    /// Returns the name of the result that is compared with.
    #[must_use]
    pub fn since(&self) -> &str {
        self.points.iter().rev().nth(1).map_or("", |point| point.name.as_str())
    }
}

/// So many capabilities are named, and of more the number.
const MOST_NAMED: u32 = 8;

impl Changed {
    fn place(&self) -> (&str, &str) {
        (&self.named.file, &self.named.container)
    }

    /// Returns whether it has started or stopped; results of before containers were looked at do not say.
    fn has_moved(&self) -> bool {
        self.state.0.as_deref().zip(self.state.1).is_some_and(|(then, now)| then != now)
    }

    /// Says what has changed, a phrase each.
    #[must_use]
    pub fn phrases(&self) -> Vec<String> {
        let word = |privileged: Option<bool>| match privileged {
            Some(true) => "yes",
            Some(false) => "no",
            None => "not known",
        };
        // Of a container that became privileged nobody reads the list.
        let names = |set: CapSet| match set.len() {
            0..=MOST_NAMED => set.iter().map(selkie_caps::Capability::short_name).collect::<Vec<_>>().join(", "),
            many => format!("{many} capabilities"),
        };
        let mut phrases = Vec::new();
        match self.state {
            _ if !self.has_moved() => {}
            (_, Some("running")) => phrases.push("has started, so other things are seen of it".to_owned()),
            _ => phrases.push("has stopped, so other things are seen of it".to_owned()),
        }
        if self.verdict.0 != self.verdict.1.word() {
            phrases.push(format!("{} → {}", self.verdict.0, self.verdict.1.word()));
        }
        if self.privileged.0 != self.privileged.1 {
            phrases.push(format!("privileged: {} → {}", word(self.privileged.0), word(self.privileged.1)));
        }
        if !self.gained.is_empty() {
            phrases.push(format!("has got {}", names(self.gained)));
        }
        if !self.lost.is_empty() {
            phrases.push(format!("has lost {}", names(self.lost)));
        }
        phrases
    }
}
