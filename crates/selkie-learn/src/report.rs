//! The result of learning, as a value and as a document (`docs/learn-report.md`): what is needed with its certificates, what is
//! not, and what all of it is relative to.

use selkie_caps::{CapSet, Capability};
use serde::{Deserialize, Serialize};

/// The version of the document.
pub const VERSION: u32 = 1;

/// The result of `selkie learn`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`VERSION`].
    pub version: u32,
    /// Every single removal was seen failing, the set passed every time, and nothing was lost.
    pub proven: bool,
    /// No evidence was lost. An incomplete profile is refused where it would be enforced.
    pub complete: bool,
    /// Why it is not proven.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
    /// Needed: without any one of these the workload fails.
    pub required: Vec<Required>,
    /// Refused in the runs that passed: something is lost, and the oracle does not mind.
    pub degraded: Vec<Degraded>,
    /// What would do as well.
    pub alternatives: Vec<Alternative>,
    /// Asked for, and cannot be given here.
    pub impossible: Vec<Impossible>,
    /// Given, and never asked for.
    pub never_asked: Vec<NeverAsked>,
    /// Changes that remove needs, each verified by a run.
    #[serde(default)]
    pub path_to_zero: Vec<Zero>,
    /// Flags of `run` that give what is required and nothing else.
    pub flags: Vec<String>,
    /// What the result is relative to.
    pub relative_to: RelativeTo,
    /// How many runs were made.
    pub runs: usize,
    /// How long all of it took.
    pub seconds: f64,
    /// The runs.
    pub log: Vec<Run>,
    /// What rules without runs would have made of the first run.
    #[serde(default)]
    pub observed: Observed,
    /// Facts about the final runs that an export can use.
    #[serde(default)]
    pub facts: Facts,
}

/// A capability that is needed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Required {
    /// Which.
    pub capability: Capability,
    /// The operation that was refused without it; `None` if none was seen.
    pub operation: Option<String>,
    /// The errno of that.
    pub errno: Option<String>,
    /// The process that was refused.
    pub process: Option<String>,
    /// The kernel function that asked.
    pub site: Option<String>,
    /// How the run without it failed.
    pub failure: String,
    /// What the workload said about it.
    pub log_line: Option<String>,
    /// Number of the run that failed without it; 0 if there is none.
    pub run: usize,
    /// `low`, `moderate`, `high` or `critical`.
    pub danger: String,
    /// When it was asked for: `start`, `run`, `stop`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub phases: Vec<String>,
}

/// A capability that is refused and not missed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Degraded {
    /// Which.
    pub capability: Capability,
    /// The operation that is refused.
    pub operation: String,
    /// Its errno.
    pub errno: String,
    /// The process.
    pub process: String,
    /// What is lost, or what to know of it.
    pub sentence: String,
}

/// A capability that would do as well as another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alternative {
    /// Would do as well.
    pub capability: Capability,
    /// Is required now.
    pub instead_of: Capability,
    /// The run that passed with it.
    pub run: usize,
    /// How dangerous it is.
    pub danger: String,
}

/// A capability that cannot be given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Impossible {
    /// Which.
    pub capability: Capability,
    /// Why not.
    pub reason: String,
    /// The operation that asks for it.
    pub operation: String,
}

/// A capability that was given and never asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NeverAsked {
    /// Which.
    pub capability: Capability,
}

/// A change that removes needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Zero {
    /// Flags of `run` that make the change.
    pub flags: Vec<String>,
    /// The capabilities that are needed with it.
    pub needs: Vec<Capability>,
    /// The run that passed.
    pub run: usize,
    /// What it changes, in one sentence.
    pub sentence: String,
}

/// What a result is relative to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelativeTo {
    /// The image as named; `host:` or a directory.
    pub image: String,
    /// Its digest, if it has one.
    pub digest: Option<String>,
    /// The command line in the container.
    pub command: Vec<String>,
    /// The user in the container, as `uid:gid`.
    pub user: String,
    /// `uname -r`.
    pub kernel: String,
    /// `uname -m`.
    pub machine: String,
    /// This program and its version.
    pub engine: String,
    /// How checks were seen.
    pub observer: String,
    /// The system call filter.
    pub seccomp: String,
    /// How it was told whether the workload works.
    pub oracle: String,
    /// What used it while it was watched.
    pub exercised: String,
    /// The capabilities of the baseline.
    pub baseline: Vec<Capability>,
}

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// From 1.
    pub number: usize,
    /// What for.
    pub purpose: String,
    /// Its capabilities.
    pub capabilities: Vec<Capability>,
    /// Whether it passed.
    pub passed: bool,
    /// Why not.
    pub reason: String,
    /// How long it took.
    pub seconds: f64,
}

/// What rules without runs would have made of the checks of the first run that passed. Empty where the observer sees no checks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Observed {
    /// Every capability that was granted.
    pub granted: Vec<Capability>,
    /// Without checks that leave no audit record.
    pub audited: Vec<Capability>,
    /// Without those made with borrowed credentials too.
    pub own: Vec<Capability>,
    /// Those that are about the workload, by their kernel stacks.
    pub real: Vec<Capability>,
}

/// What the final runs showed beside capabilities; `None` is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// Every process ended, or stayed, as another user than root.
    pub non_root: Option<bool>,
    /// The first process's user is not root.
    pub starts_non_root: Option<bool>,
    /// Nothing executed relies on set-user-ID or file capabilities: `no_new_privs` changes nothing.
    pub no_new_privileges: Option<bool>,
    /// Nothing was written outside of volumes and tmpfs.
    pub read_only: Option<bool>,
    /// The user and group of the first process.
    pub uid: Option<u32>,
    /// Its group.
    pub gid: Option<u32>,
}

impl Report {
    /// Returns the set of required capabilities.
    pub fn set(&self) -> CapSet {
        self.required.iter().fold(CapSet::EMPTY, |set, required| set.with(required.capability))
    }

    /// Reads a document.
    ///
    /// # Errors
    /// Not JSON, not of this form, or of another version; says where.
    pub fn parse(text: &str) -> Result<Self, String> {
        let report: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if report.version == VERSION { Ok(report) } else { Err(format!("version {}, expected {VERSION}", report.version)) }
    }
}

/// Returns the flags that give `set` and nothing else.
#[must_use]
pub fn flags(set: CapSet) -> Vec<String> {
    let mut flags = vec!["--cap-drop".to_owned(), "all".to_owned()];
    for capability in set.iter() {
        flags.extend(["--cap-add".to_owned(), capability.short_name().to_owned()]);
    }
    flags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_survives_its_document() {
        let report = Report { version: VERSION, proven: true, flags: flags(CapSet::EMPTY.with(Capability::Setuid)), ..Report::default() };
        assert_eq!(Report::parse(&serde_json::to_string(&report).unwrap()).unwrap(), report);
    }

    #[test]
    fn flags_name_what_is_given() {
        assert_eq!(flags(CapSet::EMPTY.with(Capability::Setuid)), ["--cap-drop", "all", "--cap-add", "SETUID"]);
    }
}
