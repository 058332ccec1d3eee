//! The root file system of a container as a detached mount: it never appears in the host's mount table.

use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use selkie_sys::mount::{self, Attributes, Filesystem};
use selkie_sys::{Errno, SyscallError};

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
    lower_layers(&filesystem, layers).map_err(what())?;
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

/// One option a layer, since Linux 6.5; before, one option for all, at most 255 bytes of it.
fn lower_layers(filesystem: &Filesystem, layers: &[PathBuf]) -> selkie_sys::Result<()> {
    for (number, layer) in layers.iter().enumerate() {
        match filesystem.set("lowerdir+", &layer.display().to_string()) {
            Err(SyscallError { errno: Errno::INVAL, .. }) if number == 0 => {
                let joined = layers.iter().map(|layer| layer.display().to_string().replace(':', "\\:")).collect::<Vec<_>>().join(":");
                return filesystem.set("lowerdir", &joined);
            }
            set => set?,
        }
    }
    Ok(())
}

fn make(path: &Path, mode: u32) -> Result<()> {
    match std::fs::DirBuilder::new().mode(mode).create(path) {
        Err(source) if source.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(Error::File { action: "create directory", path: path.to_path_buf(), source })
        }
        _ => Ok(()),
    }
}
