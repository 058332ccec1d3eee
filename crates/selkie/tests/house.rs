//! Rules of the house that no compiler checks: which crate may use which, where unsafe code may be, what the documents say.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// What each crate of ours may use of the others; the direction of ARCHITECTURE.md.
const MAY_USE: [(&str, &[&str]); 13] = [
    ("selkie-caps", &[]),
    ("selkie-seccomp", &["selkie-caps"]),
    ("selkie-plan", &["selkie-caps", "selkie-seccomp"]),
    ("selkie-audit", &["selkie-caps"]),
    ("selkie-sys", &["selkie-caps"]),
    ("selkie-host", &["selkie-caps", "selkie-sys"]),
    ("selkie-image", &["selkie-sys"]),
    ("selkie-runtime", &["selkie-caps", "selkie-plan", "selkie-seccomp", "selkie-sys"]),
    ("selkie-learn", &["selkie-caps", "selkie-seccomp"]),
    ("selkie-observe", &["selkie-caps", "selkie-host", "selkie-learn", "selkie-seccomp", "selkie-sys"]),
    (
        "selkie-engine",
        &[
            "selkie-caps",
            "selkie-host",
            "selkie-image",
            "selkie-learn",
            "selkie-observe",
            "selkie-plan",
            "selkie-runtime",
            "selkie-seccomp",
            "selkie-sys",
        ],
    ),
    (
        "selkie",
        &[
            "selkie-audit",
            "selkie-caps",
            "selkie-engine",
            "selkie-host",
            "selkie-image",
            "selkie-learn",
            "selkie-observe",
            "selkie-plan",
            "selkie-runtime",
            "selkie-seccomp",
            "selkie-sys",
        ],
    ),
    ("selkie-bench", &["selkie-caps", "selkie-observe", "selkie-sys"]),
];

/// Crates without any effect: no files, environment, clock, randomness, processes.
const PURE: [&str; 5] = ["selkie-caps", "selkie-seccomp", "selkie-plan", "selkie-learn", "selkie-audit"];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Our crates, each with those of ours that it uses outside of its tests.
fn dependencies() -> BTreeMap<String, Vec<String>> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo).args(["metadata", "--format-version", "1", "--no-deps"]).current_dir(repository()).output().unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    packages
        .iter()
        .map(|package| {
            let used = package["dependencies"].as_array().unwrap().iter().filter(|dependency| dependency["kind"].is_null());
            let names = used.map(|dependency| dependency["name"].as_str().unwrap().to_owned()).filter(|name| name.starts_with("selkie"));
            (package["name"].as_str().unwrap().to_owned(), names.collect())
        })
        .collect()
}

#[test]
fn crates_use_each_other_in_one_direction() {
    let allowed: BTreeMap<&str, &[&str]> = MAY_USE.into_iter().collect();
    for (name, used) in dependencies() {
        let may = allowed.get(name.as_str()).unwrap_or_else(|| panic!("{name} has no place in the order of the crates"));
        for other in used {
            assert!(may.contains(&other.as_str()), "{name} uses {other}, which is not below it");
        }
    }
}

#[test]
fn unsafe_code_is_forbidden_everywhere_but_in_one_crate() {
    for name in dependencies().into_keys().filter(|name| !matches!(name.as_str(), "selkie-sys" | "selkie" | "selkie-bench")) {
        assert!(read(&format!("crates/{name}/src/lib.rs")).contains("#![forbid(unsafe_code)]"), "{name}");
    }
    assert!(read("Cargo.toml").contains("unsafe_code = \"deny\""));
    // Tests, benches and examples too.
    let output =
        Command::new("git").args(["grep", "-lE", r"\bunsafe( extern)? ?\{", "--", "*.rs"]).current_dir(repository()).output().unwrap();
    let files = String::from_utf8(output.stdout).unwrap();
    assert!(files.contains("crates/selkie-sys/src/process.rs"), "{files}");
    for file in files.lines() {
        assert!(file.starts_with("crates/selkie-sys/"), "{file} has unsafe code");
    }
}

#[test]
fn pure_crates_name_what_they_must_not_call() {
    for name in PURE {
        let is_no_std = read(&format!("crates/{name}/src/lib.rs")).contains("#![no_std]");
        let refuses = std::fs::read_to_string(repository().join(format!("crates/{name}/clippy.toml")))
            .is_ok_and(|text| text.contains("std::fs::read"));
        assert!(is_no_std || refuses, "{name}");
    }
}

#[test]
fn every_difference_of_the_filter_is_documented() {
    let page = read("docs/podman-differences.md");
    for difference in selkie_seccomp::DIFFERENCES {
        for name in difference.syscalls {
            assert!(page.contains(&format!("`{name}`")), "{name} is not in docs/podman-differences.md: {}", difference.what);
        }
    }
}

#[test]
fn documents_name_no_path_of_a_builders_machine() {
    for document in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"] {
        let text = read(document);
        for path in ["/root/", "/home/", "/work/"] {
            assert!(!text.contains(path), "{document} has {path}");
        }
    }
}

#[test]
fn example_of_a_trace_says_what_its_page_shows() {
    let page = read("docs/trace.md");
    let block = |kind: &str| page.rsplit_once(&format!("```{kind}\n")).unwrap().1.split_once("```").unwrap().0.to_owned();
    let file = std::env::temp_dir().join(format!("selkie-example-{}.trace", std::process::id()));
    std::fs::write(&file, block("json")).unwrap();
    let said = Command::new(env!("CARGO_BIN_EXE_selkie")).args(["learn", "--from-trace"]).arg(&file).output().unwrap();
    std::fs::remove_file(&file).unwrap();
    let (command, shown) = block("console").split_once('\n').map(|(command, shown)| (command.to_owned(), shown.to_owned())).unwrap();
    assert_eq!(command, "$ selkie learn --from-trace example.trace");
    assert_eq!(String::from_utf8(said.stdout).unwrap(), shown);
}
