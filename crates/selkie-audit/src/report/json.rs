//! The report for programs: docs/audit-report.schema.json.

use serde_json::{Map, Value, json};

use super::{Entry, Report, Verdict};
use crate::{Basis, Finding, Severity, Subject, UNKNOWN_OF_STOPPED};

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
    let containers = entry.subjects.iter().zip(entry.verdicts()).map(|(subject, verdict)| container(subject, verdict));
    json!({
        "file": entry.name,
        "type": entry.kind.map(crate::FileType::name),
        "containers": containers.collect::<Vec<_>>(),
        "findings": entry.findings.iter().map(finding).collect::<Vec<_>>(),
    })
}

fn container(subject: &Subject, verdict: Verdict) -> Value {
    let names = || subject.capabilities().iter().map(selkie_caps::Capability::short_name).collect::<Vec<_>>();
    let (state, reasons) = match &subject.basis {
        Basis::File => (None, &[][..]),
        Basis::Running(seen) => (Some("running"), seen.reasons.as_slice()),
        Basis::Planned | Basis::Stopped => (Some("stopped"), &[][..]),
    };
    let unknown: &[&str] = if subject.basis == Basis::Stopped { &UNKNOWN_OF_STOPPED } else { &[] };
    json!({
        "name": subject.name,
        "engine": subject.engine.name(),
        "image": subject.image,
        "digest": subject.digest,
        "line": subject.place.map(|place| place.line),
        "state": state,
        "privileged": subject.is_privileged(),
        "flag": subject.privileged.as_ref().map(|flag| flag.value),
        "reasons": reasons,
        "unknown": unknown,
        "verdict": verdict.word(),
        "capabilities": subject.knows_capabilities().then(names),
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
