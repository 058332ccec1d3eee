//! Which processes are in which container, without reading `/proc/PID/cgroup` of every process.
//!
//! A host has far fewer cgroups than processes. There are two ways to make use of that:
//!
//! ```text
//! walk     the directories of the trees; `cgroup.procs` is read only beneath those of containers
//! groups   whoever lists the processes knows which of them share all their cgroups (the kernel's css_set);
//!          then one file a group tells the paths, or none: one listing of a directory of the unified tree
//!          tells the numbers of all cgroups in it
//! ```
//! A number that the kernel gives to a new process between this look and the scan would be counted to the old one's container;
//! that takes a whole round of `pid_max`.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use selkie_sys::thread::{beside, with_own_files};

use crate::procfs::{lines, number};
use crate::{Buffer, CgroupLine, Mount, Owner, Procfs, engine_of};

/// Deeper trees are a container's own doing.
const DEPTH: usize = 32;
/// So many containers are worth a thread that reads half of them.
const MANY: usize = 64;
/// A line of `cgroup.procs` is no longer.
const LINE: usize = 12;
/// Hierarchies of v1 that engines use, in the order in which they are asked. The unified one comes before them.
const USED: [&str; 5] = ["name=systemd", "pids", "devices", "freezer", "memory"];

/// Where the cgroups of processes are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cgroups {
    /// Mount points of cgroup trees, which are walked.
    Trees(Vec<PathBuf>),
    /// Processes that share all their cgroups, with the paths of these.
    Groups(Vec<Group>),
}

/// Processes that are in the same cgroup of every hierarchy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Paths in the unified hierarchy and in those of v1 that engines use, in the order in which they are asked.
    pub paths: Vec<String>,
    /// Their numbers.
    pub pids: Vec<u32>,
}

/// Cgroups, and what their paths alone tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placed {
    pub(crate) cgroups: Cgroups,
    pub(crate) placements: Placements,
}

impl Placed {
    /// Finds the containers whose paths tell.
    #[must_use]
    pub fn by_paths(cgroups: Cgroups) -> Self {
        let placements = Placements::find(&cgroups, &BTreeMap::new());
        Self { cgroups, placements }
    }
}

impl Default for Cgroups {
    fn default() -> Self {
        Self::Groups(Vec::new())
    }
}

impl Cgroups {
    /// Returns the trees that are mounted here.
    ///
    /// # Errors
    /// When this process cannot read its own mounts.
    pub fn mounted(procfs: &Procfs) -> selkie_sys::Result<Self> {
        let mounts = procfs.mounts(std::process::id(), &mut Buffer::new())?.unwrap_or_default();
        Ok(Self::Trees(hierarchies(&mounts)))
    }

    /// Finds out where groups of processes are.
    #[must_use]
    pub fn of_groups(procfs: &Procfs, members: Members) -> Self {
        let Members { mut groups, unified, .. } = members;
        let listed = Listed::of(procfs, &unified);
        let mut buffer = Buffer::new();
        for (group, unified) in groups.iter_mut().zip(unified) {
            group.paths = listed.enough(unified).map_or_else(|| told(procfs, &group.pids, &mut buffer), |path| vec![path.to_owned()]);
        }
        Self::Groups(groups)
    }
}

/// Processes in groups of those that share all their cgroups.
#[derive(Debug, Default)]
pub struct Members {
    /// Without paths yet.
    groups: Vec<Group>,
    /// The number of each group's cgroup in the unified hierarchy.
    unified: Vec<u64>,
    places: HashMap<u64, usize>,
    last: Option<(u64, usize)>,
}

impl Members {
    /// Adds a process.
    pub fn add(&mut self, member: Member) {
        // Neighbours are mostly of one group.
        let place = match self.last {
            Some((same, place)) if same == member.cgroups => place,
            _ => *self.places.entry(member.cgroups).or_insert_with(|| {
                self.groups.push(Group::default());
                self.unified.push(member.unified);
                self.groups.len() - 1
            }),
        };
        self.last = Some((member.cgroups, place));
        if let Some(group) = self.groups.get_mut(place) {
            group.pids.push(member.pid);
        }
    }
}

/// A process, and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its number.
    pub pid: u32,
    /// The same for those, and only those, that are in the same cgroup of every hierarchy.
    pub cgroups: u64,
    /// The number of its cgroup in the unified hierarchy; 0 when it is not known.
    pub unified: u64,
}

/// What the first of these that has not ended meanwhile tells of all.
fn told(procfs: &Procfs, pids: &[u32], buffer: &mut Buffer) -> Vec<String> {
    let lines = pids.iter().find_map(|pid| procfs.cgroup(*pid, buffer).ok().flatten().filter(|lines| !lines.is_empty()));
    used(lines.unwrap_or_default())
}

/// Paths in the unified hierarchy, by the numbers of the cgroups.
#[derive(Debug, Default)]
struct Listed {
    paths: HashMap<u64, String>,
    /// There is no other hierarchy.
    alone: bool,
}

impl Listed {
    /// Of so few groups files are read faster than any directory; so many directories without one that is wanted are the end.
    const FEW: usize = 16;

    /// Lists directories from the root on until all of `wanted` are found, or nothing is found any more.
    fn of(procfs: &Procfs, wanted: &[u64]) -> Self {
        let mut listed = Self::default();
        if wanted.len() < Self::FEW {
            return listed;
        }
        let mounts = procfs.mounts(std::process::id(), &mut Buffer::new()).ok().flatten().unwrap_or_default();
        let Some(unified) = mounts.iter().find(|mount| mount.kind == "cgroup2" && mount.root == Path::new("/")) else { return listed };
        listed.alone = !mounts.iter().any(|mount| mount.kind == "cgroup");
        listed.list(&unified.point, wanted);
        listed
    }

    fn list(&mut self, point: &Path, wanted: &[u64]) {
        let open = |at: &str| {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            rustix::fs::open(point.join(at), flags, Mode::empty())
        };
        // Nothing has the number 0.
        let mut missing: HashSet<u64> = wanted.iter().copied().filter(|number| *number != 0).collect();
        let mut next = VecDeque::from([String::new()]);
        let mut in_vain = 0;
        while in_vain < Self::FEW && !missing.is_empty() {
            let Some(path) = next.pop_front() else { break };
            let before = missing.len();
            let Ok(directory) = open(path.trim_start_matches('/')) else { continue };
            if path.is_empty()
                && let Ok(stat) = rustix::fs::fstat(&directory)
                && missing.remove(&stat.st_ino)
            {
                self.paths.insert(stat.st_ino, "/".to_owned());
            }
            each_directory(&directory, |name, number| {
                let inner = format!("{path}/{}", String::from_utf8_lossy(name));
                if missing.remove(&number) {
                    self.paths.insert(number, inner.clone());
                }
                next.push_back(inner);
            });
            in_vain = if missing.len() < before { 0 } else { in_vain + 1 };
        }
    }

    /// Returns the path of a cgroup if nothing else has to be known of whoever is in it.
    fn enough(&self, unified: u64) -> Option<&str> {
        let path = self.paths.get(&unified)?;
        (self.alone || engine_of(path).is_some()).then_some(path.as_str())
    }
}

/// Returns the paths of those hierarchies that engines use, in the order in which they are asked.
fn used(mut lines: Vec<CgroupLine>) -> Vec<String> {
    let has = |line: &CgroupLine, name: &str| line.controllers.iter().any(|controller| controller == name);
    let order = |line: &CgroupLine| match line.controllers.as_slice() {
        [] => Some(0),
        _ => USED.iter().position(|name| has(line, name)).map(|place| place + 1),
    };
    lines.retain(|line| order(line).is_some());
    lines.sort_by_key(order);
    // Of a reader in a cgroup namespace: what is above its root is shown by dots.
    lines.into_iter().map(|line| line.path.trim_start_matches("/..").to_owned()).collect()
}

/// Scatters numbers of processes. Every process is looked up several times, and nobody gains by choosing them: there are too few.
#[derive(Clone, Copy, Debug, Default)]
struct Scatter(u64);

impl Hasher for Scatter {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u32(u32::from(*byte)));
    }

    fn write_u32(&mut self, number: u32) {
        // The table goes by the lowest and the highest bits: those in the middle of the product are the best ones.
        self.0 = (self.0.rotate_left(5) ^ u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The containers of a host and the processes in them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placements {
    owners: Vec<Owner>,
    by_pid: HashMap<u32, usize, BuildHasherDefault<Scatter>>,
}

impl Placements {
    /// Finds the containers. `known` are those whose paths do not tell.
    #[must_use]
    pub fn find(cgroups: &Cgroups, known: &BTreeMap<String, Owner>) -> Self {
        match cgroups {
            Cgroups::Trees(hierarchies) => Self::walk(hierarchies, known),
            Cgroups::Groups(groups) => Self::among(groups, known),
        }
    }

    fn among(groups: &[Group], known: &BTreeMap<String, Owner>) -> Self {
        let mut found = Self::default();
        let mut places = HashMap::new();
        for group in groups {
            let Some(owner) = group.paths.iter().find_map(|path| owner_of(path, known)) else { continue };
            let place = found.placed(owner, &mut places);
            for pid in &group.pids {
                found.by_pid.entry(*pid).or_insert(place);
            }
        }
        found
    }

    /// Walks over the `hierarchies`, mount points of cgroup trees. `known` are containers whose paths do not tell.
    #[must_use]
    pub fn walk(hierarchies: &[PathBuf], known: &BTreeMap<String, Owner>) -> Self {
        let mut found = Self::default();
        let mut places = HashMap::new();
        let Some((first, later)) = hierarchies.split_first() else { return found };
        std::thread::scope(|scope| {
            // The processes are nearly all in the first one, while many names have to be looked at in each of the others.
            let search = || later.iter().filter_map(|hierarchy| Tree::search(hierarchy, known)).collect::<Vec<_>>();
            let others = (!later.is_empty()).then(|| beside(scope, search));
            Tree::search(first, known).into_iter().for_each(|tree| found.add(tree, &mut places));
            let others = others.flatten().and_then(|others| others.join().ok()).unwrap_or_else(search);
            others.into_iter().for_each(|tree| found.add(tree, &mut places));
        });
        found
    }

    /// Adds the processes of those containers in the tree of which no earlier one has told any. Only root of the host could put some of
    /// them elsewhere in one hierarchy and not in the next.
    fn add(&mut self, tree: Tree, places: &mut HashMap<Owner, usize>) {
        let seen: HashSet<usize> = self.by_pid.values().copied().collect();
        let Tree { root, mut containers } = tree;
        containers.retain(|(owner, _)| places.get(owner).is_none_or(|place| !seen.contains(place)));
        let inhabitants = |part: &[(Owner, Vec<u8>)]| {
            let mut found = Vec::new();
            for (owner, path) in part {
                let path = path.strip_prefix(b"/").unwrap_or(path);
                // Who is in a PID namespace that this one does not see has the number 0.
                inhabitants(&root, path, DEPTH, &mut |pid| found.extend((pid != 0).then(|| (pid, owner.clone()))));
            }
            found
        };
        let (here, there) = containers.split_at(if containers.len() < MANY { containers.len() } else { containers.len() / 2 });
        let found = std::thread::scope(|scope| {
            let other = (!there.is_empty()).then(|| beside(scope, || with_own_files(|| inhabitants(there)))).flatten();
            let mut found = inhabitants(here);
            found.extend(other.and_then(|other| other.join().ok()).unwrap_or_else(|| inhabitants(there)));
            found
        });
        // A cgroup without processes is what somebody has left behind, and no container.
        for (pid, owner) in found {
            let place = self.placed(owner, places);
            self.by_pid.entry(pid).or_insert(place);
        }
    }

    /// Returns the place of `owner` in the list, which `places` knows.
    fn placed(&mut self, owner: Owner, places: &mut HashMap<Owner, usize>) -> usize {
        *places.entry(owner).or_insert_with_key(|owner| {
            self.owners.push(owner.clone());
            self.owners.len() - 1
        })
    }

    /// Returns whose container the process is in.
    #[must_use]
    pub fn of(&self, pid: u32) -> Option<&Owner> {
        self.owners.get(self.place(pid)?)
    }

    /// Returns its place in the list of [`Self::owners`].
    #[must_use]
    pub fn place(&self, pid: u32) -> Option<usize> {
        self.by_pid.get(&pid).copied()
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
}

/// One hierarchy, and the outermost containers in it.
struct Tree {
    root: OwnedFd,
    /// With their paths from the root on.
    containers: Vec<(Owner, Vec<u8>)>,
}

impl Tree {
    /// Looks for containers; `None` for a hierarchy that cannot be seen, which has none that can.
    fn search(hierarchy: &Path, known: &BTreeMap<String, Owner>) -> Option<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(hierarchy, flags, Mode::empty()).ok()?;
        let mut containers = Vec::new();
        beneath(&root, b"", known, DEPTH, &mut containers);
        Some(Self { root, containers })
    }
}

/// Adds the containers in a directory and beneath it to `found`.
fn beneath(at: &OwnedFd, path: &[u8], known: &BTreeMap<String, Owner>, depth: usize, found: &mut Vec<(Owner, Vec<u8>)>) {
    each_directory(at, |name, _| {
        let path = [path, b"/", name].concat();
        let text = String::from_utf8_lossy(&path);
        if let Some(owner) = known.get(text.as_ref()).cloned().or_else(|| engine_of(&text)) {
            found.push((owner, path));
        } else if depth > 0
            && let Some(inner) = directory(at, name)
            && !is_leaf(&inner)
        {
            beneath(&inner, &path, known, depth - 1, found);
        }
    });
}

/// Returns where the trees are mounted that tell containers apart: the unified one, and those of v1 that engines use.
#[must_use]
pub fn hierarchies(mounts: &[Mount]) -> Vec<PathBuf> {
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

/// Returns whose container `path` is in: the outermost part of it that is a container's, by itself or because it is known, counts.
fn owner_of(path: &str, known: &BTreeMap<String, Owner>) -> Option<Owner> {
    if known.is_empty() {
        return engine_of(path);
    }
    let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]).filter(|end| *end > 0);
    ends.filter_map(|end| path.get(..end)).find_map(|part| known.get(part).cloned().or_else(|| engine_of(part)))
}

/// How many links a directory has that is known to have none in it, without the list of its files, of which a cgroup has dozens: each
/// directory in it has a link to it. File systems that do not count these say 1.
const LEAF: u64 = 2;

fn is_leaf(directory: &OwnedFd) -> bool {
    rustix::fs::fstat(directory).is_ok_and(|stat| stat.st_nlink == LEAF)
}

/// Opens a directory beneath another one; `None` for one that is gone.
fn directory(at: impl AsFd, path: impl rustix::path::Arg) -> Option<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(at, path, flags, Mode::empty()).ok()
}

/// Hands out the names of the directories in it, with the numbers of their inodes.
fn each_directory(directory: &OwnedFd, mut found: impl FnMut(&[u8], u64)) {
    let mut memory = Vec::with_capacity(16 << 10);
    let mut entries = rustix::fs::RawDir::new(directory, memory.spare_capacity_mut());
    while let Some(Ok(entry)) = entries.next() {
        let name = entry.file_name().to_bytes();
        if entry.file_type() == FileType::Directory && !matches!(name, b"." | b"..") {
            found(name, entry.ino());
        }
    }
}

/// Hands out the processes in the directory `name` in `at`, and beneath it. Most have no directory in them, and are not opened.
fn inhabitants(at: &OwnedFd, name: &[u8], depth: usize, found: &mut dyn FnMut(u32)) {
    processes(at, name).into_iter().for_each(&mut *found);
    let is_leaf = rustix::fs::statat(at, name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|stat| stat.st_nlink == LEAF);
    if depth > 0
        && !is_leaf
        && let Some(inner) = directory(at, name)
    {
        each_directory(&inner, |name, _| inhabitants(&inner, name, depth - 1, found));
    }
}

/// Returns the processes in the cgroup `name` in `at`.
fn processes(at: impl AsFd, name: &[u8]) -> Vec<u32> {
    let read = || -> Result<Vec<u8>, Errno> {
        let path = [name, b"/cgroup.procs"].concat();
        let file = rustix::fs::openat(at.as_fd(), path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        let mut content = Vec::new();
        let mut chunk = [0; 4096];
        loop {
            let length = rustix::io::retry_on_intr(|| rustix::io::read(&file, &mut chunk))?;
            content.extend_from_slice(chunk.get(..length).unwrap_or(&[]));
            // The kernel fills what it is given as long as there is a line that fits (seq_file): with room for one more it was the end.
            if length + LINE <= chunk.len() {
                return Ok(content);
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

    #[test]
    fn walk_leaves_out_a_cgroup_that_nobody_is_in() {
        let first = tree(&[("docker/ID", ""), ("docker/ID/inner", ""), ("lxc.payload.a", "7\n"), ("lxc.payload.b", "0\n0\n")]);
        let second = tree(&[("docker/ID", "9\n"), ("lxc.payload.c", "")]);
        let none = Placements::walk(&[first.path().to_owned()], &BTreeMap::new());
        assert_eq!(none.owners(), [Owner { engine: Engine::Lxc, id: "a".to_owned() }]);
        let both = Placements::walk(&[first.path().to_owned(), second.path().to_owned()], &BTreeMap::new());
        let owner = |id: &str, engine| Owner { engine, id: id.to_owned() };
        assert_eq!(both.owners(), [owner("a", Engine::Lxc), owner(ID, Engine::Docker)]);
        assert_eq!((both.of(9), both.of(0)), (Some(&owner(ID, Engine::Docker)), None));
    }

    #[test]
    fn walk_of_many_containers_finds_the_processes_of_each() {
        let files: Vec<(String, String)> =
            (0..200).map(|number| (format!("lxc.payload.c{number}"), format!("{}\n", 1000 + number))).collect();
        let host = tree(&files.iter().map(|(path, pids)| (path.as_str(), pids.as_str())).collect::<Vec<_>>());
        let found = Placements::walk(&[host.path().to_owned()], &BTreeMap::new());
        let ids: Vec<Option<&str>> = (1000..1200).map(|pid| found.of(pid).map(|owner| owner.id.as_str())).collect();
        let wanted: Vec<String> = (0..200).map(|number| format!("c{number}")).collect();
        assert_eq!(ids, wanted.iter().map(|id| Some(id.as_str())).collect::<Vec<_>>());
    }

    #[test]
    fn processes_of_a_list_longer_than_one_read_are_all_there() {
        let pids: Vec<u32> = (1_000_000..1_003_000).collect();
        let text: String = pids.iter().map(|pid| format!("{pid}\n")).collect();
        let host = tree(&[("a", &text)]);
        let root = directory(rustix::fs::CWD, host.path()).unwrap();
        assert_eq!(processes(&root, b"a"), pids);
        assert_eq!(processes(&root, b"missing"), Vec::<u32>::new());
    }

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
    fn walk_asks_a_later_tree_only_of_containers_without_processes_in_an_earlier_one() {
        let other = "f".repeat(64);
        let first = tree(&[("docker/ID", "7\n"), (&format!("docker/{other}"), ""), ("mine", "9\n")]);
        let second = tree(&[("docker/ID", "10\n"), (&format!("docker/{other}/inner"), "8\n"), ("mine", "11\n")]);
        let mine = Owner { engine: Engine::Runc, id: "mine".to_owned() };
        let trees = [first.path().to_owned(), second.path().to_owned()];
        let found = Placements::walk(&trees, &BTreeMap::from([("/mine".to_owned(), mine)]));
        let id = |pid| found.of(pid).map(|owner| owner.id.clone());
        assert_eq!([7, 8, 9, 10, 11].map(id), [Some(ID.to_owned()), Some(other), Some("mine".to_owned()), None, None]);
    }

    #[test]
    fn walk_of_a_tree_that_is_not_there_finds_nothing() {
        assert_eq!(Placements::walk(&["/nonexistent".into()], &BTreeMap::new()), Placements::default());
    }

    /// A procfs of nothing but `cgroup` files.
    fn procfs(files: &[(u32, &str)]) -> (tempfile::TempDir, Procfs) {
        let directory = tempfile::tempdir().unwrap();
        for (pid, content) in files {
            let path = directory.path().join(pid.to_string());
            std::fs::create_dir(&path).unwrap();
            std::fs::write(path.join("cgroup"), content.replace("ID", ID)).unwrap();
        }
        let procfs = Procfs::open(directory.path()).unwrap();
        (directory, procfs)
    }

    fn cgroups(procfs: &Procfs, list: &[(u32, u64)]) -> Cgroups {
        let mut members = Members::default();
        list.iter().for_each(|(pid, cgroups)| members.add(Member { pid: *pid, cgroups: *cgroups, unified: 0 }));
        Cgroups::of_groups(procfs, members)
    }

    #[test]
    fn listed_has_the_paths_of_numbers_as_far_as_it_looks() {
        let tree = tree(&[("selkie/ID/inner", ""), ("system.slice/x.service", ""), ("", "")]);
        let number = |path: &str| rustix::fs::stat(tree.path().join(path.replace("ID", ID))).unwrap().st_ino;
        let wanted = ["", "selkie/ID", "system.slice/x.service", "selkie/ID/inner"].map(number);
        let mut listed = Listed::default();
        listed.list(tree.path(), &[&wanted[..], &[u64::MAX]].concat());
        let container = format!("/selkie/{ID}");
        let inner = format!("{container}/inner");
        assert_eq!(wanted.map(|number| listed.paths[&number].clone()), ["/", &container, "/system.slice/x.service", &inner]);
        // Beside other hierarchies only what tells whose it is.
        assert_eq!(wanted.map(|number| listed.enough(number)), [None, Some(container.as_str()), None, Some(inner.as_str())]);
        listed.alone = true;
        assert_eq!([wanted[0], u64::MAX].map(|number| listed.enough(number)), [Some("/"), None]);
    }

    #[test]
    fn groups_are_told_by_their_first_process_that_is_there() {
        let (_directory, procfs) = procfs(&[(1, "0::/\n"), (8, "4:memory:/docker/ID\n2:cpu:/libpod-ID\n0::/\n"), (9, "")]);
        let cgroups = cgroups(&procfs, &[(1, 10), (7, 20), (8, 20), (2, 10), (9, 30)]);
        let group =
            |paths: &[&str], pids: &[u32]| Group { paths: paths.iter().map(|path| path.replace("ID", ID)).collect(), pids: pids.to_vec() };
        assert_eq!(cgroups, Cgroups::Groups(vec![group(&["/"], &[1, 2]), group(&["/", "/docker/ID"], &[7, 8]), group(&[], &[9])]));
        let found = Placements::find(&cgroups, &BTreeMap::new());
        let owner = Owner { engine: Engine::Docker, id: ID.to_owned() };
        assert_eq!([1, 2, 7, 8, 9].map(|pid| found.of(pid)), [None, None, Some(&owner), Some(&owner), None]);
    }

    #[test]
    fn groups_take_the_outermost_part_that_tells_or_is_known() {
        let (_directory, procfs) = procfs(&[(7, "0::/my.slice/docker/ID\n"), (8, "0::/../../lxc/web\n"), (9, "0::/docker/ID/my.slice\n")]);
        let mine = Owner { engine: Engine::Selkie, id: ID.to_owned() };
        let known = BTreeMap::from([("/my.slice".to_owned(), mine.clone()), (format!("/docker/{ID}/my.slice"), mine)]);
        let found = Placements::find(&cgroups(&procfs, &[(7, 1), (8, 2), (9, 3)]), &known);
        assert_eq!([7, 8, 9].map(|pid| found.of(pid).unwrap().engine), [Engine::Selkie, Engine::Lxc, Engine::Docker]);
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
