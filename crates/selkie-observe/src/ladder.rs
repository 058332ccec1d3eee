//! Which rung is stood on: the best one that the kernel and our rights allow.

use std::path::Path;

use selkie_learn::Rung;

use crate::bpf::Bpf;
use crate::error::{Error, Result};
use crate::observer::Observer;

/// The rungs that need BPF, best first.
pub const BPF: [Rung; 3] = [Rung::TpBtf, Rung::Fexit, Rung::Kprobe];

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
