//! Golden cases: each file of `cases/` has flags and facts in its header and the expected plan below.
//!
//! ```text
//! # selkie run --cap-drop all image true     the flags; a second line `# selkie exec ...` plans a process for it
//! # facts: bounding=1fffeffffff rootless     what differs from a rootful engine with every capability
//! # image: user=1000 label=a=b               what the image says
//! # show: capabilities warnings              only these sections
//! ---
//! the expected text
//! ```
//! `BLESS=1 cargo test -p selkie --test plan` rewrites what is below `---`; read the difference before believing it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::print_stderr, reason = "tests")]

mod case;

use std::path::PathBuf;

use case::Case;

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cases")
}

#[test]
fn every_case_plans_as_written() {
    let bless = std::env::var_os("BLESS").is_some();
    let mut paths: Vec<PathBuf> = std::fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 120, "only {} cases", paths.len());
    let mut failures = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        let (header, expected) = text.split_once("---\n").unwrap_or((&text, ""));
        let actual = Case::parse(header).run();
        if bless && actual != expected {
            std::fs::write(&path, format!("{header}---\n{actual}")).unwrap();
        } else if actual != expected {
            failures.push(format!("{}\n--- expected\n{expected}--- actual\n{actual}", path.display()));
        }
    }
    assert!(failures.is_empty(), "{} cases differ\n{}", failures.len(), failures.join("\n"));
}
