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

/// CVE-2021-30465: the target of a mount becomes a link between the check and the mount.
#[test]
fn c6_a_target_that_turns_into_a_link_leads_nowhere() {
    let Some(engine) = Engine::new() else { return };
    let rootfs = engine.rootfs();
    let host = canary(&engine);
    let shared = engine.path("shared");
    std::fs::create_dir_all(shared.join("real")).unwrap();
    symlink("/../../../../../../../../canary", shared.join("link")).unwrap();
    let volume = format!("{}:/vol", shared.display());
    // One container swaps the directory and the link all the time.
    let swap = "cd /vol; while true; do mv real d 2>/dev/null; mv d real2 2>/dev/null; mv link d 2>/dev/null; mv d link 2>/dev/null; mv real2 real 2>/dev/null; done";
    let id = engine.ok(&["run", "-d", "-v", &volume, "--rootfs", &rootfs, "sh", "-c", swap]);
    let source = engine.path("source");
    std::fs::create_dir_all(&source).unwrap();
    let target = format!("{}:/vol/d/x", source.display());
    for _ in 0..30 {
        let _ = engine.run(&["run", "--rm", "-v", &volume, "-v", &target, "--rootfs", &rootfs, "true"]);
    }
    engine.ok(&["rm", "-f", "-t", "0", &id]);
    assert_eq!(entries(&host), 0);
    let mountinfo = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mountinfo.contains(engine.path("").to_str().unwrap()), "a mount is left on the host");
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
