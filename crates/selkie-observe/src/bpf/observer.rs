//! The observer: a thread with few rights, and what asks it.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use selkie_caps::{CapSet, Capability};
use selkie_learn::{Call, Rung, Trace};

use super::load::{self, CALLS, ENDINGS};
use super::maps::Maps;
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
    /// Loads and attaches everything for this process alone.
    pub(crate) fn load(rung: Rung) -> Result<Self> {
        let types = load::types(rung)?;
        let mut object = load::object(rung, &types)?;
        let parts: Vec<_> = load::checks(rung).iter().copied().chain([ENDINGS, CALLS]).collect();
        for part in &parts {
            load::load(rung, *part, &mut object, &types)?;
        }
        let mut maps = load::maps(rung, &mut object)?;
        maps.fill_kinds()?;
        for part in parts {
            load::attach(rung, part, &mut object)?;
        }
        Self::start(rung, maps, Box::new(object))
    }

    /// Starts the thread; `attached` is what has to live as long as it does.
    fn start(rung: Rung, maps: Maps, attached: Box<dyn Send>) -> Result<Self> {
        let (requests, inbox) = channel();
        let (report, ready) = channel();
        let run = move || {
            let dropped = drop_rights();
            let go = dropped.is_ok();
            if report.send(dropped).is_ok() && go {
                serve(Reader::new(rung, maps), &inbox);
            }
            drop(attached);
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
fn drop_rights() -> Result<()> {
    let failed = |source| Error::System { action: "give up rights".to_owned(), source };
    let kept: CapSet = KEPT.into_iter().collect();
    let kept = selkie_sys::capability::held().map_err(failed)?.permitted.intersection(kept);
    selkie_sys::capability::set(kept, kept, CapSet::EMPTY).map_err(failed)
}
