//! Covers and protects paths of the kernel that a container must not use: OCI `maskedPaths` and `readonlyPaths`.
//!
//! Everything goes by descriptor. The cover of a file is the host's null device, checked to be 1:3: a container
//! that replaces its own `/dev/null` by a link changes nothing (CVE-2025-31133). Where the paths are looked up from, so
//! that they are the kernel's, is [`Tree`]'s.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{FileType, OFlags};
use selkie_sys::mount::{Attributes, Filesystem, Propagation};
use selkie_sys::{Context, Errno, SyscallError, mount, root};

use crate::error::{During, Error};
use crate::mounts::Tree;

/// What covers are made of, taken from the host before the root is changed.
#[derive(Debug)]
pub(crate) struct Covers {
    null: OwnedFd,
    directory: OwnedFd,
}

impl Covers {
    /// Takes the null device of the host and an empty, read-only tmpfs.
    pub(crate) fn new() -> Result<Self, Error> {
        let null = mount::clone_path(Path::new("/dev/null"), false).during(|| "masked paths")?;
        let stat = rustix::fs::fstat(&null).call(|| "fstat(\"/dev/null\")").during(|| "masked paths")?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::CharacterDevice || stat.st_rdev != rustix::fs::makedev(1, 3) {
            return Err(Error::refused("masked paths", "the host's /dev/null is not the null device 1:3"));
        }
        mount::set_attributes(&null, Attributes::NO_EXEC.and(Attributes::NO_SUID), Some(Propagation::Private), false)
            .during(|| "masked paths")?;
        let tmpfs = Filesystem::new("tmpfs").during(|| "masked paths")?;
        for option in ["mode=0555", "size=4k", "nr_inodes=1"] {
            tmpfs.option(option).during(|| "masked paths")?;
        }
        let attributes = Attributes::READ_ONLY.and(Attributes::NO_DEVICES).and(Attributes::NO_EXEC).and(Attributes::NO_SUID);
        Ok(Self { null, directory: tmpfs.mount(attributes).during(|| "masked paths")? })
    }

    /// Makes the sources attached somewhere, so that older kernels too can copy them; see [`Self::mask`].
    fn copy_of(source: &OwnedFd) -> selkie_sys::Result<OwnedFd> {
        mount::clone_tree(source, Path::new(""), false)
    }

    /// Covers `path` of `tree`; one that is missing is skipped.
    pub(crate) fn mask(&mut self, tree: &Tree<'_>, path: &str) -> Result<(), Error> {
        let stage = || format!("masked path `{path}`");
        let Some(target) = existing(tree, path)? else { return Ok(()) };
        let kind = FileType::from_raw_mode(rustix::fs::fstat(&target).call(|| format!("fstat({path:?})")).during(stage)?.st_mode);
        let source = if kind == FileType::Directory { &self.directory } else { &self.null };
        let cover = match Self::copy_of(source) {
            // Before Linux 6.15 only an attached mount can be copied: make a new one in place of a copy.
            Err(SyscallError { errno: Errno::INVAL, .. }) => {
                let fresh = Self::new()?;
                if kind == FileType::Directory { fresh.directory } else { fresh.null }
            }
            copied => copied.during(stage)?,
        };
        mount::attach(cover, target, path).during(stage)
    }
}

/// Makes `path` of `tree` read-only with everything under it; one that is missing is skipped.
pub(crate) fn protect(tree: &Tree<'_>, path: &str) -> Result<(), Error> {
    let stage = || format!("read-only path `{path}`");
    let Some(target) = existing(tree, path)? else { return Ok(()) };
    let copy = mount::clone_tree(&target, Path::new(""), true).during(stage)?;
    mount::set_attributes(&copy, Attributes::READ_ONLY, None, true).during(stage)?;
    mount::attach(copy, target, path).during(stage)
}

fn existing(tree: &Tree<'_>, path: &str) -> Result<Option<OwnedFd>, Error> {
    let (from, rest) = tree.look_up(path);
    match root::open(from, rest, OFlags::PATH) {
        Ok(found) => Ok(Some(found)),
        Err(SyscallError { errno: Errno::NOENT | Errno::NOTDIR, .. }) => Ok(None),
        Err(error) => Err(Error::setup(format!("path `{path}`"), &error)),
    }
}
