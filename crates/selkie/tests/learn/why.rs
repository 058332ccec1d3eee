//! `run --why` and `why`: each kind of refusal, and what is said about it.

use super::{Engine, engine, rungs};

/// Runs a shell script with `--why` and returns what is said about it.
fn said(engine: &Engine, flags: &[&str], script: &str) -> String {
    let rootfs = format!("{}:O", engine.rootfs());
    let words: Vec<&str> =
        ["run", "--rm", "--why"].into_iter().chain(flags.iter().copied()).chain(["--rootfs", &rootfs, "sh", "-c", script]).collect();
    engine.run(&words).stderr
}

fn has_bpf(engine: &Engine) -> bool {
    rungs(engine).contains(&"bpf")
}

/// Makes `/tool`, a file with NET_RAW as file capability; says so if it cannot.
fn has_tool(engine: &Engine) -> bool {
    let tool = std::path::Path::new(&engine.rootfs()).join("tool");
    std::fs::copy(super::busybox().unwrap(), &tool).unwrap();
    let set = std::process::Command::new("setcap").arg("cap_net_raw+ep").arg(&tool).status();
    let is_set = set.is_ok_and(|status| status.success());
    if !is_set {
        super::skip("setcap does not work here");
    }
    is_set
}

#[test]
fn missing_capability_has_its_fix_and_a_way_without() {
    let Some(engine) = engine() else { return };
    let text = said(&engine, &["--cap-drop", "all"], "busybox nc -l -p 80 -w 1");
    assert!(text.contains("bind("), "{text}");
    assert!(text.contains(":80) = EACCES: needs NET_BIND_SERVICE"), "{text}");
    assert!(text.contains("  fix: --cap-add NET_BIND_SERVICE\n"), "{text}");
    assert!(text.contains("--sysctl net.ipv4.ip_unprivileged_port_start=80"), "{text}");
}

#[test]
fn refusal_in_a_netlink_answer_is_seen() {
    let Some(engine) = engine() else { return };
    let text = said(&engine, &[], "busybox ip link add v0 type veth peer name v1");
    assert!(text.contains("RTM_NEWLINK) was refused: needs NET_ADMIN"), "{text}");
}

#[test]
fn file_capability_above_the_bounding_set_is_told_as_such() {
    let Some(engine) = engine() else { return };
    if !has_tool(&engine) {
        return;
    }
    let text = said(&engine, &[], "/tool true");
    assert!(text.contains("execve(\"/tool\") = EPERM: the file has NET_RAW as file capability"), "{text}");
}

#[test]
fn program_that_cannot_be_executed_is_explained_at_once_and_later() {
    let Some(engine) = engine() else { return };
    if !has_tool(&engine) {
        return;
    }
    let rootfs = format!("{}:O", engine.rootfs());
    let said = engine.run(&["run", "--why", "--name", "p", "--cap-drop", "all", "--rootfs", &rootfs, "/tool", "true"]);
    assert_eq!(said.code, 126, "{said:?}");
    let sentence = "execve(\"/tool\") = EPERM: the file has NET_RAW as file capability";
    assert!(said.stderr.contains(sentence), "{}", said.stderr);
    assert!(engine.ok(&["why", "p"]).contains(sentence));
}

#[test]
fn system_call_filter_is_not_a_missing_capability() {
    let Some(engine) = engine() else { return };
    if !has_bpf(&engine) {
        return;
    }
    let text = said(&engine, &[], "hostname other");
    assert!(text.contains("sethostname() = EPERM: the system call filter refuses it before any capability is asked for"), "{text}");
    assert!(text.contains("fix: --cap-add SYS_ADMIN"), "{text}");
}

#[test]
fn read_only_file_system_is_not_a_missing_capability() {
    let Some(engine) = engine() else { return };
    let text = said(&engine, &["--read-only"], "touch /x");
    assert!(text.contains("EROFS: the file system is read-only: this is not a missing capability"), "{text}");
}

#[test]
fn capability_of_a_user_namespace_is_not_the_hosts() {
    let Some(engine) = engine() else { return };
    if !has_bpf(&engine) {
        return;
    }
    let flags = ["--cap-add", "mknod", "--security-opt", "nested-userns"];
    let text = said(&engine, &flags, "unshare -U -r mknod /tmp/x c 1 3");
    assert!(
        text.contains("MKNOD is held, but the kernel wants it in the initial user namespace: this is not a missing capability"),
        "{text}"
    );
}

#[test]
fn nothing_refused_is_said_too() {
    let Some(engine) = engine() else { return };
    assert_eq!(said(&engine, &[], "true"), "nothing was refused\n");
}

#[test]
fn container_that_runs_can_be_asked() {
    let Some(engine) = engine() else { return };
    let rootfs = format!("{}:O", engine.rootfs());
    let script = "busybox chown 5 /etc/group; busybox sleep 100";
    engine.ok(&["run", "-d", "--why", "--name", "web", "--cap-drop", "all", "--rootfs", &rootfs, "sh", "-c", script]);
    // It is watched from the start, whatever there is to say.
    engine.ok(&["why", "web"]);
    super::until(|| engine.run(&["why", "web"]).stdout.contains("chown(\"/etc/group\", 5"));
    let json: serde_json::Value = serde_json::from_str(&engine.ok(&["why", "--format", "json", "web"])).unwrap();
    assert_eq!(json[0]["capabilities"], serde_json::json!(["CAP_CHOWN"]));
    engine.ok(&["rm", "--force", "--time", "0", "web"]);
}

#[test]
fn container_that_was_not_watched_says_how_it_would_be() {
    let Some(engine) = engine() else { return };
    let rootfs = format!("{}:O", engine.rootfs());
    let id = engine.ok(&["create", "--rootfs", &rootfs, "true"]);
    let asked = engine.run(&["why", &id]);
    assert_eq!(asked.code, 125);
    assert!(asked.stderr.contains("was not watched"), "{}", asked.stderr);
}
