//! C: mounts, masks, `/dev`, `/proc`, and links in a hostile root file system.

use std::os::unix::fs::symlink;
use std::path::Path;

use crate::harness::Engine;

/// A directory of the host next to the root file system, which must stay empty.
fn canary(engine: &Engine) -> std::path::PathBuf {
    let path = engine.path("canary");
    std::fs::create_dir_all(&path).unwrap();
    path
}

fn entries(path: &Path) -> usize {
    std::fs::read_dir(path).unwrap().count()
}

/// CVE-2025-31133: the cover of a masked file taken from the container's own `/dev/null`.
#[test]
fn c1_a_masked_file_is_covered_by_the_hosts_null_device() {
    let Some(engine) = Engine::new() else { return };
    let rootfs = engine.rootfs();
    let dev = engine.path("dev");
    std::fs::create_dir_all(&dev).unwrap();
    symlink("/proc/sys/kernel/core_pattern", dev.join("null")).unwrap();
    let volume = format!("{}:/dev", dev.display());
    let said = engine.run(&["run", "--rm", "-v", &volume, "--rootfs", &rootfs, "stat", "-c", "%t:%T", "/proc/keys"]);
    assert!(said.stdout.trim() == "1:3" || said.code != 0, "{said:?}");
}

/// A root file system in a directory that a second container has as `/vol`, where it exchanges two entries of the root for ever.
struct Raced {
    rootfs: String,
    attacker: String,
}

impl Raced {
    /// `decoy` is put beside `name` of the root, and takes its place and gives it back all the time.
    fn new(engine: &Engine, name: &str, decoy: impl FnOnce(&Path)) -> Self {
        let own = engine.rootfs();
        let shared = engine.path("shared");
        let _ = std::fs::remove_dir_all(&shared);
        std::fs::create_dir_all(&shared).unwrap();
        let root = shared.join("root");
        let copied = std::process::Command::new("cp").arg("-a").arg(&own).arg(&root).status().unwrap();
        assert!(copied.success());
        decoy(&root.join("decoy"));
        let volume = format!("{}:/vol", shared.display());
        let (one, other) = (format!("/vol/root/{name}"), "/vol/root/decoy");
        let attacker = engine.ok(&["run", "-d", "-v", &volume, "--rootfs", &own, "/attack", "swap", &one, other]);
        Self { rootfs: crate::harness::text(&root), attacker }
    }

    fn end(self, engine: &Engine) {
        engine.ok(&["rm", "-f", "-t", "0", &self.attacker]);
    }
}

/// CVE-2025-31133, CVE-2025-52881: `/proc` or `/sys` is exchanged between its mount and its masks, so that those land elsewhere.
#[test]
fn c1_masks_land_on_the_mount_that_was_made_even_if_its_directory_is_exchanged() {
    for name in ["proc", "sys"] {
        let Some(engine) = Engine::new() else { return };
        let raced = Raced::new(&engine, name, |decoy| std::fs::create_dir(decoy).unwrap());
        let (mut started, place) = (0, format!("/{name}"));
        for _ in 0..60 {
            let said = engine.run(&["run", "--rm", "--rootfs", &raced.rootfs, "/attack", "hunt", &place, "/decoy"]);
            started += i32::from(said.code == 0);
            assert_eq!(said.stdout, "", "{name}");
        }
        raced.end(&engine);
        assert!(started > 0, "{name}: no container has started, so nothing was tried");
    }
}

/// CVE-2025-31133: the null device of a `/dev` that two containers share is exchanged for a link to what is then bound in its place.
#[test]
fn c1_a_null_device_that_is_exchanged_for_a_link_covers_nothing_and_uncovers_nothing() {
    let Some(engine) = Engine::new() else { return };
    let null = format!("{}/dev/null", engine.rootfs());
    let kind = rustix::fs::FileType::CharacterDevice;
    rustix::fs::mknodat(rustix::fs::CWD, &null, kind, rustix::fs::Mode::from_raw_mode(0o666), rustix::fs::makedev(1, 3)).unwrap();
    let raced = Raced::new(&engine, "dev/null", |decoy| symlink("/proc/sys/kernel/core_pattern", decoy).unwrap());
    let volume = format!("{}/dev:/dev", raced.rootfs);
    for _ in 0..40 {
        let said = engine.run(&["run", "--rm", "-v", &volume, "--rootfs", &raced.rootfs, "/attack", "hunt", "/proc", "/sys"]);
        assert_eq!((said.stdout.as_str(), said.code), ("", 0), "{said:?}");
    }
    raced.end(&engine);
}

/// CVE-2025-52565: what is bound to `/dev/console`, or the place that it is bound to, is exchanged for a link.
#[test]
fn c2_the_console_is_bound_to_nothing_but_the_console() {
    let find = "/attack hunt /proc; test -t 0 && echo TERMINAL; \
        while read a b c d place rest; do case \"$rest\" in *' - devpts '*) echo \"$place\";; esac; done < /proc/self/mountinfo";
    for link in [false, true] {
        let Some(engine) = Engine::new() else { return };
        let host = canary(&engine);
        let target = "/../../../../../../canary";
        let raced = Raced::new(&engine, "dev", |decoy| {
            if link {
                symlink(target, decoy).unwrap();
            } else {
                std::fs::create_dir(decoy).unwrap();
                for (name, target) in [("console", "/proc/sys/kernel/core_pattern"), ("pts", target), ("ptmx", "/etc/passwd")] {
                    symlink(target, decoy.join(name)).unwrap();
                }
            }
        });
        let mut started = 0;
        for _ in 0..40 {
            let said = engine.run(&["run", "--rm", "-t", "--rootfs", &raced.rootfs, "sh", "-c", find]);
            assert!(matches!(said.code, 0 | 125 | 126), "{said:?}");
            if said.code == 0 {
                started += 1;
                let lines: Vec<&str> = said.stdout.lines().map(str::trim_end).collect();
                let [terminal, pts, console] = lines.as_slice() else { panic!("{said:?}") };
                assert_eq!(*terminal, "TERMINAL");
                assert!(matches!(*pts, "/dev/pts" | "/decoy/pts") && matches!(*console, "/dev/console" | "/decoy/console"), "{said:?}");
            }
        }
        raced.end(&engine);
        assert!(started > 0, "no container has started, so nothing was tried");
        assert_eq!(entries(&host), 0);
    }
}

/// CVE-2019-19921, CVE-2023-27561, CVE-2026-41579: `/proc`, `/sys` or `/dev` of the image is a link.
#[test]
fn c3_c4_a_link_in_place_of_proc_sys_or_dev_is_refused() {
    let Some(engine) = Engine::new() else { return };
    let host = canary(&engine);
    for name in ["proc", "sys", "dev"] {
        let root = engine.path(&format!("root-{name}"));
        for directory in ["proc", "sys", "dev", "etc", "bin"] {
            std::fs::create_dir_all(root.join(directory)).unwrap();
        }
        std::fs::copy(format!("{}/probe", engine.rootfs()), root.join("probe")).unwrap();
        std::fs::remove_dir(root.join(name)).unwrap();
        symlink("../canary", root.join(name)).unwrap();
        let said = engine.run(&["run", "--rm", "--rootfs", root.to_str().unwrap(), "/probe"]);
        assert_eq!(said.code, 126, "{name}: {said:?}");
        assert!(said.stderr.contains("ordinary directory"), "{name}: {said:?}");
        assert_eq!(entries(&host), 0, "{name}");
    }
}

/// CVE-2026-55686: a working directory made through a link to the host.
#[test]
fn c5_a_working_directory_is_made_beneath_the_root() {
    let Some(engine) = Engine::new() else { return };
    let rootfs = engine.rootfs();
    let host = canary(&engine);
    symlink("../canary", format!("{rootfs}/wd")).unwrap();
    let _ = engine.run(&["run", "--rm", "-w", "/wd/new", "--rootfs", &rootfs, "true"]);
    assert_eq!(entries(&host), 0);
}

/// CVE-2021-30465: the target of a mount, or a parent of it, becomes a link between the check and the mount.
#[test]
fn c6_a_target_that_turns_into_a_link_leads_nowhere() {
    let Some(engine) = Engine::new() else { return };
    let host = canary(&engine);
    let source = engine.path("source");
    std::fs::create_dir_all(&source).unwrap();
    std::fs::write(engine.path("file"), "file of the source").unwrap();
    let up = format!("{}canary", "../".repeat(12));
    let links = [format!("/../../..{}", host.display()), format!("../../../../../../..{}", host.display()), up, "/proc/1/root".to_owned()];
    // Volumes, a file, a tmpfs, and a working directory that is made, which with `--workdir` is only done on a mount.
    let directory = format!("{}:/d/volume", source.display());
    let file = format!("{}:/d/file", engine.path("file").display());
    let flags = ["run", "--rm", "-v", &directory, "-v", &file, "--tmpfs", "/d/tmpfs", "-w", "/d/tmpfs/work/new", "--rootfs"];
    engine.ok(&[&flags[..], &[&engine.rootfs(), "true"]].concat());
    for link in links {
        let raced = Raced::new(&engine, "d", |decoy| {
            std::fs::create_dir_all(decoy.with_file_name("d")).unwrap();
            symlink(&link, decoy).unwrap();
        });
        for _ in 0..30 {
            let said = engine.run(&[&flags[..], &[&raced.rootfs, "true"]].concat());
            assert!(matches!(said.code, 0 | 125 | 126), "{link}: {said:?}");
        }
        raced.end(&engine);
        assert_eq!(entries(&host), 0, "{link}");
    }
    assert_eq!(std::fs::read_to_string(engine.path("file")).unwrap(), "file of the source");
    let mountinfo = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mountinfo.contains(engine.path("").to_str().unwrap()), "a mount is left on the host");
}

/// The same with the directory of the files that the engine writes for every container.
#[test]
fn c6_an_etc_that_turns_into_a_link_leads_nowhere() {
    let Some(engine) = Engine::new() else { return };
    let host = canary(&engine);
    let link = format!("/../../..{}", host.display());
    for name in ["etc", "run"] {
        let raced = Raced::new(&engine, name, |decoy| symlink(&link, decoy).unwrap());
        for _ in 0..30 {
            let said = engine.run(&["run", "--rm", "--init", "--rootfs", &raced.rootfs, "true"]);
            assert!(matches!(said.code, 0 | 125 | 126 | 127), "{name}: {said:?}");
        }
        raced.end(&engine);
        assert_eq!(entries(&host), 0, "{name}");
    }
}

/// CVE-2022-23648: a volume of the image is a link to the host, whose files are then copied or written.
#[test]
fn c7_a_volume_of_the_image_that_is_a_link_leads_nowhere() {
    let Some(engine) = Engine::new() else { return };
    let rootfs = engine.rootfs();
    let host = canary(&engine);
    std::fs::write(host.join("key"), "secret").unwrap();
    std::fs::set_permissions(&host, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let up = "../".repeat(12);
    let link = format!("{up}{}", host.display().to_string().trim_start_matches('/'));
    symlink(&link, format!("{rootfs}/vol")).unwrap();
    assert_eq!(std::fs::read_to_string(format!("{rootfs}/vol/key")).unwrap(), "secret", "the link does not lead to the host");
    let archive = engine.path("image.tar");
    let packed = std::process::Command::new("tar").arg("-C").arg(&rootfs).arg("-cf").arg(&archive).arg(".").status().unwrap();
    assert!(packed.success());
    engine.ok(&["import", "--change", "VOLUME /vol /vol/below", archive.to_str().unwrap(), "image"]);
    let look = "cat /vol/key; echo x > /vol/written; mkdir -p /vol/below; true";
    for volumes in ["bind", "tmpfs", "ignore", "anonymous"] {
        let said = engine.run(&["run", "--rm", "--image-volume", volumes, "image", "sh", "-c", look]);
        assert!(matches!(said.code, 0 | 125 | 126), "{volumes}: {said:?}");
        assert!(!said.stdout.contains("secret"), "{volumes}: {said:?}");
        assert_eq!(entries(&host), 1, "{volumes}");
        assert_eq!(std::fs::read_to_string(host.join("key")).unwrap(), "secret", "{volumes}");
    }
}

/// CVE-2023-25809: with the host's cgroup namespace the host's cgroups can be written.
#[test]
fn c8_the_hosts_cgroups_are_read_only_in_the_hosts_cgroup_namespace() {
    let Some(engine) = Engine::new() else { return };
    let rootfs = engine.rootfs();
    for flags in [&["--cgroupns", "host"][..], &[], &["--cgroupns", "host", "--cap-add", "all"]] {
        let words: Vec<&str> =
            ["run", "--rm"].into_iter().chain(flags.iter().copied()).chain(["--rootfs", &rootfs, "/attack", "cgroups"]).collect();
        let output = engine.ok(&words);
        assert!(!output.is_empty(), "{flags:?}: no cgroup.procs was found");
        // EROFS, whoever asks.
        assert!(output.lines().all(|line| line.ends_with(" errno 30")), "{flags:?}: {output}");
    }
    // In a user namespace the kernel lets nobody mount the host's cgroups of version 1: then there is no container.
    let mapped = ["--cgroupns", "host", "--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536"];
    let words: Vec<&str> = ["run", "--rm"].into_iter().chain(mapped).chain(["--rootfs", &rootfs, "/attack", "cgroups"]).collect();
    let said = engine.run(&words);
    assert!(said.code == 0 || said.stderr.contains("cgroup"), "{said:?}");
    assert!(said.stdout.lines().all(|line| line.ends_with(" errno 30")), "{said:?}");
    // The same open succeeds where the user has lifted it: the attack is a real one.
    let output = engine.ok(&["run", "--rm", "--privileged", "--rootfs", &rootfs, "/attack", "cgroups"]);
    assert!(output.lines().any(|line| line.ends_with(" ok")), "{output}");
}

/// CVE-2024-9341: files of accounts that are FIFOs or links.
#[test]
fn c9_an_account_file_that_is_none_fails_at_once() {
    let Some(engine) = Engine::new() else { return };
    let rootfs = engine.rootfs();
    let passwd = format!("{rootfs}/etc/passwd");
    std::fs::remove_file(&passwd).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, passwd.as_str(), rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o644), 0).unwrap();
    let said = engine.run(&["run", "--rm", "--rootfs", &rootfs, "true"]);
    assert!(matches!(said.code, 125 | 126) && said.stderr.contains("/etc/passwd"), "{said:?}");
    std::fs::remove_file(&passwd).unwrap();
    symlink("../../../../../../../../etc/passwd", &passwd).unwrap();
    let said = engine.run(&["run", "--rm", "--user", "daemon", "--rootfs", &rootfs, "id"]);
    assert!(matches!(said.code, 125 | 126), "a user of the host was found: {said:?}");
    std::fs::remove_file(&passwd).unwrap();
    std::fs::write(&passwd, vec![b'a'; 64 << 20]).unwrap();
    let said = engine.run(&["run", "--rm", "--user", "x", "--rootfs", &rootfs, "true"]);
    assert!(matches!(said.code, 125 | 126) && said.stderr.contains("/etc/passwd"), "{said:?}");
    assert_eq!(engine.ok(&["ps", "-aq"]), "");
}

/// GHSA-jq35-85cj-fj4p, GHSA-6fw5-f8r9-fgfm: power, interrupts and temperatures of the host tell what others compute.
#[test]
fn c10_side_channels_of_the_host_are_covered() {
    let Some(engine) = Engine::new() else { return };
    let rootfs = engine.rootfs();
    let look = "cat /proc/interrupts; find /sys/devices/virtual/powercap /sys/devices/system/cpu/cpu*/thermal_throttle -type f; true";
    for flags in [&[][..], &["--cap-add", "all"], &["--cgroupns", "host", "--network", "host"]] {
        let words: Vec<&str> =
            ["run", "--rm"].into_iter().chain(flags.iter().copied()).chain(["--rootfs", &rootfs, "sh", "-c", look]).collect();
        assert_eq!(engine.ok(&words), "", "{flags:?}");
    }
    let open = engine.ok(&["run", "--rm", "--security-opt", "unmask=all", "--rootfs", &rootfs, "sh", "-c", look]);
    assert!(open.contains("CPU0"), "there is nothing to cover on this host: {open}");
}

/// Values of mounts that mean nothing.
#[test]
fn c11_a_malformed_mount_is_refused_before_anything_is_made() {
    let Some(engine) = Engine::new() else { return };
    let rootfs = engine.rootfs();
    for flags in [
        &["--mount", "type=bind,src=/etc,dst=/mnt,bind-propagation=junk"][..],
        &["--mount", "type=junk,dst=/mnt"],
        &["-v", "/etc:relative"],
        &["-v", "/nonexistent-of-selkie:/mnt"],
        &["--tmpfs", "relative"],
    ] {
        let words: Vec<&str> = ["run", "--rm"].into_iter().chain(flags.iter().copied()).chain(["--rootfs", &rootfs, "true"]).collect();
        let said = engine.run(&words);
        assert_eq!(said.code, 125, "{flags:?}: {said:?}");
    }
    assert_eq!(engine.ok(&["ps", "-aq"]), "");
}

/// Covers that the container takes off or fills.
#[test]
fn c12_a_cover_cannot_be_written_removed_or_remounted() {
    let Some(engine) = Engine::new() else { return };
    let rootfs = engine.rootfs();
    let script = "cd /sys/firmware && touch x 2>/dev/null && echo WRITTEN; umount /sys/firmware 2>/dev/null && echo REMOVED; mount -o remount,rw /sys/firmware 2>/dev/null && echo REMOUNTED; umount /proc/keys 2>/dev/null && echo REMOVED; mount -o remount,rw /proc/sys 2>/dev/null && echo REMOUNTED; true";
    let busybox = format!("ln -s busybox /bin/umount 2>/dev/null; {script}");
    for flags in [&[][..], &["--cap-drop", "all"], &["--user", "1000"]] {
        let words: Vec<&str> =
            ["run", "--rm"].into_iter().chain(flags.iter().copied()).chain(["--rootfs", &rootfs, "sh", "-c", &busybox]).collect();
        assert_eq!(engine.ok(&words), "", "{flags:?}");
    }
}

/// The host's table of mounts before, during and after.
#[test]
fn the_host_gets_no_mount_from_a_container() {
    let Some(engine) = Engine::new() else { return };
    let rootfs = format!("{}:O", engine.rootfs());
    let before = std::fs::read_to_string("/proc/self/mountinfo").unwrap().lines().count();
    let id = engine.ok(&["run", "-d", "--rootfs", &rootfs, "sleep", "1000"]);
    let during = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!during.contains(&id), "{during}");
    engine.ok(&["rm", "-f", "-t", "0", &id]);
    assert!(std::fs::read_to_string("/proc/self/mountinfo").unwrap().lines().count() <= before + 4);
}
