//! Programs with privileges of their own beneath a root: file capabilities, set-user-ID and set-group-ID bits.
//!
//! What is walked is hostile: entries are opened one at a time beneath their directory, no link is followed, the kernel's own file
//! systems are left out, and depth and number are bounded. Files are never opened, only their places. What is mounted from a program or
//! another machine (FUSE, NFS) may keep whoever asks waiting for ever, so it is not asked: its mount is told by its number, which the
//! kernel itself knows. Where something waits all the same, as in an overlay over such a mount, the walk is given up after a while.
//!
//! ```text
//! path       the directory itself
//! image      its layers as an overlay without a writable one, mounted nowhere
//! container  its root through /proc while it runs, else the overlay of its writable layer and those beneath
//! process    its root through /proc: of a container of another engine, while it runs
//! ```

mod mounts;

use std::ffi::{CStr, OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use mounts::{Mounts, kind_of};
use rustix::fs::{Dir, FileType, OFlags, StatVfsMountFlags};
use selkie_caps::FileCaps;
use selkie_host::{Buffer, Procfs, idmap};
use selkie_plan::{
    ExecRequest, HostFacts, IdMaps, ImageConfig, Needs, Plan, PlanError, Process, Request, Running, UserNamespace, needs, plan, plan_exec,
};
use selkie_sys::{Context, Errno, describe, root};

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::facts::account_file;
use crate::record::{Container, Live, RootSource, STARTING};

/// Deeper directories are not looked into: each level holds a descriptor.
const DEPTH: usize = 256;
/// More programs are not listed.
const MOST: usize = 100_000;

/// File systems without programs of anybody, whose files may do something when they are looked at: `linux/magic.h`.
const OF_THE_KERNEL: [i64; 10] = [
    0x9fa0,      // proc
    0x6265_6572, // sysfs
    0x0027_e0eb, // cgroup
    0x6367_7270, // cgroup2
    0x1cd1,      // devpts
    0x6462_6720, // debugfs
    0x7472_6163, // tracefs
    0x7363_6673, // securityfs
    0xcafe_4a11, // bpf
    0x1980_0202, // mqueue
];

/// Who an id without a number inside is: /proc/sys/kernel/overflowuid.
const NOBODY: u32 = 65534;

/// How long one place may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A program with privileges of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Where, from the root on.
    pub path: PathBuf,
    /// Owner and group as the file system numbers them.
    pub owner: (u32, u32),
    /// Type and permission bits.
    pub mode: u32,
    /// What its attribute says.
    pub capabilities: Attribute,
    /// Whether the mount ignores all of that.
    pub nosuid: bool,
}

/// The `security.capability` of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// It has none.
    Missing,
    /// It is one.
    Capabilities(FileCaps),
    /// It is none that the kernel takes: execve(2) fails with `EINVAL`.
    Malformed(String),
}

/// What a walk has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Programs {
    /// Sorted by path.
    pub found: Vec<Program>,
    /// How many places could not be looked at.
    pub unseen: usize,
    /// The first of them, with the reason.
    pub first_unseen: Option<(PathBuf, String)>,
    /// There are more than are listed.
    pub cut: bool,
}

/// Whose root is walked, and the process that would execute what is found there.
#[derive(Debug)]
pub struct Place {
    /// The root.
    pub root: OwnedFd,
    /// The process.
    pub process: Process,
    /// What was planned for a container; the ids of its user namespace are in it.
    pub plan: Plan,
    /// Whether ids and attributes beneath the root are the container's own numbers, not those of the host.
    pub own_ids: bool,
    /// In whose mount namespace the root is.
    pub mounts_of: u32,
}

impl Engine {
    /// Opens an image as a container of it with `request` would see it.
    ///
    /// # Errors
    /// No such image; a request that cannot be planned; an overlay that cannot be mounted.
    pub fn look_into_image(&self, mut request: Request) -> Result<Place> {
        self.require_root()?;
        self.store.prepare()?;
        let image = self.images.find(request.image.as_deref().unwrap_or_default())?;
        let root = self.read_only(self.images.layers(&image.id)?)?;
        let config = self.image_config(&request).unwrap_or_default();
        // Only whoever runs it matters, not what.
        request.command = vec!["program".to_owned()];
        self.look_into(root, &request, &config, true)
    }

    /// Opens a directory or file of the host, for whoever a container with `request` would run as.
    ///
    /// # Errors
    /// A path that is not there; a request that cannot be planned.
    pub fn look_into_path(&self, path: &Path, mut request: Request) -> Result<Place> {
        request.image = Some("host:".to_owned());
        request.command = vec!["program".to_owned()];
        let host = open(Path::new("/"))?;
        let place = self.look_into(host, &request, &ImageConfig::default(), false)?;
        Ok(Place { root: open(path)?, ..place })
    }

    fn look_into(&self, root: OwnedFd, request: &Request, image: &ImageConfig, own_ids: bool) -> Result<Place> {
        let mut facts = self.facts_beneath(&root, &needs(request, &self.conf))?;
        if facts.own.rootless {
            // A directory can be asked about by anybody: what counts is what an engine of root would give.
            facts.own.permitted = facts.own.bounding;
            (facts.own.euid, facts.own.egid, facts.own.rootless) = (0, 0, false);
        }
        let plan = plan(request, image, &facts)?;
        Ok(Place { root, process: plan.process.clone(), plan, own_ids, mounts_of: std::process::id() })
    }

    /// Opens the root of a container, which runs or not, for whoever it runs as or for `user`.
    ///
    /// # Errors
    /// [`Error::State`] for one without a plan; a user that it does not have; an overlay that cannot be mounted.
    pub fn look_into_container(&self, container: &Container, user: Option<&str>) -> Result<Place> {
        let unplanned = || Error::State { operation: format!("container {} has no plan", container.id()) };
        let plan = container.plan(&self.store)?.ok_or_else(unplanned)?;
        let init = container.live.as_ref().and_then(|live| u32::try_from(live.init.pid).ok());
        let (root, own_ids) = match (&container.live, &container.record.root) {
            (Some(live), _) => (self.running_root(container, live)?, false),
            (None, RootSource::Directory(path)) => (open(path)?, false),
            (None, RootSource::Overlay(path)) => (self.layered(container, vec![path.clone()])?, true),
            (None, RootSource::Image(id)) => (self.layered(container, self.images.layers(id)?)?, true),
        };
        let process = match user {
            None => plan.process.clone(),
            Some(user) => {
                let facts = self.facts_beneath(&root, &Needs::default())?;
                let request = ExecRequest { command: vec!["program".to_owned()], user: Some(user.to_owned()), ..ExecRequest::default() };
                let record = &container.record;
                plan_exec(&request, &Running { request: &record.request, image: &record.image_config, plan: &plan }, &facts)?
            }
        };
        Ok(Place { root, process, plan, own_ids, mounts_of: init.unwrap_or_else(std::process::id) })
    }

    /// Opens the root of a process, as of a container of another engine, for programs that it would execute.
    ///
    /// # Errors
    /// [`Error::State`] for one that has ended or may not be looked into.
    pub fn look_into_process(&self, pid: u32) -> Result<Place> {
        let closed = || Error::State { operation: format!("process {pid} has ended, or may not be looked into") };
        let procfs = Procfs::open(Path::new("/proc")).map_err(|_| closed())?;
        let mut buffer = Buffer::new();
        let start = |buffer: &mut Buffer| procfs.stat(pid, buffer).ok().flatten().map(|stat| stat.start_time).ok_or_else(closed);
        let before = start(&mut buffer)?;
        let root = procfs.root_of(pid).ok().flatten().ok_or_else(closed)?;
        let status = procfs.status(pid, &mut buffer).ok().flatten().ok_or_else(closed)?;
        let groups = procfs.groups(pid, &mut buffer).ok().flatten().ok_or_else(closed)?;
        let mut map = |name: &str| {
            let lines = idmap::parse(&procfs.file(pid, name, &mut buffer).ok().flatten()?)?;
            let line = |map: &selkie_host::IdMap| selkie_plan::IdMap { container: map.inside, host: map.outside, size: map.count };
            Some(lines.iter().map(line).collect::<Vec<_>>())
        };
        let maps = IdMaps { uids: map("uid_map").ok_or_else(closed)?, gids: map("gid_map").ok_or_else(closed)? };
        let own_users = procfs.user_namespace(pid) != procfs.user_namespace(std::process::id());
        // Another process may have got its number in between.
        if start(&mut buffer)? != before {
            return Err(closed());
        }
        let request = Request { image: Some("host:".to_owned()), command: vec!["program".to_owned()], ..Request::default() };
        let mut place = self.look_into(open(Path::new("/"))?, &request, &ImageConfig::default(), false)?;
        // As files of the host say it, ids are the host's; the process itself has those of its namespace.
        let group = |gid: u32| if own_users { maps.group_inside(gid).unwrap_or(NOBODY) } else { gid };
        let [_, uid, ..] = status.uids;
        let [_, gid, ..] = status.gids;
        place.process.user.uid = if own_users { maps.user_inside(uid).unwrap_or(NOBODY) } else { uid };
        place.process.user.gid = group(gid);
        place.process.user.groups = groups.into_iter().map(group).collect();
        place.process.sets = status.sets;
        place.process.no_new_privileges = status.no_new_privileges == Some(true);
        place.plan.namespaces.user = if own_users { UserNamespace::Private(maps) } else { UserNamespace::Host };
        Ok(Place { root, mounts_of: pid, ..place })
    }

    fn running_root(&self, container: &Container, live: &Live) -> Result<OwnedFd> {
        if self.store.running(container.id()).join(STARTING).exists() {
            // Its process may still see the host's tree.
            return Err(Error::State { operation: format!("container {} has not been started to the end", container.id()) });
        }
        let root = open(Path::new(&format!("/proc/{}/root", live.init.pid)))?;
        // While it lives, nobody else has its number.
        let ended = || Error::State { operation: format!("container {} has just ended", container.id()) };
        if live.init.is_alive() { Ok(root) } else { Err(ended()) }
    }

    fn facts_beneath(&self, root: &OwnedFd, needs: &Needs) -> Result<HostFacts> {
        let mut facts = self.host_facts(needs)?;
        facts.passwd = patient_account_file(root, "/etc/passwd", PATIENCE)?;
        facts.group = patient_account_file(root, "/etc/group", PATIENCE)?;
        Ok(facts)
    }

    /// Mounts what a stopped container has written over `lower`.
    fn layered(&self, container: &Container, mut lower: Vec<PathBuf>) -> Result<OwnedFd> {
        lower.insert(0, self.store.container(container.id()).join("upper"));
        self.read_only(lower)
    }
}

/// Opens the place of a directory of the host, through the links that its user has named.
fn open(path: &Path) -> Result<OwnedFd> {
    let opened = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, rustix::fs::Mode::empty());
    opened.map_err(|errno| Error::File { action: "look at", path: path.to_path_buf(), source: errno.into() })
}

/// Returns every program with privileges beneath the root of `place`, or that root itself when it is a file, which is called `name`
/// then.
///
/// When something does not answer for ten seconds, returns what has been found until then. The thread that waits for it ends with the
/// process.
#[must_use]
pub fn programs(place: &Place, name: &Path) -> Programs {
    match place.root.try_clone() {
        Ok(root) => patiently(root, place.mounts_of, name, PATIENCE),
        Err(error) => Programs { unseen: 1, first_unseen: Some((name.to_path_buf(), error.to_string())), ..Programs::default() },
    }
}

/// Reads a file of accounts where a running container may have mounted a file system that never answers.
fn patient_account_file(root: &OwnedFd, path: &'static str, patience: Duration) -> Result<Option<Vec<u8>>> {
    let unread = |problem: String| Error::Plan(PlanError::AccountFile { file: path, problem });
    let root = root.try_clone().map_err(|error| unread(error.to_string()))?;
    let (sender, receiver) = mpsc::channel();
    // Nobody listens any more when it took too long.
    let reader = move || drop(sender.send(account_file(&root, path)));
    std::thread::Builder::new().spawn(reader).map_err(|error| unread(error.to_string()))?;
    receiver.recv_timeout(patience).map_err(|_| unread(format!("no answer within {} s", patience.as_secs())))?
}

fn patiently(root: OwnedFd, mounts_of: u32, name: &Path, patience: Duration) -> Programs {
    let state =
        Arc::new(State { programs: Mutex::default(), at: Mutex::new(name.as_os_str().as_bytes().to_vec()), steps: AtomicU64::new(0) });
    let (sender, receiver) = mpsc::channel();
    let walker = {
        let (state, name) = (Arc::clone(&state), name.to_path_buf());
        move || {
            look_beneath(&root, mounts_of, &name, &state);
            // Nobody listens any more when it took too long.
            let _ = sender.send(());
        }
    };
    if let Err(error) = std::thread::Builder::new().spawn(walker) {
        locked(&state.programs).miss(name.to_path_buf(), error.to_string());
    }
    let mut before = 0;
    while receiver.recv_timeout(patience) == Err(mpsc::RecvTimeoutError::Timeout) {
        let steps = state.steps.load(Ordering::Relaxed);
        if steps == before {
            let seconds = patience.as_secs();
            let at = to_path(&locked(&state.at));
            locked(&state.programs).miss(at, format!("no answer within {seconds} s: nothing was looked at from there on"));
            break;
        }
        before = steps;
    }
    let mut programs = locked(&state.programs).clone();
    programs.found.sort_by(|a, b| a.path.cmp(&b.path));
    programs
}

/// What the walker and whoever waits for it share.
struct State {
    programs: Mutex<Programs>,
    /// Where the walker is about to look.
    at: Mutex<Vec<u8>>,
    /// Counts what it has looked at.
    steps: AtomicU64,
}

impl State {
    /// Notes that `path` is next.
    fn step(&self, path: &[u8]) {
        self.steps.fetch_add(1, Ordering::Relaxed);
        path.clone_into(&mut locked(&self.at));
    }
}

/// A panic of the walker leaves behind what it has found.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn look_beneath(root: &OwnedFd, mounts_of: u32, name: &Path, state: &State) {
    let mut mounts = Mounts::of(mounts_of, root);
    match kind_of(root) {
        Ok((FileType::Directory, _)) => walk(root, name, &mut mounts, state),
        Ok((FileType::RegularFile, _)) => {
            let found = Programs::at(root, || name.to_path_buf());
            locked(&state.programs).take(found);
        }
        Ok(_) => {}
        Err(error) => locked(&state.programs).miss(name.to_path_buf(), describe(error.errno)),
    }
}

/// A directory that is being read.
struct Level {
    entries: Dir,
    fd: OwnedFd,
    /// Length of the path of what is above it.
    length: usize,
}

fn walk(root: impl AsFd, name: &Path, mounts: &mut Mounts, state: &State) {
    let miss = |path: &[u8], reason: String| locked(&state.programs).miss(to_path(path), reason);
    let mut path = name.as_os_str().as_bytes().to_vec();
    let mut levels: Vec<Level> = enter(root, &path, 0, state).into_iter().collect();
    while let Some(level) = levels.last_mut() {
        {
            let mut programs = locked(&state.programs);
            if programs.found.len() >= MOST {
                programs.cut = true;
                return;
            }
        }
        let entry = match level.entries.read() {
            None => {
                path.truncate(level.length);
                levels.pop();
                continue;
            }
            Some(Err(errno)) => {
                miss(&path, describe(errno));
                path.truncate(level.length);
                levels.pop();
                continue;
            }
            Some(Ok(entry)) => entry,
        };
        let interesting = matches!(entry.file_type(), FileType::RegularFile | FileType::Directory | FileType::Unknown);
        if !interesting || matches!(entry.file_name().to_bytes(), b"." | b"..") {
            continue;
        }
        let length = path.len();
        push(&mut path, entry.file_name());
        state.step(&path);
        let place = root::entry(&level.fd, Path::new(OsStr::from_bytes(entry.file_name().to_bytes())));
        let kind = place.and_then(|place| kind_of(&place).map(|(kind, mount)| (kind, mounts.closed(mount), place)));
        let next = match kind {
            Ok((FileType::RegularFile | FileType::Directory, Some(reason), _)) => {
                miss(&path, reason);
                None
            }
            Ok((FileType::RegularFile, None, place)) => {
                let found = Programs::at(&place, || to_path(&path));
                locked(&state.programs).take(found);
                None
            }
            Ok((FileType::Directory, None, _)) if levels.len() >= DEPTH => {
                miss(&path, format!("it lies deeper than {DEPTH} directories"));
                None
            }
            Ok((FileType::Directory, None, place)) => enter(place, &path, length, state),
            // A link or device that has just taken its place, or an entry that is gone.
            Ok(_) => None,
            Err(error) if error.errno == Errno::NOENT => None,
            Err(error) => {
                miss(&path, describe(error.errno));
                None
            }
        };
        match next {
            Some(level) => levels.push(level),
            None => path.truncate(length),
        }
    }
}

/// Opens the directory at `place` for reading, unless it is of a file system of the kernel's.
fn enter(place: impl AsFd, path: &[u8], length: usize, state: &State) -> Option<Level> {
    let opened = || {
        let magic = rustix::fs::fstatfs(&place).call(|| "fstatfs()")?.f_type;
        if OF_THE_KERNEL.contains(&magic) {
            return Ok(None);
        }
        let fd = root::reopen(&place, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let entries = Dir::read_from(&fd).call(|| "fcntl()")?;
        Ok(Some(Level { entries, fd, length }))
    };
    opened().unwrap_or_else(|error: selkie_sys::SyscallError| {
        locked(&state.programs).miss(to_path(path), describe(error.errno));
        None
    })
}

impl Programs {
    /// Returns the regular file at `place` if it has privileges. Nothing is locked meanwhile: it may not answer.
    fn at(place: impl AsFd, path: impl Fn() -> PathBuf) -> Self {
        let mut programs = Self::default();
        programs.look(place, path);
        programs
    }

    /// Adds what another one has.
    fn take(&mut self, other: Self) {
        self.found.extend(other.found);
        self.unseen += other.unseen;
        if self.first_unseen.is_none() {
            self.first_unseen = other.first_unseen;
        }
    }

    /// Notes the regular file at `place` if it has privileges.
    fn look(&mut self, place: impl AsFd, path: impl Fn() -> PathBuf) {
        let stat = match rustix::fs::fstat(&place) {
            Ok(stat) => stat,
            Err(errno) => return self.miss(path(), describe(errno)),
        };
        let capabilities = match root::file_capabilities(&place) {
            Ok(None) => Attribute::Missing,
            Ok(Some(bytes)) => attribute(&bytes),
            Err(error) if error.errno == Errno::INVAL => Attribute::Malformed("the kernel does not know its form".to_owned()),
            Err(error) if error.errno == Errno::OVERFLOW => {
                Attribute::Malformed("it is of a user namespace that has no number in this one".to_owned())
            }
            Err(error) => return self.miss(path(), describe(error.errno)),
        };
        let program = Program { path: PathBuf::new(), owner: (stat.st_uid, stat.st_gid), mode: stat.st_mode, capabilities, nosuid: false };
        if program.capabilities == Attribute::Missing && !program.sets_user_id() && !program.sets_group_id() {
            return;
        }
        let nosuid = rustix::fs::fstatvfs(&place).is_ok_and(|system| system.f_flag.contains(StatVfsMountFlags::NOSUID));
        self.found.push(Program { path: path(), nosuid, ..program });
    }

    fn miss(&mut self, path: PathBuf, reason: String) {
        self.unseen += 1;
        self.first_unseen.get_or_insert((path, reason));
    }
}

impl Program {
    /// Returns whether it has the set-user-ID bit and can be executed.
    #[must_use]
    pub const fn sets_user_id(&self) -> bool {
        self.mode & 0o4000 != 0 && self.mode & 0o111 != 0
    }

    /// Returns whether it has the set-group-ID bit; without execution by the group that means something else.
    #[must_use]
    pub const fn sets_group_id(&self) -> bool {
        self.mode & 0o2010 == 0o2010
    }
}

/// Reads the bytes of an attribute.
fn attribute(bytes: &[u8]) -> Attribute {
    FileCaps::parse(bytes).map_or_else(|error| Attribute::Malformed(error.to_string()), Attribute::Capabilities)
}

fn push(path: &mut Vec<u8>, name: &CStr) {
    if path.last() != Some(&b'/') {
        path.push(b'/');
    }
    path.extend_from_slice(name.to_bytes());
}

fn to_path(path: &[u8]) -> PathBuf {
    PathBuf::from(OsString::from_vec(path.to_vec()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn executable(path: &Path, mode: u32) {
        std::fs::write(path, "").unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    fn beneath(directory: &Path) -> Programs {
        patiently(std::fs::File::open(directory).unwrap().into(), std::process::id(), Path::new("/"), PATIENCE)
    }

    fn found(directory: &Path) -> Vec<String> {
        let programs = beneath(directory);
        programs.found.iter().map(|program| program.path.display().to_string()).collect()
    }

    #[test]
    fn programs_are_those_with_bits_that_count_in_the_order_of_their_paths() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::fs::create_dir(at("b")).unwrap();
        executable(&at("b/su"), 0o4755);
        executable(&at("wall"), 0o2755);
        executable(&at("a"), 0o4711);
        executable(&at("locked"), 0o2644);
        executable(&at("data"), 0o4644);
        executable(&at("plain"), 0o755);
        assert_eq!(found(directory.path()), ["/a", "/b/su", "/wall"]);
    }

    #[test]
    fn programs_behind_links_are_not_found() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(directory.path().join("root/in")).unwrap();
        executable(&directory.path().join("su"), 0o4755);
        for (target, link) in [("../su", "su"), ("..", "up"), ("/", "host"), ("loop", "loop")] {
            symlink(target, directory.path().join("root").join(link)).unwrap();
        }
        assert_eq!(found(&directory.path().join("root")), Vec::<String>::new());
    }

    #[test]
    fn programs_deeper_than_the_limit_are_said_to_be_unseen() {
        let directory = tempfile::tempdir().unwrap();
        let mut at = directory.path().to_path_buf();
        for _ in 0..DEPTH {
            at.push("d");
            std::fs::create_dir(&at).unwrap();
        }
        executable(&at.join("su"), 0o4755);
        let programs = beneath(directory.path());
        assert_eq!((programs.found.len(), programs.unseen), (0, 1));
    }

    #[test]
    fn programs_of_procfs_are_left_out() {
        assert_eq!(beneath(Path::new("/proc")), Programs::default());
    }

    #[test]
    fn attribute_of_other_bytes_is_malformed_with_the_reason() {
        let expected = "attribute has revision byte 0x09, known are 0x01, 0x02 and 0x03";
        assert_eq!(attribute(&[0, 0, 0, 9]), Attribute::Malformed(expected.to_owned()));
    }
}
