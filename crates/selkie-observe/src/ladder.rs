//! Which rung is stood on: the best one that the kernel and our rights allow.

use std::path::Path;
use std::sync::Arc;

use selkie_learn::Rung;

use crate::bpf::Bpf;
use crate::error::{Error, Result};
use crate::observer::Observer;
use crate::ptrace::{Orphans, Ptrace};

/// The rungs that need BPF, best first.
pub const BPF: [Rung; 3] = [Rung::TpBtf, Rung::Fexit, Rung::Kprobe];

/// Opens the observer that a user names: `auto` is the best that this machine allows, `bpf` the best of [`BPF`], `ptrace` that one.
///
/// # Errors
/// What is missing.
pub fn choose(wanted: &str, run: &Path) -> Result<Arc<dyn Observer>> {
    let ptrace = || Ptrace::available().map(|()| Arc::new(Ptrace::new(Orphans::Kill)) as Arc<dyn Observer>);
    match wanted {
        "ptrace" => ptrace(),
        "bpf" => best(run).map(Arc::from),
        "auto" => match best(run) {
            Err(Error::Unavailable { .. }) => ptrace(),
            opened => opened.map(Arc::from),
        },
        rung => match BPF.into_iter().find(|known| known.name() == rung) {
            Some(known) => open(known, run).map(Arc::from),
            None => Err(Error::Unavailable {
                rung: "that name",
                reason: format!("{rung:?} is none of auto, bpf, tp-btf, fexit, kprobe, ptrace"),
            }),
        },
    }
}

/// Opens an observer on the best rung of [`BPF`].
///
/// `run` is the caller's run directory: a lock is kept there while programs are loaded and pinned.
///
/// # Errors
/// What the last rung lacks. ptrace(2) is then what is left, which has another way of starting a container.
pub fn best(run: &Path) -> Result<Box<dyn Observer>> {
    let mut last = None;
    for rung in BPF {
        match open(rung, run) {
            Ok(observer) => return Ok(observer),
            Err(error @ Error::Unavailable { .. }) => last = last.or(Some(error)),
            Err(error) => return Err(error),
        }
    }
    Err(last.unwrap_or(Error::Stopped))
}

/// Opens an observer on one rung.
///
/// # Errors
/// [`Error::Unavailable`] with what is missing.
pub fn open(rung: Rung, _run: &Path) -> Result<Box<dyn Observer>> {
    if BPF.contains(&rung) {
        return Ok(Box::new(Bpf::load(rung)?));
    }
    Err(Error::Unavailable { rung: rung.name(), reason: "it starts its containers itself".to_owned() })
}
