//! Finds the facts that a plan depends on: the engine's own rights, the kernel, the host's files, the image's users.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use selkie_plan::value::NamespaceMode;
use selkie_plan::{
    ACCOUNT_FILE_LIMIT, CgroupLayout, ContainerFacts, ContainersConf, DeviceKind, DeviceNode, DevicePath, HostFacts, IdMaps,
    JoinedContainer, KernelFacts, Limit, Needs, OwnFacts, PathKind, PlanError, Request, needs,
};
use selkie_runtime::cgroup::{Layout, Version};
use selkie_runtime::user_namespace;
use selkie_sys::{Errno, SyscallError, capability, process, root};

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::record::{Container, Record};

/// Names of the resource limits in the kernel's order: `asm-generic/resource.h`.
const LIMITS: [&str; 16] = [
    "cpu",
    "fsize",
    "data",
    "stack",
    "core",
    "rss",
    "nproc",
    "nofile",
    "memlock",
    "as",
    "locks",
    "sigpending",
    "msgqueue",
    "nice",
    "rtprio",
    "rttime",
];

/// The cgroup above those of all containers, in every hierarchy.
pub(crate) const CGROUP_PARENT: &str = "/selkie";

impl Engine {
    /// Finds the facts for a plan of `record`, whose root file system is `container_root`.
    pub(crate) fn facts(&self, record: &Record, container_root: impl AsFd) -> Result<HostFacts> {
        let needs = needs(&record.request, &self.conf);
        let mut facts = self.host_facts(&needs)?;
        facts.container = container_facts(record);
        facts.passwd = account_file(&container_root, "/etc/passwd")?;
        facts.group = account_file(&container_root, "/etc/group")?;
        self.joined(&record.request, &needs, &mut facts)?;
        facts.subordinate_ids = self.subordinate_ids(&needs, &record.id)?;
        facts.user_namespace = user_namespace_of(&needs, &facts)?;
        Ok(facts)
    }

    /// Finds the facts that do not depend on a container.
    ///
    /// # Errors
    /// When the engine cannot read its own rights.
    pub fn host_facts(&self, needs: &Needs) -> Result<HostFacts> {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        Ok(HostFacts {
            own: own()?,
            kernel: kernel(needs),
            conf: self.conf.clone(),
            hostname: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            resolv_conf: resolv_conf(),
            hosts: if needs.hosts { read("/etc/hosts") } else { String::new() },
            dev_nodes: if needs.dev_nodes { device_nodes(Path::new("/dev")) } else { Vec::new() },
            devices: needs.devices.iter().filter_map(|path| Some((path.clone(), device_path(path)?))).collect(),
            bind_sources: needs.bind_sources.iter().filter_map(|path| Some((path.clone(), path_kind(path)?))).collect(),
            namespace_files: needs.namespace_files.iter().filter(|path| Path::new(path).exists()).cloned().collect(),
            ..HostFacts::default()
        })
    }

    fn joined(&self, _request: &Request, needs: &Needs, facts: &mut HostFacts) -> Result<()> {
        for name in &needs.containers {
            let container = Container::find(&self.store, name)?;
            let plan = container.plan(&self.store)?;
            let joined = JoinedContainer {
                id: container.id().to_string(),
                pid: container.live.as_ref().and_then(|live| u32::try_from(live.init.pid).ok()),
                user_namespace: plan.as_ref().and_then(|plan| plan.namespaces.user.maps().cloned()),
                hostname: plan.and_then(|plan| plan.hostname).unwrap_or_default(),
                ipc_is_private: ipc_is_private(&container.record.request, &self.conf),
            };
            facts.joined.insert(name.clone(), joined);
        }
        Ok(())
    }
}

/// Returns whether a container keeps its IPC namespace to itself: only by name, as the default is shareable.
fn ipc_is_private(request: &Request, conf: &ContainersConf) -> bool {
    match &request.namespaces.ipc {
        NamespaceMode::Private => true,
        NamespaceMode::Default => conf.ipcns.as_deref() == Some("private"),
        _ => false,
    }
}

/// Reads the maps of the user namespace that is to be joined by its file, if that is there.
fn user_namespace_of(needs: &Needs, facts: &HostFacts) -> Result<Option<IdMaps>> {
    let Some(path) = needs.user_namespace.as_ref().filter(|path| facts.namespace_files.contains(path)) else { return Ok(None) };
    let proof = process::SingleThreaded::check().map_err(Error::system("look into a user namespace"))?;
    Ok(user_namespace::maps_of_file(proof, Path::new(path))?)
}

fn container_facts(record: &Record) -> ContainerFacts {
    let image = record.image.clone();
    ContainerFacts {
        id: record.id.to_string(),
        name: record.name.to_string(),
        image: image.as_ref().map(|image| image.name.clone()).unwrap_or_default(),
        image_id: image.map(|image| image.id).unwrap_or_default(),
        cgroup_parent: Some(CGROUP_PARENT.to_owned()),
    }
}

fn own() -> Result<OwnFacts> {
    let sets = capability::read().map_err(Error::system("read the engine's own capabilities"))?;
    let mut limits = BTreeMap::new();
    for (number, name) in (0..).zip(LIMITS) {
        let (soft, hard) = process::limit(None, number).map_err(Error::system("read the engine's own limits"))?;
        limits.insert(name.to_owned(), Limit { soft, hard });
    }
    let euid = rustix::process::geteuid().as_raw();
    Ok(OwnFacts {
        euid,
        egid: rustix::process::getegid().as_raw(),
        user_name: if euid == 0 { "root".to_owned() } else { String::new() },
        rootless: euid != 0,
        bounding: sets.bounding,
        permitted: sets.permitted,
        uid_map: Vec::new(),
        gid_map: Vec::new(),
        limits,
    })
}

fn kernel(needs: &Needs) -> KernelFacts {
    KernelFacts {
        last_cap: capability::last_capability(),
        // PR_CAP_AMBIENT came with Linux 4.3; the mount API that we need came with 5.12.
        ambient: true,
        cgroups: match Layout::of_host().version() {
            Version::None => CgroupLayout::Missing,
            Version::V1 => CgroupLayout::V1,
            Version::Hybrid => CgroupLayout::Hybrid,
            Version::V2 => CgroupLayout::V2,
        },
        apparmor: std::fs::read("/sys/module/apparmor/parameters/enabled").is_ok_and(|value| value.starts_with(b"Y")),
        selinux: Path::new("/sys/fs/selinux/enforce").exists(),
        processors: needs.processors.then(|| online("cpu")).flatten(),
        memory_nodes: needs.memory_nodes.then(|| online("node")).flatten(),
        thermal_throttle: thermal_throttle(),
    }
}

/// Returns the list of the host's processors or memory nodes; `None` where the kernel does not tell.
fn online(kind: &str) -> Option<String> {
    let list = std::fs::read_to_string(format!("/sys/devices/system/{kind}/online")).ok()?;
    Some(list.trim_end().to_owned()).filter(|list| !list.is_empty())
}

fn thermal_throttle() -> Vec<String> {
    let cpus = Path::new("/sys/devices/system/cpu");
    // All processors that are online have one, or none has (thermal_throttle_init_device in the kernel's therm_throt.c). Whether the
    // first is online is said only where it can be anything else.
    let first = cpus.join("cpu0");
    if first.exists() && !first.join("online").exists() && !first.join("thermal_throttle").exists() {
        return Vec::new();
    }
    let mut paths: Vec<String> = std::fs::read_dir(cpus)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| {
            entry.file_name().to_string_lossy().strip_prefix("cpu").is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()))
        })
        .map(|entry| entry.path().join("thermal_throttle"))
        .filter(|path| path.exists())
        .map(|path| path.display().to_string())
        .collect();
    paths.sort();
    paths
}

/// The real file where systemd-resolved keeps a stub that is only reachable in the host's own network namespace.
fn resolv_conf() -> String {
    let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    if text.lines().any(|line| line.trim() == "nameserver 127.0.0.53") {
        std::fs::read_to_string("/run/systemd/resolve/resolv.conf").unwrap_or(text)
    } else {
        text
    }
}

/// Reads a file of accounts beneath the container's root; it is the image's, so it may be anything.
pub(crate) fn account_file(container_root: impl AsFd, path: &'static str) -> Result<Option<Vec<u8>>> {
    root::read(container_root, Path::new(path), ACCOUNT_FILE_LIMIT).map_err(|SyscallError { call, errno }| {
        let problem = match errno {
            Errno::INVAL => "it is not a regular file".to_owned(),
            Errno::FBIG => format!("it is longer than {ACCOUNT_FILE_LIMIT} bytes"),
            _ => SyscallError { call, errno }.to_string(),
        };
        Error::Plan(PlanError::AccountFile { file: path, problem })
    })
}

fn path_kind(path: &str) -> Option<PathKind> {
    let data = std::fs::metadata(path).ok()?;
    Some(if data.is_dir() { PathKind::Directory } else { PathKind::File })
}

fn device_path(path: &str) -> Option<DevicePath> {
    let data = std::fs::metadata(path).ok()?;
    if data.is_dir() {
        return Some(DevicePath::Directory(device_nodes(Path::new(path))));
    }
    Some(device_node(path.to_owned(), &data).map_or(DevicePath::Other, DevicePath::Node))
}

fn device_node(path: String, data: &std::fs::Metadata) -> Option<DeviceNode> {
    let kind = if data.file_type().is_char_device() {
        DeviceKind::Char
    } else if data.file_type().is_block_device() {
        DeviceKind::Block
    } else {
        return None;
    };
    let number = data.rdev();
    Some(DeviceNode {
        path,
        kind,
        major: rustix::fs::major(number),
        minor: rustix::fs::minor(number),
        mode: data.mode() & 0o7777,
        uid: data.uid(),
        gid: data.gid(),
    })
}

/// Returns the nodes beneath `directory`, as Podman collects them: without links, and without what a container has of its own.
fn device_nodes(directory: &Path) -> Vec<DeviceNode> {
    const OWN: [&str; 7] = ["pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", "console"];
    let mut entries: Vec<_> = std::fs::read_dir(directory).into_iter().flatten().flatten().collect();
    entries.sort_by_key(std::fs::DirEntry::file_name);
    let mut nodes = Vec::new();
    for entry in entries.into_iter().filter(|entry| !OWN.iter().any(|name| entry.file_name() == **name)) {
        // Of the entry itself, not of what a link points to.
        let Ok(data) = entry.metadata() else { continue };
        if data.is_dir() {
            nodes.extend(device_nodes(&entry.path()));
        } else {
            nodes.extend(device_node(entry.path().display().to_string(), &data));
        }
    }
    nodes
}
