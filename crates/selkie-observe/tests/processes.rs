//! The iterator over processes says what procfs says. Needs root and BPF; says why where there is none.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod harness;

use std::collections::BTreeMap;
use std::path::Path;

use harness::{Container, skip};
use selkie_host::{Namespace, Procfs, Row, scan};
use selkie_observe::{Error, Process};

/// Reads all; again when another test has unloaded it meanwhile.
fn processes() -> Option<Vec<Process>> {
    for _ in 0..10 {
        let mut found = Vec::new();
        match selkie_observe::processes(true, |process| found.push(*process)) {
            Ok(true) => return Some(found),
            Ok(false) => {}
            Err(error @ Error::Unavailable { .. }) => {
                skip(&error.to_string());
                return None;
            }
            Err(error) => panic!("{error}: {:?}", std::error::Error::source(&error)),
        }
    }
    panic!("unloaded ten times");
}

/// Rows by pid, without what changes while one looks: whether a process runs or waits.
fn rows(rows: impl IntoIterator<Item = Row>) -> BTreeMap<u32, Row> {
    let still = |mut row: Row| {
        row.status.state = 0;
        row.status.kernel_thread = Some(false);
        // The kernel itself looks into every process, the reader of procfs only into those that he might trace.
        row.user_namespace = None;
        (row.pid, row)
    };
    rows.into_iter().map(still).collect()
}

#[test]
fn iterator_says_what_procfs_says() {
    let held = [
        Container::hold("-", "mnt", &[]),
        Container::hold("cap_net_raw,cap_chown", "mnt,pid", &[]),
        Container::hold("cap_sys_admin", "mnt,user", &[]),
    ];
    let procfs = Procfs::open(Path::new("/proc")).unwrap();
    let files = || rows(scan(&procfs, |_, _| true).unwrap());
    let before = files();
    let Some(found) = processes() else { return };
    let after = files();
    let pids: Vec<u32> = found.iter().map(|process| process.row.pid).collect();
    // Where the machine's first one is kept from BPF programs, too.
    assert!(pids.is_sorted() && pids.first() == Some(&1), "{pids:?}");
    let at_once = rows(found.iter().map(|process| process.row));
    // Whoever was the same before and after was the same in between.
    let steady: Vec<&Row> = before.values().filter(|row| after.get(&row.pid) == Some(row)).collect();
    for row in &steady {
        assert_eq!(at_once.get(&row.pid), Some(*row));
    }
    for pid in held.iter().map(|container| container.pid.cast_unsigned()).chain([1, std::process::id()]) {
        assert!(steady.iter().any(|row| row.pid == pid), "process {pid} was not compared");
        let process = found.iter().find(|process| process.row.pid == pid).unwrap();
        let wanted = Namespace::ALL.map(|kind| procfs.namespace(pid, kind));
        if wanted.iter().all(Option::is_some) {
            assert_eq!(process.namespaces.map(|number| Some(u64::from(number))), wanted, "process {pid}");
            assert_eq!(process.row.user_namespace, procfs.namespace(pid, Namespace::User), "process {pid}");
        } else {
            assert_eq!(pid, 1, "only the machine's first process may be closed to us");
        }
    }
}
