//! F: injection, environment, terminal, exhaustion, and what is shipped and reachable.

use std::os::unix::fs::PermissionsExt;

use crate::harness::{Engine, SELKIE, installed};
use crate::support::{Item, Tar, docker_archive_with};

/// CVE-2026-57231: a variable of the image without a value is filled with the host's.
#[test]
fn f1_a_variable_without_a_value_copies_nothing_of_the_host() {
    let Some(engine) = Engine::new() else { return };
    let probe = std::fs::read(format!("{}/probe", engine.rootfs())).unwrap();
    let layer = ["proc", "sys", "dev", "etc"].into_iter().fold(Tar::new(), Tar::directory);
    let layer = layer.item(&Item { path: "probe", mode: 0o755, content: &probe, ..Item::default() }).end();
    let variables = serde_json::json!(["SECRET*", "SECRET_OF_THE_HOST", "*", "", "=x", "AWS_KEY", "KEPT=1"]);
    let config = serde_json::json!({"Env": variables, "Cmd": ["/probe"]});
    let archive = engine.path("image.tar");
    std::fs::write(&archive, docker_archive_with(&["hostile"], &[layer], &config)).unwrap();
    engine.ok(&["load", "-i", archive.to_str().unwrap()]);
    let output = engine
        .command(&["run", "--rm", "hostile"])
        .envs([("SECRET_OF_THE_HOST", "x"), ("SECRET_A", "x"), ("AWS_KEY", "x")])
        .output()
        .unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let names: Vec<&String> = report["environment"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["HOME", "HOSTNAME", "KEPT", "PATH", "TERM", "container"]);
    // Each is said to have been ignored, once.
    assert_eq!(String::from_utf8_lossy(&output.stderr).matches("it is not KEY=value").count(), 6, "{output:?}");
}

/// CVE-2018-6556, CVE-2022-47952: a helper with the rights of root for everybody.
#[test]
fn f10_the_program_has_no_set_user_id_and_no_file_capability() {
    let data = std::fs::metadata(SELKIE).unwrap();
    assert_eq!(data.permissions().mode() & 0o6000, 0);
    let mut value = [0; 64];
    let attribute = rustix::fs::getxattr(SELKIE, "security.capability", &mut value);
    assert_eq!(attribute, Err(rustix::io::Errno::NODATA));
    // What is installed is this one file, without either.
    let makefile = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Makefile")).unwrap();
    let installed: Vec<&str> = makefile.lines().filter(|line| line.trim_start().starts_with("install ")).collect();
    assert!(matches!(installed.as_slice(), [line] if line.contains(" -m 755 ")), "{installed:?}");
    assert!(!makefile.contains("setcap") && !makefile.contains("chmod"));
}

/// Families and calls with a history of holes, and ways around a filter that looks at them.
#[test]
fn f11_sockets_past_the_network_namespace_and_io_uring_are_refused() {
    let Some(engine) = Engine::new() else { return };
    let rootfs = engine.rootfs();
    let calls = ["io_uring_setup", "socket AF_ALG", "socket AF_ALG, upper half set", "socket AF_VSOCK"];
    let refused = ["errno 38", "errno 1", "errno 1", "errno 1"];
    let attack = |flags: &[&str]| {
        let words: Vec<&str> =
            ["run", "--rm"].into_iter().chain(flags.iter().copied()).chain(["--rootfs", &rootfs, "/attack", "calls"]).collect();
        let outcome: serde_json::Value = serde_json::from_str(&engine.ok(&words)).unwrap();
        calls.map(|call| outcome[call].as_str().unwrap().to_owned())
    };
    for flags in [&[][..], &["--user", "1000"], &["--cap-add", "all"], &["--network", "host"], &["--security-opt", "nested-userns"]] {
        assert_eq!(attack(flags), refused, "{flags:?}");
    }
    // Without a filter it is the kernel that answers, and it says something else.
    let open = attack(&["--security-opt", "seccomp=unconfined"]);
    assert!(open.iter().zip(refused).all(|(found, refused)| found != refused), "{open:?}");
}

/// CVE-2022-4318: a value with the end of a line writes further lines into files of the container.
#[test]
fn f3_ends_of_lines_in_values_write_no_lines() {
    let Some(engine) = Engine::new() else { return };
    let rootfs = engine.rootfs();
    for flags in [&["--hostname", "a\nhack"][..], &["--add-host", "a\nhack:1.2.3.4"], &["--user", "a\nhack"], &["--name", "a\nhack"]] {
        let words: Vec<&str> = ["run", "--rm"]
            .into_iter()
            .chain(flags.iter().copied())
            .chain(["--rootfs", &rootfs, "cat", "/etc/hosts", "/etc/hostname"])
            .collect();
        let said = engine.run(&words);
        assert!(matches!(said.code, 125 | 126), "{flags:?}: {said:?}");
        assert!(!said.stdout.lines().any(|line| line.starts_with("hack")), "{flags:?}: {said:?}");
    }
    let before = std::fs::read_to_string(format!("{rootfs}/etc/passwd")).unwrap();
    let said = engine.run(&["run", "--rm", "-e", "HOME=/x\nhack::0:0::/:/bin/sh", "--rootfs", &rootfs, "cat", "/etc/passwd"]);
    assert_eq!(said.stdout, before, "{said:?}");
}

/// CVE-2022-0811: a kernel setting smuggled into the value of another.
#[test]
fn f4_only_settings_of_the_containers_namespaces_can_be_set() {
    let Some(engine) = Engine::new() else { return };
    let rootfs = engine.rootfs();
    let before = std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    for setting in [
        "kernel.shm_rmid_forced=1+kernel.core_pattern=|x",
        "kernel.core_pattern=|x",
        "kernel.msgmax=1\nkernel.core_pattern=|x",
        "net/../kernel/core_pattern=|x",
        "net...core=1",
        "vm.drop_caches=1",
    ] {
        let said = engine.run(&["run", "--rm", "--sysctl", setting, "--rootfs", &rootfs, "true"]);
        assert!(matches!(said.code, 125 | 126), "{setting:?}: {said:?}");
    }
    assert_eq!(std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap(), before);
}

/// CVE-2021-25743: escapes in a name or command move the cursor of whoever lists containers.
#[test]
fn f5_lists_show_no_escapes() {
    let Some(engine) = Engine::new() else { return };
    let rootfs = engine.rootfs();
    engine.ok(&["create", "--label", "x=\u{1b}[2J", "--rootfs", &rootfs, "\u{1b}[31mred\u{202e}"]);
    for words in [&["ps", "-a", "--no-trunc"][..], &["ps", "-a"]] {
        let text = engine.ok(words);
        assert!(!text.chars().any(|character| (character.is_control() && character != '\n') || character == '\u{202e}'), "{text:?}");
    }
}

/// The same in a terminal, for everything that shows what an image or a caller has written, and in errors wherever they go.
#[test]
fn f5_nothing_but_a_containers_own_output_moves_the_cursor() {
    let Some(engine) = Engine::new() else { return };
    if !installed("script") {
        return;
    }
    let rootfs = engine.rootfs();
    let evil = "a\u{1b}[31mred\u{9b}2J\u{202e}\u{7f}z";
    let odd = |text: &str| {
        text.chars().any(|character| !matches!(character, '\n' | '\r' | '\t') && (character.is_control() || character == '\u{202e}'))
    };
    let (label, variable) = (format!("l={evil}"), format!("V={evil}"));
    engine.ok(&["create", "--name", "c", "--label", &label, "--env", &variable, "--rootfs", &rootfs, "sh", "-c", evil]);
    engine.ok(&["run", "-d", "--name", "d", "--rootfs", &rootfs, "sh", "-c", &format!("sleep 1000; : {evil}")]);
    for words in [
        &["ps", "-a", "--no-trunc"][..],
        &["ps", "-a", "--format", "json"],
        &["ps", "-a", "--format", "{{.Labels}} {{.Command}}"],
        &["inspect", "c"],
        &["inspect", "--format", "{{.Config.Labels}} {{.Config.Cmd}} {{json .Config.Env}}", "c"],
        &["top", "d", "args"],
        &["caps", "ps", "--container", "d"],
        &["run", "--dry-run", "--env", &variable, "--rootfs", &rootfs, "sh", evil],
        &["run", "--dry-run=json", "--env", &variable, "--rootfs", &rootfs, "sh", evil],
    ] {
        let said = engine.in_terminal(words, "");
        // script(1) types NULs at the end of its input; a terminal that echoes shows each of them as `^@`.
        let shown = said.stdout.replace('\0', "");
        assert!(said.code == 0 && shown.len() > 20 && !odd(&shown), "{words:?}: {shown:?}");
    }
    // A program gets what was written.
    assert_eq!(engine.ok(&["inspect", "--format", "{{.Config.Labels.l}}", "c"]), evil);
    let flag = format!("--{evil}");
    for words in [
        &["run", "--rm", "--rootfs", &rootfs, evil][..],
        &["run", "--rm", "--name", evil, "--rootfs", &rootfs, "true"],
        &["run", "--rm", "--user", evil, "--rootfs", &rootfs, "true"],
        &["run", "--rm", evil],
        &["run", &flag, "x"],
        &["rm", evil],
        &[evil],
    ] {
        let said = engine.run(words);
        assert!(said.code != 0 && said.stderr.starts_with("Error: ") && !odd(&said.stderr), "{words:?}: {said:?}");
    }
}

/// CVE-2022-1708: output that nobody reads eats the monitor's memory.
#[test]
fn f7_output_that_nobody_reads_fills_no_memory() {
    let Some(engine) = Engine::new() else { return };
    let rootfs = engine.rootfs();
    let id = engine.ok(&["run", "-d", "--rootfs", &rootfs, "sleep", "1000"]);
    let mut stalled =
        engine.command(&["exec", &id, "yes"]).stdin(std::process::Stdio::null()).stdout(std::process::Stdio::piped()).spawn().unwrap();
    // Until the pipe to us is full, and the session's socket behind it.
    let session = loop {
        if let Some(session) = engine.ok(&["inspect", "--format", "{{len .ExecIDs}}", &id]).parse::<u32>().ok().filter(|count| *count > 0) {
            break session;
        }
    };
    assert_eq!(session, 1);
    std::thread::sleep(std::time::Duration::from_secs(1));
    let monitors: Vec<u64> = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter(|entry| std::fs::read_to_string(entry.path().join("comm")).is_ok_and(|name| name.trim() == "selkie-monitor"))
        .filter_map(|entry| {
            let status = std::fs::read_to_string(entry.path().join("status")).ok()?;
            status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?.split_whitespace().next()?.parse().ok()
        })
        .collect();
    assert!(monitors.iter().all(|kib| *kib < 2048), "{monitors:?} KiB");
    stalled.kill().unwrap();
    stalled.wait().unwrap();
}

/// CVE-2019-14891: the kernel kills the monitor in place of the container.
#[test]
fn f9_a_container_out_of_memory_is_reported_and_its_monitor_lives() {
    let Some(engine) = Engine::new() else { return };
    let rootfs = engine.rootfs();
    let eat = "a=x; while true; do a=$a$a; done";
    let said = engine.run(&["run", "--name", "c", "--memory", "32m", "--memory-swap", "32m", "--rootfs", &rootfs, "sh", "-c", eat]);
    if said.stderr.contains("controller") || said.stderr.contains("memsw") {
        crate::harness::skip("this host cannot limit memory and swap");
        return;
    }
    assert_eq!(said.code, 137, "{said:?}");
    assert_eq!(engine.ok(&["inspect", "--format", "{{.State.OOMKilled}} {{.State.ExitCode}} {{.State.Status}}", "c"]), "true 137 exited");
}

/// Variables of the engine's own environment stay outside.
#[test]
fn f2_nothing_of_the_callers_environment_enters() {
    let Some(engine) = Engine::new() else { return };
    let rootfs = engine.rootfs();
    let output = engine.command(&["run", "--rm", "--rootfs", &rootfs, "env"]).env("SECRET_OF_THE_HOST", "x").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!text.contains("SECRET_OF_THE_HOST"), "{text}");
}
