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
    null: Cover,
    directory: Option<Cover>,
}

/// One kind of cover. The first use attaches the mount itself and later ones copies of it: every kernel copies an attached mount,
/// and one that is never attached costs an RCU grace period when it is given up.
#[derive(Debug)]
struct Cover {
    mount: OwnedFd,
    is_attached: bool,
}

impl Cover {
    const fn new(mount: OwnedFd) -> Self {
        Self { mount, is_attached: false }
    }

    fn attach(&mut self, target: OwnedFd, path: &str) -> selkie_sys::Result<()> {
        if self.is_attached {
            return mount::attach(mount::clone_tree(&self.mount, Path::new(""), false)?, target, path);
        }
        self.is_attached = true;
        mount::attach(&self.mount, target, path)
    }
}

impl Covers {
    /// Takes the null device of the host.
    pub(crate) fn new() -> Result<Self, Error> {
        let stage = || "masked paths";
        let null = mount::clone_path(Path::new("/dev/null"), false).during(stage)?;
        let stat = rustix::fs::fstat(&null).call(|| "fstat(\"/dev/null\")").during(stage)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::CharacterDevice || stat.st_rdev != rustix::fs::makedev(1, 3) {
            return Err(Error::refused("masked paths", "the host's /dev/null is not the null device 1:3"));
        }
        mount::set_attributes(&null, Attributes::NO_EXEC.and(Attributes::NO_SUID), Some(Propagation::Private), false).during(stage)?;
        Ok(Self { null: Cover::new(null), directory: None })
    }

    /// Covers `path` of `tree`; one that is missing is skipped.
    pub(crate) fn mask(&mut self, tree: &Tree<'_>, path: &str) -> Result<(), Error> {
        let stage = || format!("masked path `{path}`");
        let Some(target) = existing(tree, path)? else { return Ok(()) };
        let kind = FileType::from_raw_mode(rustix::fs::fstat(&target).call(|| format!("fstat({path:?})")).during(stage)?.st_mode);
        let cover = match (kind, &mut self.directory) {
            (FileType::Directory, Some(directory)) => directory,
            (FileType::Directory, none) => none.insert(Cover::new(empty_directory().during(stage)?)),
            _ => &mut self.null,
        };
        cover.attach(target, path).during(stage)
    }
}

/// Makes a read-only tmpfs in which there is room for nothing.
fn empty_directory() -> selkie_sys::Result<OwnedFd> {
    let tmpfs = Filesystem::new("tmpfs")?;
    for option in ["mode=0555", "size=4k", "nr_inodes=1"] {
        tmpfs.option(option)?;
    }
    tmpfs.mount(Attributes::READ_ONLY.and(Attributes::NO_DEVICES).and(Attributes::NO_EXEC).and(Attributes::NO_SUID))
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
