//! Which rung is stood on: the best one that the kernel and our rights allow.

use std::sync::Arc;

use selkie_learn::Rung;

use crate::bpf::Bpf;
use crate::error::Error;
use crate::observer::Observer;
use crate::ptrace::{Orphans, Ptrace};

/// The rungs that need BPF, best first.
pub const BPF: [Rung; 3] = [Rung::TpBtf, Rung::Fexit, Rung::Kprobe];

/// Opens the observer that a user names: `auto` is the best that this machine allows, `bpf` the best of [`BPF`], `ptrace` that one.
///
/// # Errors
/// What is missing.
pub fn choose(wanted: &str) -> crate::Result<Arc<dyn Observer>> {
    let ptrace = || Ptrace::available().map(|()| Arc::new(Ptrace::new(Orphans::Kill)) as Arc<dyn Observer>);
    match wanted {
        "ptrace" => ptrace(),
        "bpf" => best().map(Arc::from),
        "auto" => match best() {
            Err(Error::Unavailable { .. }) => ptrace(),
            opened => opened.map(Arc::from),
        },
        rung => match BPF.into_iter().find(|known| known.name() == rung) {
            Some(known) => open(known).map(Arc::from),
            None => Err(Error::Unavailable {
                rung: "that name",
                reason: format!("{rung:?} is none of auto, bpf, tp-btf, fexit, kprobe, ptrace"),
            }),
        },
    }
}

/// Opens an observer on the best rung of [`BPF`].
///
/// The first use after a boot loads the programs and pins them in the BPF file system, which is mounted if need be; later ones find
/// them there. Where that is not allowed everything is loaded each time.
///
/// # Errors
/// What the best rung lacks. ptrace(2) is then what is left.
pub fn best() -> crate::Result<Box<dyn Observer>> {
    for rung in BPF {
        if let Some(observer) = Bpf::existing(rung)? {
            return Ok(Box::new(observer));
        }
    }
    first(open)
}

/// Returns what the best rung of [`BPF`] gives that is to be had.
///
/// # Errors
/// What the best rung lacks if none is to be had, and any other failure at once.
pub(crate) fn first<T>(mut take: impl FnMut(Rung) -> crate::Result<T>) -> crate::Result<T> {
    let mut lacking = None;
    for rung in BPF {
        match take(rung) {
            Err(error @ Error::Unavailable { .. }) => lacking = lacking.or(Some(error)),
            taken => return taken,
        }
    }
    Err(lacking.unwrap_or(Error::Stopped))
}

/// Tries every rung of [`BPF`], best first, and says why it cannot be stood on.
///
/// Loads and attaches for a moment what is not pinned already; with the rights to, that takes a tenth of a second.
#[must_use]
pub fn available() -> Vec<(Rung, Result<(), String>)> {
    BPF.into_iter().zip(Bpf::attempt(BPF)).map(|(rung, tried)| (rung, tried.map_err(|error| error.reason()))).collect()
}

/// The rung that [`best`] stands on, and what each better one lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// `None` if BPF is not to be had; then ptrace(2) is left.
    pub rung: Option<Rung>,
    /// Better rungs, best first, each with the reason against it.
    pub missed: Vec<(Rung, String)>,
}

/// Says where [`best`] stands: at once where programs are pinned, otherwise by trying.
#[must_use]
pub fn standing() -> Standing {
    let mut missed = Vec::new();
    for rung in BPF {
        let [tried] = if Bpf::is_pinned(rung) { [Ok(())] } else { Bpf::attempt([rung]) };
        match tried {
            Ok(()) => return Standing { rung: Some(rung), missed },
            Err(error) => missed.push((rung, error.reason())),
        }
    }
    Standing { rung: None, missed }
}

/// Opens an observer on one rung.
///
/// # Errors
/// [`Error::Unavailable`] with what is missing.
pub fn open(rung: Rung) -> crate::Result<Box<dyn Observer>> {
    if BPF.contains(&rung) {
        return Ok(Box::new(Bpf::open(rung)?));
    }
    Err(Error::Unavailable { rung: rung.name(), reason: "it starts its containers itself".to_owned() })
}

/// Opens an observer on one rung for this process alone: nothing is pinned, nothing that is pinned is used.
///
/// # Errors
/// As [`open`].
pub fn alone(rung: Rung) -> crate::Result<Box<dyn Observer>> {
    Ok(Box::new(Bpf::alone(rung)?))
}
