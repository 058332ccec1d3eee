//! What has changed since older results, and older results that are none.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use proptest::prelude::*;
use selkie_audit::{Entry, Older, Report, Trend, check, html, json, read, sarif};

fn report(text: &str) -> Report {
    let file = read("compose.yaml", format!("services:\n{text}").as_bytes(), None).unwrap();
    let findings = file.subjects.iter().flat_map(|subject| check(subject, &[])).collect();
    let entry = Entry { name: file.name, kind: Some(file.kind), subjects: file.subjects, findings };
    Report { version: "0".to_owned(), entries: vec![entry], ..Report::default() }
}

fn older(name: &str, text: &str) -> Older {
    Older::parse(name, &json(&report(text)).to_string()).unwrap()
}

/// With everything that is not about capabilities and namespaces closed.
fn service(name: &str, rest: &str) -> String {
    format!("  {name}: {{image: i, user: '7', read_only: true, cap_drop: [ALL], security_opt: ['no-new-privileges:true']{rest}}}\n")
}

/// `now` with its trend since `then`.
fn since(then: &str, now: &str) -> Report {
    let mut report = report(now);
    report.trend = Trend::of(&report, &[older("june.json", then)]);
    report
}

fn new(report: &Report) -> Vec<String> {
    report.added().iter().map(|(_, finding)| format!("{} {}", finding.rule, finding.subject)).collect()
}

fn fixed(report: &Report) -> Vec<String> {
    report.trend.as_ref().unwrap().fixed.iter().map(|past| format!("{} {}", past.key.rule, past.key.container)).collect()
}

#[test]
fn same_report_has_no_change() {
    let text = service("web", ", pid: host, cap_add: [SYS_PTRACE]");
    let trend = since(&text, &text).trend.unwrap();
    assert_eq!((trend.new.len(), trend.fixed, trend.came, trend.gone, trend.changed), (0, vec![], vec![], vec![], vec![]));
    assert_eq!(
        (trend.points[0].counts, trend.points[0].name.as_str(), trend.points[1].name.as_str()),
        (trend.points[1].counts, "june.json", "")
    );
}

#[test]
fn container_that_has_stopped_has_nothing_fixed() {
    let (then, now) = (service("web", ", pid: host, cap_add: [SYS_PTRACE]"), service("web", ", network_mode: host"));
    let mut older = json(&report(&then));
    older["files"][0]["containers"][0]["state"] = "running".into();
    let older = Older::parse("june.json", &older.to_string()).unwrap();
    let mut report = report(&now);
    report.entries[0].subjects[0].basis = selkie_audit::Basis::Stopped;
    report.trend = Trend::of(&report, &[older]);
    let phrases = report.trend.as_ref().unwrap().changed[0].phrases();
    assert_eq!((new(&report), fixed(&report), phrases[0].as_str()), (vec![], vec![], "has stopped, so other things are seen of it"));
    assert_eq!(json(&report)["since"]["containers"]["changed"][0]["state"], serde_json::json!(["running", "stopped"]));
}

#[test]
fn other_words_on_another_line_are_the_same_finding() {
    let text = service("web", ", pid: host");
    let mut value = json(&report(&text));
    value["files"][0]["findings"][0]["message"] = "as an older program said it".into();
    value["files"][0]["findings"][0]["line"] = 99.into();
    let mut report = report(&text);
    report.trend = Trend::of(&report, &[Older::parse("a", &value.to_string()).unwrap()]);
    assert_eq!((new(&report), fixed(&report)), (vec![], vec![]));
}

#[test]
fn what_came_and_went_is_said_of_findings_and_containers() {
    let then = service("web", ", pid: host") + &service("old", "");
    let now = service("web", ", network_mode: host") + &service("next", ", pid: host");
    let report = since(&then, &now);
    assert_eq!(new(&report), ["host-pid next", "host-network web"]);
    assert_eq!(fixed(&report), ["host-pid web"]);
    let page = html(&report);
    assert!(["+ 1</b>container came<", "− 1</b>container gone<", "≠ 1</b>container changed<"].iter().all(|tile| page.contains(tile)));
    let trend = report.trend.unwrap();
    assert_eq!((trend.came[0].container.as_str(), trend.gone[0].container.as_str()), ("next", "old"));
    assert_eq!(trend.changed[0].phrases(), ["exposed → weakened"]);
}

#[test]
fn container_that_got_and_lost_capabilities_has_changed() {
    let with = |names: &str| format!("  web: {{image: i, cap_drop: [ALL], cap_add: [{names}]}}\n");
    let trend = since(&with("CHOWN, KILL"), &with("CHOWN, SYS_TIME")).trend.unwrap();
    assert_eq!(trend.changed[0].phrases(), ["confined → weakened", "has got SYS_TIME", "has lost KILL"]);
}

#[test]
fn finding_that_is_accepted_by_now_is_neither_new_nor_fixed() {
    let text = service("web", ", pid: host");
    let mut report = report(&text);
    report.entries[0].findings[0].accepted = Some("known".to_owned());
    report.trend = Trend::of(&report, &[older("june.json", &text)]);
    assert_eq!((new(&report), fixed(&report)), (vec![], vec![]));
}

#[test]
fn finding_that_is_worse_is_said_with_what_it_was() {
    let with = |mode: &str| service("web", &format!(", volumes: ['/etc:/a{mode}', '/boot:/b:ro']"));
    let report = since(&with(":ro"), &with(""));
    let shifted: Vec<String> = report
        .shifted()
        .iter()
        .map(|(_, finding, was)| format!("{}: {} to {}", finding.rule, was.word(), finding.severity.word()))
        .collect();
    assert_eq!((shifted, new(&report), fixed(&report)), (vec!["host-directory: medium to high".to_owned()], vec![], vec![]));
    assert_eq!(json(&report)["since"]["shifted"][0]["severity"], serde_json::json!(["medium", "high"]));
    assert!(html(&report).contains("<h3>Findings that are worse or milder (1)</h3>"));
    let log = sarif(&report).to_string();
    assert_eq!((log.matches("\"updated\"").count(), log.matches("\"unchanged\"").count()), (1, 1));
}

#[test]
fn many_of_the_same_take_no_quadratic_time() {
    let many = |count: usize, accepted: Option<&str>| {
        let mut report = report(&service("web", ", pid: host"));
        let one = selkie_audit::Finding { accepted: accepted.map(str::to_owned), ..report.entries[0].findings[0].clone() };
        report.entries[0].findings = vec![one; count];
        report
    };
    let older = Older::parse("a", &json(&many(50_000, Some("known"))).to_string()).unwrap();
    let mut report = many(60_000, None);
    report.trend = Trend::of(&report, &[older]);
    assert_eq!((new(&report).len(), fixed(&report).len(), report.shifted().len()), (10_000, 0, 0));
}

#[test]
fn two_of_the_same_of_which_one_went_are_one_fixed() {
    let with = |volumes: &str| service("web", &format!(", volumes: [{volumes}]"));
    let report = since(&with("'/etc:/a', '/boot:/b'"), &with("'/etc:/a'"));
    assert_eq!((new(&report), fixed(&report)), (vec![], vec!["host-directory web".to_owned()]));
}

#[test]
fn page_has_the_counts_as_a_picture_with_its_words() {
    let then = service("web", ", pid: host");
    let mut report = report(&service("web", ""));
    let all = [older("may.json", ""), older("june<b>.json", &then)];
    report.trend = Trend::of(&report, &all);
    let page = html(&report);
    for wanted in [
        "<h2>Since june&lt;b&gt;.json</h2>",
        "role=\"img\" aria-label=\"Findings in each result, from the oldest to now. critical: 0, 0, 0; high: 0, 1, 0; medium: 0, 0, 0; low: 0, 0, 0\"",
        "<h3>Fixed findings (1)</h3>",
        "<th scope=\"row\">now</th>",
    ] {
        assert!(page.contains(wanted), "{wanted}: {page}");
    }
    assert_eq!(page.matches("<rect").count(), page.matches("</rect>").count());
    assert!(!html(&Report::default()).contains("<h2>Since"));
}

#[test]
fn picture_of_many_results_has_the_last_of_them() {
    let mut report = report("");
    report.trend = Trend::of(&report, &vec![older("a", ""); 100]);
    let page = html(&report);
    assert_eq!(page.matches("<rect").count(), 12 * 4);
    assert!(page.contains("The picture has the last 12 of 101 results."));
}

#[test]
fn sarif_has_the_state_of_each_result_only_where_there_is_an_older_one() {
    let report = since(&service("web", ", pid: host"), &service("web", ", pid: host, network_mode: host"));
    let states = |report: &Report| -> Vec<String> {
        let log = sarif(report);
        let results = log["runs"][0]["results"].as_array().unwrap();
        results.iter().map(|result| format!("{} {}", result["ruleId"].as_str().unwrap(), result["baselineState"])).collect()
    };
    assert_eq!(states(&report), ["host-pid \"unchanged\"", "host-network \"new\""]);
    assert_eq!(states(&Report { trend: None, ..report })[0], "host-pid null");
}

#[test]
fn older_results_that_are_none_are_refused_with_the_reason() {
    let good = json(&report(&service("web", ", pid: host")));
    let error = |text: &str| Older::parse("a", text).unwrap_err().to_string();
    let edited = |pointer: &str, value: serde_json::Value| {
        let mut document = good.clone();
        *document.pointer_mut(pointer).unwrap() = value;
        error(&document.to_string())
    };
    let form = "not a result of `selkie audit --format json`: ";
    assert_eq!(error(""), format!("{form}EOF while parsing a value at line 1 column 0"));
    assert_eq!(error("[1]"), format!("{form}it is no object"));
    assert_eq!(error("{\"version\": 1}"), format!("{form}missing field `summary` at line 1 column 14"));
    assert_eq!(error("{\"version\": 1, \"version\": 1}"), format!("{form}duplicate field `version` at line 1 column 24"));
    assert_eq!(error("{\"version\": 2, \"files\": 7}"), "version 2 is not known, only 1 is");
    assert_eq!(
        edited("/files/0/findings/0/severity", "grave\u{1b}[31m".into()),
        "file 1: finding 1: `grave\u{1b}[31m` is not one of critical, high, medium, low"
    );
    assert_eq!(
        edited("/files/0/containers/0/verdict", "x".repeat(9999).into()),
        format!("file 1: container 1: `{}` is not one of unknown, confined, weakened, exposed, open", "x".repeat(60))
    );
    assert_eq!(edited("/summary/findings/high", 7.into()), "its summary counts 7 high findings, and it lists 1");
    assert_eq!(edited("/summary/containers", 0.into()), "its summary counts 0 containers, and it lists 1");
    assert!(edited("/files", "x".repeat(9999).into()).len() < 400, "the words of the document are cut");
    let deep = format!("{{\"version\": 1, \"x\": {}", "[".repeat(100_000));
    assert_eq!(error(&deep), format!("{form}EOF while parsing a list at line 1 column 100020"));
}

#[test]
fn older_results_of_later_programs_and_other_rules_are_read() {
    let mut value = json(&report(&service("web", ", pid: host")));
    value["new"] = serde_json::json!({"anything": [1]});
    value["files"][0]["findings"][0]["rule"] = "rule-that-was".into();
    value["files"][0]["containers"][0]["capabilities"] = serde_json::json!(["CHOWN", "CAP_OF_LATER"]);
    let mut report = report(&service("web", ""));
    report.trend = Trend::of(&report, &[Older::parse("a", &value.to_string()).unwrap()]);
    assert_eq!(fixed(&report), ["rule-that-was web"]);
    assert_eq!(report.trend.unwrap().changed[0].phrases(), ["exposed → confined", "has lost CHOWN"]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_results_are_read_or_refused(at in 0_usize..2000, with in proptest::collection::vec(any::<u8>(), 0..8), cut in any::<bool>()) {
        let mut bytes = json(&report(&service("web", ", pid: host"))).to_string().into_bytes();
        let at = at % bytes.len();
        bytes.splice(at..(at + with.len()).min(bytes.len()), with);
        if cut {
            bytes.truncate(at);
        }
        let Ok(text) = String::from_utf8(bytes) else { return Ok(()) };
        match Older::parse("a", &text) {
            Ok(older) => {
                let mut now = report("");
                now.trend = Trend::of(&now, &[older]);
                prop_assert!(html(&now).contains("Since a") && json(&now)["since"].is_object());
            }
            Err(error) => prop_assert!(error.to_string().len() < 2000),
        }
    }
}
