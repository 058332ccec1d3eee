//! What compose files say in more than one place: `extends`, other services, volumes and networks of the file.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use selkie_audit::{Entry, File, Finding, check, mend, read};

fn file(text: &str) -> File {
    read("dir/compose.yaml", text.as_bytes(), None).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// All findings, and how each container stands.
fn entry(text: &str) -> Entry {
    let file = file(text);
    let mut findings: Vec<Finding> = file.subjects.iter().flat_map(|subject| check(subject, &[])).collect();
    findings.extend(file.findings);
    Entry { name: file.name, kind: Some(file.kind), subjects: file.subjects, findings }
}

/// The findings of what is above low or not seen, as `CONTAINER RULE LINE:COLUMN`, in the order of the text.
fn found(text: &str) -> Vec<String> {
    let entry = entry(text);
    let is_asked = |finding: &&Finding| finding.severity > selkie_audit::Severity::Low || finding.rule.id() == "known-only-later";
    let shown = |finding: &Finding| {
        let place = finding.place.map_or((0, 0), |place| (place.line, place.column));
        format!("{} {} {}:{}", finding.subject, finding.rule, place.0, place.1)
    };
    entry.findings.iter().filter(is_asked).map(shown).collect()
}

fn verdicts(text: &str) -> Vec<String> {
    let entry = entry(text);
    let of = |(subject, verdict): (&selkie_audit::Subject, selkie_audit::Verdict)| format!("{} {}", subject.name, verdict.word());
    entry.subjects.iter().zip(entry.verdicts()).map(of).collect()
}

#[test]
fn service_has_what_it_extends_with_the_place_where_that_stands() {
    let text = "services:\n  base: {image: x, privileged: true}\n  web: {extends: base}\n  two: {extends: {service: base}}\n  three:\n    extends: {file: ./compose.yaml, service: web}\n  four:\n    extends: three\n    privileged: false\n";
    let wanted = ["base privileged 2:32", "web privileged 2:32", "two privileged 2:32", "three privileged 2:32"];
    assert_eq!(found(text), wanted);
    assert_eq!(verdicts(text), ["base open", "web open", "two open", "three open", "four confined"]);
}

#[test]
fn lists_of_a_service_go_on_in_those_of_what_it_extends() {
    let text = "services:\n  base:\n    cap_add: [SYS_MODULE]\n    security_opt: ['seccomp=unconfined']\n    volumes: ['/etc:/a', '/:/b']\n    sysctls: [kernel.panic=1]\n  web:\n    extends: base\n    cap_add: [NET_ADMIN]\n    security_opt: ['apparmor=unconfined']\n    volumes: ['./data:/b']\n    sysctls: {kernel.sysrq: 1}\n";
    let web: Vec<String> = found(text).into_iter().filter_map(|line| line.strip_prefix("web ").map(str::to_owned)).collect();
    let wanted = [
        "capability-host-root 3:15",
        "seccomp-unconfined 4:20",
        "host-directory 5:15",
        "unsafe-sysctl 6:15",
        "capability-outside 9:15",
        "apparmor-unconfined 10:20",
        "unsafe-sysctl 12:15",
    ];
    assert_eq!(web, wanted);
}

#[test]
fn override_and_reset_take_away_what_is_extended() {
    let text = "services:\n  base: {cap_drop: [ALL], privileged: true, volumes: ['/:/a']}\n  web:\n    extends: base\n    cap_drop: !override [MKNOD]\n    privileged: !reset null\n    volumes: !reset []\n";
    let file = file(text);
    assert_eq!(file.subjects[1].capabilities().len(), 13);
    assert_eq!((file.subjects[1].has_flag(), file.subjects[1].mounts.len()), (false, 0));
}

#[test]
fn extending_in_a_circle_is_an_error_with_its_place() {
    let text = "services:\n  a: {extends: b}\n  b: {extends: {service: c}}\n  c: {extends: b}\n";
    let error = read("compose.yaml", text.as_bytes(), None).unwrap_err();
    assert_eq!(error.to_string(), "line 4, column 16: services extend each other in a circle: b -> c -> b");
    assert_eq!(error.place().map(|place| place.line), Some(4));
    assert!(read("compose.yaml", b"services:\n  a: {extends: a}\n", None).is_err());
}

#[test]
fn what_extends_something_that_is_not_seen_is_not_called_confined() {
    let text = "services:\n  a: {extends: {file: other.yaml, service: a}}\n  b: {extends: a}\n  c: {extends: nobody}\n  d: {image: x}\n";
    assert_eq!(found(text), ["a known-only-later 2:7", "b known-only-later 2:7", "c known-only-later 4:7"]);
    assert_eq!(verdicts(text), ["a unknown", "b unknown", "c unknown", "d confined"]);
}

#[test]
fn long_chains_of_extends_are_read_or_refused() {
    let chain = |list: &str| {
        let service = |number: usize| format!("  s{number}: {{extends: s{}, {list}}}\n", number + 1);
        let text: String = (0..5000).map(service).collect();
        format!("services:\n{text}  s5000: {{privileged: true}}\n")
    };
    assert!(file(&chain("image: x")).subjects.iter().all(selkie_audit::Subject::has_flag));
    let refused = read("compose.yaml", chain("cap_add: [CHOWN]").as_bytes(), None).unwrap_err();
    assert!(matches!(refused, selkie_audit::ReadError::TooManyValues { .. }), "{refused}");
}

#[test]
fn what_is_extended_is_mended_where_it_stands() {
    let text = "services:\n  base: {image: x, privileged: true}\n  web: {extends: base}\n";
    let findings: Vec<Finding> = entry(text).findings.into_iter().filter(|finding| finding.rule.id() == "privileged").collect();
    let mended = mend("compose.yaml", text.as_bytes(), None, &findings).unwrap();
    assert_eq!((mended.made, mended.text.contains("privileged: false")), (vec![0, 1], true));
}

#[test]
fn namespaces_of_other_services_are_the_hosts_where_those_have_them() {
    let text = "services:\n  d: {pid: host, ipc: host, network_mode: host}\n  e: {pid: 'service:d', ipc: 'service:d', network_mode: 'service:d'}\n  f: {pid: 'service:e'}\n  g: {pid: 'service:h', network_mode: 'container:x'}\n  h: {pid: 'service:g'}\n";
    let wanted = [
        "d host-pid 2:12",
        "d host-network 2:43",
        "d host-ipc 2:23",
        "e host-pid 3:12",
        "e host-network 3:57",
        "e host-ipc 3:30",
        "f host-pid 4:12",
        "g known-only-later 5:12",
        "g known-only-later 5:39",
        "h known-only-later 6:12",
    ];
    let mut all = found(text);
    all.sort();
    let mut wanted = wanted.map(str::to_owned).to_vec();
    wanted.sort();
    assert_eq!(all, wanted);
}

#[test]
fn external_network_of_the_name_host_is_the_hosts() {
    let text = "services:\n  a: {networks: [n]}\n  b: {networks: {n: {}}}\n  c: {network_mode: 'service:a'}\n  d: {networks: [m]}\n  e: {image: x}\nnetworks:\n  n: {external: true, name: host}\n  m: {name: host}\n";
    assert_eq!(found(text), ["a host-network 2:18", "b host-network 3:18", "c host-network 4:21"]);
    let default = "services:\n  a: {image: x}\n  b: {networks: [n]}\nnetworks:\n  default:\n    external: {name: host}\n";
    assert_eq!(found(default), ["a host-network 6:22"]);
}

#[test]
fn mounts_of_others_are_mounted_too() {
    let text = "services:\n  d: {volumes: ['/:/host', 'all:/b']}\n  a: {volumes_from: [d]}\n  b: {volumes_from: ['d:ro']}\n  c: {volumes_from: [a, c]}\n  e: {volumes_from: ['container:d']}\nvolumes:\n  all: {driver_opts: {o: bind, device: /etc}}\n";
    let wanted = [
        "d host-root 2:17",
        "d host-directory 2:28",
        "a host-root 3:22",
        "a host-directory 3:22",
        "b host-root 4:22",
        "b host-directory 4:22",
        "c host-root 5:22",
        "c host-directory 5:22",
        "e known-only-later 6:22",
    ];
    assert_eq!(found(text), wanted);
    let severities = entry(text).findings;
    let of =
        |name: &str| severities.iter().find(|finding| finding.subject == name && finding.rule.id() == "host-root").unwrap().severity.word();
    assert_eq!((of("a"), of("b")), ("critical", "high"));
}

#[test]
fn socket_that_the_engine_gives_is_one() {
    let text = "services:\n  a:\n    image: x\n    use_api_socket: true\n  b: {use_api_socket: false}\n";
    assert_eq!(found(text), ["a engine-socket 4:21"]);
    let mended = mend("compose.yaml", text.as_bytes(), None, &entry(text).findings).unwrap();
    assert!(!mended.text.contains("use_api_socket: true"), "{}", mended.text);
}

#[test]
fn hooks_have_rights_of_their_own() {
    let text = "services:\n  a:\n    user: '1000'\n    post_start:\n    - {command: x, privileged: true, user: root}\n    pre_stop:\n    - {command: x, user: '0'}\n    - {command: x, user: '7'}\n  b: {user: root, pre_stop: [{command: x, user: root}]}\n";
    assert_eq!(found(text), ["a privileged 5:32", "a runs-as-root 5:44", "a runs-as-root 7:26", "b runs-as-root 9:13"]);
    assert_eq!(verdicts(text), ["a open", "b weakened"]);
}

#[test]
fn source_that_is_a_variable_is_known_only_when_it_runs() {
    let text = "services:\n  a: {volumes: ['${HOME}:/h', {type: bind, source: $X, target: /x}]}\n  b: {devices: ['$DISK:/dev/x']}\n  c: {volumes: ['${D:-./data}:/h', 'v:/$X', './a:/b']}\n  d: {volumes: ['${D:-/}:/h']}\n";
    let wanted = ["d host-root 5:17", "a known-only-later 2:17", "a known-only-later 2:31", "b known-only-later 3:17"];
    assert_eq!(found(text), wanted);
    assert_eq!(verdicts(text), ["a unknown", "b unknown", "c confined", "d open"]);
}
