//! Changes of files: what is written afterwards, byte for byte.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use selkie_audit::{Finding, FixError, Learned, Mended, Rule, check, mend, read};
use selkie_caps::{CapSet, Capability};

fn findings(name: &str, text: &str, learned: &[Learned]) -> Vec<Finding> {
    let file = read(name, text.as_bytes(), None).unwrap();
    file.subjects.iter().flat_map(|subject| check(subject, learned)).chain(file.findings.clone()).collect()
}

/// Mends what these rules find.
fn mended(name: &str, text: &str, rules: &[Rule]) -> Mended {
    let wanted: Vec<Finding> = findings(name, text, &[]).into_iter().filter(|finding| rules.contains(&finding.rule)).collect();
    assert!(!wanted.is_empty(), "nothing to mend in\n{text}");
    mend(name, text.as_bytes(), None, &wanted).unwrap()
}

fn text(name: &str, text: &str, rules: &[Rule]) -> String {
    let mended = mended(name, text, rules);
    assert_eq!(mended.refused, []);
    mended.text
}

#[test]
fn privileged_of_compose_becomes_false_and_comments_stay() {
    let old = "services:\n  web:\n    # why\n    privileged: true # once\n    image: i\n";
    assert_eq!(
        text("compose.yaml", old, &[Rule::Privileged]),
        "services:\n  web:\n    # why\n    privileged: false # once\n    image: i\n"
    );
}

#[test]
fn capability_leaves_a_block_list_with_its_line() {
    let old = "services:\n  web:\n    cap_add:\n      - SYS_ADMIN # mount\n      - NET_RAW\n    image: i\n";
    let new = "services:\n  web:\n    cap_add:\n      - NET_RAW\n    image: i\n";
    assert_eq!(text("compose.yaml", old, &[Rule::CapabilityHostRoot]), new);
}

#[test]
fn last_capability_takes_its_key_along() {
    let old = "services:\n  web:\n    image: i\n    cap_add:\n      - SYS_ADMIN\n";
    assert_eq!(text("compose.yaml", old, &[Rule::CapabilityHostRoot]), "services:\n  web:\n    image: i\n");
    let flow = "services: {web: {image: i, cap_add: [SYS_ADMIN]}}\n";
    assert_eq!(text("compose.yaml", flow, &[Rule::CapabilityHostRoot]), "services: {web: {image: i}}\n");
}

#[test]
fn capability_leaves_a_list_on_one_line() {
    let old = "services:\n  web:\n    cap_add: [ 'SYS_ADMIN', CHOWN ]\n";
    assert_eq!(text("compose.yaml", old, &[Rule::CapabilityHostRoot]), "services:\n  web:\n    cap_add: [ CHOWN ]\n");
}

#[test]
fn unknown_name_that_is_dropped_becomes_the_nearest_one() {
    let old = "services:\n  web:\n    cap_drop: [CAP_NET_ADMN]\n";
    assert_eq!(text("compose.yaml", old, &[Rule::CapabilityUnknown]), "services:\n  web:\n    cap_drop: [CAP_NET_ADMIN]\n");
}

#[test]
fn unknown_name_that_is_added_is_not_mended_since_that_gives_more() {
    let mended = mended("compose.yaml", "services:\n  web:\n    cap_add: [NET_ADMN]\n", &[Rule::CapabilityUnknown]);
    assert_eq!(mended.refused, [(0, FixError::NoChange)]);
}

#[test]
fn setting_is_made_where_there_is_none() {
    let old = "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n    - name: c # first\n      image: i";
    let new = "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n    - name: c # first\n      securityContext:\n        allowPrivilegeEscalation: false\n      image: i";
    assert_eq!(text("pod.yaml", old, &[Rule::PrivilegeEscalation]), new);
}

#[test]
fn settings_of_two_containers_are_made_at_once() {
    let old = "kind: Pod\napiVersion: v1\nspec:\n  containers:\n  - name: a\n    securityContext:\n      privileged: true\n  - name: b\n";
    let new = "kind: Pod\napiVersion: v1\nspec:\n  containers:\n  - name: a\n    securityContext:\n      privileged: false\n      allowPrivilegeEscalation: false\n  - name: b\n    securityContext:\n      allowPrivilegeEscalation: false\n";
    assert_eq!(text("pod.yaml", old, &[Rule::Privileged, Rule::PrivilegeEscalation]), new);
}

#[test]
fn json_keeps_its_form() {
    let old = "{\n  \"ociVersion\": \"1\",\n  \"process\": {\n    \"noNewPrivileges\": false\n  }\n}\n";
    let new = "{\n  \"ociVersion\": \"1\",\n  \"process\": {\n    \"noNewPrivileges\": true\n  }\n}\n";
    assert_eq!(text("config.json", old, &[Rule::PrivilegeEscalation]), new);
    let none = "{\n  \"ociVersion\": \"1\",\n  \"process\": {\n    \"cwd\": \"/\"\n  }\n}\n";
    let made = "{\n  \"ociVersion\": \"1\",\n  \"process\": {\n    \"noNewPrivileges\": true,\n    \"cwd\": \"/\"\n  }\n}\n";
    assert_eq!(text("config.json", none, &[Rule::PrivilegeEscalation]), made);
}

#[test]
fn learned_set_replaces_what_is_given() {
    let learned = [Learned {
        profile: "web".to_owned(),
        image: Some("docker.io/library/nginx:latest".to_owned()),
        digest: None,
        needs: CapSet::EMPTY.with(Capability::Setuid).with(Capability::Setgid),
    }];
    let old = "services:\n  web:\n    image: nginx:1.27\n    cap_add:\n      - SYS_ADMIN\n      - CHOWN\n";
    let wanted: Vec<Finding> =
        findings("compose.yaml", old, &learned).into_iter().filter(|finding| finding.rule == Rule::LearnedNeedsFewer).collect();
    assert_eq!(
        wanted[0].message,
        "given 15 capabilities, and profile `web` needs 2 (SETGID, SETUID); it is known by the image's name only, which may mean another version"
    );
    let new = "services:\n  web:\n    image: nginx:1.27\n    cap_drop: [ALL]\n    cap_add: [SETGID, SETUID]\n";
    assert_eq!(mend("compose.yaml", old.as_bytes(), None, &wanted).unwrap().text, new);
    let quadlet = "[Container]\nImage=nginx\nAddCapability=SYS_ADMIN\nAddCapability=CHOWN\n[Install]\nWantedBy=default.target\n";
    let wanted: Vec<Finding> =
        findings("web.container", quadlet, &learned).into_iter().filter(|finding| finding.rule == Rule::LearnedNeedsFewer).collect();
    let new = "[Container]\nImage=nginx\nAddCapability=SETGID SETUID\nDropCapability=ALL\n[Install]\nWantedBy=default.target\n";
    assert_eq!(mend("web.container", quadlet.as_bytes(), None, &wanted).unwrap().text, new);
}

#[test]
fn quadlet_words_and_lines_go() {
    let old = "[Container]\nImage=i\nPodmanArgs=--privileged --log-level=debug\nAddCapability=SYS_ADMIN\nAddCapability=CHOWN SYS_MODULE\n";
    let new = "[Container]\nImage=i\nPodmanArgs=--log-level=debug\nAddCapability=SYS_ADMIN\nAddCapability=CHOWN SYS_MODULE\n";
    assert_eq!(text("web.container", old, &[Rule::Privileged]), new);
    let old = old.replace("--privileged ", "");
    let new = "[Container]\nImage=i\nPodmanArgs=--log-level=debug\nAddCapability=CHOWN\n";
    assert_eq!(text("web.container", &old, &[Rule::CapabilityHostRoot]), new);
}

#[test]
fn what_an_anchor_shares_is_not_changed() {
    let old = "x-base: &base\n  privileged: true\nservices:\n  a:\n    <<: *base\n  b:\n    <<: *base\n";
    let mended = mended("compose.yaml", old, &[Rule::Privileged]);
    assert_eq!((mended.text.as_str(), mended.made.len()), (old, 0));
    assert!(mended.refused.iter().all(|(_, error)| *error == FixError::Shared));
}

#[test]
fn finding_without_one_right_change_is_refused() {
    let mended = mended("compose.yaml", "services:\n  a:\n    network_mode: host\n", &[Rule::HostNetwork]);
    assert_eq!(mended.refused, [(0, FixError::NoChange)]);
}

#[test]
fn section_that_a_change_empties_is_one_all_the_same() {
    let old = "[Exec]\nCapability=CAP_SYS_MODULE\n[Network]\nVirtualEthernet=yes\n";
    assert_eq!(text("web.nspawn", old, &[Rule::CapabilityHostRoot]), "[Exec]\n[Network]\nVirtualEthernet=yes\n");
    assert_eq!(text("web.nspawn", "[Exec]\nCapability=CAP_SYS_MODULE\n[X]\nA=b\n", &[Rule::CapabilityHostRoot]), "[Exec]\n[X]\nA=b\n");
}

#[test]
fn windows_line_ends_stay() {
    let old = "services:\r\n  a:\r\n    image: i\r\n";
    let new = "services:\r\n  a:\r\n    image: i\r\n    security_opt: [\"no-new-privileges:true\"]\r\n";
    assert_eq!(text("compose.yaml", old, &[Rule::PrivilegeEscalation]), new);
}

#[test]
fn mended_file_has_the_findings_no_more() {
    let old = include_str!("fixtures/compose.yaml");
    let all = findings("compose.yaml", old, &[]);
    let fixable: Vec<Finding> = all.iter().filter(|finding| !finding.fix.changes.is_empty()).cloned().collect();
    let mended = mend("compose.yaml", old.as_bytes(), None, &fixable).unwrap();
    let left = findings("compose.yaml", &mended.text, &[]);
    for number in &mended.made {
        let finding = &fixable[*number];
        let same =
            |other: &&Finding| other.rule == finding.rule && other.subject == finding.subject && other.capability == finding.capability;
        assert!(left.iter().find(same).is_none(), "{finding:?}\n{}", mended.text);
    }
}

/// A container that is privileged, and what only a privileged one may have.
const DRIVER: &str = "apiVersion: v1
kind: Pod
spec:
  containers:
  - name: c
    securityContext:
      privileged: true # for now
    volumeMounts:
    - name: a
      mountPath: /a
      mountPropagation: Bidirectional # shows below
    - {name: b, mountPath: /b, mountPropagation: Bidirectional}
    - {name: c, mountPath: /c, mountPropagation: None}
  volumes: [{name: a, hostPath: {path: /a}}, {name: b, emptyDir: {}}, {name: c, emptyDir: {}}]
";

#[test]
fn privileged_goes_with_the_propagation_that_only_it_may_have() {
    let new = DRIVER.replace("privileged: true", "privileged: false").replace("Bidirectional", "HostToContainer");
    assert_eq!(text("x.yaml", DRIVER, &[Rule::Privileged]), new);
}

#[test]
fn escalation_is_not_forbidden_beside_privileges_that_stay() {
    let all = findings("x.yaml", DRIVER, &[]);
    let accepted: Vec<Finding> = all
        .into_iter()
        .filter(|finding| matches!(finding.rule, Rule::Privileged | Rule::PrivilegeEscalation))
        .map(|finding| {
            let accepted = (finding.rule == Rule::Privileged).then(|| "a driver".to_owned());
            Finding { accepted, ..finding }
        })
        .collect();
    let mended = mend("x.yaml", DRIVER.as_bytes(), None, &accepted).unwrap();
    assert_eq!(mended.text, DRIVER);
    assert_eq!(mended.refused.iter().map(|(_, error)| *error).collect::<Vec<_>>(), [FixError::Beside(Rule::Privileged)]);
}

#[test]
fn escalation_is_not_forbidden_beside_a_sys_admin_that_stays() {
    let old = "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - name: c\n    securityContext:\n      capabilities:\n        add: [NAME, CHOWN]\n";
    let long = old.replace("NAME", "CAP_SYS_ADMIN");
    let alone = mended("x.yaml", &long, &[Rule::PrivilegeEscalation]);
    assert_eq!((alone.text, alone.refused), (long.clone() + "      allowPrivilegeEscalation: false\n", vec![]), "it is none of the list");
    let mut all = findings("x.yaml", &long, &[]);
    all.retain(|finding| matches!(finding.rule, Rule::PrivilegeEscalation | Rule::CapabilityHostRoot));
    for finding in all.iter_mut().filter(|finding| finding.rule == Rule::CapabilityHostRoot) {
        finding.accepted = Some("mounts".to_owned());
    }
    let mended = mend("x.yaml", long.as_bytes(), None, &all).unwrap();
    assert_eq!(mended.text, long);
    assert_eq!(mended.refused.iter().map(|(_, error)| *error).collect::<Vec<_>>(), [FixError::Beside(Rule::CapabilityHostRoot)]);
}

/// What the mended LXC file says of capabilities, and how many it leaves.
fn lxc_lines(lines: &str) -> (String, u32) {
    let all = [Rule::CapabilityHostRoot, Rule::CapabilityOutside, Rule::CapabilityAdded, Rule::EscapeSysAdmin];
    let old = format!("lxc.uts.name = a\nlxc.idmap = u 0 100000 65536\n{lines}");
    let new = text("config", &old, &all);
    let file = read("config", new.as_bytes(), None).unwrap();
    (new.replace("lxc.uts.name = a\nlxc.idmap = u 0 100000 65536\n", ""), file.subjects[0].capabilities().len())
}

#[test]
fn lxc_keeps_nothing_where_the_last_word_goes_since_without_a_line_it_keeps_all() {
    let cases = [
        ("lxc.cap.keep = sys_module\n", "lxc.cap.keep = none\n", 0),
        ("lxc.cap.keep = sys_admin  net_admin\n", "lxc.cap.keep = none\n", 0),
        ("lxc.cap.keep = sys_admin chown\n", "lxc.cap.keep = chown\n", 1),
        ("lxc.cap.keep = none sys_admin\n", "lxc.cap.keep = none\n", 0),
        ("lxc.cap.keep = sys_module\nlxc.cap.keep = sys_admin\n", "lxc.cap.keep = none\n", 0),
        ("lxc.cap.keep = chown\nlxc.cap.keep = sys_admin\n", "lxc.cap.keep = chown\n", 1),
        ("lxc.cap.keep = sys_admin\nlxc.cap.keep = chown\n", "lxc.cap.keep = chown\n", 1),
        (
            "lxc.cap.keep = chown\nlxc.cap.keep =\nlxc.cap.keep = sys_admin\n",
            "lxc.cap.keep = chown\nlxc.cap.keep =\nlxc.cap.keep = none\n",
            0,
        ),
        ("lxc.cap.keep = chown   sys_admin kill sys_module\n", "lxc.cap.keep = chown   kill\n", 2),
        ("lxc.cap.keep = sys_admin chown sys_admin\n", "lxc.cap.keep = chown\n", 1),
    ];
    let wanted = cases.map(|(_, new, left)| (new.to_owned(), left));
    assert_eq!(cases.map(|(old, _, _)| lxc_lines(old)), wanted);
}

#[test]
fn oci_capability_leaves_all_sets_in_which_it_stands() {
    let old = r#"{"ociVersion": "1.0.2", "process": {"capabilities": {
  "bounding": ["CAP_CHOWN", "CAP_SYS_ADMIN"],
  "effective": ["CAP_SYS_ADMIN"],
  "inheritable": ["CAP_SYS_ADMIN", "CAP_CHOWN"],
  "permitted": ["CAP_CHOWN", "CAP_SYS_ADMIN", "CAP_KILL"],
  "ambient": []
}}}"#;
    let new = r#"{"ociVersion": "1.0.2", "process": {"capabilities": {
  "bounding": ["CAP_CHOWN"],
  "effective": [],
  "inheritable": ["CAP_CHOWN"],
  "permitted": ["CAP_CHOWN", "CAP_KILL"],
  "ambient": []
}}}"#;
    assert_eq!(text("config.json", old, &[Rule::CapabilityHostRoot, Rule::EscapeSysAdmin]), new);
}

#[test]
fn containers_conf_is_mended_where_its_table_comes_first() {
    let all = [Rule::CapabilityHostRoot, Rule::DefaultCapabilities, Rule::PrivilegeEscalation];
    let old = "[containers]\nno_new_privileges = false\ndefault_capabilities = [\"SYS_ADMIN\"]\n";
    let new = "[containers]\nno_new_privileges = true\ndefault_capabilities = []\n";
    assert_eq!(text("containers.conf", old, &all), new);
}

#[test]
fn containers_conf_keeps_an_empty_list_since_without_it_podman_has_its_own() {
    let mend =
        |list: &str| text("containers.conf", &format!("[containers]\ndefault_capabilities = {list}\n"), &[Rule::DefaultCapabilities]);
    let lists = ["[\"SYS_ADMIN\",]", "[\n  \"SYS_ADMIN\",\n]", "[\n  \"CHOWN\",\n  \"SYS_ADMIN\",\n]"].map(mend);
    let left = ["[]", "[\n  \n]", "[\n  \"CHOWN\",\n]"].map(|list| format!("[containers]\ndefault_capabilities = {list}\n"));
    assert_eq!(lists, left);
}
