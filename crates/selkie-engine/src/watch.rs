//! A process that watches one container from its start to its end and keeps the trace: `run --why`.
//!
//! A process of its own, because observers have threads and containers are started by processes of one; and because a container
//! goes on when the client that started it ends.
//!
//! ```text
//! watcher -> client   the rung                         once, when it can watch
//! client -> watcher   Order                            once, with the process that is held
//! watcher -> client   an empty line, or what failed    it watches
//!                     the trace                        the container has ended
//! ```

use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use selkie_learn::{Call, Rung, Trace, trace};
use selkie_observe::{Observer, Subject};
use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::files::{self, Durability};
use crate::record::Container;
use crate::store::Store;

/// The file of a container's records with what it was refused.
const TRACE: &str = "trace.json";

/// What to watch.
#[derive(Debug, Serialize, Deserialize)]
struct Order {
    pid: i32,
    /// The container's records, where the trace is kept.
    directory: PathBuf,
}

/// A process that watches, or will.
#[derive(Debug)]
pub struct Watcher {
    process: Child,
    lines: BufReader<ChildStdout>,
    /// How it sees.
    pub rung: Rung,
}

impl Watcher {
    /// Starts one.
    ///
    /// # Errors
    /// [`Error::Observe`] when nothing can be watched here.
    pub fn start(engine: &Engine) -> Result<Self> {
        let failed = |source| Error::File { action: "execute", path: engine.binary().to_path_buf(), source };
        let mut process = engine.again("__watch").spawn().map_err(failed)?;
        let gone = || Error::Observe { problem: "the watcher has ended".to_owned() };
        let mut lines = BufReader::new(process.stdout.take().ok_or_else(gone)?);
        let mut line = String::new();
        lines.read_line(&mut line).map_err(failed)?;
        match serde_json::from_str(&line).map_err(|_| gone())? {
            Word::Rung(rung) => Ok(Self { process, lines, rung }),
            Word::Problem(problem) => Err(Error::Observe { problem }),
        }
    }

    /// Watches the container whose first process is held; its trace is kept in `directory`.
    ///
    /// # Errors
    /// Why it cannot be watched.
    pub fn watch(&mut self, pid: i32, directory: &Path) -> std::result::Result<(), String> {
        let order = Order { pid, directory: directory.to_path_buf() };
        let mut text = serde_json::to_vec(&order).map_err(|error| error.to_string())?;
        text.push(b'\n');
        let input = self.process.stdin.as_mut().ok_or("the watcher has ended")?;
        input.write_all(&text).and_then(|()| input.flush()).map_err(|error| error.to_string())?;
        let mut line = String::new();
        self.lines.read_line(&mut line).map_err(|error| error.to_string())?;
        match line.as_str() {
            "\n" => Ok(()),
            "" => Err("the watcher has ended".to_owned()),
            problem => Err(problem.trim_end().to_owned()),
        }
    }

    /// Waits for the end of the container and returns what was seen; `None` if the watcher has failed.
    #[must_use]
    pub fn trace(mut self) -> Option<Trace> {
        drop(self.process.stdin.take());
        let mut line = String::new();
        self.lines.read_line(&mut line).ok()?;
        let _ = self.process.wait();
        serde_json::from_str(&line).ok()
    }
}

/// What a watcher says first.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Rung(Rung),
    Problem(String),
}

/// Is the watcher: takes an order from `input` and returns when the container has ended.
///
/// # Errors
/// It cannot talk to its client.
pub fn serve(
    observer: selkie_observe::Result<std::sync::Arc<dyn Observer>>,
    input: &mut dyn BufRead,
    output: &mut dyn Write,
) -> std::io::Result<()> {
    let say = |output: &mut dyn Write, text: &str| {
        output.write_all(text.as_bytes()).and_then(|()| output.write_all(b"\n")).and_then(|()| output.flush())
    };
    let json = |word: &Word| serde_json::to_string(word).unwrap_or_default();
    let observer = match observer {
        Ok(observer) => observer,
        Err(error) => return say(output, &json(&Word::Problem(error.to_string()))),
    };
    say(output, &json(&Word::Rung(observer.rung())))?;
    let mut line = String::new();
    input.read_line(&mut line)?;
    let Ok(order) = serde_json::from_str::<Order>(&line) else { return Ok(()) };
    let context = u64::from(std::process::id()) << 32 | 1;
    if let Err(error) = observer.watch(Subject { context, pid: order.pid }) {
        return say(output, &error.to_string());
    }
    // Whoever asks at once is told that it is watched.
    keep(&order.directory, &Trace { version: trace::VERSION, rung: observer.rung(), ..Trace::default() });
    say(output, "")?;
    let trace = follow(observer.as_ref(), context, &order);
    // The client may be gone; the container's records have it then.
    let _ = say(output, &serde_json::to_string(&trace).unwrap_or_default());
    Ok(())
}

/// Watches until the process has ended, keeping what was seen up to now.
fn follow(observer: &dyn Observer, context: u64, order: &Order) -> Trace {
    const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
    let mut calls: Vec<Call> = Vec::new();
    let process = rustix::process::Pid::from_raw(order.pid)
        .and_then(|pid| rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok());
    if let Some(process) = process {
        loop {
            let mut polled = [PollFd::from_borrowed_fd(process.as_fd(), PollFlags::IN)];
            let ended = !matches!(poll(&mut polled, Some(&PAUSE)), Ok(0) | Err(rustix::io::Errno::INTR));
            let fresh = observer.poll(context).unwrap_or_default();
            if !fresh.is_empty() {
                calls.extend(fresh);
                let has_stacks = calls.iter().flat_map(|call| &call.denied).any(|check| !check.stack.is_empty());
                let part = Trace { version: trace::VERSION, rung: observer.rung(), calls: calls.clone(), has_stacks, ..Trace::default() };
                keep(&order.directory, &part);
            }
            if ended {
                break;
            }
        }
    }
    let whole = observer.finish(context).unwrap_or_else(|_| Trace { version: trace::VERSION, calls, ..Trace::default() });
    keep(&order.directory, &whole);
    whole
}

/// Keeps a trace in the records of a container, if it still has some.
fn keep(directory: &Path, trace: &Trace) {
    // A container that was removed meanwhile must not come back, and one that cannot be written about runs on.
    if directory.join("config.json").exists() {
        let _ = files::write_json(directory, TRACE, trace, Durability::Volatile);
    }
}

impl Container {
    /// Returns what the container was refused, if it was watched.
    ///
    /// # Errors
    /// A damaged record.
    pub fn trace(&self, store: &Store) -> Result<Option<Trace>> {
        let read = || files::read_json::<Trace>(&store.records(self.id()).join(TRACE));
        match read()? {
            // Its watcher has just begun, or writes what it has seen: it looks every 200 ms.
            Some(trace) if trace.calls.is_empty() && trace.endings.is_empty() && trace.checks.is_empty() => {
                std::thread::sleep(std::time::Duration::from_millis(400));
                read()
            }
            found => Ok(found),
        }
    }
}
