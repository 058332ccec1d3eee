//! Which processes are in which container, from the tree of cgroups rather than from every process.
//!
//! A host has far fewer cgroups than processes: a walk over the directories that reads `cgroup.procs` only beneath those of
//! containers costs a hundredth of reading `/proc/PID/cgroup` of every process. A number that the kernel gives to a new process
//! between this walk and the scan would be counted to the old one's container; that takes a whole round of `pid_max`.

use std::collections::{BTreeMap, HashMap};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::procfs::{lines, number};
use crate::{Mount, Owner, engine_of};

/// Deeper trees are a container's own doing.
const DEPTH: usize = 32;

/// The containers of a host and the processes in them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placements {
    owners: Vec<Owner>,
    by_pid: HashMap<u32, usize>,
}

impl Placements {
    /// Walks over the `hierarchies`, mount points of cgroup trees. `known` are containers whose paths do not tell.
    #[must_use]
    pub fn walk(hierarchies: &[PathBuf], known: &BTreeMap<String, Owner>) -> Self {
        let mut found = Self::default();
        for hierarchy in hierarchies {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            // A hierarchy that cannot be seen has no containers that can.
            if let Ok(root) = rustix::fs::open(hierarchy, flags, Mode::empty()) {
                found.directory(&root, String::new(), None, known, DEPTH);
            }
        }
        found
    }

    /// Returns whose container the process is in.
    #[must_use]
    pub fn of(&self, pid: u32) -> Option<&Owner> {
        self.owners.get(*self.by_pid.get(&pid)?)
    }

    /// Returns the containers, in the order in which they were found.
    #[must_use]
    pub fn owners(&self) -> &[Owner] {
        &self.owners
    }

    /// Counts the process to a container, unless it is in one already.
    pub fn insert(&mut self, pid: u32, owner: &Owner) {
        let index = self.index(owner);
        self.by_pid.entry(pid).or_insert(index);
    }

    /// Counts the processes of `owner` to `other` from now on.
    pub(crate) fn rename(&mut self, owner: &Owner, other: &Owner) {
        for known in self.owners.iter_mut().filter(|known| *known == owner) {
            known.clone_from(other);
        }
    }

    fn index(&mut self, owner: &Owner) -> usize {
        self.owners.iter().position(|known| known == owner).unwrap_or_else(|| {
            self.owners.push(owner.clone());
            self.owners.len() - 1
        })
    }

    fn directory(&mut self, directory: &OwnedFd, path: String, owner: Option<usize>, known: &BTreeMap<String, Owner>, depth: usize) {
        let owner = owner.or_else(|| known.get(&path).cloned().or_else(|| engine_of(&path)).map(|owner| self.index(&owner)));
        if let Some(index) = owner {
            for pid in processes(directory) {
                self.by_pid.entry(pid).or_insert(index);
            }
        }
        if depth == 0 {
            return;
        }
        for name in subdirectories(directory) {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            if let Ok(inner) = rustix::fs::openat(directory, name.as_slice(), flags, Mode::empty()) {
                let path = format!("{path}/{}", String::from_utf8_lossy(&name));
                self.directory(&inner, path, owner, known, depth - 1);
            }
        }
    }
}

/// Returns where the trees are mounted that tell containers apart: the unified one, and those of v1 that engines use.
#[must_use]
pub fn hierarchies(mounts: &[Mount]) -> Vec<PathBuf> {
    const USED: [&str; 5] = ["name=systemd", "pids", "devices", "freezer", "memory"];
    let whole = |mount: &&Mount| mount.root == Path::new("/");
    let unified = mounts.iter().filter(|mount| mount.kind == "cgroup2");
    let first = USED.iter().flat_map(|used| {
        let has = move |mount: &&Mount| mount.kind == "cgroup" && mount.super_options.iter().any(|option| option == used);
        mounts.iter().filter(has)
    });
    let mut points: Vec<PathBuf> = Vec::new();
    for mount in unified.chain(first).filter(whole) {
        if !points.contains(&mount.point) {
            points.push(mount.point.clone());
        }
    }
    points
}

fn subdirectories(directory: &OwnedFd) -> Vec<Vec<u8>> {
    let mut memory = Vec::with_capacity(16 << 10);
    let mut entries = rustix::fs::RawDir::new(directory, memory.spare_capacity_mut());
    let mut names = Vec::new();
    while let Some(Ok(entry)) = entries.next() {
        let name = entry.file_name().to_bytes();
        if entry.file_type() == FileType::Directory && !matches!(name, b"." | b"..") {
            names.push(name.to_vec());
        }
    }
    names
}

fn processes(directory: impl AsFd) -> Vec<u32> {
    let read = || -> Result<Vec<u8>, Errno> {
        let file = rustix::fs::openat(directory.as_fd(), c"cgroup.procs", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        let mut content = Vec::new();
        let mut chunk = [0; 4096];
        loop {
            match rustix::io::retry_on_intr(|| rustix::io::read(&file, &mut chunk))? {
                0 => return Ok(content),
                length => content.extend_from_slice(chunk.get(..length).unwrap_or(&[])),
            }
        }
    };
    // A cgroup that has just been removed, or one of threads only, has no processes to tell of.
    read().map(|content| lines(&content).filter_map(number).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Engine, mountinfo};

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = directory.path().join(path.replace("ID", ID));
            std::fs::create_dir_all(&path).unwrap();
            std::fs::write(path.join("cgroup.procs"), content).unwrap();
        }
        directory
    }

    #[test]
    fn walk_finds_processes_below_a_container_too() {
        let tree = tree(&[("selkie/ID", "7\n8\n"), ("selkie/ID/inner/docker/ID", "9\n"), ("system.slice/x.service", "10\n"), ("", "1\n")]);
        let found = Placements::walk(&[tree.path().to_owned()], &BTreeMap::new());
        let engine = |pid| found.of(pid).map(|owner| owner.engine);
        assert_eq!([1, 7, 8, 9, 10].map(engine), [None, Some(Engine::Selkie), Some(Engine::Selkie), Some(Engine::Selkie), None]);
        assert_eq!(found.owners().len(), 1);
    }

    #[test]
    fn walk_takes_a_known_path_that_does_not_tell() {
        let tree = tree(&[("my.slice/ID", "7\n")]);
        let owner = Owner { engine: Engine::Selkie, id: ID.to_owned() };
        let known = BTreeMap::from([(format!("/my.slice/{ID}"), owner.clone())]);
        assert_eq!(Placements::walk(&[tree.path().to_owned()], &known).of(7), Some(&owner));
    }

    #[test]
    fn walk_of_a_tree_that_is_not_there_finds_nothing() {
        assert_eq!(Placements::walk(&["/nonexistent".into()], &BTreeMap::new()), Placements::default());
    }

    #[test]
    fn hierarchies_of_a_hybrid_host_begin_with_the_unified_one() {
        let mounts = mountinfo::parse(
            b"31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n36 31 0:33 / /sys/fs/cgroup/devices rw - cgroup cgroup rw,devices\n\
              32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n\
              41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n42 31 0:33 /docker/x /mnt rw - cgroup cgroup rw,devices\n",
        );
        let found: Vec<_> = hierarchies(&mounts).iter().map(|path| path.display().to_string()).collect();
        assert_eq!(found, ["/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/devices"]);
    }
}
