//! The rung for hosts that allow no BPF: ptrace(2) of the calls that can be refused, by results instead of checks.
//!
//! Not for the filter that makes those calls stop: the engine installs [`selkie_seccomp::trace_filter`] when it starts the container
//! (`StartOptions::trace`), and holds the container's process until [`Observer::watch`] has returned.
//!
//! ```text
//! Ptrace::watch -> a thread a container --> tracer.rs    waits for stops, lets tracees go on
//!                                             call.rs    what the arguments point to, what became of it
//!                                             netlink.rs answers that come in messages
//!                                             tracee.rs  memory and procfs of a tracee
//! ```
//! What it cannot see: calls that the container's own filter fails with an errno, as the strictest of two filters counts (whoever
//! reads the trace asks that filter: `selkie_learn::refusal`); what write(2) is refused, for example on `/proc/PID/uid_map`;
//! answers of netlink that are taken with read(2); processes made with `CLONE_UNTRACED`, which are counted as lost.
//!
//! A container is watched by one thread from beginning to end: a tracee belongs to the thread that seized it.

mod call;
mod netlink;
mod tracee;
mod tracer;

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;

use selkie_learn::{Call, Rung, Trace};
use selkie_sys::process::Pid;

use crate::error::{Error, Result};
use crate::observer::{Observer, Subject};

/// What becomes of a container whose tracer ends without [`Observer::finish`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Orphans {
    /// It is killed. Right for a learning run: without a tracer every call that the filter shows fails with `ENOSYS`, and a program
    /// that takes no notice of a failed setuid(2) would go on as root. Such a run is worth nothing anyway.
    #[default]
    Kill,
    /// It goes on, with those calls failing. Nothing stays stopped.
    Release,
}

/// Watches by ptrace(2).
#[derive(Debug, Default)]
pub struct Ptrace {
    orphans: Orphans,
    watches: Mutex<BTreeMap<u64, Watch>>,
}

/// A thread that traces a container.
#[derive(Debug)]
struct Watch {
    thread: JoinHandle<Result<Trace>>,
    shared: Arc<Shared>,
    /// How many of the shared calls have been polled.
    polled: usize,
}

/// What the thread of a watch shows to others.
#[derive(Debug, Default)]
struct Shared {
    /// The refused calls up to now.
    calls: Mutex<Vec<Call>>,
    /// Closing it tells the thread to let everything go.
    rope: Mutex<Option<OwnedFd>>,
}

impl Shared {
    /// Tells the thread of the watch to let everything go.
    fn ring(&self) {
        drop(lock(&self.rope).take());
    }
}

impl Ptrace {
    /// Makes an observer whose containers end like `orphans` if it dies.
    #[must_use]
    pub fn new(orphans: Orphans) -> Self {
        Self { orphans, watches: Mutex::default() }
    }

    /// Asks whether this rung can be used at all.
    ///
    /// # Errors
    /// [`Error::Unavailable`] with the reason.
    pub fn available() -> Result<()> {
        tracer::available()
    }
}

impl Observer for Ptrace {
    fn rung(&self) -> Rung {
        Rung::Ptrace
    }

    /// Begins to watch. An execve(2) of the first process that is refused counts already: it is the container's own program.
    ///
    /// The process must not be a child of this very process: a tracer would take its end from whoever waits for it.
    fn watch(&self, subject: Subject) -> Result<()> {
        let pid = Pid::from_raw(subject.pid.max(0)).ok_or(Error::Gone { pid: subject.pid })?;
        if lock(&self.watches).contains_key(&subject.context) {
            return Err(Error::Context { context: subject.context, state: "watched already" });
        }
        let shared = Arc::new(Shared::default());
        let (said, hears) = mpsc::channel();
        let (orphans, theirs) = (self.orphans, Arc::clone(&shared));
        let body = move || {
            let tracer = match tracer::Tracer::seize(pid, orphans, theirs) {
                Ok(tracer) => tracer,
                Err(error) => {
                    let _ = said.send(Err(error));
                    return Ok(Trace::default());
                }
            };
            // Whoever waits for this is there: it blocks until then.
            let _ = said.send(Ok(()));
            tracer.run()
        };
        let thread = std::thread::Builder::new()
            .name("selkie:tracer".to_owned())
            .spawn(body)
            .map_err(|error| Error::Unavailable { rung: Rung::Ptrace.name(), reason: format!("no thread can be made: {error}") })?;
        hears.recv().unwrap_or(Err(Error::Gone { pid: subject.pid }))?;
        lock(&self.watches).insert(subject.context, Watch { thread, shared, polled: 0 });
        Ok(())
    }

    /// Returns new refused calls. One that comes again is returned once; its count is in the trace.
    fn poll(&self, context: u64) -> Result<Vec<Call>> {
        let mut watches = lock(&self.watches);
        let Some(watch) = watches.get_mut(&context) else { return Ok(Vec::new()) };
        let calls = lock(&watch.shared.calls);
        let new = calls.get(watch.polled..).unwrap_or_default().to_vec();
        watch.polled = calls.len();
        Ok(new)
    }

    /// Ends the watch. Processes that still live are let go, and from then on get `ENOSYS` from the calls that were traced: a
    /// container is ended first, then its watch.
    fn finish(&self, context: u64) -> Result<Trace> {
        let watch = lock(&self.watches).remove(&context);
        let Some(watch) = watch else { return Err(Error::Context { context, state: "not watched" }) };
        watch.shared.ring();
        watch.thread.join().unwrap_or(Err(Error::Context { context, state: "not watched" }))
    }
}

/// Lets every container go that is still watched.
impl Drop for Ptrace {
    fn drop(&mut self) {
        let contexts: Vec<u64> = lock(&self.watches).keys().copied().collect();
        for context in contexts {
            // Nobody is left to hear of an error.
            let _ = self.finish(context);
        }
    }
}

/// What is behind the lock is whole at any time: each change is one push, one take or one insert.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
