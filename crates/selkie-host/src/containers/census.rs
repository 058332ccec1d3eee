//! Who is in which container, and what that container's engine says of it: files, the tree of cgroups and namespaces together.
//!
//! Cgroups come first, since only root moves processes between those of others. Where a path does not tell (a runtime used by
//! hand, a cgroup of the user's choice) the first process that a record names tells which path is meant; where there is no cgroup
//! of its own, whoever shares that process's PID namespace is counted. A process in a deeper PID namespace and another mount
//! namespace than the reader that is still nobody's is a sandbox.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use super::{Found, HostContainer};
use crate::{Buffer, Cgroups, Engine, Namespace, Owner, Placed, Placements, Procfs, Row, idmap};

/// What the caller knows already: of its own containers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Whose container each cgroup is.
    pub cgroups: BTreeMap<String, Owner>,
    /// Containers without cgroups, by their first processes.
    pub pids: BTreeMap<u32, Owner>,
}

/// The containers of a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Which processes are in which.
    pub placements: Placements,
    containers: BTreeMap<Owner, HostContainer>,
    /// Those of which somebody else's files and processes are all that there is.
    hidden: usize,
    /// Directories that may hold more.
    denied: Vec<String>,
}

impl Census {
    /// Brings together what files and the kernel say of now.
    ///
    /// # Errors
    /// When this process cannot read its own status or mounts.
    pub fn take(procfs: &Procfs, found: Found, known: Known) -> selkie_sys::Result<Self> {
        Ok(Self::over(procfs, Placed::by_paths(Cgroups::mounted(procfs)?), found, known))
    }

    /// As [`Self::take`], with these cgroups.
    #[must_use]
    pub fn over(procfs: &Procfs, placed: Placed, found: Found, known: Known) -> Self {
        let Known { mut cgroups, mut pids } = known;
        let mut buffer = Buffer::new();
        let own = paths(procfs, std::process::id(), &mut buffer);
        let mut records: Vec<HostContainer> = found.containers;
        // An id of the host's own engines is theirs alone.
        let hosts: BTreeSet<Owner> = records.iter().filter(|record| record.user.is_none()).map(|record| record.owner.clone()).collect();
        records.retain(|record| record.user.is_none() || !hosts.contains(&record.owner));
        for record in &mut records {
            if !is_alive(procfs, record, &mut buffer) {
                record.pid = None;
            }
        }
        let mut learn = |record: &HostContainer, cgroups: &mut BTreeMap<String, Owner>| {
            let Some(pid) = record.pid else { return };
            for path in paths(procfs, pid, &mut buffer) {
                // A cgroup that the reader is in, too, is no container's, and a path that tells needs no help.
                let shared = own.iter().any(|own| own == &path || own.starts_with(&format!("{path}/")));
                if path != "/" && !shared && crate::engine_of(&path).is_none() {
                    cgroups.entry(path).or_insert_with(|| record.owner.clone());
                }
            }
            pids.entry(pid).or_insert_with(|| record.owner.clone());
        };
        records.iter().filter(|record| record.user.is_none()).for_each(|record| learn(record, &mut cgroups));
        let Placed { cgroups: seen, placements } = placed;
        let mut placements = if cgroups.is_empty() { placements } else { Placements::find(&seen, &cgroups) };
        // Nobody claims a container that is there by writing its id into a file at home.
        records.retain(|record| {
            let there = placements.owners().iter().any(|owner| owner.id == record.owner.id);
            let in_it = || record.pid.and_then(|pid| placements.of(pid)).is_some_and(|owner| owner.id == record.owner.id);
            record.user.is_none() || !there || in_it()
        });
        let before = cgroups.len();
        records.iter().filter(|record| record.user.is_some()).for_each(|record| learn(record, &mut cgroups));
        if cgroups.len() > before {
            placements = Placements::find(&seen, &cgroups);
        }
        let mut census = Self { placements, containers: BTreeMap::new(), hidden: 0, denied: found.denied };
        census.adopt(records);
        pids.retain(|pid, _| census.placements.of(*pid).is_none());
        census.beside(procfs, &pids);
        census
    }

    /// Returns the container that a process is in.
    #[must_use]
    pub fn of(&self, pid: u32) -> Option<&HostContainer> {
        self.placements.of(pid).and_then(|owner| self.containers.get(owner))
    }

    /// Returns what is known of a container.
    #[must_use]
    pub fn container(&self, owner: &Owner) -> Option<&HostContainer> {
        self.containers.get(owner)
    }

    /// Returns every container with its first process, if it has one that can be seen, in the order of engines and ids.
    pub fn containers(&self) -> impl Iterator<Item = &HostContainer> {
        self.containers.values()
    }

    /// Returns how many run of which nothing may be looked at.
    #[must_use]
    pub fn hidden(&self) -> usize {
        self.hidden
    }

    /// Returns the directories of engines and users that may not be looked at: what has stopped there, and names, are not known.
    #[must_use]
    pub fn denied(&self) -> &[String] {
        &self.denied
    }

    /// Finds the containers that `name` means: a name, an id, or the beginning of an id that has no other meaning.
    #[must_use]
    pub fn find(&self, name: &str) -> Vec<&HostContainer> {
        let exact = |container: &&HostContainer| container.owner.id == name || container.name.as_deref() == Some(name);
        let found: Vec<&HostContainer> = self.containers().filter(exact).collect();
        if !found.is_empty() || name.is_empty() {
            return found;
        }
        self.containers().filter(|container| crate::engines::is_id(&container.owner.id) && container.owner.id.starts_with(name)).collect()
    }

    /// Adds the first process of each container that has none yet, and counts the hidden ones. `rows` are all processes.
    pub fn complete(&mut self, procfs: &Procfs, rows: &[Row]) {
        self.sandboxes(procfs, rows);
        let mut first: HashMap<&Owner, &Row> = HashMap::new();
        for row in rows {
            if let Some(owner) = self.placements.of(row.pid) {
                // The one that is 1 within, else the lowest number.
                let best = first.entry(owner).or_insert(row);
                if row.status.inner_pid == Some(1) && best.status.inner_pid != Some(1) {
                    *best = row;
                }
            }
        }
        let first: Vec<(Owner, u32)> = first.into_iter().map(|(owner, row)| (owner.clone(), row.pid)).collect();
        for (owner, pid) in first {
            let container = self.containers.entry(owner.clone()).or_insert_with(|| HostContainer::unknown(owner.engine, owner.id.clone()));
            if container.pid.is_none() {
                container.pid = Some(pid);
            }
        }
        let dark = |container: &&HostContainer| {
            container.pid.is_some_and(|pid| procfs.namespace(pid, Namespace::Mount).is_none()) && container.command.is_empty()
        };
        self.hidden = self.containers.values().filter(dark).count();
    }

    /// Counts processes in namespaces of their own, that no engine's cgroup holds, to a machine of nspawn's that is registered
    /// nowhere, or to a sandbox each.
    pub fn sandboxes(&mut self, procfs: &Procfs, rows: &[Row]) {
        let Some(own) = procfs.status(std::process::id(), &mut Buffer::new()).ok().flatten() else { return };
        let (mount, space) = (own_namespace(procfs, Namespace::Mount), own_namespace(procfs, Namespace::Pid));
        let mut groups: BTreeMap<u64, Vec<&Row>> = BTreeMap::new();
        for row in rows {
            // The levels are in the status that has been read: only what is deeper costs a look at its namespaces.
            if row.status.pid_levels <= own.pid_levels || self.placements.of(row.pid).is_some() {
                continue;
            }
            let namespaces = (procfs.namespace(row.pid, Namespace::Mount), procfs.namespace(row.pid, Namespace::Pid));
            if let (Some(mounts), Some(pids)) = namespaces
                && Some(mounts) != mount
                && Some(pids) != space
            {
                groups.entry(pids).or_default().push(row);
            }
        }
        if groups.is_empty() {
            return;
        }
        let spawned = Spawned::of(procfs);
        for rows in groups.into_values() {
            let first = rows.iter().find(|row| row.status.inner_pid == Some(1)).or(rows.first());
            let Some(first) = first else { continue };
            let machine = spawned.as_ref().and_then(|spawned| spawned.machine(procfs, first.pid)).filter(|owner| {
                // A machine runs once: whoever else says that he is it, is not.
                !self.placements.owners().contains(owner) && self.containers.get(owner).is_none_or(|known| known.pid.is_none())
            });
            let owner = machine.unwrap_or_else(|| Owner { engine: Engine::Sandbox, id: first.pid.to_string() });
            for row in &rows {
                self.placements.insert(row.pid, &owner);
            }
            let unknown = || HostContainer::unknown(owner.engine, owner.id.clone());
            self.containers.entry(owner.clone()).or_insert_with(unknown).pid = Some(first.pid);
        }
    }

    /// Gives each container of the tree its record.
    fn adopt(&mut self, records: Vec<HostContainer>) {
        let mut known: BTreeMap<String, Vec<Owner>> = BTreeMap::new();
        // Only records are looked up in it.
        for owner in self.placements.owners().iter().filter(|_| !records.is_empty()) {
            known.entry(owner.id.clone()).or_default().push(owner.clone());
        }
        for mut record in records {
            let there = known.get(&record.owner.id).map(Vec::as_slice).unwrap_or_default();
            let running = there.iter().find(|owner| owner.engine == record.owner.engine);
            // A path that does not say which engine, and a record that does, are one container.
            let vague = there.iter().find(|owner| owner.engine == Engine::Kubernetes || record.owner.engine.is_runtime());
            if let Some(vague) = vague.filter(|_| running.is_none()) {
                if record.owner.engine.is_runtime() {
                    record.owner = vague.clone();
                } else {
                    self.placements.rename(vague, &record.owner);
                }
            }
            match self.containers.get_mut(&record.owner) {
                Some(first) if first.user.is_none() || record.user.is_some() => first.complete_from(record),
                _ => {
                    self.containers.insert(record.owner.clone(), record);
                }
            }
        }
        for owner in self.placements.owners() {
            let unknown = || HostContainer::unknown(owner.engine, owner.id.clone());
            self.containers.entry(owner.clone()).or_insert_with(unknown);
        }
    }

    /// Counts whoever shares the PID namespace of a first process without a cgroup of its own.
    fn beside(&mut self, procfs: &Procfs, pids: &BTreeMap<u32, Owner>) {
        let host = own_namespace(procfs, Namespace::Pid);
        let mounts = own_namespace(procfs, Namespace::Mount);
        let mut spaces = HashMap::new();
        for (pid, owner) in pids {
            self.placements.insert(*pid, owner);
            let told = |kind, own: Option<u64>| procfs.namespace(*pid, kind).filter(|found| Some(*found) != own).map(|found| (kind, found));
            if let Some(namespace) = told(Namespace::Mount, mounts).or_else(|| told(Namespace::Pid, host)) {
                spaces.insert(namespace, owner);
            }
        }
        if spaces.is_empty() {
            return;
        }
        for pid in procfs.pids().unwrap_or_default() {
            let owner =
                [Namespace::Mount, Namespace::Pid].into_iter().find_map(|kind| spaces.get(&(kind, procfs.namespace(pid, kind)?)).copied());
            if let Some(owner) = owner {
                self.placements.insert(pid, owner);
            }
        }
    }
}

/// Where systemd-nspawn has a directory for each machine that runs, through which the host mounts things into it. It is there
/// even when the machine is registered nowhere (`--register=no`) and shares the cgroup of whoever started it (`--keep-unit`).
struct Spawned {
    device: (u32, u32),
    directory: PathBuf,
}

impl Spawned {
    fn of(procfs: &Procfs) -> Option<Self> {
        let mounts = procfs.mounts(std::process::id(), &mut Buffer::new()).ok().flatten()?;
        let (run, inner) = ["/run", "/"].into_iter().find_map(|point| {
            let inner = Path::new("/run").strip_prefix(point).ok()?;
            Some((mounts.iter().rfind(|mount| mount.point == Path::new(point))?, inner))
        })?;
        Some(Self { device: run.device, directory: run.root.join(inner).join("systemd/nspawn/propagate") })
    }

    /// Returns which machine's directory a process has at the place for it. Only root makes directories there.
    fn machine(&self, procfs: &Procfs, pid: u32) -> Option<Owner> {
        let mounts = procfs.mounts(pid, &mut Buffer::new()).ok().flatten()?;
        let mount = mounts.iter().find(|mount| mount.point == Path::new("/run/host/incoming") && mount.device == self.device)?;
        let name = mount.root.strip_prefix(&self.directory).ok()?.to_str().filter(|name| crate::engines::is_name(name))?;
        Some(Owner { engine: Engine::Nspawn, id: name.to_owned() })
    }
}

fn own_namespace(procfs: &Procfs, kind: Namespace) -> Option<u64> {
    procfs.namespace(std::process::id(), kind)
}

fn paths(procfs: &Procfs, pid: u32, buffer: &mut Buffer) -> Vec<String> {
    let lines = procfs.cgroup(pid, buffer).ok().flatten().unwrap_or_default();
    lines.into_iter().map(|line| line.path).collect()
}

/// Whether the process that a record names lives, was started when the record says, and is its user's to name.
fn is_alive(procfs: &Procfs, record: &HostContainer, buffer: &mut Buffer) -> bool {
    let Some(pid) = record.pid else { return false };
    let Ok(Some(status)) = procfs.status(pid, buffer) else { return false };
    if status.state == b'Z' {
        return false;
    }
    let same = |buffer: &mut Buffer| match record.start {
        Some(start) => procfs.stat(pid, buffer).ok().flatten().is_some_and(|stat| stat.start_time == start),
        None => true,
    };
    let theirs = |buffer: &mut Buffer| match record.user {
        Some(user) => {
            let maps = procfs.uid_map(pid, buffer).ok().flatten().unwrap_or_default();
            status.uids.contains(&user) || idmap::outside(&maps, 0) == Some(user)
        }
        None => true,
    };
    same(buffer) && theirs(buffer)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    /// A host of pieces: processes with their cgroups, and one tree of cgroups.
    struct Host(tempfile::TempDir);

    impl Host {
        fn new(processes: &[(u32, u32, &str)]) -> Self {
            let host = Self(tempfile::tempdir().unwrap());
            host.process(std::process::id(), 0, "/user.slice");
            for (pid, uid, path) in processes {
                host.process(*pid, *uid, path);
            }
            host
        }

        fn process(&self, pid: u32, uid: u32, path: &str) {
            let path = path.replace("ID", ID);
            let directory = self.0.path().join("proc").join(pid.to_string());
            std::fs::create_dir_all(&directory).unwrap();
            let status = format!(
                "Name:\tx\nState:\tS\nPPid:\t1\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\nGid:\t0\t0\t0\t0\nCapInh:\t0000000000000000\n\
                 CapPrm:\t0000000000000001\nCapEff:\t0000000000000001\nCapBnd:\t0000000000000001\n"
            );
            std::fs::write(directory.join("status"), status).unwrap();
            std::fs::write(directory.join("cgroup"), format!("1:pids:{path}\n0::/\n")).unwrap();
            let group = self.0.path().join("cgroup").join(path.trim_start_matches('/'));
            std::fs::create_dir_all(&group).unwrap();
            std::fs::write(group.join("cgroup.procs"), format!("{pid}\n")).unwrap();
        }

        /// Gives a process namespaces of its own, one deeper than the host's, and mounts.
        fn spaces(&self, pid: u32, number: u32, mounts: &str) {
            let directory = self.0.path().join("proc").join(pid.to_string());
            std::fs::create_dir_all(directory.join("ns")).unwrap();
            for kind in ["mnt", "pid"] {
                std::os::unix::fs::symlink(format!("{kind}:[{number}]"), directory.join("ns").join(kind)).unwrap();
            }
            std::fs::write(directory.join("mountinfo"), mounts).unwrap();
            if number != 1 {
                let status = std::fs::read_to_string(directory.join("status")).unwrap();
                std::fs::write(directory.join("status"), format!("{status}NSpid:\t{pid}\t1\n")).unwrap();
            }
        }

        fn census(&self, containers: Vec<HostContainer>) -> Census {
            let procfs = Procfs::open(&self.0.path().join("proc")).unwrap();
            let found = Found { containers, denied: Vec::new() };
            Census::over(&procfs, Placed::by_paths(Cgroups::Trees(vec![self.0.path().join("cgroup")])), found, Known::default())
        }
    }

    fn record(engine: Engine, id: &str, name: &str, pid: u32) -> HostContainer {
        HostContainer { name: Some(name.to_owned()), pid: Some(pid), ..HostContainer::unknown(engine, id) }
    }

    fn titles(census: &Census, pid: u32) -> Option<(&'static str, &str)> {
        census.of(pid).map(|container| (container.owner.engine.word(), container.title()))
    }

    #[test]
    fn census_gives_a_cgroups_container_its_name() {
        let host = Host::new(&[(7, 0, "/docker/ID")]);
        let census = host.census(vec![record(Engine::Docker, ID, "web", 7)]);
        assert_eq!(titles(&census, 7), Some(("docker", "web")));
        assert_eq!(census.find("web").len(), 1);
        assert_eq!(census.find("0123")[0].owner.id, ID);
    }

    #[test]
    fn census_learns_a_path_that_does_not_tell_from_the_first_process() {
        let host = Host::new(&[(7, 0, "/my/own"), (8, 0, "/my/own/inner")]);
        let census = host.census(vec![record(Engine::Runc, "hand", "hand", 7)]);
        assert_eq!([7, 8].map(|pid| titles(&census, pid)), [Some(("runc", "hand")); 2]);
    }

    #[test]
    fn census_does_not_take_the_readers_own_cgroup_for_a_container() {
        let host = Host::new(&[(7, 0, "/user.slice"), (8, 0, "/user.slice/other")]);
        let census = host.census(vec![record(Engine::Runc, "hand", "hand", 7)]);
        assert_eq!((titles(&census, 7), titles(&census, 8)), (Some(("runc", "hand")), None));
    }

    #[test]
    fn census_of_a_process_that_is_gone_or_another_one_is_a_stopped_container() {
        let host = Host::new(&[(7, 0, "/x")]);
        let gone = record(Engine::Runc, "gone", "gone", 99);
        let reused = HostContainer { start: Some(5), ..record(Engine::Runc, "reused", "reused", 7) };
        let census = host.census(vec![gone, reused]);
        assert_eq!(
            census.containers().map(|container| (container.title(), container.pid)).collect::<Vec<_>>(),
            [("gone", None), ("reused", None)]
        );
        assert_eq!(titles(&census, 7), None);
    }

    #[test]
    fn census_does_not_believe_a_user_about_processes_of_others() {
        let host = Host::new(&[(7, 0, "/machine.slice/libpod-ID.scope"), (8, 1000, "/mine")]);
        let forged = HostContainer { user: Some(1000), ..record(Engine::Podman, ID, "innocent", 7) };
        let mine = HostContainer { user: Some(1000), ..record(Engine::Crun, "mine", "mine", 8) };
        let census = host.census(vec![forged.clone(), HostContainer { pid: Some(8), ..forged }, mine]);
        assert_eq!(titles(&census, 7), Some(("podman", "0123456789ab")));
        assert_eq!(titles(&census, 8), Some(("crun", "mine")));
    }

    #[test]
    fn census_names_the_engine_of_a_kubelets_path() {
        let host = Host::new(&[(7, 0, "/kubepods/besteffort/pod01234567-89ab-cdef-0123-456789abcdef/ID")]);
        let census = host.census(vec![record(Engine::Containerd, ID, "web", 7)]);
        assert_eq!(titles(&census, 7), Some(("containerd", "web")));
        assert_eq!(census.containers().count(), 1);
    }

    #[test]
    fn census_of_this_machine_finds_a_container_without_files_too() {
        let host = Host::new(&[(7, 0, "/lxc.payload.web")]);
        let mut census = host.census(Vec::new());
        let procfs = Procfs::open(&host.0.path().join("proc")).unwrap();
        let rows = crate::scan(&procfs, |_, _| true).unwrap();
        census.complete(&procfs, &rows);
        assert_eq!(census.containers().map(|container| (container.title(), container.pid)).collect::<Vec<_>>(), [("web", Some(7))]);
    }

    #[test]
    fn census_names_an_unregistered_machine_by_the_directory_that_nspawn_made_for_it() {
        let host = Host::new(&[]);
        let own = std::process::id();
        host.spaces(own, 1, "1 0 0:40 / /run rw - tmpfs tmpfs rw\n");
        for (pid, device, name) in [(7, "0:40", "deb"), (8, "0:41", "forged"), (9, "0:40", "deb")] {
            host.process(pid, 0, &format!("/somewhere/{pid}"));
            let mount = format!("2 1 {device} /systemd/nspawn/propagate/{name} /run/host/incoming ro - tmpfs tmpfs rw\n");
            host.spaces(pid, pid, &mount);
        }
        let mut census = host.census(vec![HostContainer::unknown(Engine::Nspawn, "deb")]);
        let procfs = Procfs::open(&host.0.path().join("proc")).unwrap();
        census.complete(&procfs, &crate::scan(&procfs, |pid, _| pid != own).unwrap());
        assert_eq!([7, 8, 9].map(|pid| titles(&census, pid)), [Some(("nspawn", "deb")), Some(("sandbox", "8")), Some(("sandbox", "9"))]);
        assert_eq!(census.find("deb")[0].pid, Some(7));
    }

    #[test]
    fn take_on_this_machine_works() {
        let procfs = Procfs::open(Path::new("/proc")).unwrap();
        let census =
            Census::take(&procfs, super::super::find(Path::new("/"), super::super::Scope::All).unwrap(), Known::default()).unwrap();
        assert_eq!(census.find(""), Vec::<&HostContainer>::new());
    }
}
