//! What is made ahead: the kernel takes as long for a network namespace as the engine for a plan, so a monitor that waits for its
//! orders makes it meanwhile, and the file systems that most containers have. It stays out of the namespaces itself: whoever forks a
//! container's process goes in just for that.
//!
//! Only what belongs to the host's user namespace can be made ahead; a user namespace has to own what its containers have.

use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};
use selkie_plan::{Mount, MountSource, Plan, usual_devices, usual_mounts};
use selkie_sys::process::{self, SingleThreaded};
use selkie_sys::{Context, network};

use crate::error::Error;
use crate::{devices, mounts};

/// The kinds that are made ahead, with the names of their files in `/proc/self/ns`.
const KINDS: [(u64, &str); 2] = [(process::NEW_NETWORK, "net"), (process::NEW_IPC, "ipc")];

/// Namespaces that nobody is in yet, and file systems that are mounted nowhere. They are gone with this value.
#[derive(Debug)]
pub struct Ahead {
    made: Vec<Space>,
    filesystems: Vec<(Mount, OwnedFd)>,
}

#[derive(Debug)]
struct Space {
    kind: u64,
    home: OwnedFd,
    new: OwnedFd,
}

/// The calling process is in namespaces of an [`Ahead`] and has to leave them again.
#[derive(Debug)]
#[must_use]
pub(crate) struct Entered<'a> {
    spaces: Vec<&'a Space>,
}

impl Ahead {
    /// Makes a network and an IPC namespace, with the loopback device up, and the file systems that need nothing else.
    ///
    /// # Errors
    /// `EPERM` without the rights, `ENOSPC` at a limit; the caller is where it was.
    pub fn make(proof: SingleThreaded) -> selkie_sys::Result<Self> {
        let kinds = KINDS.iter().fold(0, |all, (kind, _)| all | kind);
        let homes = KINDS.iter().map(|(_, name)| open(name)).collect::<selkie_sys::Result<Vec<_>>>()?;
        process::unshare(proof, kinds)?;
        let made =
            network::bring_up_loopback().and_then(|()| KINDS.iter().map(|(_, name)| open(name)).collect::<selkie_sys::Result<Vec<_>>>());
        // What could not be made is made when it is needed, and what is wrong is told then.
        let filesystems = make_filesystems().unwrap_or_default();
        homes.iter().try_for_each(|home| process::join_namespace(proof, home))?;
        let spaces = KINDS.iter().zip(homes).zip(made?);
        let made = spaces.map(|(((kind, _), home), new)| Space { kind: *kind, home, new }).collect();
        Ok(Self { made, filesystems })
    }

    /// Returns the file system for `planned`, if there is just such a one. That for `/dev` has the [usual nodes](usual_devices)
    /// and links in it.
    /// `spaces` are the kinds of namespaces made ahead that the container is in.
    pub(crate) fn filesystem(&self, planned: &Mount, plan: &Plan, spaces: u64) -> selkie_sys::Result<Option<OwnedFd>> {
        let needed = match planned.source {
            MountSource::Sysfs => process::NEW_NETWORK,
            MountSource::Mqueue => process::NEW_IPC,
            _ => 0,
        };
        let has_usual_nodes = || usual_devices().iter().all(|device| plan.devices.contains(device));
        let found = self.filesystems.iter().find(|(made, _)| made == planned).map(|(_, filesystem)| filesystem);
        let found = found.filter(|_| spaces & needed == needed && (planned.destination != "/dev" || has_usual_nodes()));
        found.map(|filesystem| rustix::io::fcntl_dupfd_cloexec(filesystem, 0).call(|| "fcntl(F_DUPFD_CLOEXEC)")).transpose()
    }

    /// Keeps the namespaces themselves: each is there as long as its descriptor is open.
    #[must_use]
    pub fn into_namespaces(self) -> Vec<OwnedFd> {
        self.made.into_iter().map(|space| space.new).collect()
    }

    /// Goes into those of the kinds `wanted` that there are.
    pub(crate) fn enter(&self, proof: SingleThreaded, wanted: u64) -> selkie_sys::Result<Entered<'_>> {
        let mut entered = Entered { spaces: Vec::new() };
        for space in self.made.iter().filter(|space| space.kind & wanted != 0) {
            if let Err(error) = process::join_namespace(proof, &space.new) {
                entered.leave(proof)?;
                return Err(error);
            }
            entered.spaces.push(space);
        }
        Ok(entered)
    }
}

impl Entered<'_> {
    /// Returns the kinds that the process is in.
    pub(crate) fn kinds(&self) -> u64 {
        self.spaces.iter().fold(0, |all, space| all | space.kind)
    }

    /// Goes back to the host's.
    pub(crate) fn leave(self, proof: SingleThreaded) -> selkie_sys::Result<()> {
        self.spaces.iter().try_for_each(|space| process::join_namespace(proof, &space.home))
    }
}

fn make_filesystems() -> Result<Vec<(Mount, OwnedFd)>, Error> {
    // The bits of nodes are meant as they are.
    let mask = rustix::process::umask(Mode::empty());
    let made = usual_mounts().into_iter().map(|planned| {
        let made = mounts::filesystem(&planned)?;
        if planned.destination == "/dev" {
            devices::make(&made, &usual_devices(), false)?;
            devices::link(&made)?;
        }
        Ok((planned, made))
    });
    let made = made.collect();
    rustix::process::umask(mask);
    made
}

fn open(name: &str) -> selkie_sys::Result<OwnedFd> {
    let path = format!("/proc/self/ns/{name}");
    rustix::fs::open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).call(|| format!("open({path:?})"))
}
