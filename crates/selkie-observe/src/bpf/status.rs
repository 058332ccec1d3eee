//! What is pinned, and its end.

use std::path::Path;

use selkie_learn::Rung;

use super::layout::Context;
use super::maps::{find, keys};
use super::pins::{self, Place};
use crate::error::Result;

/// What is in the BPF file system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Whether there is a BPF file system where it belongs.
    pub mounted: bool,
    /// What is pinned there.
    pub pinned: Vec<Pinned>,
}

/// Programs, links and maps of one build for one rung.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pinned {
    /// Where.
    pub path: std::path::PathBuf,
    /// The rung; `None` for what is half-made, of another build, or no observer's.
    pub rung: Option<Rung>,
    /// Whether it is the iterator over processes that [`super::processes()`] reads.
    pub processes: bool,
    /// The processes that observe: each with the number of containers that it watches.
    pub watchers: Vec<(u32, usize)>,
    /// How many containers have their denied checks counted without being watched; those that have ended count until they are removed.
    pub recorded: usize,
    /// Whether the program on sys_exit is attached, which costs something on every system call.
    pub calls_attached: bool,
}

/// Reads what is pinned.
///
/// # Errors
/// Our own directory or a map cannot be read.
pub fn status() -> Result<Status> {
    // Otherwise something could be removed while it is read.
    let place = Place::existing()?;
    let _locked = place.as_ref().map(Place::lock).transpose()?;
    let mut pinned = Vec::new();
    for name in pins::names()? {
        let path = Path::new(pins::PLACE).join(&name);
        let rung = crate::ladder::BPF.into_iter().find(|rung| pins::name(*rung) == name);
        let processes = path == super::processes::directory();
        let mut found = Pinned { path, rung, processes, watchers: Vec::new(), recorded: 0, calls_attached: false };
        if rung.is_some() {
            look_into(&mut found)?;
        }
        pinned.push(found);
    }
    Ok(Status { mounted: pins::is_mounted(), pinned })
}

fn look_into(pinned: &mut Pinned) -> Result<()> {
    let maps = pins::maps(&pinned.path)?;
    let mut watchers = std::collections::BTreeMap::<u32, usize>::new();
    for key in keys(&maps.contexts, "contexts", |_| true)? {
        if let Some(bytes) = find(&maps.contexts, "contexts", &key)? {
            let context = Context::parse(&bytes);
            if context.aggregate {
                pinned.recorded += 1;
            } else {
                *watchers.entry(context.owner).or_default() += 1;
            }
        }
    }
    pinned.watchers = watchers.into_iter().collect();
    let link = maps.shared_link()?;
    pinned.calls_attached = link != 0 && selkie_sys::bpf_link::open(link).is_ok();
    Ok(())
}

/// Removes what is pinned, of other builds too; who observes keeps it until he is done. Returns the places that were removed.
///
/// # Errors
/// Something cannot be removed.
pub fn unload() -> Result<Vec<std::path::PathBuf>> {
    let Some(place) = Place::existing()? else { return Ok(Vec::new()) };
    let _locked = place.lock()?;
    let removed = pins::remove_all()?;
    Ok(removed.into_iter().map(|name| Path::new(pins::PLACE).join(name)).collect())
}
