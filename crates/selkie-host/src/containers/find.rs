//! Reads every engine's files beneath a root directory, `/` for this machine.

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::OnceLock;

use selkie_sys::Result;

use super::tree::Tree;
use super::{Configuration, HostContainer, bare, containerd, docker, machine, metadata, spec, storage};
use crate::{Cgroups, Engine, Owner, Placed, procfs};

/// How much is read.
#[derive(Clone, Copy, Debug)]
pub enum Scope<'a> {
    /// All that files tell, of stopped containers too.
    All,
    /// What those that run are called, and where the processes are of which cgroups do not tell.
    Running(&'a Running<'a>),
}

/// What cgroups tell. Whoever asks waits until it is known, and most hosts have no file about which anybody has to ask.
#[derive(Clone, Debug)]
pub struct Running<'a> {
    placed: &'a OnceLock<Placed>,
    /// Ids of containers of which processes are known; made when somebody asks.
    ids: OnceCell<HashSet<&'a str>>,
    /// Every word of every path, likewise.
    words: OnceCell<HashSet<&'a str>>,
}

impl<'a> Running<'a> {
    /// Takes the place where it will be said what is known of the containers.
    #[must_use]
    pub fn new(placed: &'a OnceLock<Placed>) -> Self {
        Self { placed, ids: OnceCell::new(), words: OnceCell::new() }
    }

    /// Returns whether processes of the container with this id are known.
    #[must_use]
    pub fn is_placed(&self, id: &str) -> bool {
        let owners = || self.placed.wait().placements.owners();
        self.ids.get_or_init(|| owners().iter().map(|owner| owner.id.as_str()).collect()).contains(id)
    }

    /// Returns whether a container that has a cgroup with its id in the path may run. Where not all paths are known any may.
    fn may_run(&self, id: &str) -> bool {
        let Cgroups::Groups(groups) = &self.placed.wait().cgroups else { return true };
        let words = self.words.get_or_init(|| {
            let parts = groups.iter().flat_map(|group| &group.paths).flat_map(|path| path.split('/'));
            // `docker-ID.scope`
            let bare = |part: &'a str| part.rsplit_once('-').map_or(part, |(_, id)| id).trim_end_matches(".scope");
            parts.flat_map(|part| [part, bare(part)]).collect()
        });
        words.contains(id)
    }
}

impl Scope<'_> {
    /// Whether everything is wanted that is written of a container.
    const fn is_all(self) -> bool {
        matches!(self, Self::All)
    }

    /// Whether it is not known where the processes of this container are.
    fn is_open(self, id: &str) -> bool {
        match self {
            Self::All => true,
            Self::Running(running) => !running.is_placed(id),
        }
    }
}

/// The containers that files tell of, stopped ones included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Each once, by engine and id.
    pub containers: Vec<HostContainer>,
    /// Directories and files that may not be looked at: of the host's engines, then of users, who may have one.
    pub denied: Vec<String>,
}

/// How many containers are kept: more are no host's.
pub(super) const MOST: usize = 100_000;
/// Storage drivers of containers/storage that have a directory of containers.
const DRIVERS: [&str; 4] = ["overlay", "vfs", "btrfs", "zfs"];
/// Run directories of containerds that distributions of Kubernetes bring, with the roots that they have: k3s and RKE2, k0s, microk8s.
const CONTAINERDS: [(&str, &[&str]); 3] = [
    ("run/k3s/containerd", &["var/lib/rancher/k3s/agent/containerd", "var/lib/rancher/rke2/agent/containerd"]),
    ("run/k0s/containerd", &["var/lib/k0s/containerd"]),
    ("var/snap/microk8s/common/run/containerd", &["var/snap/microk8s/common/var/lib/containerd"]),
];
/// Where LXD and Incus have a directory, or a link to one, a container.
const LXDS: [&str; 3] = ["var/lib/incus/containers", "var/lib/lxd/containers", "var/snap/lxd/common/lxd/containers"];

/// Reads the files of every engine beneath `root`, as much as `scope` wants. What is damaged is left out; what may not be looked at
/// is in `denied`.
///
/// # Errors
/// When `root` itself cannot be opened.
pub fn find(root: &Path, scope: Scope<'_>) -> Result<Found> {
    let mut finder = Finder { scope, containers: BTreeMap::new(), stores: Vec::new(), denied: Vec::new() };
    let mut host = Tree::open(root)?;
    finder.host(&mut host);
    let users = users(&mut host);
    finder.homes(&host, &users, Finder::home);
    for name in host.list("run/user") {
        let path = format!("run/user/{name}");
        if let Some(uid) = procfs::number(name.as_bytes())
            && let Some(mut tree) = host.of_user(&path, uid)
        {
            finder.runtime(&mut tree);
            finder.denied.extend(tree.denied().into_iter().map(|inner| format!("{path}/{inner}")));
        }
    }
    if scope.is_all() {
        finder.homes(&host, &users, Finder::databases);
    }
    finder.denied.sort();
    let mut denied = host.denied();
    denied.sort();
    denied.append(&mut finder.denied);
    denied.dedup();
    denied.iter_mut().for_each(|path| *path = format!("/{}", path.trim_end_matches('/')));
    let containers = finder.containers.into_values().flatten().collect();
    Ok(Found { containers, denied })
}

#[derive(Debug)]
struct Finder<'a> {
    scope: Scope<'a>,
    /// By id: of several users each may have one that is called so.
    containers: BTreeMap<String, Vec<HostContainer>>,
    /// Stores that have been read.
    stores: Vec<String>,
    denied: Vec<String>,
}

impl Finder<'_> {
    /// What root's engines have.
    fn host(&mut self, host: &mut Tree) {
        let graph = setting(host.text("etc/containers/storage.conf").as_deref(), "graphroot");
        self.store(host, &graph.unwrap_or_else(|| "var/lib/containers/storage".to_owned()), "run/containers/storage");
        let root = host.record("etc/docker/daemon.json").and_then(|file| super::json::text(&super::json::parse(&file)?, "data-root"));
        let docker = root.as_deref().unwrap_or("var/lib/docker");
        self.docker(host, docker);
        let config = if self.scope.is_all() { host.text("etc/containerd/config.toml") } else { None };
        let root = setting(config.as_deref(), "root");
        self.containerd(host, "run/containerd", &[root.as_deref().unwrap_or("var/lib/containerd")]);
        for (run, roots) in CONTAINERDS {
            self.containerd(host, run, roots);
        }
        self.containerd(host, "run/docker/containerd/daemon", &[&format!("{docker}/containerd/daemon")]);
        for name in host.list("run/systemd/machines") {
            // `unit:NAME` is a link to NAME.
            if let Some(text) = host.text(&format!("run/systemd/machines/{name}")) {
                self.add(host, machine::nspawn(&name, &text));
            }
        }
        if self.scope.is_all() {
            self.machines(host);
        }
        self.bare(host, "run");
    }

    /// Containers with nothing but a name, which cgroups tell of those that run.
    fn machines(&mut self, host: &mut Tree) {
        for name in host.list("var/lib/lxc") {
            let place = format!("var/lib/lxc/{name}/config");
            if let Some(config) = host.text(&place) {
                let found = machine::lxc(&name, &config);
                self.add(host, found.map(|found| HostContainer { configuration: Some(file(&place)), ..found }));
            }
        }
        for place in LXDS {
            for name in host.list(place) {
                self.add(host, machine::lxc(&name, ""));
            }
        }
        for name in host.list("var/lib/machines") {
            // Images of disks lie there too; a machine's directory has an operating system.
            if crate::engines::is_name(&name) && host.has(&format!("var/lib/machines/{name}/usr")) {
                self.add(host, Some(HostContainer::unknown(Engine::Nspawn, name)));
            }
        }
    }

    /// What `read` finds beneath each user's home.
    fn homes(&mut self, host: &Tree, users: &BTreeMap<u32, String>, read: fn(&mut Self, &mut Tree)) {
        for (uid, home) in users {
            if let Some(mut tree) = host.of_user(home, *uid).filter(|_| !home.is_empty()) {
                read(self, &mut tree);
                self.denied.extend(tree.denied().into_iter().map(|path| format!("{home}/{path}")));
            }
        }
    }

    /// What is beneath a user's home.
    fn home(&mut self, tree: &mut Tree) {
        if !tree.has(".local/share") {
            return;
        }
        let run = tree.user.map(|uid| format!("run/user/{uid}/containers")).unwrap_or_default();
        self.store(tree, ".local/share/containers/storage", &run);
        self.docker(tree, ".local/share/docker");
    }

    /// The databases beneath a user's home, which complete what is beneath the run directory.
    fn databases(&mut self, tree: &mut Tree) {
        if tree.has(".local/share") {
            self.recorded(tree, &[".local/share/containerd", ".local/share/docker/containerd/daemon"]);
        }
    }

    /// What is beneath a user's run directory.
    fn runtime(&mut self, tree: &mut Tree) {
        self.bare(tree, "");
        self.pids(tree, "containers");
        self.containerd(tree, "docker/containerd/daemon", &[]);
        self.containerd(tree, "containerd", &[]);
    }

    /// A store of containers/storage.
    fn store(&mut self, tree: &mut Tree, graph: &str, run: &str) {
        let key = format!("{:?} {}", tree.user, graph.trim_matches('/'));
        if self.stores.contains(&key) {
            return;
        }
        self.stores.push(key);
        for driver in DRIVERS {
            let images = if self.scope.is_all() { tree.long(&format!("{graph}/{driver}-images/images.json")) } else { None };
            let digests = images.and_then(|file| storage::digests(&file)).unwrap_or_default();
            for list in ["containers.json", "volatile-containers.json"] {
                let place = format!("{graph}/{driver}-containers");
                let Some(found) = tree.long(&format!("{place}/{list}")).and_then(|file| storage::list(&file, &digests)) else { continue };
                for mut container in found {
                    let id = container.owner.id.clone();
                    let config = format!("{place}/{id}/userdata/config.json");
                    // A kubelet's container has its name there.
                    if (self.scope.is_all() || container.owner.engine == Engine::CriO)
                        && let Some(spec) = tree.record(&config).and_then(|file| spec::parse(&file))
                    {
                        storage::describe(&mut container, spec);
                        container.configuration = tree.user.is_none().then(|| file(&config));
                    }
                    self.add(tree, Some(container));
                }
            }
        }
        if tree.user.is_none() {
            self.pids(tree, run);
        }
    }

    /// The first processes of a store's containers, from its run directory.
    fn pids(&mut self, tree: &mut Tree, run: &str) {
        for driver in DRIVERS {
            let place = format!("{run}/{driver}-containers");
            for id in tree.list(&place) {
                let known = self.containers.get(&id).is_some_and(|list| list.iter().any(|container| container.user == tree.user));
                if known
                    && self.scope.is_open(&id)
                    && let Some(file) = tree.record(&format!("{place}/{id}/userdata/pidfile"))
                {
                    let pid = procfs::number(file.trim_ascii());
                    for container in self.containers.get_mut(&id).into_iter().flatten().filter(|container| container.user == tree.user) {
                        container.pid = pid.or(container.pid);
                    }
                }
            }
        }
    }

    fn docker(&mut self, tree: &mut Tree, root: &str) {
        for id in tree.list(&format!("{root}/containers")) {
            let place = format!("{root}/containers/{id}");
            // Whoever runs has a cgroup with the id in its path.
            if let Scope::Running(running) = self.scope
                && !running.is_placed(&id)
                && !running.may_run(&id)
            {
                continue;
            }
            let Some(config) = tree.record(&format!("{place}/config.v2.json")) else { continue };
            let host = if self.scope.is_all() { tree.record(&format!("{place}/hostconfig.json")) } else { None };
            // A record in a directory of another name is nobody's.
            let found = docker::container(&config, host.as_deref()).filter(|container| container.owner.id == id);
            let configuration = (tree.user.is_none() && host.is_some()).then(|| file(&format!("{place}/hostconfig.json")));
            self.add(tree, found.map(|found| HostContainer { configuration, ..found }));
        }
    }

    /// The containers of one containerd: those with a task beneath its run directory, those without in its database, beneath its root.
    fn containerd(&mut self, tree: &mut Tree, run: &str, roots: &[&str]) {
        for tasks in ["io.containerd.runtime.v2.task", "io.containerd.runtime.v1.linux"] {
            for namespace in tree.list(&format!("{run}/{tasks}")) {
                for id in tree.list(&format!("{run}/{tasks}/{namespace}")) {
                    let place = format!("{run}/{tasks}/{namespace}/{id}");
                    let Some(owner) = containerd::owner(&namespace, &id) else { continue };
                    let open = self.scope.is_open(&owner.id);
                    // Docker's own record has the name, and what has no id has no other name.
                    let named = owner.engine != Engine::Docker && crate::engines::is_id(&id);
                    if !open && !named {
                        continue;
                    }
                    let read =
                        |tree: &mut Tree, file: &str, wanted: bool| if wanted { tree.record(&format!("{place}/{file}")) } else { None };
                    let spec = read(tree, "config.json", named || self.scope.is_all()).and_then(|file| spec::parse(&file));
                    let pid = read(tree, "init.pid", open).and_then(|file| procfs::number(file.trim_ascii()));
                    let configuration = (tree.user.is_none() && spec.is_some()).then(|| file(&format!("{place}/config.json")));
                    let found = containerd::container(&namespace, owner, spec, pid);
                    self.add(tree, Some(HostContainer { configuration, ..found }));
                }
            }
        }
        if self.scope.is_all() {
            self.recorded(tree, roots);
        }
    }

    /// What databases of containerd tell.
    fn recorded(&mut self, tree: &mut Tree, roots: &[&str]) {
        for root in roots {
            for container in metadata::read(tree, root).into_values() {
                self.add(tree, Some(container));
            }
        }
    }

    /// The records of runtimes, and the stores of Podman that only they tell of.
    fn bare(&mut self, tree: &mut Tree, run: &str) {
        for (runtime, file, engine) in bare::RUNTIMES {
            let place = if run.is_empty() { runtime.to_owned() } else { format!("{run}/{runtime}") };
            for id in tree.list(&place) {
                // It is long, and tells nothing that a path and a store have not told.
                let told = !self.scope.is_open(&id) && (self.containers.contains_key(&id) || !crate::engines::is_id(&id));
                if told {
                    continue;
                }
                let Some(record) = tree.record(&format!("{place}/{id}/{file}")) else { continue };
                let Some(found) = bare::container(engine, &id, &record) else { continue };
                self.bundle(tree, found);
            }
        }
    }

    fn bundle(&mut self, tree: &mut Tree, found: bare::Bare) {
        let mut container = found.container;
        let store = found.bundle.as_deref().and_then(|bundle| store_of(bundle, &container.owner.id));
        // A user's bundle may be anywhere, beyond what is read of theirs.
        if let Some(bundle) = found.bundle.as_deref().filter(|_| tree.user.is_none()) {
            if let Some(graph) = store {
                self.store(tree, graph, "");
            }
            let config = format!("{bundle}/config.json");
            if self.scope.is_all()
                && let Some(spec) = tree.record(&config).and_then(|file| spec::parse(&file))
            {
                container.configuration = Some(file(&config));
                container.bounding = container.bounding.or(spec.bounding);
                container.filter = spec.filter;
                container.command = spec.command;
            }
        }
        self.add(tree, Some(container));
    }

    /// Keeps a container, or completes the one that another file told of before.
    fn add(&mut self, tree: &Tree, container: Option<HostContainer>) {
        let Some(mut container) = container else { return };
        container.user = tree.user;
        if self.containers.len() >= MOST {
            return;
        }
        let list = self.containers.entry(container.owner.id.clone()).or_default();
        let same = |known: &Owner, found: &Owner| known.engine == found.engine || found.engine.is_runtime();
        match list.iter_mut().find(|known| known.user == container.user && same(&known.owner, &container.owner)) {
            Some(known) => known.complete_from(container),
            None => list.push(container),
        }
    }
}

/// The file that configures a container, by its path beneath the root.
fn file(path: &str) -> Configuration {
    Configuration::File(format!("/{}", path.trim_start_matches('/')))
}

/// Returns the store that a bundle of Podman's or CRI-O's is in: `STORE/DRIVER-containers/ID/userdata`.
fn store_of<'a>(bundle: &'a str, id: &str) -> Option<&'a str> {
    let directory = bundle.strip_suffix("/userdata")?.strip_suffix(id)?.strip_suffix('/')?;
    DRIVERS.iter().find_map(|driver| directory.strip_suffix("-containers")?.strip_suffix(driver)?.strip_suffix('/'))
}

/// Returns the value of a line `KEY = "VALUE"`, as TOML has it.
fn setting(text: Option<&str>, wanted: &str) -> Option<String> {
    let (_, value) = machine::pairs(text?).find(|(key, _)| *key == wanted)?;
    Some(value.trim_matches(['"', '\'']).to_owned()).filter(|value| value.starts_with('/'))
}

/// Everybody's number and home.
fn users(host: &mut Tree) -> BTreeMap<u32, String> {
    let file = host.record("etc/passwd").unwrap_or_default();
    let mut users = BTreeMap::new();
    for line in procfs::lines(&file) {
        let mut fields = line.split(|byte| *byte == b':');
        let (uid, home) = (fields.nth(2).and_then(procfs::number::<u32>), fields.nth(2).and_then(|home| str::from_utf8(home).ok()));
        if let (Some(uid), Some(home)) = (uid, home) {
            users.entry(uid).or_insert_with(|| home.trim_matches('/').to_owned());
        }
    }
    // Root's engines are the host's.
    users.remove(&0);
    users
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::metadata::made::{database, envelope};
    use super::*;
    use crate::bolt::made::Node;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const OTHER: &str = "f123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    /// Makes a tree of files; `%1` and `%2` stand for ids.
    fn host(files: &[(&str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let replaced = |text: &str| text.replace("%2", OTHER).replace("%1", ID);
        for (path, content) in files {
            let path = directory.path().join(replaced(path));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, replaced(content)).unwrap();
        }
        directory
    }

    /// Engine, name, user, first process.
    fn shown(found: &Found) -> Vec<String> {
        let one = |container: &HostContainer| {
            format!("{} {} {:?} {:?} {:?}", container.owner.engine, container.title(), container.user, container.privileged, container.pid)
        };
        let mut lines: Vec<String> = found.containers.iter().map(one).collect();
        lines.sort();
        lines
    }

    #[test]
    fn find_of_every_engine_at_once() {
        let list = r#"[{"id":"%1","names":["web"],"metadata":"{\"name\":\"web\"}"}]"#;
        let theirs = r#"[{"id":"%2","names":["mine"],"metadata":"{\"name\":\"mine\"}"}]"#;
        let spec = r#"{"annotations": {"io.podman.annotations.privileged": "TRUE"}}"#;
        let host = host(&[
            ("etc/passwd", "root:x:0:0::/root:/bin/sh\nu:x:1000:1000::/home/u:/bin/sh\nbroken\n"),
            ("var/lib/containers/storage/overlay-containers/containers.json", list),
            ("var/lib/containers/storage/overlay-containers/%1/userdata/config.json", spec),
            ("run/containers/storage/overlay-containers/%1/userdata/pidfile", "101\n"),
            ("home/u/.local/share/containers/storage/vfs-containers/containers.json", theirs),
            ("run/user/1000/containers/vfs-containers/%2/userdata/pidfile", "102"),
            ("run/user/1000/crun/%2/status", r#"{"pid": 102, "process-start-time": 9}"#),
            ("var/lib/docker/containers/%1/config.v2.json", r#"{"ID": "%1", "Name": "/dock", "State": {"Running": true, "Pid": 103}}"#),
            ("var/lib/docker/containers/%1/hostconfig.json", r#"{"Privileged": true}"#),
            ("run/containerd/io.containerd.runtime.v2.task/default/redis/init.pid", "104"),
            (
                "run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io/%2/config.json",
                r#"{"annotations": {"io.kubernetes.cri.container-name": "pod1"}}"#,
            ),
            ("var/lib/lxc/old/config", "lxc.cap.keep = none\n"),
            ("var/lib/incus/containers/new/x", ""),
            ("run/systemd/machines/deb", "CLASS=container\nSERVICE=systemd-nspawn\nLEADER=105\n"),
            ("run/runc/hand/state.json", r#"{"init_process_pid": 106}"#),
            (
                "run/runc/%1/state.json",
                r#"{"init_process_pid": 101, "init_process_start": 7, "config": {"labels": ["io.container.manager=libpod"]}}"#,
            ),
            ("run/youki/y/state.json", r#"{"status": "running", "pid": 107}"#),
        ]);
        let found = find(host.path(), Scope::All).unwrap();
        assert_eq!(
            shown(&found),
            [
                "containerd pod1 None None None",
                "containerd redis None None Some(104)",
                "docker dock None Some(true) Some(103)",
                "lxc new None None None",
                "lxc old None None None",
                "nspawn deb None None Some(105)",
                "podman mine Some(1000) None Some(102)",
                "podman web None Some(true) Some(101)",
                "runc hand None None Some(106)",
                "youki y None None Some(107)",
            ]
        );
        let path = |configuration: &Configuration| match configuration {
            Configuration::File(path) => path.clone(),
            Configuration::Specification(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        };
        let configured = found.containers.iter().filter_map(|container| container.configuration.as_ref().map(path));
        let web = format!("/var/lib/containers/storage/overlay-containers/{ID}/userdata/config.json");
        let dock = format!("/var/lib/docker/containers/{ID}/hostconfig.json");
        let pod = format!("/run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io/{OTHER}/config.json");
        assert_eq!(configured.collect::<BTreeSet<_>>(), [web, dock, pod, "/var/lib/lxc/old/config".to_owned()].into());
        let mine = found.containers.iter().find(|container| container.title() == "mine").unwrap();
        assert_eq!(mine.start, Some(9));
        assert_eq!(found.denied, Vec::<String>::new());
    }

    #[test]
    fn find_reads_containerds_databases_and_believes_tasks_first() {
        let host = host(&[
            ("etc/passwd", "u:x:1000:1000::/home/u:/bin/sh\n"),
            ("etc/containerd/config.toml", "version = 2\nroot = \"/srv/containerd\"\n"),
            ("run/containerd/io.containerd.runtime.v2.task/default/redis/config.json", r#"{"process": {"args": ["now"]}}"#),
            ("run/containerd/io.containerd.runtime.v2.task/default/redis/init.pid", "104"),
            ("run/user/1000/containerd/io.containerd.runtime.v2.task/default/mine/init.pid", "105"),
        ]);
        let container =
            |image: &str| Node::inline([("image", Node::text(image)), ("spec", envelope(r#"{"process": {"args": ["then"]}}"#))]);
        for (root, ids) in [
            ("srv/containerd", &["made", "redis"][..]),
            ("var/lib/containerd", &["not-there"]),
            ("var/lib/rancher/k3s/agent/containerd", &["k3s"]),
            ("home/u/.local/share/containerd", &["made", "mine"]),
        ] {
            let containers = ids.iter().map(|id| ((*id).to_owned(), container(root))).collect();
            let place = host.path().join(root).join("io.containerd.metadata.v1.bolt");
            std::fs::create_dir_all(&place).unwrap();
            let database = database([("default", Node::leaf([("containers", Node::Leaf(containers))]))]);
            std::fs::write(place.join("meta.db"), database).unwrap();
        }
        let found = find(host.path(), Scope::All).unwrap();
        let mut lines: Vec<String> = Vec::new();
        for container in &found.containers {
            let (image, command) = (container.image.as_deref().unwrap_or_default(), container.command.join(" "));
            let from = match &container.configuration {
                Some(Configuration::File(path)) => path,
                Some(Configuration::Specification(_)) => "database",
                None => "",
            };
            lines.push(format!("{} {:?} {:?} {image} {command} {from}", container.title(), container.user, container.pid));
        }
        lines.sort();
        assert_eq!(
            lines,
            [
                "k3s None None var/lib/rancher/k3s/agent/containerd then database",
                "made None None srv/containerd then database",
                "made Some(1000) None home/u/.local/share/containerd then ",
                "mine Some(1000) Some(105) home/u/.local/share/containerd then ",
                "redis None Some(104) srv/containerd now /run/containerd/io.containerd.runtime.v2.task/default/redis/config.json",
            ]
        );
        assert_eq!(running(&host, &["/default/redis"]), ["containerd mine Some(1000) None Some(105)"]);
    }

    #[test]
    fn find_of_an_empty_host_finds_nothing() {
        assert_eq!(find(tempfile::tempdir().unwrap().path(), Scope::All).unwrap(), Found::default());
    }

    /// What is found of those that run, given the paths of their cgroups.
    fn running(host: &tempfile::TempDir, paths: &[&str]) -> Vec<String> {
        let group = |path: &&str| crate::Group { paths: vec![path.replace("%2", OTHER).replace("%1", ID)], pids: vec![7] };
        let placed = OnceLock::from(Placed::by_paths(Cgroups::Groups(paths.iter().map(group).collect())));
        shown(&find(host.path(), Scope::Running(&Running::new(&placed))).unwrap())
    }

    #[test]
    fn find_of_what_runs_reads_names_and_no_more() {
        let host = host(&[
            ("var/lib/docker/containers/%1/config.v2.json", r#"{"ID": "%1", "Name": "/dock", "State": {"Running": true, "Pid": 103}}"#),
            ("var/lib/docker/containers/%1/hostconfig.json", r#"{"Privileged": true}"#),
            ("var/lib/docker/containers/%2/config.v2.json", r#"{"ID": "%2", "Name": "/stopped"}"#),
            ("run/containerd/io.containerd.runtime.v2.task/moby/%1/init.pid", "103"),
            ("run/containerd/io.containerd.runtime.v2.task/default/redis/init.pid", "104"),
            ("run/containerd/io.containerd.runtime.v2.task/default/own/init.pid", "105"),
            ("var/lib/lxc/old/config", ""),
            ("run/runc/told/state.json", r#"{"init_process_pid": 106}"#),
            ("run/runc/hand/state.json", r#"{"init_process_pid": 107}"#),
        ]);
        let docker = "docker dock None None Some(103)";
        let open = ["containerd own None None Some(105)", "runc hand None None Some(107)"];
        let told = running(&host, &["/docker/%1", "/default/redis", "/lxc/told", "/mine"]);
        assert_eq!(told, [open[0], docker, open[1]]);
        // With a parent of the user's choice the path does not tell which engine it is, but has the id.
        let parents = ["/my/%1", "/default/redis", "/lxc/told", "/system.slice/docker-x.scope"];
        assert_eq!(running(&host, &parents), [open[0], docker, open[1]]);
        // A task without a cgroup that tells is where containerd says.
        let nameless = "docker 0123456789ab None None Some(103)";
        assert_eq!(running(&host, &["/default/redis", "/default/own", "/lxc/hand", "/lxc/told"]), [nameless]);
    }

    #[test]
    fn find_of_a_store_that_only_a_runtime_tells_of_reads_that_record_alone() {
        let named = r#"[{"id":"%1","names":["web"],"metadata":"{}"}]"#;
        let record = r#"{"config": {"labels": ["io.container.manager=libpod", "bundle=/elsewhere/overlay-containers/%1/userdata"]}}"#;
        let elsewhere = host(&[("elsewhere/overlay-containers/containers.json", named), ("run/runc/%1/state.json", record)]);
        assert_eq!(running(&elsewhere, &["/libpod_parent/libpod-%1"]), ["podman web None None None"]);
        let usual = host(&[("var/lib/containers/storage/overlay-containers/containers.json", named), ("run/runc/%1/state.json", "broken")]);
        assert_eq!(running(&usual, &["/libpod_parent/libpod-%1"]), ["podman web None None None"]);
    }

    #[test]
    fn find_follows_the_configured_places_and_a_runtimes_bundle() {
        let named = |name: &str| format!(r#"[{{"id":"{}","names":["{name}"],"metadata":"{{}}"}}]"#, if name == "b" { OTHER } else { ID });
        let host = host(&[
            ("etc/containers/storage.conf", "[storage]\ngraphroot = \"/srv/store\"\n"),
            ("srv/store/overlay-containers/containers.json", &named("a")),
            ("elsewhere/overlay-containers/containers.json", &named("b")),
            (
                "run/runc/%2/state.json",
                r#"{"config": {"labels": ["io.container.manager=libpod", "bundle=/elsewhere/overlay-containers/%2/userdata"]}}"#,
            ),
            ("etc/docker/daemon.json", r#"{"data-root": "/srv/docker"}"#),
            ("srv/docker/containers/%1/config.v2.json", r#"{"ID": "%1", "Name": "/c"}"#),
        ]);
        let found = find(host.path(), Scope::All).unwrap();
        assert_eq!(shown(&found), ["docker c None None None", "podman a None None None", "podman b None None None"]);
    }

    #[test]
    fn find_of_hostile_files_leaves_them_out_and_goes_on() {
        let host = host(&[
            ("etc/passwd", "u:x:1000:1000::/home/u:/bin/sh\n"),
            ("secret/overlay-containers/containers.json", r#"[{"id":"%1","names":["stolen"],"metadata":"{}"}]"#),
            ("home/u/.local/share/x", ""),
            ("var/lib/docker/containers/%1/config.v2.json", &"[".repeat(100_000)),
            ("var/lib/docker/containers/%2/config.v2.json", r#"{"ID": "%1", "Name": "/not-its-directory"}"#),
            ("var/lib/lxc/a\u{1b}[2J/config", ""),
            ("run/runc/good/state.json", "{}"),
        ]);
        let at = |path: &str| host.path().join(path);
        std::os::unix::fs::symlink(at("secret"), at("home/u/.local/share/containers")).unwrap();
        std::fs::create_dir_all(at("run/crun/trap")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, at("run/crun/trap/status"), rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        std::fs::create_dir_all(at("run/youki/long")).unwrap();
        std::fs::File::create(at("run/youki/long/state.json")).unwrap().set_len(1 << 30).unwrap();
        assert_eq!(shown(&find(host.path(), Scope::All).unwrap()), ["runc good None None None"]);
    }

    #[test]
    fn store_of_a_bundle_only_where_podman_would_have_it() {
        assert_eq!(store_of(&format!("/srv/s/vfs-containers/{ID}/userdata"), ID), Some("/srv/s"));
        assert_eq!(store_of(&format!("/srv/s/vfs-containers/{ID}/userdata"), OTHER), None);
        assert_eq!(store_of("/srv/web", "web"), None);
    }
}
