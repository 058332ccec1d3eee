//! docs/findings.md and the rules are the same.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test, which may write the page anew")]

use std::path::Path;

use selkie_audit::{Rule, page};

#[test]
fn page_of_findings_is_made_of_the_rules() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/findings.md");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, page()).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), page(), "run again with BLESS=1");
}

#[test]
fn page_has_a_section_for_every_rule_and_no_other() {
    let text = include_str!("../../../docs/findings.md");
    let sections: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("## ")).filter(|title| !title.contains(' ')).collect();
    assert_eq!(sections, Rule::ALL.iter().map(|rule| rule.id()).collect::<Vec<_>>());
}
