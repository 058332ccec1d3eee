//! Makes the mounts of a plan beneath a root that is attached and not yet pivoted to.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use selkie_plan::{Mount, MountSource, Propagation};
use selkie_sys::mount::{self as sys, Attributes, Filesystem};
use selkie_sys::{Context, Errno, SyscallError, root};

use crate::cgroup::Hierarchy;
use crate::error::{During, Error};

/// Where the sources of mounts come from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sources<'a> {
    /// The directory of the generated files.
    pub(crate) files: &'a Path,
    /// The engine's own binary on the host.
    pub(crate) engine: &'a Path,
}

/// Makes the file system of `planned`, mounted nowhere yet.
///
/// # Errors
/// What the kernel refused, and for one that is no file system of its own.
pub(crate) fn filesystem(planned: &Mount) -> Result<OwnedFd, Error> {
    let stage = || format!("mount `{}`", planned.destination);
    let kind = match &planned.source {
        MountSource::Proc => "proc",
        MountSource::Sysfs => "sysfs",
        MountSource::Tmpfs => "tmpfs",
        MountSource::Devpts => "devpts",
        MountSource::Mqueue => "mqueue",
        MountSource::Cgroup | MountSource::Bind { .. } | MountSource::File(_) | MountSource::Engine => {
            return Err(Error::refused(stage(), "is no file system of its own"));
        }
    };
    let filesystem = Filesystem::new(kind).during(stage)?;
    for option in &planned.options {
        filesystem.option(option).during(stage)?;
    }
    filesystem.mount(attributes(planned)).during(stage)
}

fn attributes(planned: &Mount) -> Attributes {
    Attributes::NONE
        .and_if(planned.readonly, Attributes::READ_ONLY)
        .and_if(planned.nosuid, Attributes::NO_SUID)
        .and_if(planned.nodev, Attributes::NO_DEVICES)
        .and_if(planned.noexec, Attributes::NO_EXEC)
}

/// Takes what `planned` binds, as a detached copy; `None` for a file system of its own.
///
/// This happens first of all, while init is still the engine's user in the host's tree: a user of a new user namespace
/// could not reach the paths, and a tree made private has lost the peer groups that `shared` and `slave` are about.
pub(crate) fn take(planned: &Mount, sources: Sources<'_>) -> Result<Option<OwnedFd>, Error> {
    let stage = || format!("mount `{}`", planned.destination);
    let copy = match &planned.source {
        MountSource::Bind { path, recursive } => sys::clone_path(Path::new(path), *recursive),
        MountSource::File(name) => sys::clone_path(&sources.files.join(name), false),
        MountSource::Engine => sys::clone_path(sources.engine, false),
        _ => return Ok(None),
    };
    copy.during(stage).map(Some)
}

/// A container's root with the kernel's file systems that are mounted in it so far.
///
/// What lies beneath one of those is looked up from its own root. Directories of the container's root may be shared with
/// another container, which can exchange `/proc` itself for another directory between two steps of ours: a mask that was
/// looked up from `/` would land there, and the procfs would stay open at its new place (CVE-2025-31133, CVE-2025-52881).
#[derive(Debug)]
pub(crate) struct Tree<'a> {
    root: BorrowedFd<'a>,
    kernel: Vec<(String, OwnedFd)>,
}

impl<'a> Tree<'a> {
    /// Starts with a root that is attached and has nothing mounted in it.
    pub(crate) const fn new(root: BorrowedFd<'a>) -> Self {
        Self { root, kernel: Vec::new() }
    }

    /// Adds `mount`, in which nobody but the kernel and this process has made anything.
    pub(crate) fn add(&mut self, destination: &str, mount: OwnedFd) {
        self.kernel.push((destination.to_owned(), mount));
    }

    /// Returns where `path` is looked up from, and how from there.
    pub(crate) fn look_up<'p>(&self, path: &'p str) -> (BorrowedFd<'_>, &'p Path) {
        let beneath = self.kernel.iter().rev().find_map(|(place, mount)| {
            let rest = path.strip_prefix(place.as_str())?;
            if rest.is_empty() { Some((mount.as_fd(), ".")) } else { Some((mount.as_fd(), rest.strip_prefix('/')?)) }
        });
        beneath.map_or((self.root, Path::new(path)), |(mount, rest)| (mount, Path::new(rest)))
    }
}

/// Makes one mount, of what was [taken](take) or made for it if anything was, and returns a descriptor of its root.
pub(crate) fn make(tree: &Tree<'_>, planned: &Mount, taken: Option<OwnedFd>, hierarchies: &[Hierarchy]) -> Result<OwnedFd, Error> {
    let stage = || format!("mount `{}`", planned.destination);
    let (made, ordinary) = match &planned.source {
        MountSource::Proc | MountSource::Sysfs | MountSource::Tmpfs | MountSource::Devpts | MountSource::Mqueue => {
            let ordinary = planned.source != MountSource::Tmpfs || planned.destination == "/dev";
            (taken.map_or_else(|| filesystem(planned), Ok)?, ordinary)
        }
        MountSource::Cgroup => return cgroup(tree, planned, attributes(planned), hierarchies),
        MountSource::Bind { recursive, .. } => (bind(taken, planned, attributes(planned), *recursive)?, false),
        MountSource::File(_) | MountSource::Engine => (bind(taken, planned, attributes(planned), false)?, false),
    };
    let target = target(tree, &planned.destination, &made, ordinary)?;
    sys::attach(&made, target, &planned.destination).during(stage)?;
    Ok(made)
}

fn bind(taken: Option<OwnedFd>, planned: &Mount, attributes: Attributes, recursive: bool) -> Result<OwnedFd, Error> {
    let stage = || format!("mount `{}`", planned.destination);
    let copy = taken.ok_or_else(|| Error::refused(stage(), "its source was not taken"))?;
    let (propagation, all) = match planned.propagation {
        Propagation::Private => (sys::Propagation::Private, false),
        Propagation::Rprivate => (sys::Propagation::Private, true),
        Propagation::Slave => (sys::Propagation::Slave, false),
        Propagation::Rslave => (sys::Propagation::Slave, true),
        Propagation::Shared => (sys::Propagation::Shared, false),
        Propagation::Rshared => (sys::Propagation::Shared, true),
    };
    sys::set_attributes(&copy, Attributes::NONE, Some(propagation), all && recursive).during(stage)?;
    // Read-only means everything beneath it too: a writable mount under a read-only one is a hole, not a feature.
    sys::set_attributes(&copy, attributes, None, recursive).during(stage)?;
    Ok(copy)
}

/// Opens the place that `made` is attached to. File systems of the kernel want an `ordinary` directory: an image whose
/// `/proc` is a link would get them somewhere else (CVE-2019-19921, CVE-2023-27561).
fn target(tree: &Tree<'_>, destination: &str, made: &OwnedFd, ordinary: bool) -> Result<OwnedFd, Error> {
    let stage = || format!("mount `{destination}`");
    let (container, path) = tree.look_up(destination);
    if ordinary {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
        match rustix::fs::openat2(container, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty(), resolve) {
            Ok(found) => return Ok(found),
            Err(Errno::NOENT) => {}
            Err(Errno::LOOP | Errno::NOTDIR) => {
                return Err(Error::refused(
                    stage(),
                    format!("`{destination}` of the image must be an ordinary directory, not a link or file"),
                ));
            }
            Err(errno) => return Err(errno).call(|| format!("openat2({path:?})")).during(stage),
        }
        return root::make_directory(container, path).during(stage);
    }
    let kind = FileType::from_raw_mode(rustix::fs::fstat(made).call(|| format!("fstat({path:?})")).during(stage)?.st_mode);
    let place = if kind == FileType::Directory { root::make_directory(container, path) } else { root::make_file(container, path) };
    match place {
        Err(SyscallError { errno: Errno::NOTDIR, call }) => {
            Err(Error::refused(stage(), format!("{call}: a file and a directory cannot cover each other")))
        }
        place => place.during(stage),
    }
}

/// Shows the container's own cgroups: one cgroup2 mount, or a tmpfs with a mount for each hierarchy of v1.
fn cgroup(tree: &Tree<'_>, planned: &Mount, attributes: Attributes, hierarchies: &[Hierarchy]) -> Result<OwnedFd, Error> {
    let stage = || format!("mount `{}`", planned.destination);
    let attach = |made: &OwnedFd| {
        let target = target(tree, &planned.destination, made, true)?;
        sys::attach(made, target, &planned.destination).during(stage)
    };
    if let [Hierarchy { name: None, .. }] = hierarchies {
        let made = Filesystem::new("cgroup2").during(stage)?.mount(attributes).during(stage)?;
        attach(&made)?;
        return Ok(made);
    }
    let parent = Filesystem::new("tmpfs").during(stage)?;
    for option in ["mode=0755", "size=64k"] {
        parent.option(option).during(stage)?;
    }
    let parent = parent.mount(Attributes::NO_SUID.and(Attributes::NO_DEVICES).and(Attributes::NO_EXEC)).during(stage)?;
    attach(&parent)?;
    for hierarchy in hierarchies {
        mount_hierarchy(&parent, hierarchy, attributes).during(stage)?;
    }
    sys::set_attributes(&parent, Attributes::READ_ONLY, None, false).during(stage)?;
    Ok(parent)
}

fn mount_hierarchy(parent: &OwnedFd, hierarchy: &Hierarchy, attributes: Attributes) -> selkie_sys::Result<()> {
    let directory = match &hierarchy.name {
        None => "unified",
        Some(name) => name,
    };
    let filesystem = Filesystem::new(if hierarchy.name.is_none() { "cgroup2" } else { "cgroup" })?;
    for controller in &hierarchy.controllers {
        filesystem.flag(controller)?;
    }
    if let (Some(name), true) = (&hierarchy.name, hierarchy.controllers.is_empty()) {
        filesystem.flag("none")?;
        filesystem.set("name", name)?;
    }
    let made = filesystem.mount(attributes)?;
    let place = root::make_directory(parent, Path::new(directory))?;
    sys::attach(made, place, directory)?;
    // Software looks for a controller under its own name, however the host has joined them.
    for controller in hierarchy.controllers.iter().filter(|controller| *controller != directory) {
        match rustix::fs::symlinkat(directory, parent, controller) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno).call(|| format!("symlinkat({directory:?}, {controller:?})")),
        }
    }
    Ok(())
}
