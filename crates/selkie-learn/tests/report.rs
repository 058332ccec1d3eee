//! The document of `learn --format json`, its schema and its page say the same.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod schema;

use std::collections::BTreeSet;

use selkie_caps::Capability;
use selkie_learn::Report;
use selkie_learn::report::{
    Alternative, Degraded, Facts, Impossible, NeverAsked, Observed, RelativeTo, Required, Run, VERSION, Zero, flags,
};
use serde_json::Value;

const PAGE: &str = include_str!("../../../docs/learn-report.md");

/// A report in which no list is empty and nothing is left out.
fn full() -> Report {
    let (capability, text) = (Capability::NetBindService, || "text".to_owned());
    Report {
        version: VERSION,
        proven: false,
        complete: false,
        problems: vec![text()],
        required: vec![Required {
            capability,
            operation: Some(text()),
            errno: Some("EACCES".to_owned()),
            process: Some(text()),
            site: Some(text()),
            failure: text(),
            log_line: Some(text()),
            run: 1,
            danger: capability.knowledge().danger.word().to_owned(),
            phases: vec!["start".to_owned(), "run".to_owned(), "stop".to_owned()],
        }],
        degraded: vec![Degraded { capability, operation: text(), errno: text(), process: text(), sentence: text() }],
        alternatives: vec![Alternative { capability, instead_of: capability, run: 1, danger: "critical".to_owned() }],
        impossible: vec![Impossible { capability, reason: text(), operation: text() }],
        never_asked: vec![NeverAsked { capability }],
        path_to_zero: vec![Zero { flags: vec![text()], needs: vec![capability], run: 1, sentence: text() }],
        flags: flags([capability].into_iter().fold(selkie_caps::CapSet::EMPTY, |set, capability| set.with(capability))),
        relative_to: RelativeTo {
            image: text(),
            digest: Some(text()),
            command: vec![text()],
            user: "0:0".to_owned(),
            observer: "tp-btf".to_owned(),
            baseline: vec![capability],
            ..RelativeTo::default()
        },
        runs: 1,
        seconds: 0.5,
        log: vec![Run { number: 1, purpose: text(), capabilities: vec![capability], passed: true, reason: String::new(), seconds: 0.1 }],
        observed: Observed { granted: vec![capability], audited: vec![capability], own: vec![capability], real: vec![capability] },
        facts: Facts {
            non_root: Some(true),
            starts_non_root: Some(true),
            no_new_privileges: Some(true),
            read_only: Some(true),
            uid: Some(0),
            gid: Some(0),
        },
    }
}

/// The names of all members of all objects.
fn members(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (name, member) in object {
                found.insert(name.clone());
                members(member, found);
            }
        }
        Value::Array(array) => array.iter().for_each(|item| members(item, found)),
        _ => {}
    }
}

#[test]
fn full_report_fits_the_schema_and_has_everything_in_it() {
    let document = serde_json::to_value(full()).unwrap();
    assert_eq!(schema::differences(&document), Vec::<String>::new());
    let root: Value = serde_json::from_str(schema::SCHEMA).unwrap();
    let mut described = BTreeSet::new();
    let objects = root["$defs"].as_object().unwrap().values().chain([&root]);
    for object in objects {
        described.extend(object["properties"].as_object().into_iter().flatten().map(|(name, _)| name.clone()));
    }
    let mut written = BTreeSet::new();
    members(&document, &mut written);
    assert_eq!(written, described);
}

#[test]
fn report_without_anything_fits_the_schema_too() {
    let about = RelativeTo { user: "0:0".to_owned(), observer: "ptrace".to_owned(), ..RelativeTo::default() };
    let report = Report { version: VERSION, relative_to: about, ..Report::default() };
    assert_eq!(schema::differences(&serde_json::to_value(report).unwrap()), Vec::<String>::new());
}

#[test]
fn example_of_the_page_is_a_report() {
    let (_, rest) = PAGE.split_once("```json\n").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    let report = Report::parse(example).unwrap();
    assert_eq!(schema::differences(&serde_json::from_str(example).unwrap()), Vec::<String>::new());
    assert!(report.proven && report.set().contains(Capability::Chown));
}

#[test]
fn page_has_every_field() {
    let mut written = BTreeSet::new();
    members(&serde_json::to_value(full()).unwrap(), &mut written);
    let missing: Vec<&String> = written.iter().filter(|name| !PAGE.contains(&format!("| `{name}` |"))).collect();
    assert_eq!(missing, Vec::<&String>::new());
}
