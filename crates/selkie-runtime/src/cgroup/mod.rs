//! A container's cgroups: cgroups(7), on v1, hybrid and v2 hosts.
//!
//! A *hierarchy* is one mounted tree; v2 hosts have one, v1 hosts one for each group of controllers, hybrid hosts both.
//! On v1 only the hierarchies that do something for the container get a directory.

mod device;
mod limits;

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::process::Pid;
use selkie_plan::DeviceRule;
use selkie_sys::{Context, Errno, SyscallError};
use serde::{Deserialize, Serialize};

use crate::error::{During, Error};

pub use device::rules as device_rules_text;

/// Where the hierarchies are mounted on every distribution.
const MOUNT: &str = "/sys/fs/cgroup";
/// Controllers of v1 that every container gets, limits or not: the device rules, pause, and the bound on tasks.
const ALWAYS: [&str; 3] = ["devices", "freezer", "pids"];

/// One mounted tree of cgroups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hierarchy {
    /// `None` is the unified hierarchy, cgroup v2.
    pub name: Option<String>,
    /// Controllers of v1; empty for v2 and for named ones.
    pub controllers: Vec<String>,
    /// Where it is mounted.
    pub mountpoint: PathBuf,
}

impl Hierarchy {
    /// Returns whether this is the one of v1 with `controller`.
    fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|name| name == controller)
    }
}

/// The hierarchies of a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// In the order of `/proc/self/cgroup`.
    pub hierarchies: Vec<Hierarchy>,
}

/// Which generation of cgroups a host runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// No cgroups that the caller can see.
    None,
    /// Only v1.
    V1,
    /// Controllers on v1, and a v2 tree beside them.
    Hybrid,
    /// Only v2.
    V2,
}

impl Layout {
    /// Returns which hierarchies this host has. It is looked for once in the life of a process.
    pub fn of_host() -> &'static Self {
        static LAYOUT: OnceLock<Layout> = OnceLock::new();
        LAYOUT.get_or_init(|| Self::detect().unwrap_or_default())
    }

    fn detect() -> std::io::Result<Self> {
        let text = std::fs::read_to_string("/proc/self/cgroup")?;
        let mount = rustix::fs::open(MOUNT, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let is_mounted = |path: &Path| {
            let file = path.strip_prefix(MOUNT).unwrap_or(path).join("cgroup.procs");
            rustix::fs::statat(&mount, &file, AtFlags::empty()).is_ok()
        };
        Ok(Self::parse(&text, Path::new(MOUNT), &is_mounted))
    }

    /// Reads `/proc/self/cgroup`; `is_mounted` says whether a hierarchy is there.
    fn parse(text: &str, mount: &Path, is_mounted: &dyn Fn(&Path) -> bool) -> Self {
        let mut hierarchies = Vec::new();
        for line in text.lines() {
            let mut fields = line.splitn(3, ':');
            let (Some(_), Some(controllers), Some(_)) = (fields.next(), fields.next(), fields.next()) else { continue };
            let (name, controllers, places) = match controllers.strip_prefix("name=") {
                Some(name) => (Some(name.to_owned()), Vec::new(), vec![mount.join(name)]),
                None if controllers.is_empty() => (None, Vec::new(), vec![mount.to_path_buf(), mount.join("unified")]),
                None => {
                    let list: Vec<String> = controllers.split(',').map(str::to_owned).collect();
                    // Distributions mount `cpu,cpuacct` under that name, either order, or under one of them.
                    let mut places = vec![mount.join(controllers), mount.join(list.iter().rev().cloned().collect::<Vec<_>>().join(","))];
                    places.extend(list.iter().map(|controller| mount.join(controller)));
                    (Some(controllers.to_owned()), list, places)
                }
            };
            if let Some(mountpoint) = places.into_iter().find(|place| is_mounted(place)) {
                hierarchies.push(Hierarchy { name, controllers, mountpoint });
            }
        }
        Self { hierarchies }
    }

    /// Returns which generation this is.
    #[must_use]
    pub fn version(&self) -> Version {
        let v2 = self.hierarchies.iter().any(|hierarchy| hierarchy.name.is_none());
        let v1 = self.hierarchies.iter().any(|hierarchy| hierarchy.name.is_some());
        match (v1, v2) {
            (true, true) => Version::Hybrid,
            (true, false) => Version::V1,
            (false, true) => Version::V2,
            (false, false) => Version::None,
        }
    }

    /// Returns the hierarchies that a container with these limits is put into.
    #[must_use]
    pub fn used(&self, plan: &selkie_plan::Cgroup) -> Vec<Hierarchy> {
        let wanted = limits::controllers(plan);
        let needed = |hierarchy: &&Hierarchy| {
            hierarchy.name.is_none()
                || hierarchy.controllers.iter().any(|name| ALWAYS.contains(&name.as_str()) || wanted.contains(&name.as_str()))
        };
        self.hierarchies.iter().filter(needed).cloned().collect()
    }
}

/// The cgroups of one container, found again by its path.
#[derive(Clone, Debug)]
pub struct Cgroup {
    path: String,
    hierarchies: Vec<Hierarchy>,
}

impl Cgroup {
    /// Refers to the cgroups at `path` of every hierarchy, whether they exist or not.
    #[must_use]
    pub fn at(layout: &Layout, path: &str) -> Self {
        Self { path: path.to_owned(), hierarchies: layout.hierarchies.clone() }
    }

    /// Makes of a container's cgroups, which are in `hierarchies` of [`Layout::used`], what its first process starts in: that of v2,
    /// with its limits. [`Self::complete`] makes the rest.
    ///
    /// # Errors
    /// A limit that was asked for and cannot be set; nothing is left behind.
    pub fn begin(hierarchies: Vec<Hierarchy>, plan: &selkie_plan::Cgroup) -> Result<Self, Error> {
        let made = Self { path: plan.path.clone().unwrap_or_default(), hierarchies };
        limits::require(&made.hierarchies, plan)?;
        if let Err(error) = made.v2().map_or(Ok(()), |hierarchy| made.set_up(hierarchy, plan)) {
            // The error is what counts; the directory is empty.
            let _ = made.remove();
            return Err(error);
        }
        Ok(made)
    }

    /// Makes those of v1, with their limits.
    ///
    /// # Errors
    /// A limit that was asked for and cannot be set.
    pub fn complete(&self, plan: &selkie_plan::Cgroup) -> Result<(), Error> {
        self.hierarchies.iter().filter(|hierarchy| hierarchy.name.is_some()).try_for_each(|hierarchy| self.set_up(hierarchy, plan))
    }

    fn set_up(&self, hierarchy: &Hierarchy, plan: &selkie_plan::Cgroup) -> Result<(), Error> {
        let directory = self.directory(hierarchy);
        make_directories(hierarchy, &directory).during(|| format!("cgroup `{}`", directory.display()))?;
        if hierarchy.name.is_none() {
            if self.hierarchies.len() > 1 {
                // The v2 tree of a hybrid host has no controllers: it only tells containers apart.
                return Ok(());
            }
            enable_controllers(hierarchy, &directory);
        }
        limits::apply(hierarchy, &directory, plan)
    }

    /// Puts the device rules in force. Init makes its device nodes before it is under them: they need not allow for that.
    ///
    /// # Errors
    /// A rule that the kernel refused, or a host without a device cgroup.
    pub fn enforce_devices(&self, rules: &[DeviceRule]) -> Result<(), Error> {
        if rules.is_empty() {
            return Ok(());
        }
        match self.devices_of_v1().or(self.v2()) {
            Some(hierarchy) => device::apply(hierarchy, &self.directory(hierarchy), rules),
            None => Err(Error::refused("device cgroup", "this host has none that selkie can use")),
        }
    }

    /// Returns the hierarchy of v1 that takes device rules. A process that has yet to enter it is not under them.
    pub(crate) fn devices_of_v1(&self) -> Option<&Hierarchy> {
        self.hierarchies.iter().find(|hierarchy| hierarchy.has("devices"))
    }

    fn v2(&self) -> Option<&Hierarchy> {
        self.hierarchies.iter().find(|hierarchy| hierarchy.name.is_none())
    }

    /// Returns the path beneath each hierarchy.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns the hierarchies that the container is in.
    #[must_use]
    pub fn hierarchies(&self) -> &[Hierarchy] {
        &self.hierarchies
    }

    fn directory(&self, hierarchy: &Hierarchy) -> PathBuf {
        hierarchy.mountpoint.join(self.path.trim_start_matches('/'))
    }

    fn existing(&self) -> impl Iterator<Item = (&Hierarchy, PathBuf)> {
        self.hierarchies.iter().map(|hierarchy| (hierarchy, self.directory(hierarchy))).filter(|(_, directory)| directory.is_dir())
    }

    /// Opens the directory of v2 for `CLONE_INTO_CGROUP` of clone3(2), if there is one.
    ///
    /// # Errors
    /// `EACCES` without the rights.
    pub fn unified(&self) -> Result<Option<OwnedFd>, Error> {
        let unified = self.v2().map(|hierarchy| self.directory(hierarchy));
        unified.filter(|directory| directory.is_dir()).map(|directory| open(&directory, OFlags::PATH | OFlags::DIRECTORY)).transpose()
    }

    /// Opens what a process needs to move itself into the container's cgroups of v1: see [`Entry`].
    ///
    /// # Errors
    /// `EACCES` without the rights.
    pub fn entry(&self) -> Result<Entry, Error> {
        let v1 = self.existing().filter(|(hierarchy, _)| hierarchy.name.is_some());
        v1.map(|(_, directory)| open(&directory.join("tasks"), OFlags::WRONLY)).collect::<Result<_, _>>().map(Entry)
    }

    /// Moves the process `pid` into the container's cgroups.
    ///
    /// # Errors
    /// `ESRCH` when it has ended, `EACCES` without the rights.
    pub fn admit(&self, pid: Pid) -> Result<(), Error> {
        let pid = pid.as_raw_nonzero().to_string();
        self.existing().try_for_each(|(_, directory)| write(&directory.join("cgroup.procs"), &pid).during(|| "cgroup"))
    }

    /// Stops or continues every task: the freezer of v1, `cgroup.freeze` of v2.
    ///
    /// # Errors
    /// When the host has no freezer, or the tasks did not stop within ten seconds.
    pub fn freeze(&self, frozen: bool) -> Result<(), Error> {
        let stage = || if frozen { "pause" } else { "unpause" };
        let v1 = self.hierarchies.iter().find(|hierarchy| hierarchy.has("freezer"));
        let (file, value, state, done) = match (v1, self.v2()) {
            (Some(freezer), _) => {
                let directory = self.directory(freezer);
                let value = if frozen { "FROZEN" } else { "THAWED" };
                (directory.join("freezer.state"), value, directory.join("freezer.state"), value)
            }
            (None, Some(unified)) => {
                let directory = self.directory(unified);
                let (value, done) = if frozen { ("1", "frozen 1") } else { ("0", "frozen 0") };
                (directory.join("cgroup.freeze"), value, directory.join("cgroup.events"), done)
            }
            (None, None) => return Err(Error::refused(stage(), "this host has no freezer cgroup that selkie can use")),
        };
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            write(&file, value).during(stage)?;
            if std::fs::read_to_string(&state).unwrap_or_default().lines().any(|line| line == done) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(Error::refused(stage(), format!("{} is not `{done}` after ten seconds", state.display())));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Returns the ids of all processes in the container, sorted, in the PID namespace of the caller.
    #[must_use]
    pub fn processes(&self) -> Vec<i32> {
        let mut pids: Vec<i32> = self
            .existing()
            .next()
            .and_then(|(_, directory)| std::fs::read_to_string(directory.join("cgroup.procs")).ok())
            .unwrap_or_default()
            .lines()
            .filter_map(|line| line.parse().ok())
            .collect();
        pids.sort_unstable();
        pids
    }

    /// Returns whether the kernel has killed a task of the container for want of memory.
    #[must_use]
    pub fn was_out_of_memory(&self) -> bool {
        self.hierarchies.iter().any(|hierarchy| {
            let file = match &hierarchy.name {
                None => "memory.events",
                Some(_) if hierarchy.has("memory") => "memory.oom_control",
                Some(_) => return false,
            };
            let directory = self.directory(hierarchy);
            let text = std::fs::read_to_string(directory.join(file)).unwrap_or_default();
            text.lines().any(|line| line.strip_prefix("oom_kill ").is_some_and(|count| count != "0"))
        })
    }

    /// Kills everything that is left in the container's cgroups.
    pub fn kill(&self) {
        for (hierarchy, directory) in self.existing() {
            if hierarchy.name.is_none() && write(&directory.join("cgroup.kill"), "1").is_ok() {
                continue;
            }
            for pid in
                std::fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default().lines().filter_map(|line| line.parse().ok())
            {
                if let Some(pid) = Pid::from_raw(pid) {
                    // Gone in between is what we want.
                    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
                }
            }
        }
    }

    /// Removes the container's cgroups, killing what is left in them. All are tried; the first error is returned.
    ///
    /// # Errors
    /// `EBUSY` when a process does not end within two seconds.
    pub fn remove(&self) -> Result<(), Error> {
        let mut first = Ok(());
        for directory in self.hierarchies.iter().map(|hierarchy| self.directory(hierarchy)) {
            let removed = remove_directory(self, &directory);
            first = first.and(removed.during(|| format!("removal of cgroup `{}`", directory.display())));
        }
        first
    }
}

/// The way into a container's cgroups of v1 that waits for nobody: a thread that moves itself, by these files `tasks`. Moving another
/// process makes the kernel wait for all processors (an RCU grace period) each time. A process is made in its cgroup of v2 right away:
/// [`Cgroup::unified`].
#[derive(Debug)]
pub struct Entry(pub(crate) Vec<OwnedFd>);

impl Entry {
    /// Moves the calling process, which has one thread, into the cgroups of v1.
    ///
    /// # Errors
    /// What the kernel answered.
    pub fn enter(&self) -> Result<(), Error> {
        self.0.iter().try_for_each(|file| rustix::io::write(file, b"0").call(|| "write(\"tasks\", \"0\")").during(|| "cgroup").map(drop))
    }
}

fn open(path: &Path, flags: OFlags) -> Result<OwnedFd, Error> {
    rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty()).call(|| format!("open({path:?})")).during(|| "cgroup")
}

fn remove_directory(cgroup: &Cgroup, directory: &Path) -> selkie_sys::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(2);
    let mut pause = Duration::from_micros(100);
    loop {
        match rustix::fs::rmdir(directory) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::BUSY) if Instant::now() < deadline => {
                // What a container made beneath its own cgroup goes first.
                for child in std::fs::read_dir(directory).into_iter().flatten().flatten() {
                    if child.file_type().is_ok_and(|kind| kind.is_dir()) {
                        remove_directory(cgroup, &child.path())?;
                    }
                }
                cgroup.kill();
                std::thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(20));
            }
            // A file system that is read-only says so before it looks.
            Err(errno) if directory.exists() => return Err(errno).call(|| format!("rmdir({directory:?})")),
            Err(_) => return Ok(()),
        }
    }
}

/// Makes the container's directory and those above it; new directories of a cpuset get the processors of their parent.
fn make_directories(hierarchy: &Hierarchy, directory: &Path) -> selkie_sys::Result<()> {
    let parent = directory.parent().filter(|parent| parent.starts_with(&hierarchy.mountpoint));
    match (rustix::fs::mkdir(directory, Mode::from_raw_mode(0o755)), parent) {
        (Ok(()), _) => {}
        (Err(Errno::EXIST), _) => return Ok(()),
        (Err(Errno::NOENT), Some(parent)) => {
            make_directories(hierarchy, parent)?;
            return make_directories(hierarchy, directory);
        }
        (Err(errno), _) => return Err(errno).call(|| format!("mkdir({directory:?})")),
    }
    if let Some(parent) = parent.filter(|_| hierarchy.has("cpuset")) {
        for file in ["cpuset.cpus", "cpuset.mems"] {
            let value = std::fs::read_to_string(parent.join(file)).unwrap_or_default();
            write(&directory.join(file), value.trim())?;
        }
    }
    Ok(())
}

/// Hands the controllers of v2 down to `directory`, as many as there are; a limit that needs a missing one fails later.
fn enable_controllers(hierarchy: &Hierarchy, directory: &Path) {
    let mut above: Vec<&Path> = directory.ancestors().skip(1).take_while(|path| path.starts_with(&hierarchy.mountpoint)).collect();
    above.reverse();
    for parent in above {
        let file = parent.join("cgroup.subtree_control");
        let enabled = std::fs::read_to_string(&file).unwrap_or_default();
        for controller in std::fs::read_to_string(parent.join("cgroup.controllers")).unwrap_or_default().split_whitespace() {
            if ["cpu", "cpuset", "io", "memory", "pids"].contains(&controller) && !enabled.split_whitespace().any(|name| name == controller)
            {
                let _ = write(&file, &format!("+{controller}"));
            }
        }
    }
}

/// Writes `value` to a control file in one call.
pub(crate) fn write(file: &Path, value: &str) -> Result<(), SyscallError> {
    let descriptor = rustix::fs::open(file, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()).call(|| format!("open({file:?})"))?;
    rustix::io::write(&descriptor, value.as_bytes()).call(|| format!("write({file:?}, {value:?})"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str, mounted: &[&str]) -> (Version, Vec<PathBuf>) {
        let layout = Layout::parse(text, Path::new("/c"), &|path| mounted.iter().any(|name| Path::new(name) == path));
        (layout.version(), layout.hierarchies.into_iter().map(|hierarchy| hierarchy.mountpoint).collect())
    }

    #[test]
    fn layout_of_a_unified_host_is_v2() {
        assert_eq!(names("0::/user.slice\n", &["/c"]), (Version::V2, vec![PathBuf::from("/c")]));
    }

    #[test]
    fn layout_with_a_unified_tree_beside_controllers_is_hybrid() {
        let text = "3:cpu,cpuacct:/\n1:name=systemd:/\n0::/\n";
        let found = names(text, &["/c/cpu,cpuacct", "/c/systemd", "/c/unified"]);
        assert_eq!(found, (Version::Hybrid, vec!["/c/cpu,cpuacct".into(), "/c/systemd".into(), "/c/unified".into()]));
    }

    #[test]
    fn layout_with_the_controllers_in_the_other_order_is_found() {
        assert_eq!(names("3:cpu,cpuacct:/\n", &["/c/cpuacct,cpu"]), (Version::V1, vec![PathBuf::from("/c/cpuacct,cpu")]));
    }

    #[test]
    fn layout_of_garbage_is_empty() {
        assert_eq!(names("x\n::\n9:cpu\n", &[]), (Version::None, vec![]));
    }
}
