//! The page and the logs of many containers, and their forms.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::fmt::Write;

use selkie_audit::{Entry, Finding, Older, Problem, Report, Rule, Severity, Trend, check, html, json, read, sarif};
use selkie_caps::Capability;

/// Many containers, each somewhat different.
fn report(count: usize) -> Report {
    let names = ["SYS_ADMIN", "NET_ADMIN", "SYS_PTRACE", "IPC_LOCK", "NET_ADMN", "ALL"];
    let mut text = "services:\n".to_owned();
    for number in 0..count {
        let added = names[number % names.len()];
        writeln!(
            text,
            "  service-with-a-name-{number}:\n    image: i\n    privileged: {}\n    cap_add: [{added}]\n    pid: host",
            number % 7 == 0
        )
        .unwrap();
    }
    let file = read("compose.yaml", text.as_bytes(), None).unwrap();
    let findings = file.subjects.iter().flat_map(|subject| check(subject, &[])).collect();
    let entry = Entry { name: file.name, kind: Some(file.kind), subjects: file.subjects, findings };
    Report { version: "0".to_owned(), entries: vec![entry], ..Report::default() }
}

#[test]
fn page_of_a_thousand_containers_is_below_two_megabytes() {
    let page = html(&report(1000));
    assert!(page.len() < 2 << 20, "{} bytes", page.len());
    assert!(page.contains("service-with-a-name-999"));
}

#[test]
fn page_needs_nothing_but_itself() {
    let page = html(&report(3));
    for foreign in ["<script", "http://", "https://", "<img", "<link", "@import", "url("] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    for needed in [
        "<!DOCTYPE html><html lang=\"en\">",
        "name=\"viewport\"",
        "<title>",
        "prefers-color-scheme:dark",
        "scope=\"col\"",
        "scope=\"row\"",
        "@media print",
    ] {
        assert!(page.contains(needed), "{needed}");
    }
}

#[test]
fn shapes_of_the_matrix_stand_side_by_side() {
    // Within SVG, HTML knows no elements without an end: one that is open swallows the next.
    let page = html(&report(20));
    assert_eq!(page.matches("<path").count(), page.matches("</path>").count());
    assert!(["class=\"d\"", "class=\"t\"", "class=\"q\""].iter().all(|class| page.contains(class)));
}

#[test]
fn names_and_cells_of_the_matrix_keep_in_step_whatever_their_width() {
    // Paper is narrower than the matrix: each picture is made smaller as a whole, and the longest name leans over its right end.
    let page = html(&report(20));
    let width = Capability::ALL.len() * 12 + 48;
    let pictures = page.matches("<svg ").count();
    assert_eq!(page.matches(&format!("<svg width=\"{width}\" ")).count(), pictures);
    assert_eq!(page.matches(&format!("viewBox=\"0 0 {width} ")).count(), pictures);
}

#[test]
fn what_is_not_privileged_whatever_its_flag_says_is_no_way_out() {
    let mut report = report(1);
    let finding = report.entries[0].findings.iter().find(|finding| finding.rule == Rule::Privileged).unwrap().clone();
    report.entries[0].findings = vec![Finding { severity: Severity::High, ..finding }];
    assert!(html(&report).contains("None is open by what is written alone"));
}

#[test]
fn page_is_the_same_for_the_same_report() {
    assert_eq!(html(&report(5)), html(&report(5)));
}

#[test]
fn sarif_has_the_structure_of_the_standard() {
    let log = sarif(&report(8));
    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    assert_eq!((&log["version"], &run["columnKind"]), (&"2.1.0".into(), &"unicodeCodePoints".into()));
    for rule in rules {
        assert!(rule["shortDescription"]["text"].as_str().unwrap().ends_with('.'));
        assert!(["note", "warning", "error"].contains(&rule["defaultConfiguration"]["level"].as_str().unwrap()));
    }
    for result in run["results"].as_array().unwrap() {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(result["ruleId"], rules[index]["id"]);
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "compose.yaml");
        assert!(place["region"]["startLine"].as_u64().unwrap() >= 1 && place["region"]["startColumn"].as_u64().unwrap() >= 1);
        assert!(result["message"]["text"].as_str().unwrap().ends_with('.'));
    }
}

#[test]
fn accepted_findings_are_suppressed_and_not_counted() {
    let mut report = report(1);
    let count = report.entries[0].findings.len();
    for finding in &mut report.entries[0].findings {
        finding.accepted = Some("known".to_owned());
    }
    assert_eq!((report.worst(), report.accepted()), (None, count));
    assert_eq!(sarif(&report)["runs"][0]["results"][0]["suppressions"][0]["justification"], "known");
    assert_eq!(json(&report)["files"][0]["containers"][0]["verdict"], "open");
}

#[test]
fn page_shows_control_characters_harmlessly_wherever_they_come_from() {
    let evil = "a\u{1b}[31mred\u{1b}]0;t\u{7}\u{9b}\u{202e}\u{feff}\r\0\u{fffe}";
    let text = "services:\n  \"a\\e[31mred\\e]0;t\\a\":\n    cap_add: [\"x\\e\"]\n    volumes: ['/:/x']\n    privileged: true\n";
    let file = read("compose.yaml", text.as_bytes(), None).unwrap();
    let mut findings: Vec<Finding> = file.subjects.iter().flat_map(|subject| check(subject, &[])).collect();
    findings[0].accepted = Some(evil.to_owned());
    let entry = Entry { name: format!("{evil}.yaml"), kind: Some(file.kind), subjects: file.subjects, findings };
    let problem = Problem { text: evil.to_owned(), place: None };
    let mut report = Report { version: "0".to_owned(), entries: vec![entry], unreadable: vec![(evil.to_owned(), problem)], trend: None };
    let older = Older::parse(evil, &json(&report).to_string()).unwrap();
    report.entries[0].subjects[0].name = format!("{evil}b");
    report.trend = Trend::of(&report, &[older]);
    let page = html(&report);
    let left: String =
        page.chars().filter(|character| character.is_control() && *character != '\n' || "\u{202e}\u{fffe}".contains(*character)).collect();
    assert_eq!(left, "");
    assert!(page.contains("a\u{fffd}[31mred\u{fffd}]0;t\u{fffd}</b>") && page.contains("selkie 0"), "{page}");
}
