//! The committed BPF objects are what their sources give.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

#[path = "../../../tests/skip.rs"]
mod skip;

use std::path::Path;
use std::process::Command;

/// The compiler that the committed object was made by: other versions give other bytes.
const COMPILER: &str = "Debian clang version 14.0.6";

#[test]
fn objects_are_what_their_sources_give() {
    let version = Command::new("clang-14").arg("--version").output().map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    match version {
        Err(error) => return skip::lack(&format!("clang-14 cannot be run, the BPF objects were not rebuilt: {error}")),
        Ok(version) if !version.starts_with(COMPILER) => {
            return skip::skip(&format!(
                "`{}` is not `{COMPILER}`, the BPF objects were not rebuilt",
                version.lines().next().unwrap_or("")
            ));
        }
        Ok(_) => {}
    }
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let built = tempfile::tempdir().unwrap();
    // From another directory, so that a path of the builder's would show.
    let copy = built.path().join("crates/selkie-observe/bpf");
    std::fs::create_dir_all(&copy).unwrap();
    std::fs::create_dir(built.path().join("tools")).unwrap();
    for source in ["observe.bpf.c", "processes.bpf.c", "kernel.h"] {
        std::fs::copy(here.join("bpf").join(source), copy.join(source)).unwrap();
    }
    std::fs::copy(here.join("../../tools/build-bpf"), built.path().join("tools/build-bpf")).unwrap();
    let output = Command::new(built.path().join("tools/build-bpf")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for object in ["observe.bpf.x86_64.o", "processes.bpf.x86_64.o"] {
        let (found, wanted) = (std::fs::read(copy.join(object)).unwrap(), std::fs::read(here.join("bpf").join(object)).unwrap());
        assert!(found == wanted, "the committed {object} is not what its source gives: run tools/build-bpf");
    }
}
