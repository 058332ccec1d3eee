//! Programs with file capabilities: the warning before a start that will fail for them, and `caps files`. The kernel is the oracle:
//! what is said of a program is compared with what happens when it is executed.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod harness;

use std::path::Path;

use harness::{Engine, busybox, skip};
use selkie_caps::{CapSet, Capability, FileCaps};

const NET_RAW: CapSet = CapSet::EMPTY.with(Capability::NetRaw);

/// A root file system whose `/bin/busybox-ping` is a busybox with these capabilities; `None` where the file system takes none.
fn with_pinger(engine: &Engine, capabilities: FileCaps) -> Option<String> {
    let rootfs = engine.rootfs();
    let Some(busybox) = busybox() else {
        skip("no static busybox");
        return None;
    };
    let pinger = Path::new(&rootfs).join("bin/busybox-ping");
    std::fs::copy(busybox, &pinger).unwrap();
    give(&pinger, capabilities).then_some(rootfs)
}

fn give(file: &Path, capabilities: FileCaps) -> bool {
    let given = rustix::fs::setxattr(file, "security.capability", &capabilities.to_bytes(), rustix::fs::XattrFlags::empty());
    if let Err(errno) = given {
        skip(&format!("no file capabilities here: {errno}"));
    }
    given.is_ok()
}

const WARNING: &str = "cannot be executed (EPERM): its file capabilities need NET_RAW, which is not in the bounding set \
    (--cap-add NET_RAW gives it, or `setcap -r /bin/busybox-ping` in the image removes them from the file)";

#[test]
fn run_of_a_program_above_the_bounding_set_warns_and_fails() {
    let Some(engine) = Engine::new() else { return };
    let Some(rootfs) = with_pinger(&engine, FileCaps::new(NET_RAW, CapSet::EMPTY, true)) else { return };
    for program in ["busybox-ping", "/bin/busybox-ping"] {
        let said = engine.run(&["run", "--rm", "--env", "PATH=/nowhere:/bin", "--rootfs", &rootfs, program, "true"]);
        assert_eq!((said.code, said.stdout.as_str(), said.stderr.matches(WARNING).count()), (126, "", 1), "{said:?}");
        assert!(said.stderr.contains("Operation not permitted"), "{said:?}");
    }
}

#[test]
fn run_with_the_capability_or_without_the_effective_flag_says_nothing() {
    let Some(engine) = Engine::new() else { return };
    let Some(rootfs) = with_pinger(&engine, FileCaps::new(NET_RAW, CapSet::EMPTY, true)) else { return };
    let said = engine.run(&["run", "--rm", "--cap-add", "NET_RAW", "--rootfs", &rootfs, "busybox-ping", "true"]);
    assert_eq!((said.code, said.stderr.as_str()), (0, ""));
    assert!(give(&Path::new(&rootfs).join("bin/busybox-ping"), FileCaps::new(NET_RAW, CapSet::EMPTY, false)));
    let said = engine.run(&["run", "--rm", "--rootfs", &rootfs, "busybox-ping", "true"]);
    assert_eq!((said.code, said.stderr.as_str()), (0, ""));
}

#[test]
fn create_and_start_of_a_program_above_the_bounding_set_warn_once_each() {
    let Some(engine) = Engine::new() else { return };
    let Some(rootfs) = with_pinger(&engine, FileCaps::new(NET_RAW, CapSet::EMPTY, true)) else { return };
    let created = engine.run(&["create", "--name", "c", "--rootfs", &rootfs, "busybox-ping", "true"]);
    assert_eq!((created.code, created.stderr.matches(WARNING).count()), (0, 1), "{created:?}");
    let started = engine.run(&["start", "c"]);
    assert_eq!((started.code, started.stderr.matches(WARNING).count()), (125, 1), "{started:?}");
}

#[test]
fn run_of_a_program_under_a_volume_is_not_judged_by_what_it_covers() {
    let Some(engine) = Engine::new() else { return };
    let Some(rootfs) = with_pinger(&engine, FileCaps::new(NET_RAW, CapSet::EMPTY, true)) else { return };
    let other = engine.path("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::copy(busybox().unwrap(), other.join("busybox-ping")).unwrap();
    let volume = format!("{}:/bin:ro", other.display());
    let said = engine.run(&["run", "--rm", "--volume", &volume, "--rootfs", &rootfs, "busybox-ping", "true"]);
    assert_eq!((said.code, said.stderr.as_str()), (0, ""));
}

/// Lines of `caps files` of container `name`: path and what is said of it.
fn said_of(engine: &Engine, words: &[&str]) -> Vec<(String, String)> {
    let words: Vec<&str> = ["caps", "files", "--format", "{{.Path}}\\t{{.Outcome}}"].into_iter().chain(words.iter().copied()).collect();
    engine.ok(&words).lines().filter_map(|line| line.split_once('\t')).map(|(path, said)| (path.to_owned(), said.to_owned())).collect()
}

/// What the kernel does with `program` in a container with `flags`, in the words of `caps files`.
fn executed(engine: &Engine, flags: &[&str], rootfs: &str, program: &str) -> String {
    let words: Vec<&str> = ["run", "--rm"].into_iter().chain(flags.iter().copied()).chain(["--rootfs", rootfs, program]).collect();
    let said = engine.run(&words);
    if said.code == 126 {
        return "EPERM".to_owned();
    }
    let seen: serde_json::Value = serde_json::from_str(&said.stdout).unwrap_or_else(|error| panic!("{program}: {error}: {said:?}"));
    let status = &seen["status"];
    let id = |key: &str| status[key].as_str().unwrap().split_whitespace().nth(1).unwrap().to_owned();
    let sets = ["CapAmb", "CapPrm", "CapEff"].map(|key| status[key].as_str().unwrap().to_owned());
    format!("{} {} {}", id("Uid"), id("Gid"), sets.join(" "))
}

#[test]
fn caps_files_foretells_what_the_kernel_does() {
    let Some(engine) = Engine::new() else { return };
    let rootfs = engine.rootfs();
    let at = |name: &str| Path::new(&rootfs).join("bin").join(name);
    let chown = CapSet::EMPTY.with(Capability::Chown);
    let programs = [
        ("bare", 0o755, None),
        ("raw", 0o755, Some(FileCaps::new(NET_RAW, CapSet::EMPTY, true))),
        ("raw-permitted", 0o755, Some(FileCaps::new(NET_RAW, CapSet::EMPTY, false))),
        ("chown", 0o755, Some(FileCaps::new(chown, CapSet::EMPTY, true))),
        ("foreign", 0o755, Some(FileCaps::new(chown, CapSet::EMPTY, true).with_rootid(1000))),
        ("set-uid", 0o4755, None),
        ("set-gid", 0o2755, None),
        ("both", 0o4755, Some(FileCaps::new(chown, CapSet::EMPTY, true))),
    ];
    for (name, mode, capabilities) in programs {
        std::fs::copy(Path::new(&rootfs).join("probe"), at(name)).unwrap();
        std::fs::set_permissions(at(name), std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        if capabilities.is_some_and(|capabilities| !give(&at(name), capabilities)) {
            return;
        }
    }
    let flags: [&[&str]; 5] = [
        &[],
        &["--user", "1000"],
        &["--user", "1000", "--cap-add", "NET_RAW"],
        &["--user", "1000", "--security-opt", "no-new-privileges"],
        &["--user", "1000", "--cap-drop", "all"],
    ];
    for (number, flags) in flags.iter().enumerate() {
        let name = format!("c{number}");
        let words: Vec<&str> =
            ["create", "--name", &name].into_iter().chain(flags.iter().copied()).chain(["--rootfs", &rootfs, "/bin/bare"]).collect();
        engine.ok(&words);
        let values: Vec<serde_json::Value> = serde_json::from_str(&engine.ok(&["caps", "files", &name, "--format", "json"])).unwrap();
        assert_eq!(values.len(), programs.len() - 1, "{values:?}");
        let plain = executed(&engine, flags, &rootfs, "/bin/bare");
        for value in values {
            let (path, result) = (value["Path"].as_str().unwrap(), value["Result"].as_str().unwrap());
            let real = executed(&engine, flags, &rootfs, path);
            let set = |key: &str| {
                let names: Vec<&str> = value[key].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
                format!("{:016x}", names.iter().fold(CapSet::EMPTY, |set, name| set.union(CapSet::parse(name).unwrap())))
            };
            match result {
                "refused" => assert_eq!(real, "EPERM", "{flags:?} {value}"),
                "ignored" | "nothing" => assert_eq!(real, plain, "{flags:?} {value}"),
                "holds" => {
                    assert!(
                        real.ends_with(&format!("{} {}", set("Permitted"), set("Effective"))) && real != plain,
                        "{flags:?} {value} {real}"
                    );
                }
                other => panic!("{other}"),
            }
        }
    }
}

#[test]
fn caps_files_of_a_running_container_sees_mounts_and_of_a_stopped_one_what_it_wrote() {
    let Some(engine) = Engine::new() else { return };
    let rootfs = engine.rootfs();
    if busybox().is_none() {
        return skip("no static busybox");
    }
    let lower = format!("{rootfs}:O");
    let script = "for d in /t /srv; do cp /bin/busybox $d/su; chmod 4755 $d/su; done; rm /bin/gone; touch /ready; sleep 100";
    std::fs::create_dir(Path::new(&rootfs).join("srv")).unwrap();
    std::fs::copy(Path::new(&rootfs).join("probe"), Path::new(&rootfs).join("bin/gone")).unwrap();
    std::fs::set_permissions(Path::new(&rootfs).join("bin/gone"), std::os::unix::fs::PermissionsExt::from_mode(0o4755)).unwrap();
    engine.ok(&["run", "-d", "--name", "c", "--tmpfs", "/t", "--rootfs", &lower, "sh", "-c", script]);
    engine.ok(&["exec", "c", "sh", "-c", "while ! test -e /ready; do :; done"]);
    let nosuid = ("/t/su".to_owned(), "ignored: nosuid mount".to_owned());
    let all = "permitted and effective CHOWN,DAC_OVERRIDE,FOWNER,FSETID,KILL,SETGID,SETUID,SETPCAP,NET_BIND_SERVICE,SYS_CHROOT,SETFCAP";
    let suid = ("/srv/su".to_owned(), format!("uid 0, {all}"));
    assert_eq!(said_of(&engine, &["c", "--user", "u1"]), [suid.clone(), nosuid]);
    engine.ok(&["kill", "c"]);
    engine.ok(&["wait", "c"]);
    assert_eq!(said_of(&engine, &["c", "--user", "u1"]), [suid]);
}

#[test]
fn caps_files_of_a_container_of_another_engine_is_what_its_own_says() {
    let (Some(engine), Some(stranger)) = (Engine::new(), Engine::new()) else { return };
    let Some(rootfs) = with_pinger(&engine, FileCaps::new(NET_RAW, CapSet::EMPTY, true)) else { return };
    for flags in [
        &["--cap-drop", "all"][..],
        &["--cap-add", "net_raw", "--user", "7:8"],
        &["--uidmap", "0:100000:1000", "--security-opt", "no-new-privileges"],
    ] {
        let words: Vec<&str> = [&["run", "-d", "--name", "c"], flags, &["--rootfs", &rootfs, "sleep", "1000"]].concat();
        let started = engine.run(&words);
        if started.code != 0 {
            skip(&format!("{flags:?} cannot be had here: {}", started.stderr.trim()));
            continue;
        }
        let id = started.stdout.trim();
        let (own, others) = (said_of(&engine, &["c"]), said_of(&stranger, &[id]));
        assert!(!own.is_empty());
        assert_eq!(own, others, "{flags:?}");
        let refused = stranger.run(&["caps", "files", "--user", "7", id]);
        assert_eq!((refused.code, refused.stdout.as_str()), (125, ""), "{refused:?}");
        engine.ok(&["rm", "-f", "-t", "0", "c"]);
    }
}

#[test]
fn caps_files_of_a_hostile_name_is_one_line_without_escapes() {
    let Some(engine) = Engine::new() else { return };
    let directory = engine.path("dir");
    std::fs::create_dir(&directory).unwrap();
    let file = directory.join("su\u{1b}[31m\nforged");
    std::fs::write(&file, "").unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o4755)).unwrap();
    std::os::unix::fs::symlink("/usr/bin", directory.join("link")).unwrap();
    let text = engine.ok(&["caps", "files", "--noheading", "--user", "1000", directory.to_str().unwrap()]);
    assert_eq!((text.lines().count(), text.contains('\u{1b}')), (1, false), "{text:?}");
}

#[test]
fn caps_files_of_nothing_and_of_a_container_with_cap_add_are_errors() {
    let Some(engine) = Engine::new() else { return };
    let rootfs = engine.rootfs();
    engine.ok(&["create", "--name", "c", "--rootfs", &rootfs, "/probe"]);
    let unknown = engine.run(&["caps", "files", "nope"]);
    assert_eq!((unknown.code, unknown.stderr.as_str()), (125, "Error: no such container or image: \"nope\"\n"));
    let given = engine.run(&["caps", "files", "c", "--cap-add", "kill"]);
    assert_eq!(given.code, 125, "{given:?}");
    let missing = engine.run(&["caps", "files", "/nowhere/at/all"]);
    assert_eq!(missing.code, 125, "{missing:?}");
}

#[test]
fn caps_files_of_an_image_takes_capabilities_as_run_does() {
    let Some(engine) = Engine::new() else { return };
    let Some(rootfs) = with_pinger(&engine, FileCaps::new(NET_RAW, CapSet::EMPTY, true)) else { return };
    let archive = engine.path("root.tar");
    let packed =
        std::process::Command::new("tar").args(["-C", &rootfs, "--xattrs", "--xattrs-include=*", "-cf"]).arg(&archive).arg(".").output();
    if !packed.is_ok_and(|output| output.status.success()) {
        return skip("no tar(1) that takes attributes");
    }
    engine.ok(&["import", archive.to_str().unwrap(), "image"]);
    let refused = "EPERM: needs NET_RAW, which is not in the bounding set";
    assert_eq!(said_of(&engine, &["image"]), [("/bin/busybox-ping".to_owned(), refused.to_owned())]);
    let given = "permitted and effective NET_RAW";
    let words = ["image", "--user", "1000", "--cap-add", "net_raw"];
    assert_eq!(said_of(&engine, &words), [("/bin/busybox-ping".to_owned(), given.to_owned())]);
}

/// Writes a docker-archive of layers, each a list of files with their modes; those of 0 are empty and only mark something.
fn archive(engine: &Engine, layers: &[&[(&str, u32)]]) -> Option<String> {
    let directory = engine.path("archive");
    let run =
        |program: &str, words: &[&str]| std::process::Command::new(program).args(words).output().ok().filter(|said| said.status.success());
    let at = |name: &str| directory.join(name).to_str().unwrap().to_owned();
    let (mut members, mut digests) = (Vec::new(), Vec::new());
    std::fs::create_dir_all(directory.join("out")).unwrap();
    for (number, files) in layers.iter().enumerate() {
        let tree = directory.join(format!("tree-{number}"));
        for (path, mode) in *files {
            let path = tree.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, if *mode == 0 { "" } else { "program" }).unwrap();
            std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode((*mode).max(0o644))).unwrap();
        }
        let member = format!("out/layer-{number}.tar");
        run("tar", &["-C", &at(&format!("tree-{number}")), "-cf", &at(&member), "."])?;
        let sum = run("sha256sum", &[&at(&member)])?;
        digests.push(format!("sha256:{}", String::from_utf8(sum.stdout).unwrap().split(' ').next().unwrap()));
        members.push(format!("layer-{number}.tar"));
    }
    let config =
        serde_json::json!({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": digests}});
    std::fs::write(directory.join("out/config.json"), config.to_string()).unwrap();
    let manifest = serde_json::json!([{"Config": "config.json", "RepoTags": ["localhost/layers:1"], "Layers": members}]);
    std::fs::write(directory.join("out/manifest.json"), manifest.to_string()).unwrap();
    run("tar", &["-C", &at("out"), "-cf", &at("image.tar"), "."])?;
    Some(at("image.tar"))
}

#[test]
fn caps_files_of_an_image_sees_what_its_layers_have_removed_and_replaced() {
    let Some(engine) = Engine::new() else { return };
    let bottom: &[(&str, u32)] = &[
        ("bin/kept", 0o4755),
        ("bin/gone", 0o4755),
        ("bin/tamed", 0o4755),
        ("old/su", 0o4755),
        ("opaque/su", 0o4755),
        ("back/su", 0o4755),
    ];
    let middle: &[(&str, u32)] = &[
        ("bin/.wh.gone", 0),
        ("bin/tamed", 0o755),
        (".wh.old", 0),
        ("opaque/.wh..wh..opq", 0),
        ("opaque/new", 0o2755),
        ("back/.wh.su", 0),
    ];
    let top: &[(&str, u32)] = &[("back/su", 0o4711), ("bin/late", 0o4755)];
    let Some(archive) = archive(&engine, &[bottom, middle, top]) else { return skip("no tar(1) or sha256sum(1)") };
    engine.ok(&["load", "-q", "-i", &archive]);
    let found: Vec<String> = said_of(&engine, &["localhost/layers:1"]).into_iter().map(|(path, _)| path).collect();
    assert_eq!(found, ["/back/su", "/bin/kept", "/bin/late", "/opaque/new"]);
    // A container of it that removes one more, and is not running.
    engine.ok(&["create", "--name", "c", "localhost/layers:1", "/bin/kept"]);
    let listed = engine.ok(&["caps", "files", "c", "--format", "{{.Path}}"]);
    assert_eq!(listed.lines().collect::<Vec<_>>(), found);
}

#[test]
fn caps_files_of_a_container_does_not_wait_for_a_file_system_that_never_answers() {
    let Some(engine) = Engine::new() else { return };
    let rootfs = engine.rootfs();
    if busybox().is_none() || !Path::new("/dev/fuse").exists() {
        return skip("no static busybox, or no FUSE");
    }
    for directory in ["deaf", "over", "srv"] {
        std::fs::create_dir(Path::new(&rootfs).join(directory)).unwrap();
    }
    // A file system without anybody who serves it: whoever asks waits for ever.
    let script = "cp /bin/busybox /srv/su; chmod 4755 /srv/su; exec 3<>/dev/fuse; \
        mount -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0 none /deaf && exec 4<>/dev/fuse && \
        mount -t fuse -o fd=4,rootmode=40000,user_id=0,group_id=0 none /etc && echo > /ready; sleep 1000";
    let flags = ["--device", "/dev/fuse", "--cap-add", "SYS_ADMIN", "--security-opt", "seccomp=unconfined", "--name", "c"];
    let words: Vec<&str> = ["run", "-d"].into_iter().chain(flags).chain(["--rootfs", &rootfs, "sh", "-c", script]).collect();
    engine.ok(&words);
    let ready = Path::new(&rootfs).join("ready");
    if !(0..500).any(|_| ready.exists() || (std::thread::sleep(std::time::Duration::from_millis(10)), false).1) {
        return skip("FUSE cannot be mounted in a container here");
    }
    let begun = std::time::Instant::now();
    let said = engine.run(&["caps", "files", "c", "--format", "{{.Path}}"]);
    assert_eq!((said.code, said.stdout.as_str()), (0, "/srv/su\n"), "{said:?}");
    // In the order of the directory.
    let unseen = ["/deaf", "/etc"].map(|first| format!("2 places could not be looked at, the first is {first}: it is a mount of fuse"));
    assert!(unseen.iter().any(|unseen| said.stderr.contains(unseen)), "{said:?}");
    assert!(begun.elapsed() < std::time::Duration::from_secs(8), "{:?}", begun.elapsed());
    // Whose name stands in a file there cannot be told, which is said after a while.
    let said = engine.run(&["caps", "files", "c", "--user", "somebody"]);
    assert!(said.code == 125 && said.stderr.contains("no answer within 10 s"), "{said:?}");
}
