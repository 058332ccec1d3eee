//! The ways to tell from outside whether a workload works.

use super::{Engine, engine, names, nothing_is_left, proven};

#[test]
fn udp_port_file_and_check_all_have_to_hold() {
    let Some(engine) = engine() else { return };
    if !super::harness::installed("perl") {
        return;
    }
    let seen = engine.path("seen");
    let check = format!("echo $SELKIE_CONTAINER > {} && test -d /proc/$SELKIE_PID", seen.display());
    let program = "use Socket; socket(S, PF_INET, SOCK_DGRAM, 0); bind(S, sockaddr_in(53, INADDR_ANY)) or die qq($!); sleep 100";
    let words = ["learn", "--format", "json", "--no-save", "--no-zero", "--udp", "53", "--file", "/run/ready", "--check", &check];
    let script = format!("touch /run/ready; exec perl -e '{program}'");
    let words: Vec<&str> = words.into_iter().chain(["host:", "sh", "-c", &script]).collect();
    let said = engine.run(&words);
    assert_eq!(said.code, 0, "{}", said.stderr);
    let report: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(names(&report["required"]), ["CAP_NET_BIND_SERVICE"]);
    let told = report["relative_to"]["oracle"].as_str().unwrap();
    assert!(told.starts_with("UDP 53 is bound, file /run/ready exists, check `echo"), "{told}");
    // The id of a container that is gone by now.
    assert_eq!(std::fs::read_to_string(&seen).unwrap().trim_end().len(), 64);
    nothing_is_left(&engine);
}

#[test]
fn file_that_a_command_leaves_counts() {
    let Some(engine) = engine() else { return };
    let flags = ["--file", "/made/x"];
    let report = proven(&engine, "auto", &flags, &["sh", "-c", "busybox chown 5 /etc/group && mkdir /made && touch /made/x; true"]);
    assert_eq!(names(&report["required"]), ["CAP_CHOWN"]);
    assert_eq!(report["required"][0]["failure"], "file /made/x does not exist");
}

#[test]
fn health_check_of_the_image_runs_apart_from_what_is_watched() {
    let Some(engine) = engine() else { return };
    // The check itself does what nobody has asked the workload about.
    let check = "test -e /ok && { busybox chown 7 /ok || true; }";
    load(&engine, "busybox chown 5 /etc/group && touch /ok; busybox sleep 100", check);
    let said = engine.run(&["learn", "--format", "json", "--no-save", "--no-zero", "--health", "health"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    let report: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(names(&report["required"]), ["CAP_CHOWN"]);
    assert_eq!(report["degraded"], serde_json::json!([]));
    assert_eq!(report["required"][0]["operation"], "chown(\"/etc/group\", 5, 0)");
    let none = engine.run(&["learn", "--health", "host:", "true"]);
    assert!(none.code == 125 && none.stderr.contains("the image has no HEALTHCHECK"), "{none:?}");
}

#[test]
fn service_says_that_it_is_ready() {
    let Some(engine) = engine() else { return };
    if !super::harness::installed("systemd-notify") {
        return;
    }
    let script = "chown 5 /etc/hostname && systemd-notify --ready && exec sleep 100";
    let said = engine.run(&["learn", "--format", "json", "--no-save", "--no-zero", "--notify", "host:", "sh", "-c", script]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    let report: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!((names(&report["required"]), report["relative_to"]["oracle"].as_str()), (vec!["CAP_CHOWN"], Some("sd_notify READY=1")));
}

/// Loads the root file system as the image `health`, with a command and a health check.
fn load(engine: &Engine, command: &str, check: &str) {
    let directory = engine.path("archive");
    std::fs::create_dir(&directory).unwrap();
    let tar = |from: &str, name: &str| {
        let made = std::process::Command::new("tar").arg("-C").arg(from).arg("-cf").arg(directory.join(name)).arg(".").status().unwrap();
        assert!(made.success());
    };
    tar(&engine.rootfs(), "layer.tar");
    let sum = std::process::Command::new("sha256sum").arg(directory.join("layer.tar")).output().unwrap();
    let digest = String::from_utf8(sum.stdout).unwrap().split(' ').next().unwrap().to_owned();
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux",
        "config": {"Cmd": ["/bin/sh", "-c", command], "Healthcheck": {"Test": ["CMD-SHELL", check]}},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{digest}")]},
    });
    let manifest = serde_json::json!([{"Config": "config.json", "RepoTags": ["localhost/health:latest"], "Layers": ["layer.tar"]}]);
    std::fs::write(directory.join("config.json"), config.to_string()).unwrap();
    std::fs::write(directory.join("manifest.json"), manifest.to_string()).unwrap();
    let archive = engine.path("image.tar");
    let made = std::process::Command::new("tar")
        .arg("-C")
        .arg(&directory)
        .arg("-cf")
        .arg(&archive)
        .args(["config.json", "manifest.json", "layer.tar"])
        .status();
    assert!(made.unwrap().success());
    engine.ok(&["load", "--input", &archive.display().to_string()]);
}
