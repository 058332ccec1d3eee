//! All that was found, and the forms in which machines and people read it.

mod html;
mod json;
mod sarif;
mod trend;

use crate::trend::Trend;
use crate::{Basis, FileType, Finding, Place, ReadError, Rule, Severity, Subject};

pub use self::html::html;
pub use self::json::json;
pub use self::sarif::sarif;

/// What was found in all files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Version of the program.
    pub version: String,
    /// What was audited, in the order in which it was given.
    pub entries: Vec<Entry>,
    /// What could not be read, by name.
    pub unreadable: Vec<(String, Problem)>,
    /// What has changed, if there are older results.
    pub trend: Option<Trend>,
}

/// A file with its containers, or an engine with its running ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Name of the file; of running containers that of the engine.
    pub name: String,
    /// What kind of file it is; `None` for running containers.
    pub kind: Option<FileType>,
    /// The containers.
    pub subjects: Vec<Subject>,
    /// What was found, worst first.
    pub findings: Vec<Finding>,
}

/// Why something could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problem {
    /// In words.
    pub text: String,
    /// Where, if it is at one place.
    pub place: Option<Place>,
}

impl From<&ReadError> for Problem {
    fn from(error: &ReadError) -> Self {
        Self { text: error.to_string(), place: error.place() }
    }
}

/// How a container stands, by its worst finding, accepted or not: somebody's reason makes it no safer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// What is known of it is not bad, and not everything is known: it does not run, or a part of what configures it is not seen.
    Unknown,
    /// Nothing above low.
    Confined,
    /// Something medium.
    Weakened,
    /// Something high.
    Exposed,
    /// Something critical.
    Open,
}

impl Verdict {
    /// Returns the verdict of this worst severity.
    #[must_use]
    pub const fn of(worst: Option<Severity>) -> Self {
        match worst {
            Some(Severity::Critical) => Self::Open,
            Some(Severity::High) => Self::Exposed,
            Some(Severity::Medium) => Self::Weakened,
            Some(Severity::Low) | None => Self::Confined,
        }
    }

    /// Returns the word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Confined => "confined",
            Self::Weakened => "weakened",
            Self::Exposed => "exposed",
            Self::Open => "open",
        }
    }

    /// Returns a sign that tells it without colour.
    #[must_use]
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Unknown => "?",
            Self::Confined => "✓",
            Self::Weakened => Severity::Medium.sign(),
            Self::Exposed => Severity::High.sign(),
            Self::Open => Severity::Critical.sign(),
        }
    }
}

impl Report {
    /// Returns all findings that nobody accepts, with the names of their files.
    pub fn open(&self) -> impl Iterator<Item = (&str, &Finding)> {
        self.entries
            .iter()
            .flat_map(|entry| entry.findings.iter().map(|finding| (entry.name.as_str(), finding)))
            .filter(|(_, finding)| finding.accepted.is_none())
    }

    /// Returns the findings that were not in the last of the older results, with the names of their files, worst first; none without
    /// an older result.
    #[must_use]
    pub fn added(&self) -> Vec<(&str, &Finding)> {
        let places = self.trend.iter().flat_map(|trend| &trend.new);
        let mut added: Vec<_> = places.filter_map(|place| self.finding(*place)).collect();
        added.sort_by_key(|(_, finding)| std::cmp::Reverse(finding.severity));
        added
    }

    /// Returns the findings that were there with another severity, with the names of their files and that severity, worst first.
    #[must_use]
    pub fn shifted(&self) -> Vec<(&str, &Finding, Severity)> {
        let places = self.trend.iter().flat_map(|trend| &trend.shifted);
        let of = |(place, was): (&(usize, usize), &Severity)| self.finding(*place).map(|(file, finding)| (file, finding, *was));
        let mut shifted: Vec<_> = places.filter_map(of).collect();
        shifted.sort_by_key(|(_, finding, _)| std::cmp::Reverse(finding.severity));
        shifted
    }

    fn finding(&self, (entry, finding): (usize, usize)) -> Option<(&str, &Finding)> {
        let entry = self.entries.get(entry)?;
        Some((entry.name.as_str(), entry.findings.get(finding)?))
    }

    /// Returns the worst severity of what nobody accepts.
    #[must_use]
    pub fn worst(&self) -> Option<Severity> {
        self.open().map(|(_, finding)| finding.severity).max()
    }

    /// Counts what nobody accepts.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.open().filter(|(_, finding)| finding.severity == severity).count()
    }

    /// Counts what is accepted.
    #[must_use]
    pub fn accepted(&self) -> usize {
        self.entries.iter().flat_map(|entry| &entry.findings).filter(|finding| finding.accepted.is_some()).count()
    }

    /// Counts the containers.
    #[must_use]
    pub fn containers(&self) -> usize {
        self.entries.iter().map(|entry| entry.subjects.len()).sum()
    }
}

impl Entry {
    /// Returns how each container stands, by their order; takes time in proportion to findings and containers.
    #[must_use]
    pub fn verdicts(&self) -> Vec<Verdict> {
        let mut worst: std::collections::BTreeMap<&str, Severity> = std::collections::BTreeMap::new();
        let later = self.findings.iter().filter(|finding| finding.rule == Rule::KnownOnlyLater);
        let open: std::collections::BTreeSet<&str> = later.map(|finding| finding.subject.as_str()).collect();
        for finding in &self.findings {
            let known = worst.entry(finding.subject.as_str()).or_insert(finding.severity);
            *known = (*known).max(finding.severity);
        }
        let of = |subject: &Subject| match Verdict::of(worst.get(subject.name.as_str()).copied()) {
            Verdict::Confined | Verdict::Weakened if subject.basis == Basis::Stopped => Verdict::Unknown,
            Verdict::Confined if open.contains(subject.name.as_str()) => Verdict::Unknown,
            verdict => verdict,
        };
        self.subjects.iter().map(of).collect()
    }
}
