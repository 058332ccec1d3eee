//! What has changed since older results: documents of `--format json`, from anybody.
//!
//! ```text
//! JSON --Older::parse--> Older --+
//!                                +--> Trend::of --> counts of each, and against the last of them: new, fixed, gone, changed
//! Report ------------------------+
//! ```
//!
//! A finding is the same in both when file, container, rule and capability are; what it says may have other words. Of several that
//! are the same in all four as many are new, or fixed, as there are more, or fewer.

mod older;

use std::collections::{BTreeMap, BTreeSet};

use selkie_caps::CapSet;

use crate::{Report, Severity, Verdict};

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
        trend.findings(report, last);
        trend.containers(report, last);
        Some(trend)
    }

    fn findings(&mut self, report: &Report, last: &Older) {
        let mut before: BTreeMap<&Key, Vec<(bool, Severity)>> = BTreeMap::new();
        for (key, severity, open) in &last.findings {
            before.entry(key).or_default().push((*open, *severity));
        }
        for (number, entry) in report.entries.iter().enumerate() {
            for (index, finding) in entry.findings.iter().enumerate() {
                let capability = finding.capability.map_or("", selkie_caps::Capability::short_name);
                let key = Key {
                    file: entry.name.clone(),
                    container: finding.subject.clone(),
                    rule: finding.rule.id().to_owned(),
                    capability: capability.to_owned(),
                };
                let was_there = before.get_mut(&key).and_then(Vec::pop).is_some();
                if !was_there && finding.accepted.is_none() {
                    self.new.insert((number, index));
                }
            }
        }
        for (key, left) in before {
            let open = left.into_iter().filter(|(open, _)| *open);
            self.fixed.extend(open.map(|(_, severity)| Past { severity, key: key.clone() }));
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
                    verdict: (was.verdict.clone(), verdict),
                    privileged: (was.privileged, subject.is_privileged()),
                    gained: now.difference(then),
                    lost: then.difference(now),
                };
                if changed.verdict.0 != verdict.word() || changed.privileged.0 != changed.privileged.1 || now != then {
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
