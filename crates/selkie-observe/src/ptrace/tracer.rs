//! The thread that traces one container: waits for stops, looks, and lets the tracee go on.
//!
//! ```text
//! running --filter says TRACE--> at the entry --PTRACE_SYSCALL--> at the exit --PTRACE_CONT--> running
//!             (arguments)                           (result)
//! ```
//! Between an entry and its exit other stops may come (a child, an execve(2), the end): the tracee then goes on with
//! `PTRACE_SYSCALL` all the same. A stop of a whole process is left in force with `PTRACE_LISTEN`; signals are passed on.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use selkie_learn::{Call, Detail, Ending, Lost, Rung, Trace, guess, trace};
use selkie_sys::process::Pid;
use selkie_sys::ptrace::{self, Event, SyscallStop, Until};
use selkie_sys::{Errno, SyscallError};

use super::call::{Meaning, Pending};
use super::netlink::{Refusal, Sockets};
use super::tracee::{Base, Identity, Tracee};
use super::{Orphans, Shared, lock};
use crate::error::{Error, Result};

const OPTIONS: u32 = ptrace::TRACE_FORK
    | ptrace::TRACE_VFORK
    | ptrace::TRACE_CLONE
    | ptrace::TRACE_EXEC
    | ptrace::TRACE_EXIT
    | ptrace::TRACE_SECCOMP
    | ptrace::TRACE_SYSCALL_GOOD;

/// How many different refused calls are kept.
const CALLS: usize = 65_536;
/// Among how many of the last ones a call is looked for that is the same.
const RECENT: usize = 64;

const EPERM: i64 = -1;

/// A container that is traced by the calling thread.
#[derive(Debug)]
pub(super) struct Tracer {
    /// The process whose execve(2) begins the recording.
    first: Pid,
    /// When that was.
    began: Option<Instant>,
    shared: Arc<Shared>,
    /// Ends when everything is to be let go.
    bell: Pid,
    releasing: bool,
    threads: HashMap<Pid, Thread>,
    sockets: Sockets,
    endings: BTreeMap<Ending, u64>,
    lost: Lost,
}

#[derive(Debug, Default)]
struct Thread {
    /// The call that it is in, if that is traced.
    pending: Option<Pending>,
    /// With what its process ends, if it does: its first thread also ends when another one executes a program.
    ending: Option<Ending>,
}

/// Tries it on a child that does nothing.
pub(super) fn available() -> Result<()> {
    let unavailable = |reason: String| Error::Unavailable { rung: Rung::Ptrace.name(), reason };
    let attempt = || {
        let (pid, rope) = ptrace::bell()?;
        let seized = ptrace::seize(pid, OPTIONS);
        drop(rope);
        while let Some((tid, event)) = ptrace::wait_any()? {
            if !matches!(event, Event::Ended(_)) {
                unless_gone(ptrace::resume(tid, Until::Event, 0))?;
            }
        }
        seized
    };
    let tried = std::thread::spawn(attempt).join();
    tried.unwrap_or_else(|_| Err(SyscallError::new("ptrace()", Errno::NOSYS))).map_err(|error| unavailable(error.to_string()))
}

impl Tracer {
    /// Begins to trace the process `first` and everything that it will make.
    pub(super) fn seize(first: Pid, orphans: Orphans, shared: Arc<Shared>) -> Result<Self> {
        let system = |source| Error::System { action: format!("trace process {first}"), source };
        let (bell, rope) = ptrace::bell().map_err(system)?;
        // From here on whoever holds `shared` can end the bell, and dropping it does.
        *lock(&shared.rope) = Some(rope);
        let kill = if orphans == Orphans::Kill { ptrace::EXIT_KILL } else { 0 };
        if let Err(source) = ptrace::seize(first, OPTIONS | kill) {
            shared.ring();
            let _ = ptrace::wait_any();
            let pid = first.as_raw_nonzero().get();
            return Err(if source.errno == Errno::SRCH { Error::Gone { pid } } else { system(source) });
        }
        Ok(Self {
            first,
            began: None,
            shared,
            bell,
            releasing: false,
            threads: HashMap::from([(first, Thread::default())]),
            sockets: Sockets::default(),
            endings: BTreeMap::new(),
            lost: Lost::default(),
        })
    }

    /// Traces until everything has ended or is let go.
    pub(super) fn run(mut self) -> Result<Trace> {
        let system = |source| Error::System { action: "trace a container".to_owned(), source };
        while let Some((tid, event)) = ptrace::wait_any().map_err(system)? {
            if tid == self.bell {
                self.release();
            } else if let Event::Ended(_) = event {
                self.ended(tid);
            } else {
                unless_gone(self.stopped(tid, event)).map_err(system)?;
            }
            if self.threads.is_empty() {
                // Nobody is known any more; a child that was born at the last moment is still waited for.
                self.shared.ring();
            }
        }
        Ok(self.trace())
    }

    fn trace(self) -> Trace {
        let name = rustix::system::uname();
        Trace {
            version: trace::VERSION,
            rung: Rung::Ptrace,
            kernel: name.release().to_string_lossy().into_owned(),
            machine: name.machine().to_string_lossy().into_owned(),
            lost: self.lost,
            // Not taken: they may still be polled.
            calls: lock(&self.shared.calls).clone(),
            endings: self.endings.into_iter().map(|(ending, count)| Ending { count, ..ending }).collect(),
            ..Trace::default()
        }
    }

    /// Asks all threads to stop, so that they can be let go.
    fn release(&mut self) {
        self.releasing = true;
        for tid in self.threads.keys() {
            // One that is gone says so by its end.
            let _ = ptrace::interrupt(*tid);
        }
    }

    fn stopped(&mut self, tid: Pid, event: Event) -> selkie_sys::Result<()> {
        self.threads.entry(tid).or_default();
        let mut signal = 0;
        match event {
            Event::Seccomp => self.enters(tid)?,
            Event::Syscall => self.leaves(tid)?,
            Event::Child => self.has_child(tid)?,
            Event::Executed => self.executed(tid)?,
            Event::Ending => self.ends(tid),
            Event::Signal(number) => signal = number,
            Event::Group(_) if !self.releasing => return ptrace::listen(tid),
            Event::Group(_) | Event::Stopped | Event::ChildReleased | Event::Ended(_) => {}
        }
        if self.releasing {
            self.ended(tid);
            return ptrace::detach(tid, signal);
        }
        let is_in_call = self.threads.get(&tid).is_some_and(|thread| thread.pending.is_some());
        ptrace::resume(tid, if is_in_call { Until::Syscall } else { Until::Event }, signal)
    }

    fn has_child(&mut self, tid: Pid) -> selkie_sys::Result<()> {
        let child = ptrace::event_message(tid)?;
        if let Some(child) = i32::try_from(child).ok().and_then(|child| Pid::from_raw(child.max(0))) {
            self.threads.entry(child).or_default();
        }
        Ok(())
    }

    /// A program was executed: the thread that did it is the first one of its process now, whatever it was before.
    fn executed(&mut self, tid: Pid) -> selkie_sys::Result<()> {
        let before = ptrace::event_message(tid)?;
        let before = i32::try_from(before).ok().and_then(|before| Pid::from_raw(before.max(0))).unwrap_or(tid);
        let mut thread = self.threads.remove(&before).unwrap_or_default();
        thread.ending = None;
        self.threads.insert(tid, thread);
        if tid == self.first && self.began.is_none() {
            self.began = Some(Instant::now());
        }
        Ok(())
    }

    fn ends(&mut self, tid: Pid) {
        let identity = Tracee(tid).identity().filter(|identity| identity.process == tid.as_raw_nonzero().get());
        if let Some(thread) = self.threads.get_mut(&tid) {
            thread.ending = identity.map(Identity::ending);
        }
    }

    /// A thread is gone, or will be gone for us.
    fn ended(&mut self, tid: Pid) {
        let ending = self.threads.remove(&tid).and_then(|thread| thread.ending);
        if let Some(ending) = ending.filter(|_| self.began.is_some()) {
            *self.endings.entry(Ending { count: 0, ..ending }).or_default() += 1;
        }
    }

    fn enters(&mut self, tid: Pid) -> selkie_sys::Result<()> {
        if let SyscallStop::Entry(entry) = ptrace::syscall_stop(tid)? {
            let pending = Pending::enter(Tracee(tid), &entry, &self.sockets);
            if let Some(thread) = self.threads.get_mut(&tid) {
                thread.pending = Some(pending);
            }
        }
        Ok(())
    }

    fn leaves(&mut self, tid: Pid) -> selkie_sys::Result<()> {
        let SyscallStop::Exit(result) = ptrace::syscall_stop(tid)? else { return Ok(()) };
        let Some(pending) = self.threads.get_mut(&tid).and_then(|thread| thread.pending.take()) else { return Ok(()) };
        let is_own_program = tid == self.first && matches!(pending.meaning, Meaning::Execute(_));
        if self.began.is_some() || is_own_program {
            self.returned(Tracee(tid), pending, result);
        }
        Ok(())
    }

    /// A call has returned.
    fn returned(&mut self, tracee: Tracee, pending: Pending, result: i64) {
        if guess::is_refusal(&pending.call.syscall, result) {
            let mut call = self.complete(tracee, Call { result, ..pending.call });
            if let (Meaning::Execute(base), EPERM) = (&pending.meaning, result) {
                call.detail = look_up(tracee, *base, call.detail);
            }
            self.record(call, tracee);
            return;
        }
        let Ok(length) = usize::try_from(result) else { return };
        match &pending.meaning {
            Meaning::Untraced if length > 0 => self.lost.processes += 1,
            Meaning::Socket(protocol) => {
                if let Some(inode) = tracee.socket(result.cast_unsigned()) {
                    self.sockets.insert(inode, *protocol);
                }
            }
            Meaning::Request(inode, request) => {
                // It says nothing by itself: the answer does.
                let call = self.complete(tracee, Call { result: 0, ..pending.call.clone() });
                self.sockets.sent(*inode, request.clone(), call);
            }
            Meaning::Receive(inode) => {
                let refusals = Refusal::parse_all(&pending.received(tracee, length));
                for call in self.sockets.refused(*inode, &refusals) {
                    self.record(call, tracee);
                }
            }
            Meaning::Plain | Meaning::Execute(_) | Meaning::Untraced => {}
        }
    }

    /// Adds when it was, and who made it.
    fn complete(&self, tracee: Tracee, call: Call) -> Call {
        let at = self.began.map_or(0, |began| u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX));
        let program = if self.began.is_some() { tracee.program() } else { None };
        match tracee.identity() {
            Some(identity) => Call { at, pid: identity.inner, comm: identity.comm, credentials: identity.credentials, program, ..call },
            None => Call { at, program, ..call },
        }
    }

    fn record(&mut self, mut call: Call, tracee: Tracee) {
        call.denied = guess::denied(&call, tracee.is_in_initial_namespace());
        let mut calls = lock(&self.shared.calls);
        let start = calls.len().saturating_sub(RECENT);
        let same = |known: &Call| Call { at: call.at, count: call.count, ..known.clone() } == call;
        let again = calls.iter().skip(start).position(same).map(|index| start + index);
        let is_full = calls.len() >= CALLS;
        match again.and_then(|index| calls.get_mut(index)) {
            Some(known) => known.count = known.count.saturating_add(1),
            None if is_full => self.lost.calls += 1,
            None => calls.push(call),
        }
    }
}

/// Looks at the program that could not be executed: its file capabilities may be the reason, which no check shows.
fn look_up(tracee: Tracee, base: Base, detail: Detail) -> Detail {
    match detail {
        Detail::Path { path, .. } => tracee.executable(base, path),
        other => other,
    }
}

/// A tracee may be killed at any moment, also while it is stopped: that is no error, and its end will be reported.
fn unless_gone(result: selkie_sys::Result<()>) -> selkie_sys::Result<()> {
    match result {
        Err(SyscallError { errno: Errno::SRCH, .. }) => Ok(()),
        other => other,
    }
}
