//! Programs with file capabilities: the warning before a start that will fail for them.
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
