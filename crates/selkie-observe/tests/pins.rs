//! What outlives the process that loaded it. All observers of the machine share it, those of other tests too: what is compared is
//! only what belongs to a process of the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod harness;

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use harness::{Container, observer, skip, trace_of};
use selkie_observe::Observer;

/// Runs a test of this file as a process of its own, which then does something else.
fn again(name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--nocapture"]).env("SELKIE_OTHER", "1");
    command
}

fn is_other() -> bool {
    std::env::var_os("SELKIE_OTHER").is_some()
}

/// Waits for the other tests of this file, which may be processes of their own: they unload what this one looks for.
fn in_turn() -> File {
    let lock = File::create(std::env::temp_dir().join("selkie-observe-pins.lock")).unwrap();
    lock.lock().unwrap();
    lock
}

/// An observer that uses pins.
fn pinned() -> Option<Box<dyn Observer>> {
    let observer = observer()?;
    if selkie_observe::status().unwrap().pinned.is_empty() {
        skip("nothing can be pinned here");
        return None;
    }
    Some(observer)
}

fn binds(observer: &dyn Observer) -> Vec<u64> {
    let trace = trace_of(observer, "-", "mnt", &["bind:80"]);
    trace.calls.iter().filter(|call| call.syscall == "bind").map(|call| call.count).collect()
}

/// How many containers a process watches; `None` if another build of selkie has made its own pins meanwhile, which removes ours.
fn watched_by(pid: u32) -> Option<usize> {
    let status = selkie_observe::status().unwrap();
    if !status.pinned.iter().any(|pinned| pinned.rung.is_some()) {
        skip("another build has removed our pins");
        return None;
    }
    Some(status.pinned.iter().flat_map(|pinned| &pinned.watchers).filter(|(owner, _)| *owner == pid).map(|(_, count)| count).sum())
}

#[test]
fn first_uses_at_the_same_time_find_what_one_of_them_makes() {
    if is_other() {
        assert_eq!(binds(&*observer().unwrap()), [1]);
        return;
    }
    let _turn = in_turn();
    if pinned().is_none() {
        return;
    }
    selkie_observe::unload().unwrap();
    let start = || again("first_uses_at_the_same_time_find_what_one_of_them_makes").stdout(Stdio::null()).spawn().unwrap();
    let mut users: Vec<_> = (0..4).map(|_| start()).collect();
    for user in &mut users {
        assert!(user.wait().unwrap().success());
    }
}

#[test]
fn observer_that_is_killed_leaves_what_the_next_one_removes() {
    if is_other() {
        let observer = observer().unwrap();
        let container = Container::hold("-", "mnt", &["bind:80"]);
        observer.watch(container.subject(1)).unwrap();
        writeln!(std::io::stdout(), "watching").unwrap();
        // Killed here: the other end stays open.
        std::io::stdin().read_line(&mut String::new()).unwrap();
        return container.wait();
    }
    let _turn = in_turn();
    let Some(first) = pinned() else { return };
    let mut command = again("observer_that_is_killed_leaves_what_the_next_one_removes");
    let mut watcher = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watcher.stdout.take().unwrap()).lines();
    lines.find(|line| line.as_ref().is_ok_and(|line| line.contains("watching"))).unwrap().unwrap();
    let while_it_lives = watched_by(watcher.id());
    watcher.kill().unwrap();
    assert_eq!(watcher.wait().unwrap().signal(), Some(9));
    let next = observer().unwrap();
    assert_eq!(binds(&*next), [1]);
    assert!(while_it_lives.is_none_or(|count| count == 1), "{while_it_lives:?}");
    assert!(watched_by(watcher.id()).is_none_or(|count| count == 0));
    drop(first);
}

#[test]
fn unload_takes_nothing_from_whoever_observes() {
    let _turn = in_turn();
    let Some(observer) = pinned() else { return };
    std::fs::create_dir("/sys/fs/bpf/selkie/new-0").unwrap();
    let removed = selkie_observe::unload().unwrap();
    assert!(removed.iter().any(|path| path.ends_with("new-0")), "{removed:?}");
    assert_eq!(binds(&*observer), [1]);
}

#[test]
fn calls_are_attached_while_somebody_observes() {
    let _turn = in_turn();
    let Some(_observer) = pinned() else { return };
    let status = selkie_observe::status().unwrap();
    let ours = status.pinned.iter().find(|pinned| pinned.rung.is_some());
    assert!(ours.is_none_or(|pinned| pinned.calls_attached), "{status:?}");
}
