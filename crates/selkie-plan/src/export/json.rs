//! Everything, for programs: docs/export.md has the fields.

use serde_json::{Value, json};

use super::Source;

pub(super) fn write(source: &Source<'_>) -> String {
    let subject = source.subject;
    let facts = subject.facts;
    let sysctls: Vec<Value> = subject.sysctls.iter().map(|(key, value)| json!({ "name": key, "value": value })).collect();
    let document = json!({
        "version": 1,
        "capabilities": source.names(),
        "digest": subject.digest,
        "endsNonRoot": facts.ends_non_root,
        "noNewPrivileges": facts.no_new_privileges,
        "readOnlyRoot": facts.read_only_root,
        "sysctls": sysctls,
        "request": serde_json::to_value(subject.request).unwrap_or_default(),
        "image": serde_json::to_value(subject.image).unwrap_or_default(),
    });
    format!("{document:#}\n")
}
