//! An older result: a document of `--format json`, of which as much is read as a comparison needs.

use selkie_caps::{CapSet, Capability};
use serde::Deserialize;

use super::{Key, Named, Point};
use crate::Severity;

/// The version of the form that is read.
const VERSION: u32 = 1;
/// As much of a document's words as an error shows.
const SHOWN: usize = 60;

/// An older result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Older {
    pub(super) point: Point,
    pub(super) containers: Vec<Container>,
    /// Each with its severity, and whether nobody accepted it.
    pub(super) findings: Vec<(Key, Severity, bool)>,
}

/// A container of an older result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Container {
    pub(super) named: Named,
    /// `running` or `stopped`; `None` for one in a file.
    pub(super) state: Option<String>,
    pub(super) verdict: String,
    pub(super) privileged: Option<bool>,
    pub(super) capabilities: Option<CapSet>,
}

/// Why a document is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OlderError {
    /// It is not of the form.
    #[error("not a result of `selkie audit --format json`: {problem}")]
    Form {
        /// What is wrong, with line and column.
        problem: String,
    },
    /// A version that is not known.
    #[error("version {version} is not known, only {VERSION} is")]
    Version {
        /// The version.
        version: u32,
    },
    /// A word where only some words may be.
    #[error("file {file}: {what} {number}: `{word}` is not one of {expected}")]
    Word {
        /// Which file of the document, counted from 1.
        file: usize,
        /// A container or a finding.
        what: &'static str,
        /// Which one of the file, counted from 1.
        number: usize,
        /// The word.
        word: String,
        /// What could be there.
        expected: &'static str,
    },
    /// The counts are not those of the findings.
    #[error("its summary counts {summary} {what}, and it lists {listed}")]
    Counts {
        /// Of what.
        what: &'static str,
        /// By the summary.
        summary: usize,
        /// By the list.
        listed: usize,
    },
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct Document {
    summary: Summary,
    files: Vec<FileOf>,
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct Summary {
    containers: usize,
    findings: Counts,
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct Counts {
    critical: usize,
    high: usize,
    medium: usize,
    low: usize,
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct FileOf {
    file: String,
    containers: Vec<ContainerOf>,
    findings: Vec<FindingOf>,
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct ContainerOf {
    name: String,
    state: Option<String>,
    verdict: String,
    privileged: Option<bool>,
    capabilities: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct FindingOf {
    rule: String,
    severity: String,
    container: String,
    capability: Option<String>,
    accepted: Option<String>,
}

/// The version alone: of a later one nothing else is sure.
#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct Head {
    version: u32,
}

impl Older {
    /// Reads a document that is called `name`.
    ///
    /// # Errors
    /// [`OlderError`]. What a later program adds is no error, and neither are rules and capabilities that are not known here.
    pub fn parse(name: &str, text: &str) -> Result<Self, OlderError> {
        let form = |error: serde_json::Error| OlderError::Form { problem: error.to_string().chars().take(4 * SHOWN).collect() };
        // serde takes a list of values for an object, too.
        if !text.trim_start().starts_with('{') && !text.trim().is_empty() {
            return Err(OlderError::Form { problem: "it is no object".to_owned() });
        }
        let head: Head = serde_json::from_str(text).map_err(form)?;
        if head.version != VERSION {
            return Err(OlderError::Version { version: head.version });
        }
        let document: Document = serde_json::from_str(text).map_err(form)?;
        let mut older = Self { point: Point { name: name.to_owned(), ..Point::default() }, ..Self::default() };
        for (number, file) in document.files.into_iter().enumerate() {
            older.add(number + 1, file)?;
        }
        older.point.containers = older.containers.len();
        older.point.counts =
            Severity::ALL.map(|severity| older.findings.iter().filter(|(_, found, open)| *open && *found == severity).count());
        older.agrees_with(&document.summary)?;
        Ok(older)
    }

    /// Forgets what only the last of several results is asked for.
    pub fn keep_counts(&mut self) {
        (self.containers, self.findings) = (Vec::new(), Vec::new());
    }

    fn add(&mut self, file: usize, of: FileOf) -> Result<(), OlderError> {
        for (number, container) in of.containers.into_iter().enumerate() {
            let known = ["unknown", "confined", "weakened", "exposed", "open"].contains(&container.verdict.as_str());
            if !known {
                let expected = "unknown, confined, weakened, exposed, open";
                return Err(OlderError::Word { file, what: "container", number: number + 1, word: shown(&container.verdict), expected });
            }
            let set = |names: Vec<String>| names.iter().filter_map(|name| Capability::parse_name(name).ok()).collect();
            self.containers.push(Container {
                named: Named { file: of.file.clone(), container: container.name },
                state: container.state,
                verdict: container.verdict,
                privileged: container.privileged,
                capabilities: container.capabilities.map(set),
            });
        }
        for (number, finding) in of.findings.into_iter().enumerate() {
            let Some(severity) = Severity::parse(&finding.severity) else {
                let expected = "critical, high, medium, low";
                return Err(OlderError::Word { file, what: "finding", number: number + 1, word: shown(&finding.severity), expected });
            };
            let key = Key {
                file: of.file.clone(),
                container: finding.container,
                rule: finding.rule,
                capability: finding.capability.unwrap_or_default(),
            };
            self.findings.push((key, severity, finding.accepted.is_none()));
        }
        Ok(())
    }

    /// A document that was cut or edited by hand shows in its counts.
    fn agrees_with(&self, summary: &Summary) -> Result<(), OlderError> {
        let counts = &summary.findings;
        let said = [counts.critical, counts.high, counts.medium, counts.low];
        let mut pairs = vec![("containers", summary.containers, self.point.containers)];
        let words = ["critical findings", "high findings", "medium findings", "low findings"];
        pairs.extend(words.into_iter().zip(said.into_iter().zip(self.point.counts)).map(|(what, (said, listed))| (what, said, listed)));
        match pairs.into_iter().find(|(_, said, listed)| said != listed) {
            Some((what, summary, listed)) => Err(OlderError::Counts { what, summary, listed }),
            None => Ok(()),
        }
    }
}

fn shown(word: &str) -> String {
    word.chars().take(SHOWN).collect()
}
