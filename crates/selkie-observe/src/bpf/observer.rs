//! The observer: a thread with few rights, and what asks it.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use selkie_caps::{CapSet, Capability};
use selkie_learn::{Call, Rung, Trace};

use super::load::{self, CALLS, LIVES};
use super::pins::{self, Held};
use super::reader::Reader;
use crate::error::{Error, Result};
use crate::observer::{Observer, Subject};
use crate::subject::Facts;

/// How often records are taken out of the kernel without being asked for: it has room for 16384 of them.
const DRAIN: Duration = Duration::from_millis(100);

/// What the reading thread keeps of our rights: maps, stacks with addresses, names of functions.
const KEPT: [Capability; 3] = [Capability::Bpf, Capability::Perfmon, Capability::Syslog];

/// What is asked of the thread, with where the answer goes.
enum Request {
    Watch(u64, Box<Facts>, Sender<Result<()>>),
    Poll(u64, Sender<Result<Vec<Call>>>),
    Finish(u64, Sender<Result<Trace>>),
}

/// Watches by BPF.
pub(crate) struct Bpf {
    rung: Rung,
    requests: Mutex<Option<Sender<Request>>>,
    thread: Option<JoinHandle<()>>,
}

impl Bpf {
    /// Uses what is pinned already; `None` if nothing is.
    pub(crate) fn existing(rung: Rung) -> Result<Option<Self>> {
        pins::existing(rung)?.map(|held| Self::start(rung, held)).transpose()
    }

    /// Returns whether there are pins of this build for a rung.
    pub(crate) fn is_pinned(rung: Rung) -> bool {
        pins::names().is_ok_and(|names| names.contains(&pins::name(rung)))
    }

    /// Uses what is pinned, after pinning it if need be; where nothing can be pinned everything is for this process alone.
    pub(crate) fn open(rung: Rung) -> Result<Self> {
        match pins::make(rung)? {
            Some(held) => Self::start(rung, held),
            None => Self::alone(rung),
        }
    }

    /// Loads and attaches everything for this process alone.
    pub(crate) fn alone(rung: Rung) -> Result<Self> {
        let types = load::types(rung)?;
        let mut object = load::object(rung, &types)?;
        let parts: Vec<_> = load::checks(rung).iter().copied().chain(LIVES).chain([CALLS]).collect();
        for part in &parts {
            load::load(rung, *part, &mut object, &types)?;
        }
        let mut maps = load::maps(rung, &mut object, |_, _| Ok(()))?;
        maps.fill_kinds()?;
        let mut links: Vec<Box<dyn Send>> = Vec::new();
        for part in parts {
            links.push(Box::new(load::attach(rung, part, &mut object)?));
        }
        Self::start(rung, Held { maps, links })
    }

    /// Tries everything but the watching on each of the `rungs`: loads, attaches, detaches.
    pub(crate) fn attempt<const N: usize>(rungs: [Rung; N]) -> [Result<()>; N] {
        // Reading the kernel's types and moving the programs to them takes longest: once for all.
        let prepared = load::types(Rung::TpBtf).and_then(|types| Ok((load::object(Rung::TpBtf, &types)?, types)));
        let (mut object, types) = match prepared {
            Ok(prepared) => prepared,
            Err(error) => return rungs.map(|rung| Err(load::unavailable(rung, error.reason()))),
        };
        let shared = LIVES.into_iter().chain([CALLS]).try_for_each(|part| load::load(Rung::TpBtf, part, &mut object, &types));
        rungs.map(|rung| {
            shared.as_ref().map_err(|error| load::unavailable(rung, error.reason()))?;
            let parts = load::checks(rung);
            parts.iter().try_for_each(|part| load::load(rung, *part, &mut object, &types))?;
            // Only closing them detaches.
            parts.iter().map(|part| load::attach(rung, *part, &mut object)).collect::<Result<Vec<_>>>().map(drop)
        })
    }

    /// Starts the thread.
    fn start(rung: Rung, Held { maps, links }: Held) -> Result<Self> {
        let (requests, inbox) = channel();
        let (report, ready) = channel();
        let run = move || {
            let dropped = drop_rights();
            let go = dropped.is_ok();
            if report.send(dropped).is_ok() && go {
                serve(Reader::new(rung, maps), &inbox);
            }
            drop(links);
        };
        let spawned = std::thread::Builder::new().name("selkie-observe".to_owned()).spawn(run);
        let thread = spawned.map_err(|source| Error::File { action: "start the thread of", path: "selkie-observe".into(), source })?;
        ready.recv().map_err(|_| Error::Stopped)??;
        Ok(Self { rung, requests: Mutex::new(Some(requests)), thread: Some(thread) })
    }

    fn ask<T>(&self, request: impl FnOnce(Sender<Result<T>>) -> Request) -> Result<T> {
        let (answer, answered) = channel();
        let requests = self.requests.lock().map_err(|_| Error::Stopped)?.clone().ok_or(Error::Stopped)?;
        requests.send(request(answer)).map_err(|_| Error::Stopped)?;
        answered.recv().map_err(|_| Error::Stopped)?
    }
}

impl Observer for Bpf {
    fn rung(&self) -> Rung {
        self.rung
    }

    fn watch(&self, subject: Subject) -> Result<()> {
        let facts = Box::new(Facts::read(subject)?);
        self.ask(|answer| Request::Watch(subject.context, facts, answer))
    }

    fn attach(&self, subject: Subject) -> Result<()> {
        let facts = Box::new(Facts { runs: true, ..Facts::read(subject)? });
        self.ask(|answer| Request::Watch(subject.context, facts, answer))
    }

    fn poll(&self, context: u64) -> Result<Vec<Call>> {
        self.ask(|answer| Request::Poll(context, answer))
    }

    fn finish(&self, context: u64) -> Result<Trace> {
        self.ask(|answer| Request::Finish(context, answer))
    }
}

impl Drop for Bpf {
    fn drop(&mut self) {
        // Without a sender the thread ends; then everything is detached.
        if let Ok(mut requests) = self.requests.lock() {
            requests.take();
        }
        if let Some(thread) = self.thread.take() {
            // Whether it panicked is of no interest to whoever is done with it.
            let _ = thread.join();
        }
    }
}

/// Answers until nobody can ask any more, and then takes out of the kernel what nobody will ask for.
fn serve(mut reader: Reader, inbox: &Receiver<Request>) {
    // What cannot be swept up now is in nobody's way.
    drop(reader.sweep());
    loop {
        let request = if reader.is_busy() { inbox.recv_timeout(DRAIN) } else { inbox.recv().map_err(|_| RecvTimeoutError::Disconnected) };
        // Whoever asked may be gone: then the answer is nobody's.
        match request {
            Ok(Request::Watch(context, facts, answer)) => drop(answer.send(reader.watch(context, *facts))),
            Ok(Request::Poll(context, answer)) => drop(answer.send(reader.poll(context))),
            Ok(Request::Finish(context, answer)) => drop(answer.send(reader.finish(context))),
            // Fails again when somebody asks, who is then told.
            Err(RecvTimeoutError::Timeout) => drop(reader.drain()),
            Err(RecvTimeoutError::Disconnected) => return reader.finish_all(),
        }
    }
}

/// Keeps [`KEPT`] of the thread's rights.
pub(super) fn drop_rights() -> Result<()> {
    let failed = |source| Error::System { action: "give up rights".to_owned(), source };
    let kept: CapSet = KEPT.into_iter().collect();
    let kept = selkie_sys::capability::held().map_err(failed)?.permitted.intersection(kept);
    selkie_sys::capability::set(kept, kept, CapSet::EMPTY).map_err(failed)
}
