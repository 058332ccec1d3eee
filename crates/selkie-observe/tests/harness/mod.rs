//! Containers for the tests of observers: `refused` of `crates/selkie-sys/examples`, held short of its execve(2).
//!
//! `SELKIE_RUNG=fexit` has all tests run on that rung instead of the best one, `SELKIE_REFUSED=PATH` names the program.
#![allow(dead_code, unreachable_pub, reason = "each test program uses a part of it")]

#[path = "../../../../tests/skip.rs"]
mod skip;

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};

use selkie_observe::{Observer, Rung, Subject};
pub(crate) use skip::skip;

/// The rung that was asked for.
pub fn wanted_rung() -> Option<Rung> {
    let name = std::env::var("SELKIE_RUNG").ok()?;
    Some(selkie_observe::BPF.into_iter().find(|rung| rung.name() == name).unwrap_or_else(|| panic!("no rung `{name}`")))
}

/// An observer; without the rights for one, or on a kernel without, the test is skipped.
pub fn observer() -> Option<Box<dyn Observer>> {
    let opened = match wanted_rung() {
        Some(rung) => selkie_observe::open(rung),
        None => selkie_observe::best(),
    };
    match opened {
        Ok(observer) => Some(observer),
        Err(error @ selkie_observe::Error::Unavailable { .. }) => {
            skip(&error.to_string());
            None
        }
        Err(error) => panic!("{error}: {:?}", std::error::Error::source(&error)),
    }
}

pub fn program() -> PathBuf {
    if let Some(path) = std::env::var_os("SELKIE_REFUSED") {
        return path.into();
    }
    let own = std::env::current_exe().unwrap();
    let path = own.parent().unwrap().parent().unwrap().join("examples/refused");
    assert!(path.exists(), "{} is not built: cargo build -p selkie-sys --examples", path.display());
    path
}

/// A container that is held.
pub struct Container {
    pub pid: i32,
    child: Child,
    go: Option<ChildStdin>,
}

impl Container {
    /// Starts one with only the capabilities `keep`, in new `namespaces`.
    pub fn hold(keep: &str, namespaces: &str, deeds: &[&str]) -> Self {
        Self::of(Command::new(program()), keep, namespaces, deeds)
    }

    /// As [`Self::hold`], of a copy of the program.
    pub fn of(mut command: Command, keep: &str, namespaces: &str, deeds: &[&str]) -> Self {
        command.args(["hold", keep, namespaces]).args(deeds);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        // Two processes may say the two lines: the pid, and that it is held.
        let lines: Vec<String> = BufReader::new(child.stdout.take().unwrap()).lines().take(2).map(Result::unwrap).collect();
        let go = child.stdin.take();
        Self { pid: lines.iter().find_map(|line| line.parse().ok()).unwrap(), child, go }
    }

    pub fn subject(&self, context: u64) -> Subject {
        Subject { context, pid: self.pid }
    }

    /// Lets it go.
    pub fn go(&mut self) {
        self.go.take().unwrap().write_all(b"go\n").unwrap();
    }

    /// Waits until it has ended.
    pub fn wait(mut self) {
        drop(self.go.take());
        self.child.wait().unwrap();
    }
}

/// Runs one container to its end under an observer.
pub fn trace_of(observer: &dyn Observer, keep: &str, namespaces: &str, deeds: &[&str]) -> selkie_observe::Trace {
    let mut container = Container::hold(keep, namespaces, deeds);
    observer.watch(container.subject(1)).unwrap();
    container.go();
    container.wait();
    observer.finish(1).unwrap()
}
