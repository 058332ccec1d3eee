//! A validator for the part of JSON Schema 2020-12 that `docs/learn-report.schema.json` uses. Stricter than the standard: a
//! property that the schema does not describe is an error, and so is a keyword that is not known here.

use serde_json::Value;

/// The published schema.
#[allow(dead_code, reason = "one of the two tests that share this file reads it")]
pub(crate) const SCHEMA: &str = include_str!("../../../../docs/learn-report.schema.json");

/// Returns how `document` differs from the published schema, one line each.
#[allow(dead_code, reason = "the tests of other reports have schemas of their own")]
pub(crate) fn differences(document: &Value) -> Vec<String> {
    differences_from(SCHEMA, document)
}

/// The same for another schema.
pub(crate) fn differences_from(schema: &str, document: &Value) -> Vec<String> {
    let root: Value = serde_json::from_str(schema).unwrap();
    let mut found = Vec::new();
    Check { root: &root, found: &mut found }.value(&root, document, "document");
    found
}

struct Check<'a> {
    root: &'a Value,
    found: &'a mut Vec<String>,
}

impl Check<'_> {
    fn value(&mut self, schema: &Value, value: &Value, path: &str) {
        for (keyword, wanted) in schema.as_object().unwrap() {
            let holds = match keyword.as_str() {
                "$schema" | "$defs" | "title" | "description" => true,
                "$ref" => {
                    let target = self.root.pointer(wanted.as_str().unwrap().trim_start_matches('#')).unwrap();
                    self.value(target, value, path);
                    true
                }
                "const" => value == wanted,
                "enum" => wanted.as_array().unwrap().contains(value),
                "type" => wanted.as_array().map_or_else(|| is(value, wanted), |types| types.iter().any(|one| is(value, one))),
                "minimum" => value.as_f64().is_none_or(|number| number >= wanted.as_f64().unwrap()),
                "pattern" => matches(wanted.as_str().unwrap(), value.as_str().unwrap_or_default()),
                "items" => {
                    for (number, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.value(wanted, item, &format!("{path}[{number}]"));
                    }
                    true
                }
                "required" => wanted.as_array().unwrap().iter().all(|name| value.get(name.as_str().unwrap()).is_some()),
                "properties" => {
                    for (name, member) in value.as_object().into_iter().flatten() {
                        match wanted.get(name) {
                            Some(schema) => self.value(schema, member, &format!("{path}.{name}")),
                            None => self.found.push(format!("{path}.{name} is not described")),
                        }
                    }
                    true
                }
                other => panic!("keyword {other} is not known here"),
            };
            if !holds {
                self.found.push(format!("{path} is {value}: {keyword} {wanted}"));
            }
        }
    }
}

fn is(value: &Value, kind: &Value) -> bool {
    match kind.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.is_u64() || value.is_i64(),
        "null" => value.is_null(),
        other => panic!("type {other} is not known here"),
    }
}

/// The two patterns of the schema.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern {
        "^CAP_[A-Z_]+$" => text
            .strip_prefix("CAP_")
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte == b'_' || byte.is_ascii_uppercase())),
        "^[0-9]+:[0-9]+$" => text
            .split_once(':')
            .is_some_and(|(one, other)| [one, other].iter().all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))),
        other => panic!("pattern {other} is not known here"),
    }
}
