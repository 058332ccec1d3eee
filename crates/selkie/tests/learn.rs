//! Learning end to end: real containers, real refusals, on every rung that this machine allows.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

#[path = "learn/attach.rs"]
mod attach;
#[path = "learn/bad_input.rs"]
mod bad_input;
#[path = "learn/demo.rs"]
mod demo;
mod harness;
#[path = "learn/oracles.rs"]
mod oracles;
#[path = "learn/profiles.rs"]
mod profiles;
#[path = "learn/recording.rs"]
mod recording;
#[path = "../../selkie-learn/tests/schema/mod.rs"]
mod schema;
#[path = "learn/why.rs"]
mod why;

use harness::{Engine, Said, busybox, skip};
use serde_json::Value;

/// An engine with a root file system that has busybox in it.
fn engine() -> Option<Engine> {
    let engine = Engine::new()?;
    if busybox().is_none() {
        skip("busybox is not installed");
        return None;
    }
    Some(engine)
}

/// The rungs that work here.
fn rungs(engine: &Engine) -> Vec<&'static str> {
    let works = |rung: &&str| learn(engine, rung, &[], &["true"]).code == 0;
    let found: Vec<&str> = ["bpf", "ptrace"].into_iter().filter(works).collect();
    if !found.contains(&"bpf") {
        skip("BPF is not allowed here");
    }
    assert!(!found.is_empty(), "nothing can be observed: {:?}", learn(engine, "auto", &[], &["true"]));
    found
}

/// Learns a command in an overlay of the root file system.
fn learn(engine: &Engine, rung: &str, flags: &[&str], command: &[&str]) -> Said {
    let rootfs = format!("{}:O", engine.rootfs());
    let words: Vec<&str> = ["learn", "--format", "json", "--no-save", "--no-zero", "--observer", rung]
        .into_iter()
        .chain(flags.iter().copied())
        .chain(["--rootfs", &rootfs])
        .chain(command.iter().copied())
        .collect();
    engine.run(&words)
}

/// The result of a command that has to be proven.
fn proven(engine: &Engine, rung: &str, flags: &[&str], command: &[&str]) -> Value {
    let said = learn(engine, rung, flags, command);
    assert_eq!(said.code, 0, "{rung} {command:?}: {}", said.stderr);
    let report: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(report["proven"], true);
    assert_eq!(report["complete"], true);
    assert_eq!(schema::differences(&report), Vec::<String>::new(), "docs/learn-report.schema.json");
    report
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|entry| entry["capability"].as_str().unwrap()).collect()
}

fn nothing_is_left(engine: &Engine) {
    assert_eq!(engine.ok(&["ps", "--all", "--quiet"]), "");
}

#[test]
fn command_that_needs_one_capability_comes_with_its_certificate() {
    let Some(engine) = engine() else { return };
    for rung in rungs(&engine) {
        let report = proven(&engine, rung, &[], &["busybox", "chown", "5:6", "/etc/group"]);
        assert_eq!(names(&report["required"]), ["CAP_CHOWN"]);
        let required = &report["required"][0];
        assert_eq!((required["operation"].as_str(), required["errno"].as_str()), (Some("chown(\"/etc/group\", 5, 6)"), Some("EPERM")));
        assert_eq!(required["failure"], "exit code 1");
        let run = required["run"].as_u64().unwrap();
        assert_eq!(report["log"][usize::try_from(run).unwrap() - 1]["passed"], false);
        assert_eq!(report["flags"], serde_json::json!(["--cap-drop", "all", "--cap-add", "CHOWN"]));
        // Baseline, two to grow, one proof, two repeats.
        assert_eq!(report["runs"], 6);
        nothing_is_left(&engine);
    }
}

#[test]
fn command_that_needs_nothing_is_proven_to_need_nothing() {
    let Some(engine) = engine() else { return };
    for rung in rungs(&engine) {
        let report = proven(&engine, rung, &[], &["busybox", "ls", "/"]);
        assert_eq!((names(&report["required"]), report["runs"].as_u64()), (Vec::new(), Some(4)));
        // By ptrace nobody sees what is asked for and granted.
        assert_eq!(names(&report["never_asked"]).contains(&"CAP_SETUID"), rung == "bpf");
    }
}

#[test]
fn refusal_that_is_tolerated_is_degraded() {
    let Some(engine) = engine() else { return };
    for rung in rungs(&engine) {
        let report = proven(&engine, rung, &[], &["sh", "-c", "busybox chown 5 /etc/group || true"]);
        assert_eq!((names(&report["required"]), names(&report["degraded"])), (Vec::new(), vec!["CAP_CHOWN"]));
    }
}

#[test]
fn reading_a_file_of_others_has_an_alternative() {
    let Some(engine) = engine() else { return };
    let secret = std::path::PathBuf::from(engine.rootfs()).join("secret");
    std::fs::write(&secret, "x").unwrap();
    std::os::unix::fs::chown(&secret, Some(1000), Some(1000)).unwrap();
    std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    for rung in rungs(&engine) {
        let report = proven(&engine, rung, &[], &["cat", "/secret"]);
        assert_eq!(names(&report["required"]), ["CAP_DAC_OVERRIDE"]);
        assert_eq!(names(&report["alternatives"]), ["CAP_DAC_READ_SEARCH"]);
    }
}

#[test]
fn service_without_an_oracle_is_known_by_what_it_does() {
    let Some(engine) = engine() else { return };
    for rung in rungs(&engine) {
        let report = proven(&engine, rung, &[], &["busybox", "httpd", "-f", "-p", "80", "-h", "/etc"]);
        assert_eq!(names(&report["required"]), ["CAP_NET_BIND_SERVICE"]);
        assert_eq!(report["relative_to"]["oracle"], "TCP 80 accepts, HTTP :80/ answers 404");
        nothing_is_left(&engine);
    }
}

#[test]
fn service_that_listens_nowhere_and_is_refused_something_is_given_its_time() {
    let Some(engine) = engine() else { return };
    // The kernel's log is not in a container's reach; that it cannot be read changes nothing.
    let report = proven(&engine, "auto", &[], &["sh", "-c", "busybox dmesg; exec busybox sleep 1000"]);
    assert_eq!(report["required"], serde_json::json!([]));
    assert_eq!(report["relative_to"]["oracle"], "it keeps running");
    nothing_is_left(&engine);
}

#[test]
fn runs_of_a_container_with_a_name_do_not_meet() {
    let Some(engine) = engine() else { return };
    let files = ["id", "pid"].map(|name| engine.path(name).display().to_string());
    let flags = ["--name", "web", "--cidfile", &files[0], "--pidfile", &files[1]];
    let report = proven(&engine, "auto", &flags, &["sh", "-c", "busybox chown 5 /etc/group && busybox chroot / true"]);
    assert_eq!(names(&report["required"]), ["CAP_CHOWN", "CAP_SYS_CHROOT"]);
    assert!(files.iter().all(|file| !std::path::Path::new(file).exists()), "a run has written a file");
    nothing_is_left(&engine);
}

#[test]
fn of_two_that_would_do_the_less_dangerous_one_is_proven() {
    let Some(engine) = engine() else { return };
    if !rungs(&engine).contains(&"bpf") {
        return;
    }
    let command = ["busybox", "ionice", "-c", "1", "busybox", "true"];
    let report = proven(&engine, "bpf", &["--cap-add", "sys_admin,sys_nice"], &command);
    assert_eq!(names(&report["required"]), ["CAP_SYS_NICE"]);
    let said = learn(&engine, "bpf", &[], &command);
    assert!(said.stderr.contains("the workload asks for SYS_NICE, which reaches"), "{said:?}");
    assert!(said.stderr.contains("needs SYS_ADMIN or SYS_NICE, asked by ioprio_check_cap"), "{said:?}");
}

#[test]
fn service_that_goes_on_as_root_has_not_passed() {
    let Some(engine) = engine() else { return };
    for rung in rungs(&engine) {
        // It serves either way; only its user tells.
        let script = "echo ready; busybox su -s /bin/sh bin -c 'exec busybox httpd -f -p 8080' || exec busybox httpd -f -p 8080";
        let report = proven(&engine, rung, &["--output", "ready", "--tcp", "8080"], &["sh", "-c", script]);
        assert_eq!(names(&report["required"]), ["CAP_SETGID", "CAP_SETUID"]);
        assert!(report["required"][1]["failure"].as_str().unwrap().contains("posture"), "{}", report["required"]);
    }
}

#[test]
fn need_beyond_the_default_set_is_found() {
    let Some(engine) = engine() else { return };
    for rung in rungs(&engine) {
        let report = proven(&engine, rung, &[], &["busybox", "mknod", "/x", "c", "1", "3"]);
        assert_eq!(names(&report["required"]), ["CAP_MKNOD"]);
    }
}

#[test]
fn what_reaches_beyond_the_container_is_tried_only_when_given() {
    let Some(engine) = engine() else { return };
    let command = ["busybox", "mount", "-t", "tmpfs", "none", "/tmp"];
    let said = learn(&engine, "auto", &[], &command);
    assert_eq!(said.code, 1);
    assert!(said.stderr.contains("asks for SYS_ADMIN, which reaches beyond its container"), "{}", said.stderr);
    assert!(!said.stderr.contains("SYS_ADMIN]"), "it was given: {}", said.stderr);
    let report = proven(&engine, "auto", &["--cap-add", "sys_admin"], &command);
    assert_eq!(names(&report["required"]), ["CAP_SYS_ADMIN"]);
}

#[test]
fn exercise_finds_what_only_use_needs() {
    let Some(engine) = engine() else { return };
    let script = "while true; do read -r word </pipe; busybox chown 5 /etc/group; done";
    let pipe = std::path::PathBuf::from(engine.rootfs()).join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let flags = [
        "--steady",
        "0.1",
        "--exercise",
        "echo go > /proc/$SELKIE_PID/root/pipe; for i in 1 2 3 4 5 6 7 8 9 10; do [ \"$(stat -c %u /proc/$SELKIE_PID/root/etc/group)\" = 5 ] && exit 0; sleep 0.05; done; exit 1",
    ];
    for rung in rungs(&engine) {
        let report = proven(&engine, rung, &flags, &["sh", "-c", script]);
        assert_eq!(names(&report["required"]), ["CAP_CHOWN"]);
        assert!(report["relative_to"]["exercised"].as_str().unwrap().contains("pipe"));
    }
}

#[test]
fn path_to_zero_is_verified_by_a_run() {
    let Some(engine) = engine() else { return };
    let rootfs = format!("{}:O", engine.rootfs());
    let said = engine.run(&["learn", "--format", "json", "--no-save", "--rootfs", &rootfs, "busybox", "httpd", "-f", "-p", "81"]);
    let report: Value = serde_json::from_str(&said.stdout).unwrap();
    let zero = &report["path_to_zero"][0];
    assert_eq!(zero["flags"], serde_json::json!(["--sysctl", "net.ipv4.ip_unprivileged_port_start=81"]));
    assert_eq!(zero["needs"], serde_json::json!([]));
    let run = usize::try_from(zero["run"].as_u64().unwrap()).unwrap();
    assert_eq!(
        (report["log"][run - 1]["passed"].as_bool(), report["log"][run - 1]["capabilities"].as_array().unwrap().len()),
        (Some(true), 0)
    );
}

#[test]
fn user_who_is_not_root_is_given_capabilities_that_reach_it() {
    let Some(engine) = engine() else { return };
    for rung in rungs(&engine) {
        let flags = ["--user", "1000:1000", "--cap-add", "net_bind_service"];
        let report = proven(&engine, rung, &flags, &["busybox", "httpd", "-f", "-p", "80"]);
        assert_eq!(names(&report["required"]), ["CAP_NET_BIND_SERVICE"]);
        assert_eq!(report["relative_to"]["user"], "1000:1000");
    }
}

#[test]
fn learner_that_is_killed_leaves_no_container() {
    let Some(engine) = engine() else { return };
    let rootfs = format!("{}:O", engine.rootfs());
    for signal in ["-KILL", "-INT"] {
        let mut child = engine
            .command(&["learn", "--no-save", "--output", "never", "--rootfs", &rootfs, "sleep", "1000"])
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        until(|| !engine.ok(&["ps", "--quiet"]).is_empty());
        assert!(std::process::Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
        let status = child.wait().unwrap();
        if signal == "-INT" {
            assert_eq!(status.code(), Some(130));
        }
        until(|| engine.ok(&["ps", "--all", "--quiet"]).is_empty());
    }
}

#[test]
fn what_was_learned_before_ctrl_c_is_kept_and_not_enforced() {
    let Some(engine) = engine() else { return };
    let rootfs = format!("{}:O", engine.rootfs());
    let script = "busybox chown 5 /etc/group && busybox sleep 0.3";
    let child = engine
        .command(&["learn", "--save", "part", "--repeats", "100", "--format", "json", "--rootfs", &rootfs, "sh", "-c", script])
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // By the third run it has grown.
    let began = std::time::Instant::now();
    until(|| began.elapsed() > std::time::Duration::from_secs(4));
    assert!(std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((report["proven"].as_bool(), names(&report["required"])), (Some(false), vec!["CAP_CHOWN"]));
    nothing_is_left(&engine);
    let refused = engine.run(&["run", "--rm", "--profile", "part", "--rootfs", &rootfs, "true"]);
    assert!(refused.code == 125 && refused.stderr.contains("is not proven"), "{refused:?}");
}

/// Waits for something that happens soon.
fn until(mut happened: impl FnMut() -> bool) {
    for _ in 0..400 {
        if happened() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(25));
    }
    panic!("it did not happen");
}

#[test]
fn what_was_tried_and_not_given_is_not_said_to_be_given() {
    let Some(engine) = engine() else { return };
    if !rungs(&engine).contains(&"bpf") {
        return;
    }
    // It looks at its bounding set, for what is not refused: LEASE, AUDIT_WRITE and SETFCAP are bits 28, 29 and 31.
    let script = "busybox grep -q 'CapBnd:.00000000b' /proc/self/status";
    let report = proven(&engine, "bpf", &["--repeats", "1"], &["sh", "-c", script]);
    assert_eq!(names(&report["required"]), ["CAP_LEASE", "CAP_AUDIT_WRITE", "CAP_SETFCAP"]);
    let never = names(&report["never_asked"]);
    assert!(never.contains(&"CAP_CHOWN") && !never.contains(&"CAP_NET_ADMIN"), "{never:?}");
}
