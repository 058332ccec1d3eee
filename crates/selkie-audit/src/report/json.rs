//! The report for programs: docs/audit-report.schema.json.

use selkie_caps::CapSet;
use serde_json::{Map, Value, json};

use super::{Entry, Report, Verdict};
use crate::trend::{Named, Past, Trend};
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
    let mut value = json!({
        "version": VERSION,
        "tool": {"name": "selkie", "version": report.version},
        "summary": {"containers": report.containers(), "findings": counts, "accepted": report.accepted(), "unreadable": unreadable.len()},
        "files": report.entries.iter().map(entry).collect::<Vec<_>>(),
        "unreadable": unreadable,
    });
    if let (Some(trend), Some(object)) = (&report.trend, value.as_object_mut()) {
        object.insert("since".to_owned(), since(report, trend));
    }
    value
}

/// What has changed since older results.
fn since(report: &Report, trend: &Trend) -> Value {
    let counts = |counts: [usize; 4]| -> Map<String, Value> {
        Severity::ALL.iter().zip(counts).map(|(severity, count)| (severity.word().to_owned(), json!(count))).collect()
    };
    let named = |named: &Named| json!({"file": named.file, "name": named.container});
    let new = report.added().into_iter().map(|(file, finding)| {
        let capability = finding.capability.map(selkie_caps::Capability::short_name);
        past(finding.severity, [file, &finding.subject, finding.rule.id()], capability)
    });
    let fixed = trend.fixed.iter().map(|Past { severity, key }| {
        let capability = Some(key.capability.as_str()).filter(|name| !name.is_empty());
        past(*severity, [&key.file, &key.container, &key.rule], capability)
    });
    let shifted = report.shifted().into_iter().map(|(file, finding, was)| {
        let capability = finding.capability.map(selkie_caps::Capability::short_name);
        json!({
            "rule": finding.rule.id(),
            "severity": [was.word(), finding.severity.word()],
            "file": file,
            "container": finding.subject,
            "capability": capability,
        })
    });
    let names = |set: CapSet| set.iter().map(selkie_caps::Capability::short_name).collect::<Vec<_>>();
    let changed = trend.changed.iter().map(|changed| {
        json!({
            "file": changed.named.file,
            "name": changed.named.container,
            "state": [changed.state.0, changed.state.1],
            "verdict": [changed.verdict.0, changed.verdict.1.word()],
            "privileged": [changed.privileged.0, changed.privileged.1],
            "gained": names(changed.gained),
            "lost": names(changed.lost),
        })
    });
    let results = trend.points.iter().map(|point| {
        let name = Some(point.name.as_str()).filter(|name| !name.is_empty());
        json!({"result": name, "containers": point.containers, "findings": counts(point.counts)})
    });
    json!({
        "results": results.collect::<Vec<_>>(),
        "new": new.collect::<Vec<_>>(),
        "fixed": fixed.collect::<Vec<_>>(),
        "shifted": shifted.collect::<Vec<_>>(),
        "containers": {
            "came": trend.came.iter().map(named).collect::<Vec<_>>(),
            "gone": trend.gone.iter().map(named).collect::<Vec<_>>(),
            "changed": changed.collect::<Vec<_>>(),
        },
    })
}

fn past(severity: Severity, [file, container, rule]: [&str; 3], capability: Option<&str>) -> Value {
    json!({"rule": rule, "severity": severity.word(), "file": file, "container": container, "capability": capability})
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
    let reasons = if let Basis::Running(seen) = &subject.basis { seen.reasons.as_slice() } else { &[] };
    let unknown: &[&str] = if subject.basis == Basis::Stopped { &UNKNOWN_OF_STOPPED } else { &[] };
    json!({
        "name": subject.name,
        "engine": subject.engine.name(),
        "image": subject.image,
        "digest": subject.digest,
        "line": subject.place.map(|place| place.line),
        "state": subject.state(),
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
        "in": finding.file,
        "fix": finding.fix.text,
        "patch": !finding.fix.changes.is_empty(),
        "accepted": finding.accepted,
    })
}
