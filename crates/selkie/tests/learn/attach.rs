//! `learn --attach`: what a container that runs asks for, without what its engine needs to enter it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStderr, Stdio};

use serde_json::Value;

use super::harness::example;
use super::{Engine, engine, names, rungs};

/// A container that waits, watched.
struct Attached {
    watcher: Child,
    /// Held, so that the watcher can say more.
    talk: BufReader<ChildStderr>,
}

impl Attached {
    fn new(engine: &Engine, flags: &[&str]) -> Self {
        let rootfs = format!("{}:O", engine.rootfs());
        let words = ["run", "-d", "--name", "web"].into_iter().chain(flags.iter().copied());
        engine.ok(&words.chain(["--rootfs", &rootfs, "sleep", "1000"]).collect::<Vec<_>>());
        let mut command = engine.command(&["learn", "--attach", "web", "--format", "json", "--observer", "bpf"]);
        let mut watcher = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut talk = BufReader::new(watcher.stderr.take().unwrap());
        let mut line = String::new();
        talk.read_line(&mut line).unwrap();
        assert_eq!(line, "watching web; Ctrl-C ends it\n");
        Self { watcher, talk }
    }

    /// Stops watching, and removes the container.
    fn seen(self, engine: &Engine) -> Value {
        let Self { watcher, talk } = self;
        let pid = rustix::process::Pid::from_child(&watcher);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        let output = watcher.wait_with_output().unwrap();
        drop(talk);
        engine.ok(&["rm", "--force", "--time", "0", "web"]);
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

/// The operations that were refused.
fn refused(seen: &Value) -> Vec<&str> {
    seen["refused"].as_array().unwrap().iter().map(|entry| entry["operation"].as_str().unwrap()).collect()
}

/// Executes `words` in a watched container with `flags`, and returns what was seen; `None` where nothing can be.
fn seen_of(flags: &[&str], words: &[&str]) -> Option<Value> {
    let engine = engine()?;
    std::fs::copy(example("refused"), Path::new(&engine.rootfs()).join("refused")).unwrap();
    // By ptrace nothing is attached to.
    if !rungs(&engine).contains(&"bpf") {
        return None;
    }
    let attached = Attached::new(&engine, flags);
    let said = engine.run(&["exec"].iter().chain(words).copied().collect::<Vec<_>>());
    let seen = attached.seen(&engine);
    assert_ne!(said.code, 125, "the engine has failed: {said:?}");
    Some(seen)
}

#[test]
fn entering_of_the_engine_is_not_the_containers() {
    let Some(seen) = seen_of(&[], &["web", "true"]) else { return };
    assert_eq!((names(&seen["granted"]), refused(&seen)), (Vec::new(), Vec::new()), "{seen:#}");
}

#[test]
fn entering_with_another_user_and_a_directory_is_not_the_containers() {
    let words = ["--user", "1000", "--cap-drop", "all", "--workdir", "/tmp", "web", "true"];
    let Some(seen) = seen_of(&["--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536"], &words) else { return };
    assert_eq!((names(&seen["granted"]), refused(&seen)), (Vec::new(), Vec::new()), "{seen:#}");
}

#[test]
fn what_an_executed_program_uses_is_seen() {
    let Some(seen) = seen_of(&[], &["web", "busybox", "chown", "5:6", "/etc/group"]) else { return };
    assert_eq!((names(&seen["granted"]), refused(&seen)), (vec!["CAP_CHOWN"], Vec::new()), "{seen:#}");
}

#[test]
fn what_an_executed_program_is_refused_is_seen() {
    let Some(seen) = seen_of(&[], &["--cap-drop", "all", "web", "busybox", "chown", "5:6", "/etc/group"]) else { return };
    assert_eq!((names(&seen["granted"]), refused(&seen)), (Vec::new(), vec!["chown(\"/etc/group\", 5, 6)"]), "{seen:#}");
}

/// A fork of what was executed inside has called no execve(2) either.
#[test]
fn what_a_fork_of_an_executed_program_is_refused_is_seen() {
    let Some(seen) = seen_of(&["--ulimit", "nofile=100:100"], &["web", "sh", "-c", "(ulimit -H -n 200); true"]) else { return };
    assert_eq!(refused(&seen).len(), 1, "{seen:#}");
    assert_eq!(seen["refused"][0]["capabilities"], serde_json::json!(["CAP_SYS_RESOURCE"]), "{seen:#}");
}

/// The parent of such a process is outside, as is that of the engine's on its way in.
#[test]
fn what_a_sibling_of_an_executed_program_is_refused_is_seen() {
    let Some(seen) = seen_of(&[], &["--cap-drop", "all", "web", "/refused", "do", "sibling:chown:/etc"]) else { return };
    assert_eq!((names(&seen["granted"]), refused(&seen)), (Vec::new(), vec!["chown(\"/etc\", 1, 1)"]), "{seen:#}");
}
