//! What is said of containers that no file describes, and which profile is held against which image.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use selkie_audit::{Basis, Entry, Finding, Learned, Located, Report, Rule, Seen, Severity, Subject, Verdict, check, html, json};
use selkie_caps::escape::{Calls, Walls};
use selkie_caps::{CapSet, Capability};

fn running(seen: Seen) -> Subject {
    let effective = Some(seen.walls.bounding);
    Subject { name: "c".to_owned(), basis: Basis::Running(Box::new(seen)), effective, ..Subject::default() }
}

fn walls(set: CapSet, calls: Calls) -> Walls {
    Walls { permitted: set, bounding: set, initial_users: Some(true), root: Some(true), confined: Some(false), calls, ..Walls::default() }
}

fn of(rule: Rule, findings: &[Finding]) -> Vec<(Severity, &str)> {
    findings.iter().filter(|finding| finding.rule == rule).map(|finding| (finding.severity, finding.message.as_str())).collect()
}

fn report(subject: Subject) -> Report {
    let findings = check(&subject, &[]);
    Report { entries: vec![Entry { name: "podman".to_owned(), subjects: vec![subject], findings, kind: None }], ..Report::default() }
}

#[test]
fn running_one_is_privileged_by_its_verdict_whatever_the_flag_says() {
    let seen =
        Seen { privileged: true, reasons: vec!["all 40 capabilities".to_owned(), "a disk".to_owned()], whole: true, ..Seen::default() };
    for flag in [None, Some(false), Some(true)] {
        let subject = Subject { privileged: flag.map(Located::nowhere), ..running(seen.clone()) };
        let findings = check(&subject, &[]);
        assert_eq!(subject.is_privileged(), Some(true));
        assert_eq!(of(Rule::Privileged, &findings), [(Severity::Critical, "it is privileged: all 40 capabilities; a disk")]);
    }
}

#[test]
fn running_one_with_the_flag_that_is_not_privileged_is_no_and_says_so() {
    let seen = Seen { reasons: vec!["user namespace (root is user 1000 outside)".to_owned()], ..Seen::default() };
    let subject = Subject { privileged: Some(Located::nowhere(true)), own_users: Some(Located::nowhere(true)), ..running(seen) };
    assert_eq!(subject.is_privileged(), Some(false));
    let text = "it was started with --privileged, and is not: user namespace (root is user 1000 outside)";
    assert_eq!(of(Rule::Privileged, &check(&subject, &[])), [(Severity::High, text)]);
}

#[test]
fn running_one_is_open_only_where_a_way_is_certain() {
    let set = CapSet::EMPTY.with(Capability::SysAdmin);
    for (calls, verdict) in [(Calls::Unknown, Verdict::Exposed), (Calls::All, Verdict::Open)] {
        let report = report(running(Seen { walls: walls(set, calls), ..Seen::default() }));
        assert_eq!(report.entries[0].verdicts(), [verdict]);
    }
}

#[test]
fn stopped_one_is_judged_by_the_flag_and_the_capabilities_alone() {
    let stopped = Subject { name: "c".to_owned(), basis: Basis::Stopped, ..Subject::default() };
    let with = |set: CapSet| Subject { effective: Some(set), ..stopped.clone() };
    let flag = Subject { privileged: Some(Located::nowhere(true)), ..stopped.clone() };
    let theirs = Subject { own_users: Some(Located::nowhere(true)), ..flag.clone() };
    let shown = |subject: Subject| {
        let report = report(subject);
        let value = json(&report)["files"][0]["containers"][0].clone();
        let page = html(&report);
        assert!(page.contains("Not known: user, no_new_privs"), "the page says what is not known");
        assert!(page.contains("<p class=\"soft\">selkie "), "an engine is no file");
        (value["privileged"].as_bool(), value["verdict"].as_str().unwrap().to_owned(), value["capabilities"].as_array().map(Vec::len))
    };
    assert_eq!(shown(stopped.clone()), (None, "unknown".to_owned(), None));
    assert_eq!(shown(with(CapSet::EMPTY.with(Capability::Kill))), (None, "unknown".to_owned(), Some(1)));
    assert_eq!(shown(with(CapSet::EMPTY.with(Capability::SysAdmin))), (None, "exposed".to_owned(), Some(1)));
    assert_eq!(shown(flag), (Some(true), "open".to_owned(), Some(41)));
    assert_eq!(shown(theirs), (None, "exposed".to_owned(), Some(41)));
    assert_eq!(check(&stopped, &[]), []);
}

#[test]
fn profile_is_held_against_the_image_of_its_digest_and_else_of_its_name_with_doubt() {
    let learned = |profile: &str, image: Option<&str>, digest: Option<&str>| Learned {
        profile: profile.to_owned(),
        image: image.map(str::to_owned),
        digest: digest.map(str::to_owned),
        needs: CapSet::EMPTY,
    };
    let profiles = [
        learned("old", Some("docker.io/library/nginx:1"), Some("sha256:a")),
        learned("new", Some("nginx:2"), Some("sha256:b")),
        learned("none", Some("redis"), None),
        learned("host", None, None),
    ];
    let said = |name: &str, image: Option<&str>, digest: Option<&str>| {
        let effective = Some(CapSet::EMPTY.with(Capability::Kill));
        let (image, digest) = (image.map(str::to_owned), digest.map(str::to_owned));
        let findings = check(&Subject { name: name.to_owned(), image, digest, effective, ..Subject::default() }, &profiles);
        of(Rule::LearnedNeedsFewer, &findings).first().map(|(_, text)| (*text).to_owned())
    };
    let text = |profile: &str, doubt: &str| Some(format!("given 1 capability, and profile `{profile}` needs none{doubt}"));
    let by_name = "; it is known by the image's name only, which may mean another version";
    let other = "; it was learned of another version of this image";
    assert_eq!(said("c", Some("nginx"), Some("sha256:b")), text("new", ""));
    assert_eq!(said("c", Some("mirror.example/web@sha256:b"), None), text("new", ""));
    assert_eq!(said("c", Some("nginx"), Some("sha256:c")), text("old", other));
    assert_eq!(said("c", Some("nginx:9"), None), text("old", by_name));
    assert_eq!(said("c", Some("redis"), Some("sha256:c")), text("none", by_name));
    assert_eq!(said("host", None, None), text("host", "; it is the profile of this name, which image it is of is not said"));
    assert_eq!(said("other", None, None), None);
}

#[test]
fn verdict_over_a_container_is_the_same_when_everything_is_accepted() {
    let set = CapSet::EMPTY.with(Capability::SysAdmin);
    let mut report = report(running(Seen { walls: walls(set, Calls::All), ..Seen::default() }));
    for finding in &mut report.entries[0].findings {
        finding.accepted = Some("a reason".to_owned());
    }
    assert_eq!(report.entries[0].verdicts(), [Verdict::Open]);
    assert_eq!((report.worst(), report.open().count()), (None, 0));
    assert_eq!(json(&report)["files"][0]["containers"][0]["verdict"], "open");
}

#[test]
fn namespace_of_what_runs_is_fixed_by_a_flag_and_not_by_leaving_a_line_out() {
    use selkie_audit::Namespace;
    let host_namespaces = [Namespace::Cgroup, Namespace::Pid].map(Located::nowhere).to_vec();
    let fixes = |subject: Subject| {
        check(&subject, &[])
            .into_iter()
            .filter(|finding| finding.rule.id().starts_with("host-"))
            .map(|finding| finding.fix.text)
            .collect::<Vec<_>>()
    };
    let seen = Subject { host_namespaces: host_namespaces.clone(), ..running(Seen::default()) };
    assert_eq!(fixes(seen), ["start it without --pid host", "start it with --cgroupns private"]);
    assert_eq!(fixes(Subject { host_namespaces, ..Subject::default() }), ["leave it out", "leave it out"]);
}
