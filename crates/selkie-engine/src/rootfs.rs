//! The root file system of a container as a detached mount: it never appears in the host's mount table.

use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use selkie_sys::mount::{self, Attributes, Filesystem};
use selkie_sys::{Context, Errno, SyscallError};

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::record::{Record, RootSource};

impl Engine {
    /// Mounts the root file system of `record`.
    pub(crate) fn mount_root(&self, record: &Record) -> Result<OwnedFd> {
        let directory = self.store.container(&record.id);
        // Whatever a container has removed itself need not survive a power cut.
        let volatile = record.request.lifecycle.remove;
        match &record.root {
            RootSource::Directory(path) => {
                let tree = mount::clone_path(path, true).map_err(Error::system(format!("use `{}` as root file system", path.display())))?;
                mount::set_attributes(&tree, Attributes::NONE, Some(mount::Propagation::Private), true)
                    .map_err(Error::system("make the root file system private"))?;
                Ok(tree)
            }
            RootSource::Overlay(path) => overlay(std::slice::from_ref(path), &directory, volatile),
            RootSource::Image(id) => overlay(&self.images.layers(id)?, &directory, volatile),
        }
    }
}

/// Mounts `layers`, the uppermost first, beneath a writable layer in `directory`.
fn overlay(layers: &[PathBuf], directory: &Path, volatile: bool) -> Result<OwnedFd> {
    let upper = directory.join("upper");
    let work = directory.join("work");
    // The root of a container is the upper directory: other users of the container have to get in.
    make(&upper, 0o755)?;
    make(&work, 0o700)?;
    let what = || Error::system("mount the root file system");
    let filesystem = Filesystem::new("overlay").map_err(what())?;
    let _place = lower_layers(&filesystem, layers).map_err(what())?;
    filesystem.set("upperdir", &upper.display().to_string()).map_err(what())?;
    filesystem.set("workdir", &work.display().to_string()).map_err(what())?;
    // An image's attributes must not send a look-up anywhere; old kernels without an option have it off.
    for option in ["redirect_dir=nofollow", "metacopy=off", "index=off", "xino=off"] {
        filesystem.option(option).map_err(what())?;
    }
    if volatile {
        filesystem.flag("volatile").map_err(what())?;
    }
    filesystem.mount(Attributes::NO_DEVICES).map_err(what())
}

/// Says what the layers are: one option each since Linux 6.7, one option for all before. What is returned has to be kept until
/// the file system is made.
fn lower_layers(filesystem: &Filesystem, layers: &[PathBuf]) -> selkie_sys::Result<Option<Numbered>> {
    // Before 6.5 any option is taken, and found wrong in the end.
    if !Filesystem::checks_options("overlay")? {
        return Numbered::set(filesystem, layers).map(Some);
    }
    for (number, layer) in layers.iter().enumerate() {
        match filesystem.set("lowerdir+", &layer.display().to_string()) {
            Err(SyscallError { errno: Errno::INVAL, .. }) if number == 0 => return Numbered::set(filesystem, layers).map(Some),
            set => set?,
        }
    }
    Ok(None)
}

/// Layers as `lowerdir=10:11:12`: names of descriptors, with `/proc/self/fd` as working directory while this lives.
///
/// fsconfig(2) takes at most 255 bytes, which is two layers by their paths, and at least 63 by number. Kernels look the names
/// up either when the option is set or when the file system is made.
#[derive(Debug)]
struct Numbered {
    before: OwnedFd,
    _layers: Vec<OwnedFd>,
}

impl Numbered {
    fn set(filesystem: &Filesystem, layers: &[PathBuf]) -> selkie_sys::Result<Self> {
        let before = open(Path::new("."))?;
        let layers = layers.iter().map(|layer| open(layer)).collect::<selkie_sys::Result<Vec<_>>>()?;
        let names = layers.iter().map(|layer| layer.as_raw_fd().to_string()).collect::<Vec<_>>().join(":");
        rustix::process::chdir("/proc/self/fd").call(|| "chdir(\"/proc/self/fd\")")?;
        let numbered = Self { before, _layers: layers };
        filesystem.set("lowerdir", &names)?;
        Ok(numbered)
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

fn make(path: &Path, mode: u32) -> Result<()> {
    match std::fs::DirBuilder::new().mode(mode).create(path) {
        Err(source) if source.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(Error::File { action: "create directory", path: path.to_path_buf(), source })
        }
        _ => Ok(()),
    }
}
