//! Golden traces: what real containers showed, recorded once, judged without any right.
//!
//! `tests/traces/NAME.json` is a trace of Linux 6.18 by `tp-btf`, one record a line; `NAME.evidence` what is made of it. `NAME-none` had
//! no capability. `BLESS=1` writes the evidence anew: read the difference before you believe it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "tests")]

use std::path::{Path, PathBuf};

use selkie_caps::CapSet;
use selkie_learn::{Cause, Trace, causes, evidence};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traces")
}

fn trace(name: &str) -> Trace {
    let path = directory().join(format!("{name}.json"));
    Trace::parse(&std::fs::read_to_string(&path).unwrap()).unwrap()
}

/// The evidence, as `learn --from-trace --format json` prints it.
fn judged(name: &str) -> String {
    let mut text = serde_json::to_string_pretty(&evidence(&trace(name), None)).unwrap();
    text.push('\n');
    text
}

fn golden(name: &str) {
    let path = directory().join(format!("{name}.evidence"));
    let found = judged(name);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, found).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == expected, "{name}: the evidence is another one, BLESS=1 shows it in git diff:\n{found}");
}

/// What the refusals of a trace ask for.
fn needs(name: &str) -> CapSet {
    causes(&trace(name), None).fold(CapSet::EMPTY, |set, (_, cause)| match cause {
        Cause::Other | Cause::ReadOnly => set,
        cause => set.union(cause.capabilities()),
    })
}

macro_rules! golden {
    ($($test:ident $name:literal: $needs:literal;)*) => {
        $(#[test]
        fn $test() {
            golden($name);
            assert_eq!(needs($name).lower_names().to_string(), $needs);
        })*

        #[test]
        fn every_trace_has_a_test() {
            let mut named = vec![$($name.to_owned()),*];
            let files = std::fs::read_dir(directory()).unwrap().flatten().map(|entry| entry.path());
            let mut found: Vec<String> = files
                .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
                .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
                .collect();
            named.sort();
            found.sort();
            assert_eq!(found, named);
        }
    };
}

golden! {
    apache_that_goes_on_as_root_was_refused_its_ids "apache2-root": "cap_setgid";
    dnsmasq_without_anything "dnsmasq-none": "cap_net_bind_service";
    ip_is_refused_in_an_answer_of_netlink "ip-link-none": "cap_net_admin";
    nginx_with_its_proven_set "nginx": "";
    nginx_without_anything "nginx-none": "cap_chown";
    ping_is_refused_by_its_file_capability "ping-none": "cap_net_raw";
    foreign_file_has_two_answers "read-foreign-none": "cap_dac_override,cap_dac_read_search";
    sshd_with_its_proven_set "sshd": "cap_setgid,cap_setuid,cap_sys_resource";
    tcpdump_with_its_proven_set "tcpdump": "";
}

#[test]
fn example_of_the_page_is_a_trace() {
    let page = include_str!("../../../docs/trace.md");
    let (_, rest) = page.split_once("```json\n").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    let trace = Trace::parse(example).unwrap();
    let shown = evidence(&trace, None);
    let sentence = "chown(1): fchownat(\"/etc/motd\", 33, -1) = EPERM: needs CHOWN, asked by setattr_prepare";
    assert_eq!(shown.refused.first().map(|explanation| explanation.sentence.as_str()), Some(sentence));
    assert!(page.contains(sentence));
}
