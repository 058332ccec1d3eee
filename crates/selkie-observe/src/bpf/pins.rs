//! What outlives the process that loaded it: programs, links and maps in the BPF file system.
//!
//! ```text
//! /sys/fs/bpf/selkie/              0700, ours; flock(2) on it while anything is made or removed
//!   81e2...-tp-btf/                hash of the object, rung: another build never finds these
//!     contexts, checks, ...        maps
//!     check_tracepoint,            links: they count the checks of whoever is watched, and cost next to nothing otherwise
//!     process_ended, ...
//!     call_returned                a program and no link
//!   93a0...-processes/each_process  iterator over all processes, of `caps ps`
//!   new-PID/                      being made; renamed when it is whole
//! ```
//!
//! The program on sys_exit costs something on every system call of the machine. So its link is not pinned: it is held by the
//! processes that learn, and gone when the last of them is, however it ends. They share one, because two would give every record
//! twice; its number is in the map `shared`.
//!
//! Killed at any moment: `new-PID` is removed by the next one who makes pins, and what is watched for a process that has ended by
//! the next one who observes.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use aya::maps::{Map, MapData};
use aya::programs::links::{FdLink, PinnedLink};
use aya::programs::{BtfTracePoint, Program};
use rustix::fs::{CWD, FlockOperation, Mode, OFlags};
use selkie_caps::Capability;
use selkie_learn::Rung;
use selkie_sys::mount::{Attributes, Filesystem};
use selkie_sys::{Context as _, Errno, SyscallError};

use super::load::{self, CALLS, LIVES, OBJECT, Part, chain};
use super::maps::{Maps, Named};
use super::processes;
use crate::error::{Error, Result};

/// Where the BPF file system belongs.
const MOUNT: &str = "/sys/fs/bpf";
/// `BPF_FS_MAGIC` of `linux/magic.h`.
const BPF_FS: u64 = 0xcafe_4a11;
/// Our directory in it.
pub(super) const PLACE: &str = "/sys/fs/bpf/selkie";
/// Beginning of the name of what is being made. The file system takes no names with a dot.
pub(super) const NEW: &str = "new-";

/// What an observer holds while it lives.
pub(super) struct Held {
    pub(super) maps: Maps,
    /// Also of what is pinned: `unload` takes nothing away from whoever observes.
    pub(super) links: Vec<Box<dyn Send>>,
}

/// Opens what is pinned for a rung; `None` if nothing is.
pub(super) fn existing(rung: Rung) -> Result<Option<Held>> {
    let Some(place) = Place::existing()? else { return Ok(None) };
    let directory = Path::new(PLACE).join(name(rung));
    if !directory.exists() {
        return Ok(None);
    }
    let _locked = place.lock()?;
    open(rung, &directory)
}

/// Opens what is pinned for a rung, after making it if need be; `None` where nothing can be pinned.
pub(super) fn make(rung: Rung) -> Result<Option<Held>> {
    let Some(place) = Place::make()? else { return Ok(None) };
    let _locked = place.lock()?;
    let directory = Path::new(PLACE).join(name(rung));
    if let Some(held) = open(rung, &directory)? {
        return Ok(Some(held));
    }
    // Of another build, of another rung, or left half-made: whoever still uses it has it open.
    for name in names()?.iter().filter(|name| Path::new(PLACE).join(name) != processes::directory()) {
        discard(&Path::new(PLACE).join(name))?;
    }
    publish(&directory, |new| pin(rung, new))?;
    open(rung, &directory)
}

/// Makes a directory of pins by `fill`: nobody finds it before it is whole. The place has to be locked.
pub(super) fn publish(directory: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let new = Path::new(PLACE).join(format!("{NEW}{}", std::process::id()));
    std::fs::create_dir(&new).map_err(|source| Error::File { action: "make", path: new.clone(), source })?;
    let made = fill(&new)
        .and_then(|()| std::fs::rename(&new, directory).map_err(|source| Error::File { action: "rename", path: new.clone(), source }));
    if made.is_err() {
        // The error that matters is the first one.
        let _ = discard(&new);
    }
    made
}

/// Removes everything that is pinned; returns the names of what there was.
pub(super) fn remove_all() -> Result<Vec<String>> {
    let mut removed = Vec::new();
    for name in names()? {
        discard(&Path::new(PLACE).join(&name))?;
        removed.push(name);
    }
    Ok(removed)
}

/// Returns the names of what is pinned, of this build and of others.
pub(super) fn names() -> Result<Vec<String>> {
    let entries = match std::fs::read_dir(PLACE) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(Error::File { action: "read", path: PLACE.into(), source }),
    };
    let mut names: Vec<String> = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    Ok(names)
}

/// Returns the name of the directory of this build for a rung.
pub(super) fn name(rung: Rung) -> String {
    format!("{BUILD:016x}-{}", rung.name())
}

/// The hash of the object, known when we are compiled: every start of a container looks for its pins.
static BUILD: u64 = build(OBJECT);

/// FNV-1a, eight bytes at a time: builds are to be told apart, nobody is to be kept from making one alike.
pub(super) const fn build(object: Option<&[u8]>) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let Some(mut rest) = object else { return hash };
    while let Some((first, others)) = rest.split_first_chunk() {
        hash = (hash ^ u64::from_le_bytes(*first)).wrapping_mul(0x0100_0000_01b3);
        hash ^= hash >> 32;
        rest = others;
    }
    while let [first, others @ ..] = rest {
        hash = (hash ^ *first as u64).wrapping_mul(0x0100_0000_01b3);
        rest = others;
    }
    hash
}

/// Returns the directory of pins of this build, and its rung; `None` if nothing is pinned, or not by us alone.
pub(super) fn ours() -> Option<(Rung, PathBuf)> {
    if !is_ours() {
        return None;
    }
    crate::ladder::BPF.into_iter().map(|rung| (rung, Path::new(PLACE).join(name(rung)))).find(|(_, directory)| directory.exists())
}

/// Returns whether our directory is there and nobody else may write to it.
pub(super) fn is_ours() -> bool {
    std::fs::symlink_metadata(PLACE)
        .is_ok_and(|found| found.is_dir() && found.mode() & 0o077 == 0 && found.uid() == rustix::process::geteuid().as_raw())
}

/// Opens the maps of a directory of pins, without anything that is attached.
pub(super) fn maps(directory: &Path) -> Result<Maps> {
    Maps::take(|name| MapData::from_pin(directory.join(name)).and_then(Map::from_map_data).named(name))
}

/// Our directory, locked by whoever changes what is in it.
pub(super) struct Place {
    directory: OwnedFd,
}

impl Place {
    /// Opens it; `None` if there is none, if it is not ours alone, or if we may not share a link by its number.
    pub(super) fn existing() -> Result<Option<Self>> {
        let held = selkie_sys::capability::held().map_err(|source| system("read our capabilities", source))?;
        if !held.effective.contains(Capability::SysAdmin) {
            return Ok(None);
        }
        if !is_ours() {
            return Ok(None);
        }
        match rustix::fs::openat(CWD, PLACE, OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()) {
            Ok(directory) => Ok(Some(Self { directory })),
            Err(Errno::NOENT | Errno::ACCESS) => Ok(None),
            Err(errno) => Err(system("open our pins", SyscallError::new(format!("open({PLACE:?})"), errno))),
        }
    }

    /// As [`Self::existing`]; makes it, and mounts the file system, where that is allowed.
    pub(super) fn make() -> Result<Option<Self>> {
        if !is_mounted() && mount().is_err() {
            return Ok(None);
        }
        match std::fs::DirBuilder::new().mode(0o700).create(PLACE) {
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Ok(None),
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                Err(Error::File { action: "make", path: PLACE.into(), source: error })
            }
            _ => Self::existing(),
        }
    }

    /// Waits until nobody else changes anything; until the result is dropped nobody else does.
    pub(super) fn lock(&self) -> Result<Locked<'_>> {
        let locked = rustix::io::retry_on_intr(|| rustix::fs::flock(&self.directory, FlockOperation::LockExclusive));
        locked.call(|| format!("flock({PLACE:?})")).map_err(|source| system("lock our pins", source))?;
        Ok(Locked(self))
    }
}

/// Proof that our directory is locked.
pub(super) struct Locked<'a>(&'a Place);

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        // Closing the directory unlocks it too.
        let _ = rustix::fs::flock(&self.0.directory, FlockOperation::Unlock);
    }
}

fn system(action: &str, source: SyscallError) -> Error {
    Error::System { action: action.to_owned(), source }
}

/// Returns whether the BPF file system is where it belongs.
pub(super) fn is_mounted() -> bool {
    rustix::fs::statfs(MOUNT).is_ok_and(|found| u64::try_from(found.f_type).is_ok_and(|kind| kind & 0xffff_ffff == BPF_FS))
}

/// Mounts it. Two who do that at once would hide each other's pins: the directory below is locked meanwhile.
fn mount() -> selkie_sys::Result<()> {
    let below = rustix::fs::openat(CWD, MOUNT, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).call(|| format!("open({MOUNT:?})"))?;
    rustix::io::retry_on_intr(|| rustix::fs::flock(&below, FlockOperation::LockExclusive)).call(|| format!("flock({MOUNT:?})"))?;
    if is_mounted() {
        return Ok(());
    }
    let detached = Filesystem::new("bpf")?;
    detached.set("mode", "700")?;
    let detached = detached.mount(Attributes::NO_SUID.and(Attributes::NO_DEVICES).and(Attributes::NO_EXEC))?;
    selkie_sys::mount::attach(detached.as_fd(), &below, MOUNT)
}

/// Opens what is in a directory of pins, and attaches sys_exit; `None` if the directory is not there.
fn open(rung: Rung, directory: &Path) -> Result<Option<Held>> {
    if !directory.exists() {
        return Ok(None);
    }
    let mut maps = maps(directory)?;
    let mut links: Vec<Box<dyn Send>> = Vec::new();
    for part in load::checks(rung).iter().copied().chain(LIVES) {
        let failed = |error| load::unavailable(rung, format!("opening `{}`: {}", part.name, chain(&error)));
        links.push(Box::new(PinnedLink::from_pin(directory.join(part.name)).map_err(failed)?));
    }
    links.push(shared_link(rung, &mut maps, &directory.join(CALLS.name))?);
    Ok(Some(Held { maps, links }))
}

/// Attaches the pinned program to sys_exit, or joins whoever has already.
fn shared_link(rung: Rung, maps: &mut Maps, program: &Path) -> Result<Box<dyn Send>> {
    let failed = |error: &dyn std::error::Error| load::unavailable(rung, format!("attaching `{}`: {}", CALLS.name, chain(error)));
    let mut program = BtfTracePoint::from_pin(program).map_err(|error| failed(&error))?;
    let own = program.info().map_err(|error| failed(&error))?.id();
    let id = maps.shared_link()?;
    if id != 0 {
        match selkie_sys::bpf_link::open(id) {
            // Numbers are given again after a wrap.
            Ok(link) if selkie_sys::bpf_link::program(&link).is_ok_and(|program| program == own) => return Ok(Box::new(link)),
            Ok(_) => {}
            // Again: a new link of somebody else's has the number and is not ready.
            Err(error) if matches!(error.errno, Errno::NOENT | Errno::AGAIN) => {}
            // It may be there and cannot be shared: two would give everything twice.
            Err(error) => return Err(failed(&error)),
        }
    }
    let link = load::attach_tracepoint(&mut program).map_err(|error| failed(&error))?;
    maps.share_link(link.info().map_err(|error| failed(&error))?.id())?;
    Ok(Box::new(link))
}

/// Loads everything, and pins it in a new directory.
fn pin(rung: Rung, directory: &Path) -> Result<()> {
    let types = load::types(rung)?;
    let mut object = load::object(rung, &types)?;
    let attached: Vec<Part> = load::checks(rung).iter().copied().chain(LIVES).collect();
    for part in attached.iter().copied().chain([CALLS]) {
        load::load(rung, part, &mut object, &types)?;
    }
    let pinned = |name: &str, error: &dyn std::error::Error| load::unavailable(rung, format!("pinning `{name}`: {}", chain(error)));
    let keep = |name: &'static str, map: &Map| map.pin(directory.join(name)).map_err(|error| pinned(name, &error));
    load::maps(rung, &mut object, keep)?.fill_kinds()?;
    let calls: &mut Program = load::program(rung, CALLS, &mut object)?;
    calls.pin(directory.join(CALLS.name)).map_err(|error| pinned(CALLS.name, &error))?;
    for part in attached {
        let link: FdLink = load::attach(rung, part, &mut object)?;
        link.pin(directory.join(part.name)).map_err(|error| pinned(part.name, &error))?;
    }
    Ok(())
}

/// Removes a directory of pins, whose files are all its own.
pub(super) fn discard(directory: &Path) -> Result<()> {
    let failed = |path: PathBuf| move |source| Error::File { action: "remove", path, source };
    for entry in std::fs::read_dir(directory).map_err(failed(directory.to_owned()))?.flatten() {
        std::fs::remove_file(entry.path()).map_err(failed(entry.path()))?;
    }
    std::fs::remove_dir(directory).map_err(failed(directory.to_owned()))
}
