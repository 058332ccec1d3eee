//! The root file system of a container as a detached mount: it never appears in the host's mount table.
//!
//! What every container has mounted somewhere needs places, and few images have them all. A *skeleton*, one directory for all
//! containers with nothing but these places, lies beneath the layers of an image: the writable layer of a container that writes
//! nothing stays empty, which makes its start and its removal cheap.

mod idmap;

use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use selkie_plan::Plan;
use selkie_sys::mount::{self, Attributes, Filesystem};
use selkie_sys::{Context, Errno, SyscallError};

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::files;
use crate::record::{Record, RootSource};
use crate::store::Store;

/// Directories of the skeleton, each the place of a mount or of a file below.
const SKELETON_DIRECTORIES: [&str; 5] = ["dev", "etc", "proc", "sys", "run"];
/// Files of the skeleton. The last one says that it is complete.
const SKELETON_FILES: [&str; 3] = ["etc/hosts", "etc/hostname", "run/.containerenv"];

impl Engine {
    /// Mounts the root file system of `record` for a plan that is still to be made; [`Self::root_for`] tells whether it fits.
    pub(crate) fn mount_root(&self, record: &Record) -> Result<OwnedFd> {
        self.mount(record, true, None)
    }

    /// Returns `root` if it fits this plan, and another mount otherwise: without skeleton where a container would see something of
    /// it, and with the ids of its user namespace.
    pub(crate) fn root_for(&self, planned: &Plan, record: &Record, root: OwnedFd) -> Result<OwnedFd> {
        let is_overlay = !matches!(record.root, RootSource::Directory(_));
        let ids = if is_overlay { idmap::Ids::of(&planned.namespaces.user)? } else { None };
        let skeleton = !matches!(record.root, RootSource::Image(_)) || covers_skeleton(planned);
        if skeleton && ids.is_none() {
            return Ok(root);
        }
        // Two mounts must not share a writable layer.
        drop(root);
        self.mount(record, skeleton, ids.as_ref())
    }

    fn mount(&self, record: &Record, skeleton: bool, ids: Option<&idmap::Ids>) -> Result<OwnedFd> {
        let lower = match &record.root {
            RootSource::Directory(path) => return directory(path),
            RootSource::Overlay(path) => vec![path.clone()],
            RootSource::Image(id) => {
                let mut layers = self.images.layers(id)?;
                layers.extend(skeleton.then(|| self.store.skeleton()));
                layers
            }
        };
        let writable = self.store.container(&record.id);
        // Whatever a container has removed itself need not survive a power cut.
        let layers = Layers { lower: &lower, writable: &writable, volatile: record.request.lifecycle.remove };
        match ids {
            Some(ids) => idmap::overlay(&layers, ids, &self.store.staging()),
            None => {
                make_writable(&writable)?;
                overlay_at(&layers).map_err(Error::system("mount the root file system"))
            }
        }
    }
}

impl Engine {
    /// Mounts `layers`, the uppermost first, so that nothing can be written to them.
    pub(crate) fn read_only(&self, mut layers: Vec<PathBuf>) -> Result<OwnedFd> {
        // An overlay without a writable layer has at least two.
        layers.push(self.store.skeleton());
        let mounted = match read_only(Lower::Each(&layers)) {
            Err(SyscallError { errno: Errno::INVAL, .. }) => {
                Numbered::new(&layers).and_then(|numbered| read_only(Lower::Numbered(&numbered)))
            }
            mounted => mounted,
        };
        mounted.map_err(Error::system("mount the layers"))
    }
}

fn read_only(lower: Lower<'_>) -> selkie_sys::Result<OwnedFd> {
    let filesystem = Filesystem::new("overlay")?;
    lower.set(&filesystem)?;
    filesystem.option("redirect_dir=nofollow")?;
    filesystem.option("metacopy=off")?;
    filesystem.mount(Attributes::READ_ONLY)
}

fn directory(path: &Path) -> Result<OwnedFd> {
    let tree = mount::clone_path(path, true).map_err(Error::system(format!("use `{}` as root file system", path.display())))?;
    mount::set_attributes(&tree, Attributes::NONE, Some(mount::Propagation::Private), true)
        .map_err(Error::system("make the root file system private"))?;
    Ok(tree)
}

/// Returns whether everything of the skeleton has a mount over it.
fn covers_skeleton(planned: &Plan) -> bool {
    let covered = |place: &str| planned.mounts.iter().any(|mount| Path::new("/").join(place).starts_with(&mount.destination));
    ["dev", "proc", "sys"].into_iter().chain(SKELETON_FILES).all(covered)
}

impl Store {
    /// Makes the skeleton unless it is there. Two may do so at the same time.
    pub(crate) fn prepare_skeleton(&self) -> Result<()> {
        let skeleton = self.skeleton();
        let [.., last] = SKELETON_FILES;
        if skeleton.join(last).exists() {
            return Ok(());
        }
        files::make_directories(&self.skeleton())?;
        for name in SKELETON_DIRECTORIES {
            make(&skeleton.join(name), 0o755)?;
        }
        for name in SKELETON_FILES {
            let path = skeleton.join(name);
            let mut options = std::fs::OpenOptions::new();
            let made = options.write(true).create(true).truncate(false).mode(0o644).open(&path);
            made.map_err(|source| Error::File { action: "create", path, source })?;
        }
        Ok(())
    }
}

/// The directories of an overlay.
#[derive(Clone, Copy, Debug)]
struct Layers<'a> {
    /// The uppermost first.
    lower: &'a [PathBuf],
    /// Has `upper` and `work` in it.
    writable: &'a Path,
    volatile: bool,
}

/// Makes the directories of the writable layer.
fn make_writable(directory: &Path) -> Result<()> {
    // The root of a container is the upper directory: other users of the container have to get in.
    make(&directory.join("upper"), 0o755)?;
    let work = directory.join("work");
    if make(&work, 0o700)? {
        return Ok(());
    }
    // An overlay with `volatile` leaves this behind, so that nobody trusts the layer after a power cut; no container with one
    // outlives its boot.
    files::remove_tree(&work.join("work/incompat"))
}

/// Removes the directories of the writable layer.
pub(crate) fn remove_writable(directory: &Path) -> Result<()> {
    remove_mark(directory);
    let work = directory.join("work");
    // This is all that overlay leaves there, and its place is known: to look for it takes longer.
    let _ = rustix::fs::rmdir(work.join("work"));
    files::remove_tree(&directory.join("upper"))?;
    files::remove_tree(&work)
}

/// Removes what tells that a `volatile` overlay was mounted and may be damaged after a power cut: nothing but a look of the kernel
/// before the next mount, which there is none of in such a layer. It can be done while it is mounted.
pub(crate) fn remove_mark(directory: &Path) {
    let work = directory.join("work/work");
    let _ = rustix::fs::unlink(work.join("incompat/volatile/dirty"));
    for left in ["incompat/volatile", "incompat"] {
        let _ = rustix::fs::rmdir(work.join(left));
    }
}

/// Mounts `layers`, whose writable directories are there.
fn overlay_at(layers: &Layers<'_>) -> selkie_sys::Result<OwnedFd> {
    match overlay_of(Lower::Each(layers.lower), layers) {
        // Linux 6.5 and 6.6 refuse an option that they do not have, those before find out when they make the file system.
        Err(SyscallError { errno: Errno::INVAL, .. }) => {
            Numbered::new(layers.lower).and_then(|numbered| overlay_of(Lower::Numbered(&numbered), layers))
        }
        mounted => mounted,
    }
}

/// How an overlay is told its layers: one option each since Linux 6.7, one option for all before.
#[derive(Clone, Copy, Debug)]
enum Lower<'a> {
    Each(&'a [PathBuf]),
    Numbered(&'a Numbered),
}

impl Lower<'_> {
    fn set(self, filesystem: &Filesystem) -> selkie_sys::Result<()> {
        match self {
            Self::Each(layers) => layers.iter().try_for_each(|layer| filesystem.set("lowerdir+", &layer.display().to_string())),
            Self::Numbered(numbered) => filesystem.set("lowerdir", &numbered.names()),
        }
    }
}

fn overlay_of(lower: Lower<'_>, layers: &Layers<'_>) -> selkie_sys::Result<OwnedFd> {
    let filesystem = Filesystem::new("overlay")?;
    lower.set(&filesystem)?;
    filesystem.set("upperdir", &layers.writable.join("upper").display().to_string())?;
    filesystem.set("workdir", &layers.writable.join("work").display().to_string())?;
    // An image's attributes must not send a look-up anywhere; old kernels without an option have it off.
    for option in ["redirect_dir=nofollow", "metacopy=off", "index=off", "xino=off"] {
        filesystem.option(option)?;
    }
    if layers.volatile {
        filesystem.flag("volatile")?;
    }
    filesystem.mount(Attributes::NO_DEVICES)
}

/// Layers as `lowerdir=10:11:12`: names of descriptors, with `/proc/self/fd` as working directory while this lives.
///
/// fsconfig(2) takes at most 255 bytes, which is two layers by their paths, and at least 63 by number. Kernels look the names
/// up either when the option is set or when the file system is made.
#[derive(Debug)]
struct Numbered {
    before: OwnedFd,
    layers: Vec<OwnedFd>,
}

impl Numbered {
    fn new(layers: &[PathBuf]) -> selkie_sys::Result<Self> {
        let before = open(Path::new("."))?;
        let layers = layers.iter().map(|layer| open(layer)).collect::<selkie_sys::Result<Vec<_>>>()?;
        rustix::process::chdir("/proc/self/fd").call(|| "chdir(\"/proc/self/fd\")")?;
        Ok(Self { before, layers })
    }

    fn names(&self) -> String {
        self.layers.iter().map(|layer| layer.as_raw_fd().to_string()).collect::<Vec<_>>().join(":")
    }
}

impl Drop for Numbered {
    fn drop(&mut self) {
        // It was the working directory a moment ago; nothing later depends on it.
        let _ = rustix::process::fchdir(&self.before);
    }
}

fn open(directory: &Path) -> selkie_sys::Result<OwnedFd> {
    rustix::fs::open(directory, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .call(|| format!("open({directory:?}, O_PATH)"))
}

/// Makes a directory; returns whether it was not there.
fn make(path: &Path, mode: u32) -> Result<bool> {
    match std::fs::DirBuilder::new().mode(mode).create(path) {
        Ok(()) => Ok(true),
        Err(source) if source.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(source) => Err(Error::File { action: "create directory", path: path.to_path_buf(), source }),
    }
}
