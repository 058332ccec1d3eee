//! `config.json` of the OCI runtime specification, as every engine hands one to its runtime.

use std::collections::{BTreeMap, BTreeSet};

use selkie_caps::CapSet;
use serde_json::Value;

use super::json;

/// System calls that ways out of a container need.
pub const WATCHED: [&str; 10] =
    ["bpf", "finit_module", "init_module", "iopl", "kexec_load", "mknodat", "mount", "open_by_handle_at", "perf_event_open", "ptrace"];

/// Which of the [`WATCHED`] calls a configured seccomp profile lets through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Those that it lets through with all arguments.
    pub allowed: BTreeSet<&'static str>,
    /// Those that it lets through with some.
    pub partly: BTreeSet<&'static str>,
}

impl Filter {
    /// Reads a profile in the form of the OCI, already resolved for a set of capabilities.
    #[must_use]
    pub fn of(seccomp: &Value) -> Self {
        let lets = |action: Option<&str>| matches!(action, Some("SCMP_ACT_ALLOW" | "SCMP_ACT_LOG" | "SCMP_ACT_TRACE"));
        let default = lets(seccomp.get("defaultAction").and_then(Value::as_str));
        let mut filter = Self::default();
        let rules = seccomp.get("syscalls").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        for call in WATCHED {
            let named = rules.iter().filter(|rule| {
                rule.get("names").and_then(Value::as_array).is_some_and(|names| names.iter().any(|name| name.as_str() == Some(call)))
            });
            let (mut whole, mut part, mut refused) = (false, false, false);
            for rule in named {
                let some = rule.get("args").and_then(Value::as_array).is_some_and(|args| !args.is_empty());
                match (lets(rule.get("action").and_then(Value::as_str)), some) {
                    (true, false) => whole = true,
                    (true, true) => part = true,
                    (false, false) => refused = true,
                    (false, true) => {}
                }
            }
            if whole || default && !refused && !part {
                filter.allowed.insert(call);
            } else if part {
                filter.partly.insert(call);
            }
        }
        filter
    }
}

/// What matters of a specification.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Spec {
    pub(super) annotations: BTreeMap<String, String>,
    pub(super) command: Vec<String>,
    pub(super) bounding: Option<CapSet>,
    /// `None` when no filter is configured.
    pub(super) filter: Option<Filter>,
    /// `linux.cgroupsPath`: a path, or `SLICE:PREFIX:NAME` of systemd.
    pub(super) cgroup: Option<String>,
}

impl Spec {
    /// Returns an annotation that is not empty.
    pub(super) fn annotation(&self, key: &str) -> Option<String> {
        self.annotations.get(key).and_then(|text| json::short(text))
    }

    /// Returns an annotation that says yes or no; engines write both in several ways.
    pub(super) fn switch(&self, key: &str) -> Option<bool> {
        match self.annotations.get(key)?.to_ascii_lowercase().as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }
}

/// Parses a `config.json`.
pub(super) fn parse(bytes: &[u8]) -> Option<Spec> {
    let value = json::parse(bytes)?;
    let process = value.get("process");
    let linux = value.get("linux");
    let annotations = value.get("annotations").and_then(Value::as_object);
    Some(Spec {
        annotations: annotations.into_iter().flatten().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect(),
        command: process.map(|process| json::texts(process, "args")).unwrap_or_default(),
        bounding: process.map(|process| capabilities(process.get("capabilities").and_then(|sets| sets.get("bounding")))),
        filter: linux.and_then(|linux| linux.get("seccomp")).filter(|seccomp| seccomp.is_object()).map(Filter::of),
        cgroup: linux.and_then(|linux| json::text(linux, "cgroupsPath")),
    })
}

/// Reads a list of names; a list that is missing is an empty set, as runtimes take it.
pub(super) fn capabilities(list: Option<&Value>) -> CapSet {
    let names = list.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    names.iter().filter_map(Value::as_str).filter_map(|name| CapSet::parse(name).ok()).fold(CapSet::EMPTY, CapSet::union)
}

#[cfg(test)]
mod tests {
    use selkie_caps::Capability;

    use super::*;

    #[test]
    fn parse_of_a_specification_returns_what_matters() {
        let spec = parse(
            br#"{"process": {"args": ["sleep", "7"], "capabilities": {"bounding": ["CAP_SETUID", "CAP_NEWER"]}},
                "annotations": {"io.podman.annotations.privileged": "TRUE", "n": 7},
                "linux": {"seccomp": {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
                    {"names": ["mount", "bpf"], "action": "SCMP_ACT_ALLOW"},
                    {"names": ["ptrace"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]}]}}}"#,
        )
        .unwrap();
        assert_eq!(spec.command, ["sleep", "7"]);
        assert_eq!(spec.bounding, Some(CapSet::EMPTY.with(Capability::Setuid)));
        assert_eq!(spec.switch("io.podman.annotations.privileged"), Some(true));
        assert_eq!(spec.filter, Some(Filter { allowed: ["bpf", "mount"].into(), partly: ["ptrace"].into() }));
    }

    #[test]
    fn parse_of_a_profile_that_allows_by_default_refuses_only_what_it_names() {
        let spec = parse(
            br#"{"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mount"], "action": "SCMP_ACT_ERRNO"}]}}}"#,
        )
        .unwrap();
        let filter = spec.filter.unwrap();
        assert!(!filter.allowed.contains("mount") && filter.allowed.contains("ptrace"));
    }

    #[test]
    fn parse_of_other_json_knows_nothing_and_of_no_json_is_none() {
        assert_eq!(parse(b"[1]"), Some(Spec::default()));
        assert_eq!(parse(br#"{"process": 7, "linux": {"seccomp": null}, "annotations": []}"#).map(|spec| spec.filter), Some(None));
        assert_eq!(parse(b"{"), None);
    }
}
