//! Resolved rules as the `linux.seccomp` of an OCI `config.json`, for an OCI runtime other than our own.

use serde_json::{Map, Value, json};

use crate::{Action, Condition, Resolved, ResolvedRule};

/// Returns the `linux.seccomp` object. [`Profile::parse`](crate::Profile::parse) reads it back, to the same verdicts.
#[must_use]
pub fn to_oci(resolved: &Resolved) -> Value {
    let mut object = Map::new();
    put_action(&mut object, "defaultAction", "defaultErrnoRet", resolved.default_action);
    let arches: Vec<_> = resolved.arches.iter().map(|arch| arch.name()).collect();
    object.insert("architectures".into(), json!(arches));
    let flags: Vec<_> = resolved.flags.names().collect();
    if !flags.is_empty() {
        object.insert("flags".into(), json!(flags));
    }
    if let Some(listener) = &resolved.listener {
        object.insert("listenerPath".into(), json!(listener.path));
        if let Some(metadata) = &listener.metadata {
            object.insert("listenerMetadata".into(), json!(metadata));
        }
    }
    let rules: Vec<_> = resolved.rules.iter().filter(|rule| rule.is_from_profile()).map(rule_object).collect();
    object.insert("syscalls".into(), Value::Array(rules));
    Value::Object(object)
}

fn rule_object(rule: &ResolvedRule) -> Value {
    let mut object = Map::new();
    object.insert("names".into(), json!(rule.names));
    put_action(&mut object, "action", "errnoRet", rule.action);
    if !rule.conditions.is_empty() {
        object.insert("args".into(), rule.conditions.iter().map(condition_object).collect());
    }
    Value::Object(object)
}

fn condition_object(condition: &Condition) -> Value {
    json!({ "index": condition.index, "value": condition.value, "valueTwo": condition.value_two, "op": condition.operator.name() })
}

fn put_action(object: &mut Map<String, Value>, action_key: &str, errno_key: &str, action: Action) {
    object.insert(action_key.into(), json!(action.name()));
    if let Some(data) = action.data() {
        object.insert(errno_key.into(), json!(data));
    }
}
