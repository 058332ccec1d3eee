//! `demo`: what it shows is true, on every rung, and nothing of it is left.

use std::process::{Command, Stdio};

use super::harness::SELKIE;
use super::{engine, rungs};

#[test]
fn demo_learns_proves_and_exports_and_leaves_nothing() {
    let Some(engine) = engine() else { return };
    for rung in rungs(&engine) {
        shows_the_whole_job(rung, &engine.path(""));
    }
    let left = std::fs::read_dir(engine.path("")).unwrap().flatten().map(|entry| entry.file_name());
    assert_eq!(left.filter(|name| name.to_string_lossy().starts_with("selkie-demo-")).count(), 0);
}

/// Runs the demo with `place` as the directory of temporary files.
fn shows_the_whole_job(rung: &str, place: &std::path::Path) {
    let mut command = Command::new(SELKIE);
    command.args(["demo", "--observer", rung]).env("CONTAINERS_CONF", "/dev/null").env("TMPDIR", place).stdin(Stdio::null());
    let output = command.output().unwrap();
    let (said, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}{told}");
    for wanted in [
        "demo needs 3 capabilities (proven, ",
        "SETUID            without it: setresuid(1000, 1000, 1000) = EPERM",
        "posture: no web runs as uid 1000, gid 1000, groups 1000",
        "with --user 1000:1000 --sysctl net.ipv4.ip_unprivileged_port_start=80\n  it needs no capability",
        "DropCapability=all\nUser=1000\n",
        "readOnlyRootFilesystem: true",
        if rung == "ptrace" { "seen by ptrace" } else { "asked by __inet_bind" },
    ] {
        assert!(said.contains(wanted), "{wanted}: {said}{told}");
    }
    assert!(told.contains("web(1): bind(0.0.0.0:80) = EACCES: needs NET_BIND_SERVICE"), "{told}");
}
