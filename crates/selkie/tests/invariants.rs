//! What the kernel says of a process in a container, read from `/proc` by a static probe, over every combination of
//! flags that decides something. The expected numbers are written here by hand: they are not the planner's.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod harness;

use harness::{Engine, own_bounding};
use serde_json::Value;

/// Podman's eleven.
const DEFAULT: u64 = 0x8004_05fb;
const NET_ADMIN: u64 = 1 << 12;
const NET_RAW: u64 = 1 << 13;
const NET_BIND_SERVICE: u64 = 1 << 10;

/// The five sets, in the order of `/proc/PID/status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sets {
    inheritable: u64,
    permitted: u64,
    effective: u64,
    bounding: u64,
    ambient: u64,
}

/// Root: what is bounding is permitted and effective.
const fn root(set: u64) -> Sets {
    Sets { inheritable: 0, permitted: set, effective: set, bounding: set, ambient: 0 }
}

/// Another user: nothing but what was added for it, which is ambient.
const fn user(added: u64, bounding: u64) -> Sets {
    Sets { inheritable: added, permitted: added, effective: added, bounding, ambient: added }
}

fn sets(report: &Value) -> Sets {
    let set = |key: &str| u64::from_str_radix(report["status"][key].as_str().unwrap(), 16).unwrap();
    Sets { inheritable: set("CapInh"), permitted: set("CapPrm"), effective: set("CapEff"), bounding: set("CapBnd"), ambient: set("CapAmb") }
}

fn words(flags: &str) -> Vec<&str> {
    flags.split_whitespace().collect()
}

#[test]
fn sets_of_every_kind_of_user_are_as_podman_has_them() {
    let Some(engine) = Engine::new() else { return };
    let own = own_bounding();
    let rows: Vec<(&str, Sets)> = vec![
        ("", root(DEFAULT)),
        ("--user 0", root(DEFAULT)),
        ("--user root", root(DEFAULT)),
        ("--user 0:0", root(DEFAULT)),
        ("--user 0:1000", root(DEFAULT)),
        ("--user 1000", user(0, DEFAULT)),
        ("--user 1000:1000", user(0, DEFAULT)),
        ("--user u1", user(0, DEFAULT)),
        ("--user 65534", user(0, DEFAULT)),
        ("--user 1000 --cap-add net_bind_service", user(NET_BIND_SERVICE, DEFAULT)),
        ("--user 1000 --cap-add NET_ADMIN", user(NET_ADMIN, DEFAULT | NET_ADMIN)),
        ("--user bin --cap-drop all --cap-add net_bind_service", user(NET_BIND_SERVICE, NET_BIND_SERVICE)),
        ("--user 1000 --cap-drop all", user(0, 0)),
        ("--user 1000 --cap-add all", user(own, own)),
        ("--cap-drop all", root(0)),
        ("--cap-drop=ALL", root(0)),
        ("--cap-drop all --cap-add setuid --cap-add setgid", root(0xc0)),
        ("--cap-drop all --cap-add setuid,setgid", root(0xc0)),
        ("--cap-drop all --cap-add chown --cap-drop net_raw", root(1)),
        ("--cap-add NET_ADMIN", root(DEFAULT | NET_ADMIN)),
        ("--cap-add CAP_NET_ADMIN,net_raw", root(DEFAULT | NET_ADMIN | NET_RAW)),
        ("--cap-drop net_raw", root(DEFAULT)),
        ("--cap-drop chown", root(DEFAULT & !1)),
        ("--cap-drop CAP_CHOWN,dac_override", root(DEFAULT & !3)),
        ("--cap-add all", root(own)),
        ("--cap-add all --cap-drop net_raw", root(own & !NET_RAW)),
        ("--privileged", root(own)),
        ("--privileged --cap-drop all", root(own)),
        ("--privileged --user 1000", user(0, own)),
        ("--privileged --user 1000 --cap-add net_admin", user(NET_ADMIN, own)),
        ("--security-opt no-new-privileges", root(DEFAULT)),
        ("--security-opt no-new-privileges --user 1000 --cap-add net_admin", user(NET_ADMIN, DEFAULT | NET_ADMIN)),
        ("--security-opt seccomp=unconfined", root(DEFAULT)),
        ("--security-opt seccomp=unconfined --user 1000", user(0, DEFAULT)),
        ("--uidmap 0:100000:65536 --gidmap 0:100000:65536", root(DEFAULT)),
        ("--uidmap 0:100000:65536 --gidmap 0:100000:65536 --cap-drop all", root(0)),
        ("--uidmap 0:100000:65536 --gidmap 0:100000:65536 --user 1000", user(0, DEFAULT)),
        ("--init", root(DEFAULT)),
        ("--read-only --cap-drop all", root(0)),
        ("--label io.containers.capabilities=setuid,setgid", root(0xc0)),
    ];
    for (flags, expected) in rows {
        assert_eq!(sets(&engine.probe(&words(flags))), expected, "{flags}");
    }
}

#[test]
fn each_capability_alone_is_exactly_that_one() {
    let Some(engine) = Engine::new() else { return };
    let own = own_bounding();
    for capability in selkie_caps::Capability::ALL {
        let bit = 1 << capability.number();
        let report = engine.probe(&["--cap-drop", "all", "--cap-add", capability.name()]);
        // What this process lacks itself cannot be given, and is not.
        assert_eq!(sets(&report), root(bit & own), "{capability}");
    }
}

#[test]
fn filter_and_no_new_privileges_are_what_was_asked_for() {
    let Some(engine) = Engine::new() else { return };
    let rows = [
        ("", "2", "0"),
        ("--user 1000", "2", "0"),
        ("--cap-drop all", "2", "0"),
        ("--cap-add sys_admin", "2", "0"),
        ("--privileged", "0", "0"),
        ("--security-opt seccomp=unconfined", "0", "0"),
        ("--security-opt no-new-privileges", "2", "1"),
        ("--security-opt no-new-privileges --privileged", "0", "1"),
        ("--security-opt no-new-privileges --user 1000 --cap-drop all", "2", "1"),
    ];
    for (flags, seccomp, no_new_privileges) in rows {
        let status = &engine.probe(&words(flags))["status"];
        assert_eq!((&status["Seccomp"], &status["NoNewPrivs"]), (&Value::from(seccomp), &Value::from(no_new_privileges)), "{flags}");
        assert_eq!(status["Seccomp_filters"], if seccomp == "2" { "1" } else { "0" }, "{flags}");
    }
}

#[test]
fn ids_and_groups_are_the_images_and_the_flags() {
    let Some(engine) = Engine::new() else { return };
    let rows = [
        ("", 0, 0, "0"),
        ("--user 1000", 1000, 1000, "5 1000"),
        ("--user u1", 1000, 1000, "5 1000"),
        ("--user 1000:7", 1000, 7, "7"),
        ("--user 5:5", 5, 5, "5"),
        ("--user 1000:1000 --group-add 7", 1000, 1000, "7 1000"),
        ("--user 4242", 4242, 0, "0"),
    ];
    for (flags, uid, gid, groups) in rows {
        let status = &engine.probe(&words(flags))["status"];
        let four = |id: i32| Value::from(format!("{id}\t{id}\t{id}\t{id}"));
        assert_eq!((&status["Uid"], &status["Gid"], &status["Groups"]), (&four(uid), &four(gid), &Value::from(groups)), "{flags}");
    }
}

/// Flags that must not change what [`common`] checks.
const EVERYWHERE: [&str; 14] = [
    "",
    "--user 1000",
    "--cap-drop all",
    "--cap-add net_admin",
    "--network none",
    "--init",
    "--read-only",
    "--tmpfs /t",
    "--hostname name",
    "--security-opt no-new-privileges",
    "--umask 0027",
    "--env A=b",
    "--volume /etc:/mnt:ro",
    "--uidmap 0:100000:65536 --gidmap 0:100000:65536",
];

#[test]
fn a_process_has_nothing_of_the_engine() {
    let Some(engine) = Engine::new() else { return };
    for flags in EVERYWHERE {
        let report = engine.probe(&words(flags));
        let at = |path: &str| report.pointer(path).cloned().unwrap_or(Value::Null);
        let descriptors: Vec<String> = report["descriptors"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(descriptors, ["0", "1", "2"], "{flags}");
        assert_eq!(at("/descriptors/0"), "/dev/null", "{flags}");
        // SIGPIPE is ignored by the probe's own runtime.
        assert_eq!((at("/status/SigBlk"), at("/status/SigIgn")), ("0000000000000000".into(), "0000000000001000".into()), "{flags}");
        assert_eq!((at("/securebits"), at("/keep_caps")), (0.into(), false.into()), "{flags}");
        assert_eq!((at("/status/TracerPid"), at("/oom_score_adj")), ("0".into(), "0".into()), "{flags}");
        assert_eq!(at("/parent_death_signal"), Value::Null, "{flags}");
        assert_eq!((at("/cwd"), at("/root")), ("/".into(), "/".into()), "{flags}");
        assert_eq!(at("/exe"), "/probe", "{flags}");
        if flags != "--init" {
            assert_eq!((at("/status/NSsid"), at("/status/NSpid")), ("1".into(), "1".into()), "{flags}");
        }
        let mut names: Vec<String> = report["environment"].as_object().unwrap().keys().cloned().collect();
        names.retain(|name| name != "A");
        assert_eq!(names, ["HOME", "HOSTNAME", "PATH", "TERM", "container"], "{flags}");
    }
}

#[test]
fn kernel_interfaces_are_covered_and_protected() {
    let Some(engine) = Engine::new() else { return };
    for flags in EVERYWHERE {
        let report = engine.probe(&words(flags));
        for (path, cover) in report["covered"].as_object().unwrap() {
            let cover = cover.as_str().unwrap();
            match path.as_str() {
                // Read-only, not covered.
                "/proc/sys" | "/proc/bus" | "/proc/irq" | "/proc/sysrq-trigger" => {}
                "/proc/acpi" | "/proc/scsi" | "/sys/firmware" | "/sys/devices/virtual/powercap" | "/sys/fs/selinux" => {
                    assert!(matches!(cover, "missing" | "directory of 0"), "{flags}: {path} is {cover}");
                }
                _ => assert!(matches!(cover, "missing" | "device 1:3"), "{flags}: {path} is {cover}"),
            }
        }
        for (path, outcome) in report["writable"].as_object().unwrap() {
            assert_ne!(outcome, "opened", "{flags}: {path} could be opened for writing");
        }
    }
}

#[test]
fn no_mount_spreads_and_none_is_missing() {
    let Some(engine) = Engine::new() else { return };
    for flags in EVERYWHERE {
        let report = engine.probe(&words(flags));
        let mounts = report["mounts"].as_array().unwrap();
        for mount in mounts {
            assert_eq!(mount["propagation"], "", "{flags}: {mount}");
        }
        let options = |point: &str| {
            let mount = mounts.iter().rev().find(|mount| mount["point"] == point).unwrap_or_else(|| panic!("{flags}: no mount at {point}"));
            (mount["kind"].as_str().unwrap().to_owned(), mount["options"].as_str().unwrap().replace(",relatime", ""))
        };
        let is = |kind: &str, options: &str| (kind.to_owned(), options.to_owned());
        assert_eq!(options("/proc"), is("proc", "rw,nosuid,nodev,noexec"), "{flags}");
        assert_eq!(options("/sys"), is("sysfs", "ro,nosuid,nodev,noexec"), "{flags}");
        assert_eq!(options("/proc/sys"), is("proc", "ro,nosuid,nodev,noexec"), "{flags}");
        assert_eq!(options("/dev"), is("tmpfs", "rw,nosuid,noexec"), "{flags}");
        assert_eq!(options("/dev/mqueue"), is("mqueue", "rw,nosuid,nodev,noexec"), "{flags}");
        assert_eq!(options("/dev/shm"), is("tmpfs", "rw,nosuid,nodev,noexec"), "{flags}");
        assert_eq!(options("/dev/pts"), is("devpts", "rw,nosuid,noexec"), "{flags}");
        assert!(options("/sys/fs/cgroup").1.starts_with("ro,"), "{flags}");
    }
}

#[test]
fn dev_has_six_nodes_and_the_usual_links() {
    let Some(engine) = Engine::new() else { return };
    // What most containers have is made before they are known: without namespaces of its own a container's is made for it.
    for flags in ["", "--user 1000", "--cap-drop all", "--read-only", "--cap-add mknod", "--network host", "--ipc host"] {
        let report = engine.probe(&words(flags));
        let dev: Vec<(String, String)> =
            report["dev"].as_object().unwrap().iter().map(|(name, what)| (name.clone(), what.as_str().unwrap().to_owned())).collect();
        let expected = [
            ("core", "/proc/kcore"),
            ("fd", "/proc/self/fd"),
            ("full", "1:7 666 0:0"),
            ("mqueue", "directory"),
            ("null", "1:3 666 0:0"),
            ("ptmx", "pts/ptmx"),
            ("pts", "directory"),
            ("random", "1:8 666 0:0"),
            ("shm", "directory"),
            ("stderr", "/proc/self/fd/2"),
            ("stdin", "/proc/self/fd/0"),
            ("stdout", "/proc/self/fd/1"),
            ("tty", "5:0 666 0:0"),
            ("urandom", "1:9 666 0:0"),
            ("zero", "1:5 666 0:0"),
        ]
        .map(|(name, what)| (name.to_owned(), what.to_owned()));
        assert_eq!(dev, expected, "{flags}");
    }
}

#[test]
fn namespaces_are_the_containers_own_unless_the_hosts_was_asked_for() {
    let Some(engine) = Engine::new() else { return };
    let host = |name: &str| std::fs::read_link(format!("/proc/self/ns/{name}")).unwrap().display().to_string();
    let rows = [
        ("", "mnt net pid ipc uts cgroup"),
        ("--network host", "mnt pid ipc uts cgroup"),
        ("--pid host", "mnt net ipc uts cgroup"),
        ("--ipc host", "mnt net pid uts cgroup"),
        ("--uts host", "mnt net pid ipc cgroup"),
        ("--cgroupns host", "mnt net pid ipc uts"),
        ("--network host --pid host --ipc host --uts host --cgroupns host", "mnt"),
        ("--uidmap 0:100000:65536 --gidmap 0:100000:65536", "mnt net pid ipc uts cgroup user"),
    ];
    for (flags, own) in rows {
        let report = engine.probe(&words(flags));
        for (name, inode) in report["namespaces"].as_object().unwrap() {
            let is_own = own.split(' ').any(|own| own == name);
            assert_eq!(inode.as_str().unwrap() != host(name), is_own, "{flags}: {name}");
        }
    }
}

#[test]
fn new_user_namespaces_give_nothing_back() {
    let Some(engine) = Engine::new() else { return };
    let rows = [
        ("", false),
        ("--cap-drop all", false),
        ("--cap-drop all --user 1000 --security-opt no-new-privileges", false),
        ("--security-opt nested-userns", true),
        ("--cap-add sys_admin", true),
        ("--privileged", true),
    ];
    for (flags, allowed) in rows {
        let outcome = engine.probe(&words(flags))["syscalls"]["unshare user"].clone();
        assert_eq!(outcome == "ok", allowed, "{flags}: {outcome}");
    }
}

#[test]
fn sockets_follow_the_filter_and_the_capabilities() {
    let Some(engine) = Engine::new() else { return };
    let rows = [("", false, false), ("--cap-add net_raw", true, false), ("--security-opt seccomp=unconfined", false, true)];
    for (flags, raw, unfiltered) in rows {
        let sockets = engine.probe(&words(flags))["sockets"].clone();
        assert_eq!(sockets["inet stream"], "ok", "{flags}");
        assert_eq!(sockets["inet raw"] == "ok", raw, "{flags}: {sockets}");
        assert_eq!(sockets["packet"] == "ok", raw, "{flags}: {sockets}");
        for family in ["alg", "vsock"] {
            let refused_by_filter = sockets[family] == "errno 1";
            assert_eq!(refused_by_filter, !unfiltered, "{flags}: {family} is {}", sockets[family]);
        }
    }
}

#[test]
fn sysctl_of_ping_goes_with_net_raw() {
    let Some(engine) = Engine::new() else { return };
    for (flags, range) in [("", "0 0"), ("--cap-drop net_raw", "1 0"), ("--cap-drop all", "1 0")] {
        assert_eq!(engine.probe(&words(flags))["sysctls"]["net/ipv4/ping_group_range"], range, "{flags}");
    }
    let asked = engine.probe(&["--cap-drop", "all", "--sysctl", "net.ipv4.ping_group_range=0 5"]);
    assert_eq!(asked["sysctls"]["net/ipv4/ping_group_range"], "0 5");
}

#[test]
fn limits_and_identity_of_the_kernel_are_what_was_asked_for() {
    let Some(engine) = Engine::new() else { return };
    let report = engine.probe(&["--ulimit", "nofile=64:128", "--umask", "0027", "--oom-score-adj", "100", "--hostname", "name"]);
    assert_eq!(report["limits"]["Max open files"], "64:128");
    assert_eq!(report["status"]["Umask"], "0027");
    assert_eq!(report["oom_score_adj"], "100");
    assert_eq!(report["sysctls"]["kernel/hostname"], "name");
}

#[test]
fn own_cgroup_shows_no_path_of_the_host() {
    let Some(engine) = Engine::new() else { return };
    for flags in ["", "--memory 64m", "--cap-drop all"] {
        let report = engine.probe(&words(flags));
        for line in report["cgroup"].as_array().unwrap() {
            assert!(line.as_str().unwrap().ends_with(":/"), "{flags}: {line}");
        }
    }
}

#[test]
fn exec_is_confined_as_the_container_is() {
    let Some(engine) = Engine::new() else { return };
    let rootfs = engine.rootfs();
    let rows: [(&str, &str, Sets, &str, &str); 9] = [
        ("", "", root(DEFAULT), "2", "0"),
        ("", "--user 1000", user(0, DEFAULT), "2", "0"),
        ("--cap-drop all", "", root(0), "2", "0"),
        ("--cap-drop all --security-opt no-new-privileges", "", root(0), "2", "1"),
        ("--user 1000 --cap-add net_bind_service", "", user(NET_BIND_SERVICE, DEFAULT), "2", "0"),
        ("--user 1000 --cap-add net_bind_service", "--user 0", root(DEFAULT), "2", "0"),
        ("--user 1000 --cap-add net_bind_service", "--user 2000", user(0, DEFAULT), "2", "0"),
        ("", "--privileged", root(own_bounding()), "2", "0"),
        ("", "--cap-drop all --cap-add chown", root(1), "2", "0"),
    ];
    for (flags, exec, expected, seccomp, no_new_privileges) in rows {
        let run: Vec<&str> = ["run", "-d"].into_iter().chain(words(flags)).chain(["--rootfs", &rootfs, "/bin/sleep", "1000"]).collect();
        let id = engine.ok(&run);
        let mut command: Vec<&str> = vec!["exec"];
        command.extend(words(exec));
        command.extend([id.as_str(), "/probe"]);
        let report: Value = serde_json::from_str(&engine.ok(&command)).unwrap();
        assert_eq!(sets(&report), expected, "{flags} / {exec}");
        assert_eq!(
            (&report["status"]["Seccomp"], &report["status"]["NoNewPrivs"]),
            (&Value::from(seccomp), &Value::from(no_new_privileges)),
            "{flags} / {exec}"
        );
        let descriptors: Vec<String> = report["descriptors"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(descriptors, ["0", "1", "2"], "{flags} / {exec}");
        engine.ok(&["rm", "-f", "-t", "0", &id]);
    }
}

#[test]
fn a_monitor_has_no_capability_and_nothing_of_its_caller() {
    let Some(engine) = Engine::new() else { return };
    let rootfs = engine.rootfs();
    let id = engine.ok(&["run", "-d", "--rootfs", &rootfs, "/bin/sleep", "1000"]);
    let pid = engine.ok(&["inspect", "--format", "{{.State.ConmonPid}}", &id]);
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert!(status.contains(&format!("{set}:\t0000000000000000")), "{status}");
    }
    let outside: Vec<String> = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .flatten()
        .filter_map(|entry| Some(std::fs::read_link(entry.path()).ok()?.display().to_string()))
        .filter(|target| !["pipe:", "socket:", "anon_inode:", "/dev/null"].iter().any(|own| target.starts_with(own)))
        .collect();
    // The protected copy of the engine's own binary is attached nowhere, so its path is the root of its mount.
    assert!(outside.iter().all(|target| target == "/"), "{outside:?}");
    let binary = std::fs::OpenOptions::new().append(true).open(format!("/proc/{pid}/exe"));
    assert!(binary.is_err(), "the monitor's binary can be written");
}

/// The lines of `/proc/PID/status` that say what a process may do.
fn rights(pid: &str) -> Vec<String> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let of_rights = |line: &&str| ["Cap", "NoNewPrivs", "Seccomp:", "Uid", "Gid"].iter().any(|key| line.starts_with(key));
    status.lines().filter(of_rights).map(str::to_owned).collect()
}

fn mask(rights: &[String], key: &str) -> u64 {
    let line = rights.iter().find_map(|line| line.strip_prefix(key)).unwrap();
    u64::from_str_radix(line.trim_start_matches(':').trim(), 16).unwrap()
}

#[test]
fn inspect_says_what_the_kernel_says() {
    let Some(engine) = Engine::new() else { return };
    let rootfs = engine.rootfs();
    for flags in
        ["", "--cap-drop all", "--cap-add net_admin,sys_time", "--user 1000", "--user 1000 --cap-add net_bind_service", "--privileged"]
    {
        let words = [&words("run -d --name a"), &words(flags), &words("--rootfs")[..], &[&rootfs, "sleep", "60"]].concat();
        engine.ok(&words);
        let shown = engine.ok(&["inspect", "--format", "{{.State.Pid}} {{join .EffectiveCaps \",\"}} {{join .BoundingCaps \",\"}}", "a"]);
        let [pid, effective, bounding] = shown.split(' ').collect::<Vec<_>>()[..] else { panic!("{shown}") };
        let rights = rights(pid);
        for (names, key) in [(effective, "CapEff"), (bounding, "CapBnd")] {
            let set: selkie_caps::CapSet =
                names.split(',').filter(|name| !name.is_empty()).map(|name| selkie_caps::Capability::parse_name(name).unwrap()).collect();
            assert_eq!(set.bits(), mask(&rights, key), "{flags}: {key} {names}");
        }
        engine.ok(&["rm", "-f", "-t", "0", "a"]);
    }
}

#[test]
fn monitor_holds_no_capability_and_its_death_changes_no_right() {
    let Some(engine) = Engine::new() else { return };
    let rootfs = engine.rootfs();
    for flags in ["", "--cap-drop all --security-opt no-new-privileges", "--user 1000 --cap-add net_bind_service", "--privileged"] {
        let words = [&words("run -d --name a"), &words(flags), &words("--rootfs")[..], &[&rootfs, "sleep", "60"]].concat();
        engine.ok(&words);
        let shown = engine.ok(&["inspect", "--format", "{{.State.Pid}} {{.State.ConmonPid}}", "a"]);
        let (pid, monitor) = shown.split_once(' ').unwrap();
        let of_monitor = rights(monitor);
        assert_eq!(["CapInh", "CapPrm", "CapEff", "CapAmb"].map(|key| mask(&of_monitor, key)), [0; 4], "{flags}");
        let before = rights(pid);
        let number = rustix::process::Pid::from_raw(monitor.parse().unwrap()).unwrap();
        rustix::process::kill_process(number, rustix::process::Signal::KILL).unwrap();
        while std::fs::read_to_string(format!("/proc/{monitor}/stat")).is_ok_and(|stat| !stat.contains(") Z ")) {}
        assert_eq!(rights(pid), before, "{flags}");
        let inside = engine.ok(&["exec", "a", "cat", "/proc/self/status"]);
        let of_exec: Vec<String> = inside.lines().filter(|line| line.starts_with("CapBnd")).map(str::to_owned).collect();
        assert_eq!(mask(&of_exec, "CapBnd"), mask(&before, "CapBnd"), "{flags}");
        engine.ok(&["rm", "-f", "-t", "0", "a"]);
    }
}
