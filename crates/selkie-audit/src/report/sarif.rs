//! SARIF 2.1.0 (OASIS), the part of it that code hosts and editors read.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Report;
use crate::{Finding, Rule, Severity};

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

const REPOSITORY: &str = env!("CARGO_PKG_REPOSITORY");

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Log {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    tool: Tool,
    invocations: [Invocation; 1],
    column_kind: &'static str,
    results: Vec<Outcome>,
}

#[derive(Serialize)]
struct Tool {
    driver: Driver,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Driver {
    name: &'static str,
    version: String,
    information_uri: &'static str,
    rules: Vec<Descriptor>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    id: &'static str,
    help_uri: String,
    short_description: Text,
    full_description: Text,
    help: Text,
    default_configuration: Configuration,
    properties: Properties,
}

#[derive(Serialize)]
struct Configuration {
    level: &'static str,
}

#[derive(Serialize)]
struct Properties {
    /// How code hosts sort: 0.0 to 10.0.
    #[serde(rename = "security-severity")]
    security_severity: &'static str,
    tags: Vec<&'static str>,
}

#[derive(Serialize)]
struct Text {
    text: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Invocation {
    execution_successful: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_execution_notifications: Vec<Notification>,
}

#[derive(Serialize)]
struct Notification {
    level: &'static str,
    message: Text,
    locations: Vec<Location>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome {
    rule_id: &'static str,
    rule_index: usize,
    level: &'static str,
    message: Text,
    locations: Vec<Location>,
    partial_fingerprints: BTreeMap<&'static str, String>,
    /// `new`, `updated` or `unchanged`, if there is an older result.
    #[serde(skip_serializing_if = "Option::is_none")]
    baseline_state: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    suppressions: Vec<Suppression>,
}

#[derive(Serialize)]
struct Suppression {
    kind: &'static str,
    justification: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    physical_location: PhysicalLocation,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    logical_locations: Vec<LogicalLocation>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PhysicalLocation {
    artifact_location: Artifact,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<Region>,
}

#[derive(Serialize)]
struct Artifact {
    uri: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: usize,
    start_column: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LogicalLocation {
    name: String,
    kind: &'static str,
}

/// Returns the report as a SARIF log. The rules are those that were broken.
#[must_use]
pub fn sarif(report: &Report) -> serde_json::Value {
    let mut broken: Vec<Rule> = report.entries.iter().flat_map(|entry| &entry.findings).map(|finding| finding.rule).collect();
    broken.sort_unstable();
    broken.dedup();
    let state = |place: (usize, usize)| {
        report.trend.as_ref().map(|trend| match () {
            () if trend.new.contains(&place) => "new",
            () if trend.shifted.contains_key(&place) => "updated",
            () => "unchanged",
        })
    };
    let mut results = Vec::new();
    for (number, entry) in report.entries.iter().enumerate() {
        for (index, finding) in entry.findings.iter().enumerate() {
            let rule = broken.binary_search(&finding.rule).unwrap_or_default();
            results.push(Outcome { baseline_state: state((number, index)), ..result(&entry.name, finding, rule) });
        }
    }
    let notify = |(name, problem): &(String, super::Problem)| Notification {
        level: "error",
        message: Text { text: problem.text.clone() },
        locations: vec![location(name, problem.place, None)],
    };
    let invocation = Invocation {
        execution_successful: report.unreadable.is_empty(),
        tool_execution_notifications: report.unreadable.iter().map(notify).collect(),
    };
    let driver = Driver {
        name: "selkie",
        version: report.version.clone(),
        information_uri: REPOSITORY,
        rules: broken.iter().map(|rule| descriptor(*rule)).collect(),
    };
    let run = Run { tool: Tool { driver }, invocations: [invocation], column_kind: "unicodeCodePoints", results };
    serde_json::to_value(Log { schema: SCHEMA, version: "2.1.0", runs: [run] }).unwrap_or_default()
}

fn descriptor(rule: Rule) -> Descriptor {
    let about = rule.about();
    let text = |text: &str| Text { text: text.to_owned() };
    Descriptor {
        id: rule.id(),
        help_uri: format!("{REPOSITORY}/blob/main/docs/findings.md#{}", rule.id()),
        short_description: text(about.what),
        full_description: text(about.why),
        help: text(about.fix),
        default_configuration: Configuration { level: level(about.severity) },
        properties: Properties {
            security_severity: match about.severity {
                Severity::Critical => "9.5",
                Severity::High => "8.0",
                Severity::Medium => "5.5",
                Severity::Low => "2.0",
            },
            tags: std::iter::once("security").chain(about.controls.into_iter().filter(|control| *control != "own")).collect(),
        },
    }
}

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low => "note",
    }
}

fn result(file: &str, finding: &Finding, rule_index: usize) -> Outcome {
    let subject = (!finding.subject.is_empty()).then(|| finding.subject.clone());
    let about = if finding.subject.is_empty() { String::new() } else { format!("{}: ", finding.subject) };
    let capability = finding.capability.map_or("", selkie_caps::Capability::short_name);
    let print = format!("{}/{}/{capability}", finding.rule, finding.subject);
    let suppress = |reason: &String| Suppression { kind: "external", justification: reason.clone() };
    Outcome {
        rule_id: finding.rule.id(),
        rule_index,
        level: level(finding.severity),
        message: Text { text: format!("{about}{}. Fix: {}.", finding.message, finding.fix.text.trim_end_matches('.')) },
        locations: vec![location(finding.file.as_deref().unwrap_or(file), finding.place, subject)],
        partial_fingerprints: BTreeMap::from([("selkieFinding/v1", print)]),
        baseline_state: None,
        suppressions: finding.accepted.iter().map(suppress).collect(),
    }
}

fn location(file: &str, place: Option<crate::Place>, subject: Option<String>) -> Location {
    Location {
        physical_location: PhysicalLocation {
            artifact_location: Artifact { uri: uri(file) },
            region: place.map(|place| Region { start_line: place.line, start_column: place.column }),
        },
        logical_locations: subject.map(|name| LogicalLocation { name, kind: "resource" }).into_iter().collect(),
    }
}

/// Returns a path as the path of a URI (RFC 3986): what is not unreserved is percent-encoded.
fn uri(path: &str) -> String {
    let path = if path == "-" { "stdin" } else { path };
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    if uri.starts_with('/') { format!("file://{uri}") } else { uri }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uri_escapes_what_is_special() {
        assert_eq!(uri("a b/c#d.yaml"), "a%20b/c%23d.yaml");
        assert_eq!(uri("/etc/x:y"), "file:///etc/x%3Ay");
    }
}
