//! Input from strangers: no reader panics, hangs or grows, whatever the bytes are.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use proptest::prelude::*;
use selkie_audit::{Entry, FileType, Problem, ReadError, Report, check, docker, html, json, mend, read, sarif};

const FIXTURES: [(FileType, &str); 7] = [
    (FileType::Compose, include_str!("fixtures/compose.yaml")),
    (FileType::Kubernetes, include_str!("fixtures/deployment.yaml")),
    (FileType::Quadlet, include_str!("fixtures/web.container")),
    (FileType::Oci, include_str!("fixtures/config.json")),
    (FileType::ContainersConf, include_str!("fixtures/containers.conf")),
    (FileType::Lxc, include_str!("fixtures/lxc.conf")),
    (FileType::Nspawn, include_str!("fixtures/web.nspawn")),
];

/// Docker's two records of a container.
const DOCKER: (&str, &str) = (
    r#"{"Config": {"User": "7"}, "AppArmorProfile": "p", "MountPoints": {"/s": {"Type": "bind", "Source": "/etc", "RW": true, "Propagation": ""}}}"#,
    r#"{"Privileged": false, "CapAdd": ["ALL"], "CapDrop": null, "SecurityOpt": ["label=type:t"], "PidMode": "host", "UTSMode": "",
        "Devices": [{"PathOnHost": "/dev/sda"}], "DeviceCgroupRules": ["a"], "Sysctls": {"kernel.panic": "1"}, "MaskedPaths": []}"#,
);

/// Does all that can be done with a file.
fn everything(kind: Option<FileType>, bytes: &[u8]) {
    let mut report = Report::default();
    match read("x", bytes, kind) {
        Ok(file) => {
            let of_subjects = file.subjects.iter().flat_map(|subject| check(subject, &[]));
            let findings: Vec<_> = of_subjects.chain(file.findings.clone()).collect();
            let mended = mend("x", bytes, kind, &findings).unwrap();
            assert!(read("x", mended.text.as_bytes(), Some(file.kind)).is_ok(), "{}", mended.text);
            report.entries.push(Entry { name: "x".to_owned(), kind: Some(file.kind), subjects: file.subjects, findings });
        }
        Err(error) => report.unreadable.push(("x".to_owned(), Problem::from(&error))),
    }
    assert!(html(&report).chars().all(|character| character == '\n' || !character.is_control()));
    assert_eq!(sarif(&report)["version"], "2.1.0");
    assert_eq!(json(&report)["version"], 1);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400), kind in proptest::option::of(0_usize..7)) {
        everything(kind.map(|kind| FileType::ALL[kind]), &bytes);
    }

    #[test]
    fn damaged_records_of_docker_are_read_or_refused(at in 0_usize..600, with in proptest::collection::vec(any::<u8>(), 0..6), first in any::<bool>()) {
        let mut files = [DOCKER.0.as_bytes().to_vec(), DOCKER.1.as_bytes().to_vec()];
        let damaged = &mut files[usize::from(first)];
        let at = at % damaged.len();
        damaged.splice(at..(at + with.len()).min(damaged.len()), with);
        if let Some(subject) = docker("x", &files[0], &files[1]) {
            let findings = check(&subject, &[]);
            prop_assert!(findings.iter().all(|finding| finding.place.is_none()), "nothing has a line");
        }
    }

    #[test]
    fn arbitrary_text_is_read_or_refused(text in "[a-z:\\-\\[\\]{}&*<#'\"=/ \n\t|>%!~0-9$é]{0,300}", kind in 0_usize..7) {
        everything(Some(FileType::ALL[kind]), text.as_bytes());
    }

    #[test]
    fn mutated_fixtures_are_read_or_refused(
        which in 0_usize..7,
        cuts in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), "[\\-:\\[\\]{},#&* \n\"'A-Z]{0,4}"), 1..4),
    ) {
        let (kind, text) = FIXTURES[which];
        let mut bytes = text.as_bytes().to_vec();
        for (from, to, new) in cuts {
            let (from, to) = (from.index(bytes.len() + 1), to.index(bytes.len() + 1));
            let (from, to) = (from.min(to), from.max(to).min(from.min(to) + 30));
            bytes.splice(from..to, new.bytes());
        }
        everything(Some(kind), &bytes);
    }

    #[test]
    fn cut_fixtures_are_read_or_refused(which in 0_usize..7, at in any::<prop::sample::Index>()) {
        let (kind, text) = FIXTURES[which];
        let cut = at.index(text.len() + 1);
        everything(Some(kind), &text.as_bytes()[..cut]);
    }
}

fn error(name: &str, bytes: &[u8]) -> String {
    read(name, bytes, None).unwrap_err().to_string()
}

#[test]
fn every_fixture_is_recognised_and_has_findings() {
    for (kind, text) in FIXTURES {
        let file = read("x", text.as_bytes(), None).unwrap_or_else(|error| panic!("{kind}: {error}"));
        assert_eq!(file.kind, kind);
        assert!(!check(&file.subjects[0], &[]).is_empty(), "{kind}");
        everything(Some(kind), text.as_bytes());
    }
}

#[test]
fn bytes_that_are_no_text_are_refused_with_their_line() {
    assert_eq!(error("compose.yaml", b"a: 1\nb: \xff\n"), "line 2: byte 8 is not UTF-8 text");
}

#[test]
fn file_over_the_limit_is_refused() {
    let bytes = vec![b'#'; selkie_audit::FILE_LIMIT + 1];
    assert!(matches!(read("compose.yaml", &bytes, None), Err(ReadError::TooLarge { limit: 8_388_608 })));
}

#[test]
fn broken_files_are_refused_with_their_place() {
    assert!(error("compose.yaml", b"services:\n  web: [\n").starts_with("line "), "{}", error("compose.yaml", b"services:\n  web: [\n"));
    assert_eq!(error("config.json", b"{\"ociVersion\": 1,}"), "line 1, column 18: not JSON: a name in quotes is expected");
    assert_eq!(error("web.container", b"[Unit]\nA=b\n"), "line 1, column 1: not a quadlet file: there is no section [Container] or [Pod]");
    assert!(error("notes.txt", b"hello").starts_with("cannot tell what kind of file this is"));
}

#[test]
fn template_is_refused_with_a_hint() {
    let read = read("deployment.yaml", b"apiVersion: v1\nkind: Pod\nspec: {{ toYaml .Values.spec }}\n{{- end }}\n", None);
    assert_eq!(read.unwrap_err().hint(), Some("a template has to be rendered first, for example by `helm template`"));
}

#[test]
fn wrong_type_names_key_value_and_place() {
    let file = read("compose.yaml", b"services:\n  web:\n    cap_add: SYS_ADMIN\n    privileged: [1]\n", None).unwrap();
    let said: Vec<String> = file.findings.iter().map(|finding| format!("{}: {}", finding.place.unwrap().line, finding.message)).collect();
    assert_eq!(
        said,
        ["3: `cap_add` takes a list, and `SYS_ADMIN` is text", "4: `privileged` takes `true` or `false`, and `[1]` is a list"]
    );
}

#[test]
fn unknown_keys_never_fail() {
    let file = read("compose.yaml", b"x: 1\nservices: {web: {image: i, new_key: {a: [1]}}}\n", None).unwrap();
    assert_eq!(file.findings, []);
}

#[test]
fn hostile_names_are_escaped_in_the_page() {
    let text = "services: {\"<script>alert(1)</script>\": {privileged: true, image: \"\\e[31m\"}}\n";
    let file = read("<b>.yaml", text.as_bytes(), Some(FileType::Compose)).unwrap();
    let findings = file.subjects.iter().flat_map(|subject| check(subject, &[])).collect();
    let entry = Entry { name: file.name, kind: Some(file.kind), subjects: file.subjects, findings };
    let page = html(&Report { entries: vec![entry], ..Report::default() });
    assert!(!page.contains("<script") && page.contains("&lt;script&gt;") && !page.contains("<b>.yaml"));
}

#[test]
fn long_lines_take_no_quadratic_time() {
    let list = vec!["CHOWN"; 100_000].join(", ");
    let text = format!("services: {{web: {{cap_add: [{list}]}}}}\n");
    let file = read("compose.yaml", text.as_bytes(), None).unwrap();
    assert_eq!(file.subjects[0].added.len(), 100_000);
}

#[test]
fn many_names_that_are_none_take_no_longer_than_a_few_looks_at_each() {
    let list = vec!["NET_ADMN"; 20_000].join(", ");
    let file = read("compose.yaml", format!("services: {{web: {{cap_add: [{list}]}}}}\n").as_bytes(), None).unwrap();
    assert!(check(&file.subjects[0], &[]).len() >= 20_000);
}

#[test]
fn continued_lines_take_no_quadratic_time() {
    let text = format!("[Container]\nPodmanArgs={}\n", "--x \\\n".repeat(200_000));
    assert_eq!(read("web.container", text.as_bytes(), None).unwrap().subjects.len(), 1);
}

#[test]
fn volumes_and_their_mounts_take_no_quadratic_time() {
    let volumes: String = (0..9000).map(|number| format!("    - {{name: v{number}, hostPath: {{path: /d{number}}}}}\n")).collect();
    let mounts: String = (0..9000).map(|number| format!("      - {{name: v{number}, mountPath: /m}}\n")).collect();
    let containers: String = (0..6).map(|number| format!("    - name: c{number}\n      volumeMounts:\n{mounts}")).collect();
    let text = format!("apiVersion: v1\nkind: Pod\nspec:\n  volumes:\n{volumes}  containers:\n{containers}");
    let file = read("x.yaml", text.as_bytes(), None).unwrap();
    assert_eq!(file.subjects.iter().map(|subject| subject.mounts.len()).collect::<Vec<_>>(), [9000; 6]);
}

#[test]
fn few_bytes_that_stand_for_many_values_are_not_edited_for_long() {
    let mut text = "x0: &x0 [a, a, a, a, a, a, a, a, a, a]\n".to_owned();
    for level in 1..5 {
        let item = format!("*x{}", level - 1);
        text.push_str(&format!("x{level}: &x{level} [{}]\n", [item.as_str(); 10].join(", ")));
    }
    text.push_str("services:\n");
    for number in 0..100 {
        text.push_str(&format!("  s{number}:\n    privileged: true\n    x: *x4\n"));
    }
    let kind = Some(FileType::Compose);
    let error = read("x", text.as_bytes(), kind).unwrap_err();
    assert!(matches!(error, ReadError::TooManyValues { .. }), "{error}");
    let text = text.replace("    x: *x4\n", "");
    let file = read("x", text.as_bytes(), kind).unwrap();
    let findings: Vec<_> = file.subjects.iter().flat_map(|subject| check(subject, &[])).collect();
    let mended = mend("x", text.as_bytes(), kind, &findings).unwrap();
    assert!(mended.made.is_empty() && mended.text == text);
}
