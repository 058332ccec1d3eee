//! B: the engine's binary, descriptors, working directories, joining.

use std::io::Read;
use std::process::Stdio;

use crate::harness::{Engine, SELKIE, installed};

fn digest() -> Vec<u8> {
    let mut content = Vec::new();
    std::fs::File::open(SELKIE).unwrap().read_to_end(&mut content).unwrap();
    content
}

/// CVE-2019-5736: a container overwrites the engine's binary through `/proc/PID/exe`.
#[test]
fn b1_the_binary_cannot_be_written_through_proc() {
    let Some(engine) = Engine::new() else { return };
    let rootfs = engine.rootfs();
    let before = digest();
    std::fs::write(format!("{rootfs}/script"), "#!/proc/self/exe\n").unwrap();
    std::fs::set_permissions(format!("{rootfs}/script"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    for command in ["/proc/self/exe", "/script"] {
        // It may run, as a program like any other: what it must not be is writable, then or afterwards.
        let write = format!("{command} version >/dev/null 2>&1; (echo x >> /proc/self/exe) 2>/dev/null && echo WRITTEN; true");
        let said = engine.run(&["run", "--rm", "--privileged", "--rootfs", &rootfs, "sh", "-c", &write]);
        assert!(!said.stdout.contains("WRITTEN") || !said.stdout.contains("selkie"), "{command}: {said:?}");
        let _ = engine.run(&["run", "--rm", "--privileged", "--rootfs", &rootfs, command, "version"]);
    }
    // A container with everything tries to write to every binary that it can see, while the engine enters it.
    let hunt = "while true; do for p in /proc/[0-9]*/exe; do (echo x >> $p) 2>/dev/null && echo WRITTEN; done; done";
    let id = engine.ok(&["run", "-d", "--privileged", "--rootfs", &rootfs, "sh", "-c", hunt]);
    for _ in 0..40 {
        engine.ok(&["exec", &id, "true"]);
    }
    let held = engine.run(&["run", "--rm", "--privileged", "--pid", "host", "--rootfs", &rootfs, "sh", "-c", "for p in /proc/[0-9]*; do case $(cat $p/comm 2>/dev/null) in selkie*) (: >> $p/exe) 2>/dev/null && echo WRITABLE $p $(cat $p/comm);; esac; done"]);
    assert!(!held.stdout.contains("WRITABLE"), "{held:?}");
    assert!(digest() == before, "the engine's binary has changed");
}

/// CVE-2024-21626: a working directory that is a descriptor of the host.
#[test]
fn b2_a_working_directory_behind_a_descriptor_is_refused() {
    let Some(engine) = Engine::new() else { return };
    let rootfs = engine.rootfs();
    std::os::unix::fs::symlink("/proc/self/fd/8", format!("{rootfs}/link")).unwrap();
    let id = engine.ok(&["run", "-d", "--rootfs", &rootfs, "sleep", "1000"]);
    let directories: Vec<String> = (3..20).map(|number| format!("/proc/self/fd/{number}")).chain(["/link".to_owned()]).collect();
    for directory in &directories {
        for words in [&["run", "--rm", "-w", directory, "--rootfs", &rootfs, "ls"][..], &["exec", "-w", directory, &id, "ls"]] {
            let said = engine.run(words);
            assert!(matches!(said.code, 125..=127), "{words:?}: {said:?}");
            assert_eq!(said.stdout, "", "{words:?}");
        }
    }
}

/// CVE-2016-9962: a process that joins a container shows it descriptors of the host.
#[test]
fn b3_a_joining_process_shows_no_descriptor_of_the_host() {
    let Some(engine) = Engine::new() else { return };
    let rootfs = engine.rootfs();
    let watch = "while true; do for l in /proc/[0-9]*/fd/*; do t=$(readlink $l 2>/dev/null); case \"$t\" in ''|pipe:*|/dev/null|socket:*|anon_inode:*) ;; *) echo \"$t\";; esac; done; done";
    let id = engine.ok(&["run", "-d", "--cap-add", "sys_ptrace", "--rootfs", &rootfs, "sh", "-c", watch]);
    for _ in 0..40 {
        engine.ok(&["exec", &id, "true"]);
    }
    let seen = engine.ok(&["logs", &id]);
    let root = engine.path("");
    assert!(
        !seen.lines().any(|line| line.contains(root.to_str().unwrap()) || line.contains("/proc/") || line.contains("cgroup.procs")),
        "{seen}"
    );
}

/// Descriptors that the caller has left open.
#[test]
fn b4_descriptors_of_the_caller_stay_outside() {
    let Some(engine) = Engine::new() else { return };
    let rootfs = engine.rootfs();
    let id = engine.ok(&["run", "-d", "--rootfs", &rootfs, "sleep", "1000"]);
    let globals = format!("--root {} --runroot {}", engine.path("root").display(), engine.path("run").display());
    for verb in [format!("run --rm --rootfs {rootfs} /probe"), format!("exec {id} /probe")] {
        let script = format!("exec 9</etc/passwd 8</root 7</etc/shadow; exec {SELKIE} {globals} {verb}");
        let output = std::process::Command::new("sh").args(["-c", &script]).stdin(Stdio::null()).output().unwrap();
        let report: serde_json::Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{verb}: {error}: {output:?}"));
        let numbers: Vec<&String> = report["descriptors"].as_object().unwrap().keys().collect();
        assert_eq!(numbers, ["0", "1", "2"], "{verb}");
    }
}

/// CVE-2022-1227, CVE-2019-14271: a program or a name service library of the container runs with the host's rights.
#[test]
fn b5_nothing_of_a_container_or_a_path_is_run_by_top_load_or_exec() {
    let Some(engine) = Engine::new() else { return };
    if !installed("strace") || !installed("gzip") {
        return;
    }
    let rootfs = engine.rootfs();
    let canary = engine.path("canary");
    let hostile = format!("#!/bin/sh\necho x > {}; echo x > /executed\n", canary.display());
    let library = format!("{rootfs}/lib/x86_64-linux-gnu");
    let path = engine.path("path");
    std::fs::create_dir_all(&library).unwrap();
    std::fs::create_dir_all(&path).unwrap();
    for name in ["ps", "nsenter", "xz", "gzip", "unpigz", "zstd", "tar", "id", "getent", "newuidmap"] {
        for place in [format!("{rootfs}/bin/{name}"), format!("{}/{name}", path.display())] {
            let _ = std::fs::remove_file(&place);
            std::fs::write(&place, &hostile).unwrap();
            std::fs::set_permissions(&place, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        }
    }
    for name in ["libnss_files.so.2", "libnss_evil.so.2"] {
        std::fs::write(format!("{library}/{name}"), "not a library").unwrap();
    }
    std::fs::write(format!("{rootfs}/etc/nsswitch.conf"), "passwd: evil\ngroup: evil\n").unwrap();
    let id = engine.ok(&["run", "-d", "--user", "u1", "--rootfs", &rootfs, "sleep", "1000"]);
    let archive = engine.path("rootfs.tar");
    let packed = std::process::Command::new("tar").args(["-C", &rootfs, "-czf"]).arg(&archive).arg(".").status().unwrap();
    assert!(packed.success());
    let archive = archive.to_str().unwrap();
    for (words, expected) in [
        (&["top", &id][..], 1),
        (&["top", &id, "user,huser,group,args"], 1),
        (&["load", "-i", archive], 1),
        (&["import", archive, "image"], 1),
        // The monitor, from a copy of our own file, and the program.
        (&["exec", "--user", "u1", &id, "true"], 3),
    ] {
        let trace = engine.path("trace");
        let plain = engine.command(words);
        let mut traced = std::process::Command::new("strace");
        traced.args(["-f", "-qq", "-e", "trace=execve,execveat", "-e", "signal=none", "-e", "status=successful", "-o"]).arg(&trace);
        traced.arg(plain.get_program()).args(plain.get_args()).stdin(Stdio::null());
        traced.env("CONTAINERS_CONF", "/dev/null").env("PATH", format!("{}:/usr/bin:/bin", path.display()));
        let output = traced.output().unwrap();
        let executed = std::fs::read_to_string(&trace).unwrap();
        assert_eq!(executed.lines().filter(|line| line.contains(" execve")).count(), expected, "{words:?}: {output:?}: {executed}");
        assert!(!canary.exists() && !std::path::Path::new(&rootfs).join("executed").exists(), "{words:?}: {executed}");
    }
    // The canary works: the container's own `ps`, asked for, runs in the container.
    engine.ok(&["exec", "--user", "0", &id, "/bin/ps"]);
    assert!(std::path::Path::new(&rootfs).join("executed").exists() && !canary.exists());
}

/// CVE-2021-43784: lengths that overflow on the way to the container's first process.
#[test]
fn b6_very_long_values_work_or_fail_cleanly() {
    let Some(engine) = Engine::new() else { return };
    let rootfs = engine.rootfs();
    let long = "x".repeat(70_000);
    let said =
        engine.run(&["run", "--rm", "-e", &format!("LONG={long}"), "--rootfs", &rootfs, "sh", "-c", "echo ${#LONG} ${#1}", "sh", &long]);
    assert_eq!((said.stdout.trim(), said.code), ("70000 70000", 0), "{}", said.stderr);
    let deep = format!("/{}", "d/".repeat(2047));
    let said = engine.run(&["run", "--rm", "-w", &deep, "--rootfs", &rootfs, "true"]);
    assert!(matches!(said.code, 0 | 125..=127), "{said:?}");
    let mounts: Vec<String> = (0..300).flat_map(|number| ["--tmpfs".to_owned(), format!("/m{number}")]).collect();
    let words: Vec<&str> = ["run", "--rm"]
        .into_iter()
        .chain(mounts.iter().map(String::as_str))
        .chain(["--rootfs", &rootfs, "sh", "-c", "grep -c ' /m[0-9]' /proc/self/mountinfo"])
        .collect();
    assert_eq!(engine.ok(&words), "300");
    assert_eq!(engine.ok(&["ps", "-aq"]), "");
}

/// CVE-2020-15257: a container in the host's network reaches an abstract socket of the engine.
#[test]
fn b7_the_engine_listens_on_no_abstract_socket() {
    let Some(engine) = Engine::new() else { return };
    let rootfs = engine.rootfs();
    let before = std::fs::read_to_string("/proc/net/unix").unwrap().lines().filter(|line| line.contains(" @")).count();
    let text = engine.ok(&["run", "--rm", "--network", "host", "--rootfs", &rootfs, "cat", "/proc/net/unix"]);
    let during = text.lines().filter(|line| line.contains(" @")).count();
    assert!(during <= before, "{text}");
    assert!(!text.lines().any(|line| line.contains(" @") && line.contains("selkie")), "{text}");
}

/// CVE-2017-5226: a container types into the caller's terminal.
#[test]
fn f6_without_a_terminal_of_its_own_a_container_has_none() {
    let Some(engine) = Engine::new() else { return };
    if !installed("script") {
        return;
    }
    let rootfs = engine.rootfs();
    let said = engine.in_terminal(
        &[
            "run",
            "--rm",
            "--rootfs",
            &rootfs,
            "sh",
            "-c",
            "for f in 0 1 2; do test -t $f && echo TERMINAL $f; done; (: < /dev/tty) 2>/dev/null && echo CONTROLLING; true",
        ],
        "",
    );
    assert!(!said.stdout.contains("TERMINAL") && !said.stdout.contains("CONTROLLING"), "{said:?}");
    let said = engine.in_terminal(
        &["run", "--rm", "-it", "--rootfs", &rootfs, "sh", "-c", "tty; for f in 0 1 2; do readlink /proc/self/fd/$f; done"],
        "",
    );
    assert_eq!(said.stdout.replace('\r', "").lines().filter(|line| line.ends_with("/dev/pts/0")).count(), 4, "{said:?}");
}
