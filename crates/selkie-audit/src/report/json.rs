//! The report for programs: docs/audit-report.schema.json.

use serde_json::{Map, Value, json};

use super::{Entry, Report};
use crate::{Finding, Severity};

/// Version of the form; a field more does not change it.
const VERSION: u32 = 1;

/// Returns the report as JSON.
#[must_use]
pub fn json(report: &Report) -> Value {
    let counts: Map<String, Value> =
        Severity::ALL.iter().map(|severity| (severity.word().to_owned(), json!(report.count(*severity)))).collect();
    let unreadable: Vec<Value> = report
        .unreadable
        .iter()
        .map(|(name, problem)| {
            let place = problem.place;
            json!({"file": name, "problem": problem.text, "line": place.map(|at| at.line), "column": place.map(|at| at.column)})
        })
        .collect();
    json!({
        "version": VERSION,
        "tool": {"name": "selkie", "version": report.version},
        "summary": {"containers": report.containers(), "findings": counts, "accepted": report.accepted(), "unreadable": unreadable.len()},
        "files": report.entries.iter().map(entry).collect::<Vec<_>>(),
        "unreadable": unreadable,
    })
}

fn entry(entry: &Entry) -> Value {
    let containers = entry.subjects.iter().zip(entry.verdicts()).map(|(subject, verdict)| {
        let names: Vec<&str> = subject.capabilities().iter().map(selkie_caps::Capability::short_name).collect();
        json!({
            "name": subject.name,
            "engine": subject.engine.name(),
            "image": subject.image,
            "line": subject.place.map(|place| place.line),
            "privileged": subject.is_privileged(),
            "verdict": verdict.word(),
            "capabilities": names,
        })
    });
    json!({
        "file": entry.name,
        "type": entry.kind.map(crate::FileType::name),
        "containers": containers.collect::<Vec<_>>(),
        "findings": entry.findings.iter().map(finding).collect::<Vec<_>>(),
    })
}

fn finding(finding: &Finding) -> Value {
    json!({
        "rule": finding.rule.id(),
        "severity": finding.severity.word(),
        "container": finding.subject,
        "message": finding.message,
        "capability": finding.capability.map(selkie_caps::Capability::short_name),
        "line": finding.place.map(|place| place.line),
        "column": finding.place.map(|place| place.column),
        "fix": finding.fix.text,
        "patch": !finding.fix.changes.is_empty(),
        "accepted": finding.accepted,
    })
}
