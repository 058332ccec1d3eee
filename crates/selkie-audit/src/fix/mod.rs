//! Making changes in a file: only what a change is about, and only if the result reads as intended.
//!
//! A change is made twice: in the text, and in the values that the text means. The new text is read again, and has to mean the new
//! values. Comments, order and quotes stay as they are.

mod diff;
mod trees;
mod units;

pub use self::diff::diff;

use selkie_caps::Capability;

use crate::place::Source;
use crate::{Change, FileType, Finding, ReadError, Rule, read};

/// How many changes are made at once; the file is read again after each.
const CHANGES: usize = 500;

/// How many bytes are read again at the most, over all changes: large files get fewer.
const WORK: usize = 64 << 20;
/// What a change costs however small the file is: few bytes can stand for many values.
const EACH: usize = 64 << 10;

/// A file with changes made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mended {
    /// The new text.
    pub text: String,
    /// Which findings are mended, by their numbers in the list.
    pub made: Vec<usize>,
    /// Which are not, and why.
    pub refused: Vec<(usize, FixError)>,
}

/// Why a change is not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FixError {
    /// The finding has no one right change.
    #[error("there is more than one way to fix it, and none is right for sure")]
    NoChange,
    /// The place is reached by an alias or `<<`, or not found.
    #[error("what stands there is used at more than one place")]
    Shared,
    /// The way in which it is written is not one that is edited.
    #[error("it is written in a way that is not edited")]
    Unusual,
    /// The new text would not mean what is intended.
    #[error("the new text would not mean what is intended")]
    NotAsIntended,
    /// What it is only valid with stays as it is.
    #[error("the file would not be valid with it as long as `{0}` stays")]
    Beside(Rule),
    /// Other changes come first.
    #[error("these are more changes at once than a file of this size gets")]
    TooMany,
}

/// Makes the changes of `findings` in the file; findings without a change are refused, each for its own reason. Those that are
/// accepted stay as they are.
///
/// # Errors
/// The file cannot be read.
pub fn mend(name: &str, bytes: &[u8], kind: Option<FileType>, findings: &[Finding]) -> Result<Mended, ReadError> {
    let kind = read(name, bytes, kind)?.kind;
    let text = read::source(bytes)?.text;
    let mut refused: Vec<(usize, FixError)> = Vec::new();
    let mut wanted: Vec<usize> = Vec::new();
    let mut changes = 0;
    for (number, finding) in findings.iter().enumerate().filter(|(_, finding)| finding.accepted.is_none()) {
        changes += finding.fix.changes.len();
        match () {
            () if finding.fix.changes.is_empty() => refused.push((number, FixError::NoChange)),
            () if changes > CHANGES => refused.push((number, FixError::TooMany)),
            () => wanted.push(number),
        }
    }
    // All changes of a finding or none: without the one that fails, all others are made again from the beginning.
    let mut work = WORK;
    loop {
        while let Some((number, rule)) = wanted.iter().find_map(|number| Some((*number, stays(*number, findings, &wanted)?))) {
            wanted.retain(|wanted| *wanted != number);
            refused.push((number, FixError::Beside(rule)));
        }
        match make((name, kind), text, findings, &wanted, &mut work) {
            Ok(text) => {
                refused.sort_unstable_by_key(|(number, _)| *number);
                return Ok(Mended { text, made: wanted, refused });
            }
            Err((_, FixError::TooMany)) => refused.extend(wanted.drain(..).map(|number| (number, FixError::TooMany))),
            Err((number, error)) => {
                wanted.retain(|wanted| *wanted != number);
                refused.push((number, error));
            }
        }
    }
}

/// Returns the rule of a finding that is needed with this one and is none of the `wanted`.
fn stays(number: usize, findings: &[Finding], wanted: &[usize]) -> Option<Rule> {
    let finding = findings.get(number)?;
    let is_needed = |other: &Finding| {
        let is_meant = |(rule, capability): &(Rule, Option<Capability>)| *rule == other.rule && *capability == other.capability;
        other.subject == finding.subject && finding.fix.needs.iter().any(is_meant)
    };
    findings.iter().enumerate().find(|(at, other)| is_needed(other) && !wanted.contains(at)).map(|(_, other)| other.rule)
}

/// Makes all changes of the `wanted` findings; fails with the finding whose change fails.
fn make(
    (name, kind): (&str, FileType),
    text: &str,
    findings: &[Finding],
    wanted: &[usize],
    work: &mut usize,
) -> Result<String, (usize, FixError)> {
    let mut changes: Vec<(usize, &Change)> = Vec::new();
    for number in wanted {
        for change in findings.get(*number).map_or(&[][..], |finding| &finding.fix.changes) {
            // Two findings may ask for the same.
            if !changes.iter().any(|(_, other)| *other == change) {
                changes.push((*number, change));
            }
        }
    }
    // From the end to the beginning, so that what is in front still stands where it stood; what is new in a map comes after all that
    // changes within it, from the map's first byte, which stays.
    changes.sort_by_key(|(_, change)| match change {
        Change::Replace { place, .. } | Change::Remove { place } => std::cmp::Reverse(place.start),
        Change::Set { within, .. } | Change::Append { within, .. } => std::cmp::Reverse(within.start),
    });
    let mut text = text.to_owned();
    let mut last = 0;
    for (number, change) in changes {
        last = number;
        *work = work.checked_sub(text.len() + EACH).ok_or((number, FixError::TooMany))?;
        text = one(kind, &text, change).map_err(|error| (number, error))?;
    }
    // Each change means what is intended; all of them together must leave a file of its kind.
    if !wanted.is_empty() && read(name, text.as_bytes(), Some(kind)).is_err() {
        return Err((last, FixError::NotAsIntended));
    }
    Ok(text)
}

fn one(kind: FileType, text: &str, change: &Change) -> Result<String, FixError> {
    let source = Source::new(text);
    match kind {
        FileType::Compose | FileType::Kubernetes | FileType::Oci | FileType::ContainersConf => trees::apply(kind, &source, change),
        FileType::Quadlet | FileType::Lxc | FileType::Nspawn => units::apply(kind, &source, change),
    }
}

/// Returns `text` with the bytes from `start` to `end` replaced.
fn splice(text: &str, start: usize, end: usize, new: &str) -> Result<String, FixError> {
    match (text.get(..start), text.get(end..)) {
        (Some(before), Some(after)) if start <= end => Ok(format!("{before}{new}{after}")),
        _ => Err(FixError::Unusual),
    }
}
