//! A: capability sets, users and groups.

use crate::harness::{Engine, own_bounding};

fn status(engine: &Engine, flags: &[&str], command: &str) -> (String, i32) {
    let rootfs = engine.rootfs();
    let words: Vec<&str> =
        ["run", "--rm"].into_iter().chain(flags.iter().copied()).chain(["--rootfs", &rootfs, "sh", "-c", command]).collect();
    let said = engine.run(&words);
    (said.stdout.trim().to_owned() + said.stderr.trim(), said.code)
}

/// CVE-2022-24769, CVE-2022-27649: inheritable capabilities leak to programs with file capabilities.
#[test]
fn a1_inheritable_and_ambient_are_empty_without_an_explicit_grant() {
    let Some(engine) = Engine::new() else { return };
    for flags in [&[][..], &["--user", "1000"], &["--privileged"], &["--cap-add", "all"], &["--privileged", "--user", "1000"]] {
        // `--user` with `--cap-add` is the explicit grant.
        let (text, code) = status(&engine, flags, "grep -E 'Cap(Inh|Amb)' /proc/1/status");
        assert!(text.starts_with("CapInh:\t0000000000000000\nCapAmb:\t0000000000000000") && code == 0, "{flags:?}: {text}");
    }
}

/// CVE-2022-29162, CVE-2025-27612: `exec` with capabilities puts them into the inheritable set.
#[test]
fn a2_exec_with_more_capabilities_leaves_inheritable_and_ambient_empty() {
    let Some(engine) = Engine::new() else { return };
    let rootfs = engine.rootfs();
    let id = engine.ok(&["run", "-d", "--cap-drop", "all", "--cap-add", "chown", "--rootfs", &rootfs, "sleep", "1000"]);
    for exec in [&["--privileged"][..], &["--cap-add", "chown"]] {
        let words: Vec<&str> = ["exec"]
            .into_iter()
            .chain(exec.iter().copied())
            .chain([id.as_str(), "grep", "-E", "Cap(Inh|Amb)", "/proc/self/status"])
            .collect();
        assert_eq!(engine.ok(&words), "CapInh:\t0000000000000000\nCapAmb:\t0000000000000000", "{exec:?}");
    }
    let beyond = engine.run(&["exec", "--cap-add", "sys_admin", &id, "true"]);
    assert_eq!(beyond.code, 125, "{beyond:?}");
}

/// CVE-2018-10856, CVE-2016-8867: a user that is not root keeps root's capabilities.
#[test]
fn a3_another_user_cannot_read_what_is_roots() {
    let Some(engine) = Engine::new() else { return };
    let rootfs = engine.rootfs();
    std::fs::write(format!("{rootfs}/secret"), "secret").unwrap();
    std::os::unix::fs::chown(format!("{rootfs}/secret"), Some(0), Some(0)).unwrap();
    std::fs::set_permissions(format!("{rootfs}/secret"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    for flags in [&["--user", "1000"][..], &["--user", "1000", "--privileged"], &["--user", "u1"]] {
        let (text, code) = status(&engine, flags, "cat /secret");
        assert_eq!(code, 1, "{flags:?}: {text}");
        assert!(text.contains("Permission denied"), "{flags:?}: {text}");
    }
}

/// CVE-2026-30892: `--user 1` taken for uid 0.
#[test]
fn a4_the_uid_is_exactly_the_one_asked_for() {
    let Some(engine) = Engine::new() else { return };
    let rootfs = engine.rootfs();
    let id = engine.ok(&["run", "-d", "--rootfs", &rootfs, "sleep", "1000"]);
    for (user, uid) in [("1", 1), ("5:5", 5), ("1000", 1000), ("01000", 1000), ("0:0", 0), ("65534", 65534)] {
        let expected = format!("Uid:\t{uid}\t{uid}\t{uid}\t{uid}");
        assert_eq!(status(&engine, &["--user", user], "grep ^Uid /proc/self/status"), (expected.clone(), 0), "run --user {user}");
        assert_eq!(engine.ok(&["exec", "--user", user, &id, "grep", "^Uid", "/proc/self/status"]), expected, "exec --user {user}");
    }
}

/// CVE-2024-40635, CVE-2016-3697: a number looked up as a name, or one that overflows to 0.
#[test]
fn a5_a_number_is_never_a_name_and_never_overflows_to_root() {
    let Some(engine) = Engine::new() else { return };
    let rootfs = engine.rootfs();
    let evil =
        "root:x:0:0::/:/bin/sh\n1000:x:0:0::/:/bin/sh\n4294967296:x:0:0::/:/bin/sh\n2147483648:x:0:0::/:/bin/sh\n-1:x:0:0::/:/bin/sh\n";
    std::fs::write(format!("{rootfs}/etc/passwd"), evil).unwrap();
    let (text, code) = status(&engine, &["--user", "1000"], "grep ^Uid /proc/self/status");
    assert_eq!((text.as_str(), code), ("Uid:\t1000\t1000\t1000\t1000", 0));
    for user in ["4294967296", "2147483648", "-1", "4294967295", "99999999999999999999"] {
        let (text, code) = status(&engine, &["--user", user], "id");
        assert!(matches!(code, 125 | 126), "--user {user}: {code}: {text}");
        assert!(!text.contains("uid=0"), "--user {user}: {text}");
    }
}

/// An id of the image's passwd file that is out of range.
#[test]
fn a6_a_user_with_an_id_out_of_range_is_refused() {
    let Some(engine) = Engine::new() else { return };
    let rootfs = engine.rootfs();
    std::fs::write(
        format!("{rootfs}/etc/passwd"),
        "root:x:0:0::/:/bin/sh\nbig:x:4294967295:0::/:/bin/sh\nhuge:x:4294967296:0::/:/bin/sh\n",
    )
    .unwrap();
    for user in ["big", "huge"] {
        let (text, code) = status(&engine, &["--user", user], "id");
        assert!(matches!(code, 125 | 126), "{user}: {code}: {text}");
        assert!(text.contains(user) || text.contains("429496729"), "{user}: {text}");
    }
}

/// CVE-2022-2989, CVE-2023-25173: supplementary groups without the primary one, or the caller's own.
#[test]
fn a7_groups_are_the_same_for_run_and_exec() {
    let Some(engine) = Engine::new() else { return };
    let rootfs = engine.rootfs();
    let id = engine.ok(&["run", "-d", "--rootfs", &rootfs, "sleep", "1000"]);
    for (user, groups) in [("u1", "5 1000"), ("1000:7", "7"), ("1000", "5 1000"), ("4242", "0")] {
        let expected = format!("Groups:\t{groups}");
        assert_eq!(status(&engine, &["--user", user], "grep ^Groups /proc/self/status").0.trim(), expected, "run --user {user}");
        assert_eq!(
            engine.ok(&["exec", "--user", user, &id, "grep", "^Groups", "/proc/self/status"]).trim(),
            expected,
            "exec --user {user}"
        );
    }
}

/// CVE-2022-0492: release_agent through a new user namespace and cgroup namespace.
#[test]
fn a8_a_cgroup_hierarchy_cannot_be_mounted_or_written() {
    let Some(engine) = Engine::new() else { return };
    let script = "mkdir /tmp/c; mount -t cgroup -o pids none /tmp/c && echo MOUNTED; for f in /sys/fs/cgroup/*/release_agent; do (echo x > $f) 2>/dev/null && echo WRITTEN; done; unshare -Ur true && echo NAMESPACE; true";
    for flags in [&["--cap-drop", "all"][..], &[], &["--cgroupns", "host"]] {
        let (text, _) = status(&engine, flags, script);
        assert!(!text.contains("MOUNTED") && !text.contains("WRITTEN") && !text.contains("NAMESPACE"), "{flags:?}: {text}");
    }
}

/// A user namespace of one's own gives every capability back: by unshare(2), clone(2), clone3(2), or setns(2) into one.
#[test]
fn a9_new_user_namespaces_are_refused_unless_asked_for() {
    let Some(engine) = Engine::new() else { return };
    let rootfs = engine.rootfs();
    // The kernel itself answers EINVAL to a process that joins its own namespace: then the filter has let it through.
    let refused = ["errno 1", "errno 38", "errno 1", "errno 1"];
    let allowed = ["ok", "ok", "errno 22", "ok"];
    for (flags, expected) in [
        (&[][..], refused),
        (&["--cap-drop", "all", "--user", "1000", "--security-opt", "no-new-privileges"], refused),
        (&["--user", "1000"], refused),
        (&["--cap-add", "setuid,setgid,sys_ptrace,sys_chroot"], refused),
        (&["--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536"], refused),
        (&["--cap-add", "sys_admin"], allowed),
        (&["--security-opt", "nested-userns"], allowed),
        (&["--cap-drop", "all", "--security-opt", "nested-userns"], allowed),
        (&["--security-opt", "seccomp=unconfined"], allowed),
    ] {
        let words: Vec<&str> =
            ["run", "--rm"].into_iter().chain(flags.iter().copied()).chain(["--rootfs", &rootfs, "/attack", "calls"]).collect();
        let outcome: serde_json::Value = serde_json::from_str(&engine.ok(&words)).unwrap();
        let found = ["clone NEWUSER", "clone3 NEWUSER", "setns NEWUSER", "unshare NEWUSER"].map(|call| outcome[call].as_str().unwrap());
        assert_eq!(found, expected, "{flags:?}");
    }
}

/// A capability that the engine itself lacks: Podman drops it silently, we say it, and inspect tells the truth.
#[test]
fn a10_a_capability_that_cannot_be_given_is_warned_about() {
    let Some(engine) = Engine::new() else { return };
    let lacking = selkie_caps::Capability::ALL.into_iter().find(|capability| own_bounding() & (1 << capability.number()) == 0);
    let Some(lacking) = lacking else {
        crate::harness::skip("this process has every capability");
        return;
    };
    let rootfs = engine.rootfs();
    let said = engine.run(&["run", "-d", "--name", "c", "--cap-add", lacking.name(), "--rootfs", &rootfs, "sleep", "1000"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.stderr.contains(lacking.name()), "{said:?}");
    assert!(!engine.ok(&["inspect", "--format", "{{.EffectiveCaps}} {{.BoundingCaps}}", "c"]).contains(lacking.name()));
}

/// Names that are no capabilities.
#[test]
fn a11_malformed_names_are_refused_with_podmans_words() {
    let Some(engine) = Engine::new() else { return };
    let rows = [
        (&["--cap-add", "CAP_BOGUS"][..], "\"CAP_BOGUS\": unknown capability"),
        (&["--cap-add", "13"], "\"CAP_13\": unknown capability"),
        (&["--cap-add", "NET_RAW "], "\"CAP_NET_RAW \": unknown capability"),
        (&["--cap-drop", "bogus", "--cap-add", "bad"], "\"CAP_BOGUS\": unknown capability"),
        (&["--cap-add", "net_raw", "--cap-drop", "net_raw"], "capability \"CAP_NET_RAW\" cannot be dropped and added"),
        (&["--cap-add", "all", "--cap-drop", "all"], "adding all caps and removing all caps not allowed"),
    ];
    for (flags, expected) in rows {
        let (text, code) = status(&engine, flags, "true");
        assert_eq!((text.as_str(), code), (format!("Error: {expected}").as_str(), 125), "{flags:?}");
    }
    assert_eq!(engine.ok(&["ps", "--all", "--quiet"]), "");
}

/// A label of an image may take capabilities away and never give one.
#[test]
fn a12_a_label_never_grants() {
    let Some(engine) = Engine::new() else { return };
    let (text, code) = status(&engine, &["--label", "io.containers.capabilities=sys_admin"], "grep CapBnd /proc/self/status");
    assert_eq!(code, 0, "{text}");
    assert!(text.starts_with("CapBnd:\t00000000800405fb"), "{text}");
    let (text, _) = status(&engine, &["--label", "io.containers.capabilities=chown"], "grep CapBnd /proc/self/status");
    assert_eq!(text, "CapBnd:\t0000000000000001");
    // The same as a label of an image.
    let archive = engine.path("image.tar");
    let packed = std::process::Command::new("tar").args(["-C", &engine.rootfs(), "-cf"]).arg(&archive).arg(".").status().unwrap();
    assert!(packed.success());
    for (label, bounding) in [("sys_admin", "00000000800405fb"), ("sys_admin,chown", "00000000800405fb"), ("chown", "0000000000000001")] {
        let change = format!("LABEL io.containers.capabilities={label}");
        engine.ok(&["import", "--change", &change, archive.to_str().unwrap(), "labelled"]);
        let text = engine.ok(&["run", "--rm", "labelled", "grep", "CapBnd", "/proc/self/status"]);
        assert_eq!(text, format!("CapBnd:\t{bounding}"), "{label}");
    }
}
