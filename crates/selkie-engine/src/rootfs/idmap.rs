//! An overlay for a user namespace of its own: its layers are mounts with mapped ids, so what is on disk keeps the ids that it has,
//! and nothing is copied or changed.
//!
//! ```text
//! on disk   0, 1000  --layer, idmapped 0:100000:65536-->  overlay  100000, 101000  --user namespace-->  0, 1000 inside
//! ```
//!
//! mount_setattr(2) `MOUNT_ATTR_IDMAP`: it takes mounts that were never attached, of file systems that support it. Overlay takes such
//! layers since Linux 5.19, but, before 6.15, only ones that are attached in the mount namespace of the caller. So a process in a
//! mount namespace of its own attaches them, one over the other, names them by their descriptors, and sends the overlay back: the
//! kernel keeps private copies of the layers in it.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use selkie_plan::{IdMaps, UserNamespace};
use selkie_runtime::user_namespace;
use selkie_sys::mount::{self, Attributes, Propagation};
use selkie_sys::process::{self, Forked, SingleThreaded};
use selkie_sys::{Errno, SyscallError, capability, socket};

use super::{Layers, make_writable, overlay_at};
use crate::error::{Error, Result};

/// The ids of a container, to map layers with.
#[derive(Debug)]
pub(super) struct Ids {
    namespace: OwnedFd,
    /// Root of the container: whoever mounts the overlay makes files in its work directory, and needs ids there.
    root: (u32, u32),
}

impl Ids {
    /// Returns what layers need for `user`; `None` when ids are the host's.
    ///
    /// # Errors
    /// Maps that the kernel refuses, or without a root.
    pub(super) fn of(user: &UserNamespace) -> Result<Option<Self>> {
        let Some(maps) = user.maps() else { return Ok(None) };
        let namespace = match user {
            UserNamespace::Path { path, .. } => user_namespace::open(Path::new(path))?,
            _ => user_namespace::make(single_threaded()?, maps)?,
        };
        Ok(Some(Self { namespace, root: root(maps)? }))
    }
}

fn root(maps: &IdMaps) -> Result<(u32, u32)> {
    maps.root().ok_or_else(|| Error::Invalid { problem: "user and group 0 of the container have no ids outside: map them, too".to_owned() })
}

fn single_threaded() -> Result<SingleThreaded> {
    SingleThreaded::check().map_err(Error::system("make a user namespace"))
}

/// Mounts `layers` with mapped ids, over `staging`, an empty directory of the host.
pub(super) fn overlay(layers: &Layers<'_>, ids: &Ids, staging: &Path) -> Result<OwnedFd> {
    make_writable(layers.writable)?;
    let proof = single_threaded()?;
    let failed = || Error::system("mount the root file system");
    let (ours, theirs) = socket::pair().map_err(failed())?;
    match process::fork(proof, process::NEW_MOUNT, None).map_err(failed())? {
        Forked::Child => {
            drop(ours);
            // A message that cannot be sent shows as an end without a word.
            let _ = match overlay_here(layers, ids, staging) {
                Ok(mounted) => socket::send_descriptors(&theirs, &[MOUNTED], &[mounted.as_fd()]),
                Err(failure) => {
                    socket::send(&theirs, FAILED, &failure.encode(), false).map_err(|errno| SyscallError::new("sendmsg()", errno))
                }
            };
            process::exit_now(0)
        }
        Forked::Parent(helper) => {
            drop(theirs);
            let mut buffer = [0; 8192];
            let received = socket::receive_with_descriptors(&ours, &mut buffer);
            let _ = process::wait(&helper.pidfd);
            let (length, mut fds) = received.map_err(|errno| failed()(SyscallError::new("recvmsg()", errno)))?;
            match (buffer.get(..length).and_then(<[u8]>::split_first), fds.pop()) {
                (Some((&MOUNTED, _)), Some(mounted)) => Ok(mounted),
                (Some((&FAILED, body)), _) => Err(Failure::decode(body).into_error()),
                _ => Err(failed()(SyscallError::new("recvmsg()", Errno::PIPE))),
            }
        }
    }
}

const MOUNTED: u8 = b'M';
const FAILED: u8 = b'E';

/// What the helper could not do, and with which layer.
struct Failure {
    layer: PathBuf,
    error: SyscallError,
}

impl Failure {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = self.error.errno.raw_os_error().to_le_bytes().to_vec();
        bytes.extend(self.layer.as_os_str().as_encoded_bytes());
        bytes.push(0);
        bytes.extend(self.error.call.as_bytes());
        bytes.truncate(8000);
        bytes
    }

    fn decode(bytes: &[u8]) -> Self {
        let (number, rest) = bytes.split_first_chunk::<4>().unwrap_or((&[0; 4], bytes));
        let text = String::from_utf8_lossy(rest);
        let (layer, call) = text.split_once('\0').unwrap_or(("", &text));
        let errno = Errno::from_raw_os_error(i32::from_le_bytes(*number));
        Self { layer: PathBuf::from(layer), error: SyscallError::new(call, errno) }
    }

    fn into_error(self) -> Error {
        match (self.layer.as_os_str().is_empty(), self.error.errno) {
            (false, _) => Error::MapIds { path: self.layer, source: self.error },
            // A layer that is fine in every other way.
            (true, Errno::INVAL) => Error::system("mount an overlay of layers with mapped ids, which Linux has since 5.19")(self.error),
            (true, _) => Error::system("mount the root file system")(self.error),
        }
    }
}

/// Mounts `layers` from a mount namespace that nobody else is in.
fn overlay_here(layers: &Layers<'_>, ids: &Ids, staging: &Path) -> std::result::Result<OwnedFd, Failure> {
    let plain = |error| Failure { layer: PathBuf::new(), error };
    mount::set_propagation_of_all(Propagation::Private).map_err(plain)?;
    let mapped = |layer: &Path| {
        let mapped = mount::clone_path(layer, false).and_then(|copy| mount::map_ids(&copy, &ids.namespace).map(|()| copy));
        let copy = mapped.map_err(|error| Failure { layer: layer.to_path_buf(), error })?;
        mount::set_attributes(&copy, Attributes::NONE, Some(Propagation::Private), false).map_err(plain)?;
        let place = super::open(staging).map_err(plain)?;
        mount::attach(&copy, place, "layer").map_err(plain)?;
        Ok(copy)
    };
    let lower = layers.lower.iter().map(|layer| mapped(layer)).collect::<std::result::Result<Vec<_>, _>>()?;
    // One mount for both: overlay wants it so.
    let writable = mapped(layers.writable)?;
    become_root_of(ids.root).map_err(plain)?;
    let names: Vec<PathBuf> = lower.iter().map(name).collect();
    overlay_at(&Layers { lower: &names, writable: &name(&writable), volatile: layers.volatile }).map_err(plain)
}

fn name(descriptor: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", descriptor.as_raw_fd()))
}

/// Takes the ids of the container's root towards file systems and keeps the rights of our own: overlay makes whatever it needs
/// with the ids and rights of its mounter, and ids that a layer does not map are refused with `EOVERFLOW`.
fn become_root_of((uid, gid): (u32, u32)) -> selkie_sys::Result<()> {
    let held = capability::held()?;
    process::set_file_ids(uid, gid)?;
    capability::set(held.permitted, held.permitted, held.inheritable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_over_the_socket_is_the_same() {
        let failure = Failure { layer: "/a".into(), error: SyscallError::new("mount_setattr()", Errno::INVAL) };
        let decoded = Failure::decode(&failure.encode());
        assert_eq!((decoded.layer, decoded.error), (failure.layer, failure.error));
    }

    #[test]
    fn maps_without_root_are_refused() {
        let maps = |container| IdMaps {
            uids: vec![selkie_plan::IdMap { container, host: 100_000, size: 10 }],
            gids: vec![selkie_plan::IdMap { container: 0, host: 200_000, size: 10 }],
        };
        assert_eq!(root(&maps(0)).unwrap(), (100_000, 200_000));
        assert!(root(&maps(1)).is_err());
    }
}
