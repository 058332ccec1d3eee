//! What is wrong with a container, how bad it is, and what to do.

use selkie_caps::Capability;
use serde::Serialize;

use crate::{Place, Rule};

/// How bad a finding is. The scheme is written in docs/findings.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Tidiness, or one wall of several that could stand.
    Low,
    /// A wall that stands by default is down, or something is not what its author believes.
    Medium,
    /// Something outside of the container is open, or the host under one condition that the file does not show.
    High,
    /// The host is open to a process of the container, by what is written alone.
    Critical,
}

impl Severity {
    /// All, worst first.
    pub const ALL: [Self; 4] = [Self::Critical, Self::High, Self::Medium, Self::Low];

    /// Returns the word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// Returns a sign that tells it without colour.
    #[must_use]
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Low => "·",
            Self::Medium => "▲",
            Self::High => "◆",
            Self::Critical => "■",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|severity| severity.word() == word)
    }

    /// One step less bad: within a user namespace of its own the same opens less.
    pub(crate) const fn less(self) -> Self {
        match self {
            Self::Critical => Self::High,
            Self::High => Self::Medium,
            Self::Medium | Self::Low => Self::Low,
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// By which rule.
    pub rule: Rule,
    /// How bad it is here.
    pub severity: Severity,
    /// The container; empty if it is about the file.
    pub subject: String,
    /// One sentence without a full stop.
    pub message: String,
    /// The capability that it is about, if it is about one.
    pub capability: Option<Capability>,
    /// Where.
    pub place: Option<Place>,
    /// The file that the place is in, where it is a drop-in of the one that was read.
    pub file: Option<String>,
    /// What to do.
    pub fix: Fix,
    /// Why it is accepted, if a baseline says so.
    pub accepted: Option<String>,
}

/// What to do about a finding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fix {
    /// In words, as a flag or a line of the file.
    pub text: String,
    /// What of the file to change, if there is one right change; all of them or none.
    pub changes: Vec<Change>,
    /// Findings of the same container, by rule and capability, that have to be fixed as well: with only these changes the file would be
    /// refused by whoever reads it. Those that the container does not have do not count.
    pub needs: Vec<(Rule, Option<Capability>)>,
}

/// A change of what a file says, apart from how it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The value here becomes another.
    Replace {
        /// Where the value stands.
        place: Place,
        /// The new one.
        value: Setting,
    },
    /// The item, word or line here goes; a list that would be empty goes with its key.
    Remove {
        /// Where it stands.
        place: Place,
    },
    /// The setting gets this value, and is made where there is none.
    Set {
        /// Where the map begins that `path` starts from; of files with sections, anywhere.
        within: Place,
        /// Keys, or section and key.
        path: Vec<&'static str>,
        /// The value.
        value: Setting,
    },
    /// The list gets one item more, and is made where there is none.
    Append {
        /// Where the map begins that `path` starts from.
        within: Place,
        /// Keys.
        path: Vec<&'static str>,
        /// The item.
        item: String,
    },
}

/// A value that a change writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    /// `true` or `false`.
    Truth(bool),
    /// A word.
    Text(String),
    /// Words.
    List(Vec<String>),
}
