//! Recording without an observer: while programs are pinned, an engine has the denied checks of each of its containers counted.
//!
//! Nobody reads meanwhile, so there is no process, no thread, and nothing on system calls: the kernel counts, and whoever wants to
//! know looks. A container has a context and a tally under a number that its engine derives from its id. Both stay when it has
//! ended, until the engine removes it ([`forget`]); what an engine could not remove, [`sweep`] does by asking which containers there
//! are, and when there is no room left the next one that is recorded takes the place of all that have ended.

use std::path::Path;

use aya::maps::{Map, MapData, MapError};
use rustix::io::Errno;
use selkie_learn::{Rung, Trace};

use super::layout::{CONTEXT, Context, TALLY};
use super::maps::{Hash, Named, find, keys, remove};
use super::observer::drop_rights;
use super::pins;
use super::reader::Reader;
use crate::error::{Error, Result};
use crate::observer::Subject;
use crate::subject::Spaces;

/// `BPF_NOEXIST` of `linux/bpf.h`.
const ONLY_NEW: u64 = 1;

/// The maps that recording needs.
struct Recorder {
    contexts: Hash<8, CONTEXT>,
    tallies: Hash<8, TALLY>,
}

impl Recorder {
    fn open(directory: &Path) -> Result<Self> {
        Ok(Self { contexts: pinned(directory, "contexts")?, tallies: pinned(directory, "tallies")? })
    }

    fn begin(&mut self, id: u64, context: Context) -> std::result::Result<(), MapError> {
        match self.tallies.insert(id.to_le_bytes(), [0; TALLY], ONLY_NEW) {
            // Started again: what was counted before stays.
            Err(error) if errno(&error) == Some(Errno::EXIST) => {}
            begun => begun?,
        }
        self.contexts.insert(id.to_le_bytes(), context.to_bytes(), 0)
    }

    /// Removes the aggregates that `unwanted` chooses.
    fn remove(&mut self, unwanted: impl Fn(u64, &Context) -> bool) -> Result<()> {
        for key in keys(&self.contexts, "contexts", |_| true)? {
            let context = find(&self.contexts, "contexts", &key)?.map(|bytes| Context::parse(&bytes));
            if context.is_some_and(|context| context.aggregate && unwanted(u64::from_le_bytes(key), &context)) {
                self.forget(u64::from_le_bytes(key))?;
            }
        }
        Ok(())
    }

    fn forget(&mut self, id: u64) -> Result<()> {
        // The context last: it is by this that what is left is found.
        remove(&mut self.tallies, "tallies", &id.to_le_bytes())?;
        remove(&mut self.contexts, "contexts", &id.to_le_bytes())
    }
}

/// Begins to record a container that is held short of its first execve(2), or goes on when it is started again; returns false where
/// nothing is pinned. `store` tells the containers of one engine from those of another.
///
/// # Errors
/// The process has ended, or the kernel refuses.
pub fn record(subject: Subject, store: u64) -> Result<bool> {
    let Some((_, directory)) = pins::ours() else { return Ok(false) };
    let spaces = Spaces::read(subject.pid)?;
    let mut recorder = Recorder::open(&directory)?;
    let mut mounts: Hash<4, 8> = pinned(&directory, "mounts")?;
    let context = Context {
        mounts: spaces.mounts,
        init: subject.pid.cast_unsigned(),
        observer: spaces.observer,
        owner_start: store,
        aggregate: true,
        ..Context::default()
    };
    let id = subject.context;
    let begun = match recorder.begin(id, context) {
        Err(error) if errno(&error) == Some(Errno::TOOBIG) => {
            recorder.remove(|_, context| context.ended != 0)?;
            recorder.begin(id, context)
        }
        begun => begun,
    };
    begun.named("contexts")?;
    mounts.insert(spaces.mounts.to_le_bytes(), id.to_le_bytes(), 0).named("mounts")?;
    Ok(true)
}

/// Returns what has been counted of a container up to now; `None` if it has not been recorded.
///
/// # Errors
/// The maps cannot be read.
pub fn recorded(context: u64) -> Result<Option<Trace>> {
    let Some((rung, directory)) = pins::ours() else { return Ok(None) };
    let maps = pins::maps(&directory)?;
    let read = move || {
        drop_rights()?;
        Reader::new(rung, maps).tallied(context)
    };
    let spawned = std::thread::Builder::new().name("selkie-observe".to_owned()).spawn(read);
    let thread = spawned.map_err(|source| Error::File { action: "start the thread of", path: "selkie-observe".into(), source })?;
    thread.join().map_err(|_| Error::Stopped)?
}

/// Removes what has been counted of a container that does not run.
///
/// # Errors
/// The kernel refuses.
pub fn forget(context: u64) -> Result<()> {
    let Some((_, directory)) = pins::ours() else { return Ok(()) };
    Recorder::open(&directory)?.forget(context)
}

/// Removes what has been counted of containers of `store` that `is_there` does not know.
///
/// # Errors
/// The kernel refuses.
pub fn sweep(store: u64, is_there: &dyn Fn(u64) -> bool) -> Result<()> {
    let Some((_, directory)) = pins::ours() else { return Ok(()) };
    Recorder::open(&directory)?.remove(|id, context| context.owner_start == store && !is_there(id))
}

/// Loads the programs and pins them, unless that has been done: containers are recorded from now on. Returns how checks are seen.
///
/// # Errors
/// What the best rung lacks; [`Error::Unavailable`] also where nothing can be pinned.
pub fn load() -> Result<Rung> {
    if let Some((rung, _)) = pins::ours() {
        return Ok(rung);
    }
    let (rung, held) = crate::ladder::first(|rung| Ok((rung, pins::make(rung)?)))?;
    if held.is_none() {
        return Err(super::load::unavailable(rung, "nothing can be pinned in /sys/fs/bpf".to_owned()));
    }
    Ok(rung)
}

/// Opens a map of a directory of pins.
fn pinned<const K: usize, const V: usize>(directory: &Path, name: &'static str) -> Result<Hash<K, V>> {
    MapData::from_pin(directory.join(name)).and_then(Map::from_map_data).and_then(TryInto::try_into).named(name)
}

fn errno(error: &MapError) -> Option<Errno> {
    match error {
        MapError::SyscallError(error) => Errno::from_io_error(&error.io_error),
        _ => None,
    }
}
