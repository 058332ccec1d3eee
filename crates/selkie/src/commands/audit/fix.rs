//! `--fix`: the changes as a diff, and then in the files.

use std::io::{BufRead, IsTerminal, Write};

use selkie_audit::{FILE_LIMIT, FileType, Finding, Report, diff, mend};

use super::files;
use crate::ui::error::{Failure, warn};
use crate::ui::{out, progress};

/// Shows all changes, and makes them if that is confirmed; returns the files that were changed.
pub(super) fn run(report: &Report, kind: Option<FileType>, yes: bool) -> Result<Vec<String>, Failure> {
    let mut changed = Vec::new();
    let (mut made, mut left) = (0, 0);
    for entry in report.entries.iter().filter(|entry| entry.kind.is_some()) {
        let findings: &[Finding] = &entry.findings;
        let bytes = match &entry.name[..] {
            "-" => {
                warn("standard input cannot be fixed: name a file");
                continue;
            }
            name => files::read(name, FILE_LIMIT).map_err(|unreadable| unreadable.failure(name))?,
        };
        let mended = mend(&entry.name, &bytes, kind, findings).map_err(|error| Failure::engine(format!("{}: {error}", entry.name)))?;
        let old = String::from_utf8_lossy(&bytes).into_owned();
        out::print(&diff(&entry.name, &old, &mended.text))?;
        made += mended.made.len();
        left += mended.refused.len();
        for (number, error) in &mended.refused {
            if let Some(finding) = findings.get(*number).filter(|finding| !finding.fix.changes.is_empty()) {
                progress::say(&format!("not fixed: {} of {}: {error}", finding.rule, finding.subject));
            }
        }
        if mended.text != old {
            changed.push((entry.name.clone(), bytes, mended.text));
        }
    }
    progress::say(&counted(made, left));
    if changed.is_empty() || !(yes || confirmed()?) {
        return Ok(Vec::new());
    }
    let mut names = Vec::new();
    for (name, old, text) in changed {
        // Somebody else may have written it while the question stood.
        if files::read(&name, FILE_LIMIT).is_ok_and(|now| now != old) {
            return Err(Failure::engine(format!("{name} has changed meanwhile, it is left as it is")));
        }
        files::write(std::path::Path::new(&name), text.as_bytes())?;
        progress::say(&format!("{name}: written"));
        names.push(name);
    }
    Ok(names)
}

/// Says how many findings a change was found for.
fn counted(made: usize, left: usize) -> String {
    let (findings, need) = (if made == 1 { "finding" } else { "findings" }, if left == 1 { "needs" } else { "need" });
    format!("{made} {findings} can be fixed here, {left} {need} a decision")
}

/// Asks on a terminal; elsewhere the answer is no, and said.
fn confirmed() -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        progress::say("nothing is written without --yes");
        return Ok(false);
    }
    let mut stderr = std::io::stderr().lock();
    stderr.write_all(b"Write these changes? [y/N] ")?;
    stderr.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

#[cfg(test)]
mod tests {
    use super::counted;

    #[test]
    fn one_finding_is_not_1_findings() {
        assert_eq!(counted(1, 2), "1 finding can be fixed here, 2 need a decision");
        assert_eq!(counted(0, 1), "0 findings can be fixed here, 1 needs a decision");
    }
}
