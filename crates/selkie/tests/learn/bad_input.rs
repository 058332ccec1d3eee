//! Workloads and input that learning cannot succeed with: each has its own message, a status, and leaves nothing behind.

use super::{engine, learn, nothing_is_left, until};

#[test]
fn workload_that_never_passes_says_how_it_failed() {
    let Some(engine) = engine() else { return };
    let said = learn(&engine, "auto", &[], &["sh", "-c", "echo broken >&2; exit 3"]);
    assert_eq!(said.code, 1);
    let report: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!((report["proven"].as_bool(), report["required"].as_array().map(Vec::len)), (Some(false), Some(0)));
    assert!(report["problems"][0].as_str().unwrap().contains("exit code 3"), "{report}");
    assert!(said.stderr.contains("the workload does not pass with any capability: exit code 3"), "{}", said.stderr);
    assert!(said.stderr.contains("broken"), "{}", said.stderr);
    nothing_is_left(&engine);
}

#[test]
fn workload_that_is_never_ready_says_what_is_missing() {
    let Some(engine) = engine() else { return };
    let said = learn(&engine, "auto", &["--tcp", "81", "--patience", "0.5"], &["sleep", "100"]);
    assert_eq!(said.code, 1);
    assert!(said.stderr.contains("TCP 81: nobody listens after 0.5 s"), "{}", said.stderr);
    nothing_is_left(&engine);
}

#[test]
fn service_that_is_never_ready_and_says_nothing_is_described_and_not_waited_for_twice() {
    let Some(engine) = engine() else { return };
    let script = "cat /nosuch/secret 2> /dev/null; sleep 100 & sleep 100; :";
    let began = std::time::Instant::now();
    let said = learn(&engine, "auto", &["--tcp", "81", "--patience", "20"], &["sh", "-c", script]);
    assert_eq!(said.code, 1);
    assert!(said.stderr.contains("its processes then: `sh` sleeping, 2 `sleep` sleeping"), "{}", said.stderr);
    assert!(said.stderr.contains("s, with all else as in the run before"), "{}", said.stderr);
    assert!(began.elapsed().as_secs() < 35, "{:?}", began.elapsed());
    nothing_is_left(&engine);
}

#[test]
fn check_that_fails_with_everything_is_told() {
    let Some(engine) = engine() else { return };
    let said = learn(&engine, "auto", &["--check", "echo not-yet >&2; false"], &["true"]);
    assert_eq!(said.code, 1);
    assert!(said.stderr.contains("ended with status 1: not-yet"), "{}", said.stderr);
}

#[test]
fn workload_that_is_not_steady_is_told_so() {
    let Some(engine) = engine() else { return };
    let state = engine.path("state");
    std::fs::create_dir(&state).unwrap();
    let volume = format!("{}:/state", state.display());
    // Passes the first time only.
    let said = learn(&engine, "auto", &["-v", &volume], &["sh", "-c", "test ! -e /state/seen && touch /state/seen"]);
    assert_eq!(said.code, 1);
    assert!(said.stderr.contains("not steady"), "{}", said.stderr);
    nothing_is_left(&engine);
}

#[test]
fn capability_that_cannot_be_given_here_is_named() {
    let Some(engine) = engine() else { return };
    let rootfs = format!("{}:O", engine.rootfs());
    let inner = engine.command(&["learn", "--no-save", "--rootfs", &rootfs, "busybox", "chroot", "/", "true"]);
    let output = std::process::Command::new("setpriv")
        .args(["--bounding-set", "-sys_chroot"])
        .arg(inner.get_program())
        .args(inner.get_args())
        .env("CONTAINERS_CONF", "/dev/null")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("it asks for SYS_CHROOT, which cannot be given here"), "{said}");
}

#[test]
fn program_that_does_not_exist_is_podmans_127() {
    let Some(engine) = engine() else { return };
    let said = learn(&engine, "auto", &[], &["nothing-of-that-name"]);
    assert_eq!(said.code, 127);
    nothing_is_left(&engine);
}

#[test]
fn values_that_are_none_are_named() {
    let Some(engine) = engine() else { return };
    for (flags, expected) in [
        (["--tcp", "99999"], "invalid value \"99999\" for --tcp: expected a port"),
        (["--output", "("], "invalid value \"(\" for --output"),
        (["--http", "80"], ""),
        (["--file", "x"], "invalid value \"x\" for --file: expected an absolute path"),
        (["--steady", "0"], "invalid value \"0\" for --steady: expected seconds"),
        (["--observer", "magic"], "\"magic\" is none of auto, bpf"),
    ] {
        if expected.is_empty() {
            continue;
        }
        let said = learn(&engine, "auto", &flags, &["true"]);
        assert_eq!(said.code, 125, "{flags:?} {}", said.stderr);
        assert!(said.stderr.contains(expected), "{flags:?} {}", said.stderr);
    }
}

#[test]
fn trace_that_was_cut_or_forged_is_refused_with_its_place() {
    let Some(engine) = engine() else { return };
    let file = engine.path("trace.json");
    let path = file.display().to_string();
    let said = learn(&engine, "auto", &["--record", &path], &["sh", "-c", "busybox chown 5 /etc/group || true"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    let whole = std::fs::read_to_string(&file).unwrap();
    let again = engine.run(&["learn", "--from-trace", &path]);
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert!(again.stdout.contains("chown(\"/etc/group\", 5"), "{}", again.stdout);
    for (text, expected) in [
        (whole.get(..whole.len() / 2).unwrap().to_owned(), "trace is damaged at line"),
        (whole.replacen("\"version\": 1", "\"version\": 7", 1), "trace has version 7, expected 1"),
        (whole.replacen("\"result\": -1", "\"result\": -99999", 1), "below every errno"),
        (String::new(), "trace is damaged at line 1"),
    ] {
        std::fs::write(&file, text).unwrap();
        let said = engine.run(&["learn", "--from-trace", &path]);
        assert_eq!(said.code, 125);
        assert!(said.stderr.contains(expected) && said.stderr.contains(&path), "{}", said.stderr);
    }
}

#[test]
fn disk_that_is_full_is_told_and_nothing_stays() {
    let Some(engine) = engine() else { return };
    // A root of its own on a file system with room for a few files.
    let small = engine.path("root");
    std::fs::create_dir_all(&small).unwrap();
    let mounted = std::process::Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k,nr_inodes=12", "none"]).arg(&small).status();
    if !mounted.is_ok_and(|status| status.success()) {
        harness_skip("a tmpfs cannot be mounted here");
        return;
    }
    let said = learn(&engine, "auto", &[], &["true"]);
    let left = engine.run(&["ps", "--all", "--quiet"]);
    until(|| std::process::Command::new("umount").arg("-l").arg(&small).status().is_ok_and(|status| status.success()));
    assert_eq!(said.code, 125, "{}", said.stderr);
    assert!(said.stderr.contains("No space left on device"), "{}", said.stderr);
    assert_eq!(left.stdout, "");
}

fn harness_skip(reason: &str) {
    super::skip(reason);
}
