//! F: injection, environment, terminal, exhaustion.

use crate::harness::Engine;

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
