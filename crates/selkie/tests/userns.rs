//! Containers in a user namespace of their own: ids of images, what root in there may do, and what it leaves on disk.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod harness;

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use harness::{Engine, Said, busybox, skip};

const MAP: &str = "--uidmap=0:100000:65536";

/// An engine with the image `image:1`, whose directory `/own` has files of root, of 1000, of 70000, a setuid file and a device.
fn engine_with_image() -> Option<Engine> {
    let engine = Engine::new()?;
    if busybox().is_none() {
        skip("no static busybox");
        return None;
    }
    let root = PathBuf::from(engine.rootfs());
    let own = root.join("own");
    std::fs::create_dir(&own).unwrap();
    for (name, id) in [("root", 0), ("user", 1000), ("far", 70_000)] {
        std::fs::write(own.join(name), name).unwrap();
        std::os::unix::fs::chown(own.join(name), Some(id), Some(id)).unwrap();
    }
    std::os::unix::fs::symlink("../bin/busybox", root.join("bin/chown")).unwrap();
    std::fs::copy(root.join("probe"), own.join("probe")).unwrap();
    command("chmod", &["4755", own.join("probe").to_str().unwrap()]);
    command("mknod", &["-m", "666", own.join("null").to_str().unwrap(), "c", "1", "3"]);
    let archive = engine.path("image.tar").display().to_string();
    command("tar", &["-C", root.to_str().unwrap(), "-cf", &archive, "."]);
    engine.ok(&["import", &archive, "image:1"]);
    let tried = engine.run(&["run", "--rm", MAP, "image:1", "true"]);
    if tried.stderr.contains("cannot map the ids") {
        skip("the file system of the records has no idmapped mounts in this kernel");
        return None;
    }
    assert_eq!(tried.code, 0, "{tried:?}");
    Some(engine)
}

fn command(program: &str, arguments: &[&str]) {
    assert!(Command::new(program).args(arguments).status().unwrap().success(), "{program} {arguments:?}");
}

/// Runs a shell script in a new container of the image with `flags`; returns what it says.
fn script(engine: &Engine, flags: &[&str], script: &str) -> String {
    let said = shell(engine, flags, script);
    assert_eq!((said.code, said.stderr.as_str()), (0, ""), "{flags:?} {script:?}: {}", said.stdout);
    said.stdout.trim_end().to_owned()
}

fn shell(engine: &Engine, flags: &[&str], script: &str) -> Said {
    let words: Vec<&str> = ["run", "--rm", MAP].into_iter().chain(flags.iter().copied()).chain(["image:1", "sh", "-c", script]).collect();
    engine.run(&words)
}

/// The writable layer of the only container.
fn upper(engine: &Engine) -> PathBuf {
    let containers: Vec<_> = std::fs::read_dir(engine.path("root/containers")).unwrap().flatten().collect();
    assert_eq!(containers.len(), 1);
    containers[0].path().join("upper")
}

fn owner(path: &Path) -> (u32, u32) {
    let data = std::fs::symlink_metadata(path).unwrap();
    (data.uid(), data.gid())
}

/// Every file beneath `directory` that does not belong to one of the ids below 65536.
fn shifted(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap().flatten() {
        let (uid, gid) = owner(&entry.path());
        if uid >= 65536 || gid >= 65536 {
            found.push(entry.path());
        }
        if entry.file_type().unwrap().is_dir() {
            found.extend(shifted(&entry.path()));
        }
    }
    found
}

#[test]
fn image_files_keep_their_owners_inside() {
    let Some(engine) = engine_with_image() else { return };
    let seen = script(&engine, &[], "stat -c '%u:%g' / /etc /own/root /own/user /own/far; cat /proc/self/uid_map /proc/self/gid_map");
    let words: Vec<&str> = seen.split_whitespace().collect();
    let map = ["0", "100000", "65536"];
    assert_eq!(words, [["0:0", "0:0", "0:0", "1000:1000", "65534:65534"].as_slice(), &map, &map].concat());
}

#[test]
fn files_of_the_engine_belong_to_root_inside() {
    let Some(engine) = engine_with_image() else { return };
    let paths = "/etc/hosts /etc/hostname /etc/resolv.conf /run/.containerenv /dev /dev/pts /dev/shm";
    let seen = script(&engine, &[], &format!("stat -c '%u:%g' {paths} && echo '127.0.0.1 x' >>/etc/hosts"));
    assert_eq!(seen.lines().collect::<Vec<_>>(), ["0:0"; 7]);
}

#[test]
fn write_keeps_ids_on_disk_unshifted() {
    let Some(engine) = engine_with_image() else { return };
    let work = "echo x >/new; echo x >/mine && chown 1000:1000 /mine; echo x >>/own/user; rm /own/root; mkdir /d && chown 7 /d";
    engine.ok(&["run", "--name", "c", MAP, "image:1", "sh", "-c", work]);
    let upper = upper(&engine);
    let owners = ["", "new", "mine", "own/user", "own/root", "d"].map(|name| owner(&upper.join(name)));
    assert_eq!(owners, [(0, 0), (0, 0), (1000, 1000), (1000, 1000), (0, 0), (7, 0)]);
    assert_eq!(shifted(upper.parent().unwrap()), Vec::<PathBuf>::new());
}

#[test]
fn restart_sees_its_own_files() {
    let Some(engine) = engine_with_image() else { return };
    let work = "stat -c %u /mine 2>/dev/null; echo x >/mine; chown 1000 /mine; test -e /own/root && rm /own/root";
    engine.run(&["run", "--name", "c", MAP, "image:1", "sh", "-c", work]);
    let second = engine.run(&["start", "--attach", "c"]);
    assert_eq!((second.stdout.as_str(), second.code), ("1000\n", 1));
    engine.ok(&["rm", "c"]);
    assert_eq!(std::fs::read_dir(engine.path("root/containers")).unwrap().count(), 0);
    assert_eq!(std::fs::read_dir(engine.path("run/containers")).unwrap().count(), 0);
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(engine.path("").to_str().unwrap()), "{mounts}");
}

#[test]
fn id_beyond_the_map_cannot_be_had() {
    let Some(engine) = engine_with_image() else { return };
    let said = shell(&engine, &[], "chown 70000 /own/root; chown 5 /own/far; echo x >/own/far; stat -c '%u %s' /own/root /own/far");
    assert_eq!(said.stdout, "0 4\n65534 3\n");
    let expected = ["chown: /own/root: Invalid argument", "chown: /own/far: Operation not permitted", "can't create /own/far: "];
    for (line, expected) in said.stderr.lines().zip(expected) {
        assert!(line.contains(expected), "{line}");
    }
    let said = engine.run(&["run", "--rm", MAP, "--user", "70000", "image:1", "true"]);
    assert_eq!(said, Said { stdout: String::new(), stderr: said.stderr.clone(), code: 126 });
    assert!(said.stderr.contains("uid 70000: it is not mapped"), "{said:?}");
}

#[test]
fn setuid_file_gives_root_of_the_namespace_and_devices_of_the_image_are_closed() {
    let Some(engine) = engine_with_image() else { return };
    let seen: serde_json::Value = serde_json::from_str(&script(&engine, &["--user", "1000"], "/own/probe")).unwrap();
    assert_eq!((&seen["status"]["Uid"], &seen["status"]["CapEff"]), (&"1000\t0\t0\t0".into(), &"00000000800405fb".into()));
    let said = shell(&engine, &[], "cat /own/null; echo x >/own/null; mknod /n c 1 3");
    assert_eq!(said.stderr.lines().filter(|line| line.contains("Permission denied")).count(), 2, "{said:?}");
    assert!(said.stderr.contains("mknod: /n: Operation not permitted"), "{said:?}");
}

#[test]
fn capabilities_are_only_over_the_namespace() {
    let Some(engine) = engine_with_image() else { return };
    let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let attempts = "mount -t tmpfs x /tmp && echo tmpfs
        mount -t ext4 /dev/vda /tmp 2>/dev/null && echo ext4
        (echo 1 >/proc/sys/kernel/core_pattern) 2>/dev/null && echo sysctl
        (echo b >/proc/sysrq-trigger) 2>/dev/null && echo sysrq
        mknod /n b 254 0 2>/dev/null && echo mknod
        hostname other && echo hostname; true";
    let said = shell(&engine, &["--privileged"], attempts);
    assert_eq!((said.stdout.as_str(), said.code), ("tmpfs\nhostname\n", 0), "{said:?}");
    let said = shell(&engine, &["--privileged", "--network", "host"], "ip link add selkie0 type dummy 2>/dev/null && echo link; true");
    assert_eq!((said.stdout.as_str(), said.code), ("", 0), "{said:?}");
    assert_eq!(std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap(), hostname);
}

#[test]
fn exec_is_in_the_namespace() {
    let Some(engine) = engine_with_image() else { return };
    engine.ok(&["run", "--detach", "--name", "c", MAP, "image:1", "sleep", "1000"]);
    let look = "echo $(cat /proc/self/uid_map); id -u; stat -c %u /own/user; echo x >/by-exec; readlink /proc/self/ns/user; readlink /proc/1/ns/user";
    let seen = engine.ok(&["exec", "c", "sh", "-c", look]);
    let lines: Vec<&str> = seen.lines().collect();
    assert_eq!(lines[..3], ["0 100000 65536", "0", "1000"]);
    assert_eq!(lines[3], lines[4]);
    assert_eq!(engine.ok(&["exec", "--user", "1000", "c", "id", "-u"]), "1000");
    assert_eq!(owner(&upper(&engine).join("by-exec")), (0, 0));
    let pid = engine.ok(&["inspect", "--format", "{{.State.Pid}}", "c"]);
    assert_eq!(std::fs::metadata(format!("/proc/{pid}")).unwrap().uid(), 100_000);
}

#[test]
fn inspect_shows_mode_and_maps() {
    let Some(engine) = engine_with_image() else { return };
    let id = engine.ok(&["create", "--name", "c", MAP, "--gidmap", "0:200000:1000", "image:1", "true"]);
    let shown = |name: &str| {
        let text = engine.ok(&["inspect", "--format", "{{json .HostConfig}}", name]);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        (value["UsernsMode"].clone(), value.get("IDMappings").cloned())
    };
    let maps = serde_json::json!({"UidMap": ["0:100000:65536"], "GidMap": ["0:200000:1000"]});
    assert_eq!(shown("c"), ("private".into(), Some(maps)));
    engine.ok(&["create", "--name", "host", "image:1", "true"]);
    assert_eq!(shown("host"), ("".into(), None));
    engine.ok(&["rm", "c"]);
    engine.ok(&["run", "--detach", "--name", "c", MAP, "image:1", "sleep", "1000"]);
    let joined = engine.ok(&["create", "--name", "j", "--userns", "container:c", "image:1", "true"]);
    assert_ne!(joined, id);
    let maps = serde_json::json!({"UidMap": ["0:100000:65536"], "GidMap": ["0:100000:65536"]});
    let id = engine.ok(&["inspect", "--format", "{{.Id}}", "c"]);
    assert_eq!(shown("j"), (format!("container:{id}").into(), Some(maps)));
}

#[test]
fn joined_namespace_is_the_other_containers() {
    let Some(engine) = engine_with_image() else { return };
    engine.ok(&["run", "--detach", "--name", "c", MAP, "image:1", "sleep", "1000"]);
    let theirs = engine.ok(&["exec", "c", "readlink", "/proc/self/ns/user"]);
    let pid = engine.ok(&["inspect", "--format", "{{.State.Pid}}", "c"]);
    let look = "readlink /proc/self/ns/user; id -u; stat -c %u /own/user; hostname inside; grep ^CapEff: /proc/self/status";
    for mode in ["--userns=container:c".to_owned(), format!("--userns=ns:/proc/{pid}/ns/user")] {
        let seen = engine.ok(&["run", "--rm", &mode, "--cap-add", "sys_admin", "image:1", "sh", "-c", look]);
        assert_eq!(seen, format!("{theirs}\n0\n1000\nCapEff:\t00000000802405fb"), "{mode}");
    }
    let all = ["--userns", "container:c", "--pid", "container:c", "--network", "container:c", "--ipc", "container:c"];
    let words: Vec<&str> = ["run", "--rm"].into_iter().chain(all).chain(["image:1", "sh", "-c", "test -e /proc/1/ns && ps"]).collect();
    assert!(engine.ok(&words).contains("sleep 1000"));
    let own = engine.ok(&["run", "--rm", "--userns", "ns:/proc/self/ns/user", "image:1", "cat", "/proc/self/uid_map"]);
    assert_eq!(own.split_whitespace().collect::<Vec<_>>(), ["0", "0", "4294967295"]);
    engine.ok(&["stop", "--time", "0", "c"]);
    let said = engine.run(&["run", "--rm", "--userns", "container:c", "image:1", "true"]);
    assert!(said.code == 125 && said.stderr.contains("it is not running"), "{said:?}");
}

#[test]
fn overlay_over_a_directory_maps_its_ids_too() {
    let Some(engine) = engine_with_image() else { return };
    let directory = format!("{}:O", engine.rootfs());
    let look = "stat -c %u /own/root /own/user && echo x >/own/user";
    assert_eq!(engine.ok(&["run", "--rm", MAP, "--rootfs", &directory, "sh", "-c", look]), "0\n1000");
    assert_eq!(std::fs::read_to_string(Path::new(&engine.rootfs()).join("own/user")).unwrap(), "user");
}

#[test]
fn maps_without_root_or_with_an_overlap_leave_nothing_behind() {
    let Some(engine) = engine_with_image() else { return };
    for maps in [["--uidmap", "5:100000:10", "--user", "5:5"].as_slice(), &["--uidmap", "0:100000:10", "--uidmap", "5:100000:10"]] {
        let words: Vec<&str> = ["run", "--rm"].into_iter().chain(maps.iter().copied()).chain(["image:1", "true"]).collect();
        let said = engine.run(&words);
        assert!(matches!(said.code, 125 | 126), "{said:?}");
        assert!(said.stderr.contains("map"), "{said:?}");
    }
    assert_eq!(std::fs::read_dir(engine.path("root/containers")).unwrap().count(), 0);
    assert_eq!(engine.ok(&["ps", "--all", "--quiet"]), "");
}

/// A layer on a file system that cannot map ids: procfs cannot, in any kernel.
#[test]
fn file_system_without_idmapped_mounts_is_named() {
    let Some(engine) = engine_with_image() else { return };
    let said = engine.run(&["run", "--rm", MAP, "--rootfs", "/proc/self/..:O", "true"]);
    assert_eq!(said.code, 125, "{said:?}");
    assert!(said.stderr.contains("cannot map the ids of `/proc`") || said.stderr.contains("cannot mount"), "{said:?}");
    assert_eq!(engine.ok(&["ps", "--all", "--quiet"]), "");
}

/// Runs a command where `/etc/subuid` and `/etc/subgid` have a line for containers.
fn with_ranges(engine: &Engine, words: &[&str]) -> Said {
    let file = engine.path("subid");
    std::fs::write(&file, "containers:2000000:10000\n").unwrap();
    let script = "mount --bind \"$0\" /etc/subuid && mount --bind \"$0\" /etc/subgid && exec \"$@\"";
    let selkie = engine.command(words);
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script]).arg(&file).arg(selkie.get_program()).args(selkie.get_args());
    command.env("CONTAINERS_CONF", "/dev/null").stdin(std::process::Stdio::null());
    let output = command.output().unwrap();
    Said {
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
        code: output.status.code().unwrap(),
    }
}

#[test]
fn auto_gives_every_container_ids_of_its_own() {
    let Some(engine) = engine_with_image() else { return };
    let shown = |words: &[&str]| {
        let said = with_ranges(&engine, words);
        assert_eq!(said.code, 0, "{said:?}");
        said.stdout.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let look = ["image:1", "sh", "-c", "cat /proc/self/uid_map; test -e /mine && stat -c %u /mine; echo x >/mine"];
    let run = |flags: &[&str]| shown(&[&["run"], flags, &look].concat());
    assert_eq!(run(&["--name", "a", "--userns", "auto"]), ["0", "2000000", "1024"]);
    assert_eq!(run(&["--name", "b", "--userns", "auto:size=2000"]), ["0", "2001024", "2000"]);
    assert_eq!(shown(&["start", "--attach", "b"]), ["0", "2001024", "2000", "0"]);
    engine.ok(&["rm", "a"]);
    assert_eq!(run(&["--rm", "--userns", "auto:size=500"]), ["0", "2000000", "500"]);
    let said = with_ranges(&engine, &["create", "--userns", "auto:size=9000", "image:1"]);
    assert_eq!(said.code, 125);
    assert!(said.stderr.contains("creating container storage: not enough unused IDs in user namespace"), "{said:?}");
}
