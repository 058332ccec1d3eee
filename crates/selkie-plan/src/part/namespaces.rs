//! Which namespaces are new, the host's, or another container's: namespaces(7).

use super::{Inputs, Notes, auto};
use crate::value::{NamespaceMode, NetworkMode, UsernsMode};
use crate::{HostFacts, IdMap, IdMaps, Namespace, Namespaces, PlanError, UserNamespace};

/// The namespaces.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) namespaces: Namespaces,
    /// The caller's own uid and gid inside, for `--userns keep-id`.
    pub(crate) keep: Option<(u32, u32)>,
    /// `--ipc none`: there is no `/dev/shm`.
    pub(crate) no_shm: bool,
    pub(crate) notes: Notes,
}

/// Computes the namespaces.
pub(crate) fn part(inputs: &Inputs) -> Result<Part, PlanError> {
    let (facts, asked, conf) = (inputs.facts, &inputs.request.namespaces, &inputs.facts.conf);
    let mut notes = Notes::default();
    let ipc_mode = or_conf("ipc", &asked.ipc, conf.ipcns.as_deref())?;
    let mut choose = |flag: &str, kind: &'static str, mode: &NamespaceMode, conf: Option<&str>| -> Result<Namespace, PlanError> {
        let mode = or_conf(flag, mode, conf)?;
        let namespace = namespace(kind, &mode, facts)?;
        if namespace != Namespace::Private {
            notes.because(format!("{kind} namespace"), shown(&namespace), format!("--{flag} {}", mode_text(&mode)));
        }
        Ok(namespace)
    };
    let pid = choose("pid", "pid", &asked.pid, conf.pidns.as_deref())?;
    let ipc = choose("ipc", "ipc", &asked.ipc, conf.ipcns.as_deref())?;
    let uts = choose("uts", "uts", &asked.uts, conf.utsns.as_deref())?;
    let cgroup = choose("cgroupns", "cgroup", &asked.cgroup, conf.cgroupns.as_deref())?;
    let network = choose("network", "net", &network_mode(inputs)?, None)?;
    if asked.network == NetworkMode::Default && network == Namespace::Private {
        notes.because("net namespace", "private, with lo alone", "default");
    }
    let (user, keep) = user(inputs, &mut notes)?;
    let namespaces = Namespaces { pid, network, ipc, uts, cgroup, user };
    Ok(Part { namespaces, keep, no_shm: ipc_mode == NamespaceMode::None, notes })
}

fn or_conf(flag: &str, mode: &NamespaceMode, conf: Option<&str>) -> Result<NamespaceMode, PlanError> {
    match (mode, conf) {
        (NamespaceMode::Default, Some(conf)) => NamespaceMode::parse(flag, conf),
        (NamespaceMode::Default, None) => Ok(NamespaceMode::Private),
        (mode, _) => Ok(mode.clone()),
    }
}

/// Returns the network as a mode like the others. Bridges are not there yet: the default is private with `lo` alone.
fn network_mode(inputs: &Inputs) -> Result<NamespaceMode, PlanError> {
    let conf = inputs.facts.conf.netns.as_deref().filter(|mode| !matches!(*mode, "" | "bridge" | "pasta" | "slirp4netns"));
    let mode = match (&inputs.request.namespaces.network, conf) {
        (NetworkMode::Default, Some(conf)) => NetworkMode::parse(conf)?,
        (mode, _) => mode.clone(),
    };
    Ok(match mode {
        NetworkMode::Default | NetworkMode::Private | NetworkMode::None => NamespaceMode::Private,
        NetworkMode::Host => NamespaceMode::Host,
        NetworkMode::Container(name) => NamespaceMode::Container(name),
        NetworkMode::Path(path) => NamespaceMode::Path(path),
    })
}

fn namespace(kind: &'static str, mode: &NamespaceMode, facts: &HostFacts) -> Result<Namespace, PlanError> {
    Ok(match mode {
        NamespaceMode::Default | NamespaceMode::Private | NamespaceMode::Shareable | NamespaceMode::None => Namespace::Private,
        NamespaceMode::Host => Namespace::Host,
        NamespaceMode::Container(name) => Namespace::Path(joined(kind, name, facts)?),
        NamespaceMode::Path(path) => Namespace::Path(existing(kind, path, facts)?),
    })
}

fn joined(kind: &'static str, name: &str, facts: &HostFacts) -> Result<String, PlanError> {
    let container = facts.joined.get(name).ok_or_else(|| PlanError::NoContainer { name: name.to_owned() })?;
    if kind == "ipc" && container.ipc_is_private {
        return Err(PlanError::IpcNotShareable { id: container.id.clone() });
    }
    let pid = container.pid.ok_or_else(|| PlanError::NotRunning { kind, name: name.to_owned() })?;
    Ok(format!("/proc/{pid}/ns/{kind}"))
}

fn existing(kind: &'static str, path: &str, facts: &HostFacts) -> Result<String, PlanError> {
    if facts.namespace_files.iter().any(|known| known == path) {
        Ok(path.to_owned())
    } else {
        let kind = match kind {
            "net" => "network",
            "pid" => "PID",
            "ipc" => "IPC",
            "uts" => "UTS",
            other => other,
        };
        Err(PlanError::NamespacePath { kind, path: path.to_owned() })
    }
}

/// Returns the mode of the user namespace: the flag's, or else containers.conf's.
fn user_mode(inputs: &Inputs, maps: bool) -> Result<UsernsMode, PlanError> {
    let mode = match (&inputs.request.namespaces.user, inputs.facts.conf.userns.as_deref()) {
        (UsernsMode::Default, Some(conf)) if !maps => UsernsMode::parse(conf)?,
        (mode, _) => mode.clone(),
    };
    if maps && !matches!(mode, UsernsMode::Default | UsernsMode::Private) {
        return Err(PlanError::UsernsAndMaps);
    }
    Ok(mode)
}

/// Computes the user namespace, and the caller's ids inside for `keep-id`.
fn user(inputs: &Inputs, notes: &mut Notes) -> Result<(UserNamespace, Option<(u32, u32)>), PlanError> {
    let (facts, asked, own) = (inputs.facts, &inputs.request.namespaces, &inputs.facts.own);
    let maps = !asked.uid_map.is_empty() || !asked.gid_map.is_empty();
    let (namespace, keep, because) = match user_mode(inputs, maps)? {
        UsernsMode::Default | UsernsMode::Private if maps => {
            let (uids, gids) = (&asked.uid_map, &asked.gid_map);
            let uids_or_gids = if uids.is_empty() { gids } else { uids };
            let gids_or_uids = if gids.is_empty() { uids } else { gids };
            (UserNamespace::Private(IdMaps { uids: uids_or_gids.clone(), gids: gids_or_uids.clone() }), None, "--uidmap")
        }
        UsernsMode::Private => return Err(PlanError::NoIdMap),
        UsernsMode::Default | UsernsMode::Host if own.rootless => {
            return Ok((UserNamespace::Private(IdMaps { uids: own.uid_map.clone(), gids: own.gid_map.clone() }), None));
        }
        UsernsMode::Default | UsernsMode::Host => return Ok((UserNamespace::Host, None)),
        // Root keeps its ids in the engine's own namespace; other ids would need a map of their own.
        UsernsMode::KeepId { uid: None, gid: None, size: None } if !own.rootless => {
            (UserNamespace::Host, Some((own.euid, own.egid)), "--userns keep-id as root")
        }
        UsernsMode::KeepId { .. } if !own.rootless => {
            return Err(PlanError::NotSupportedYet { flag: String::from("--userns keep-id with options, as root") });
        }
        UsernsMode::KeepId { size: Some(_), .. } => {
            return Err(PlanError::NotSupportedYet { flag: String::from("--userns keep-id:size") });
        }
        UsernsMode::KeepId { uid, gid, .. } => keep_id(facts, uid, gid),
        UsernsMode::Auto(_) if own.rootless => {
            return Err(PlanError::NotSupportedYet { flag: String::from("--userns auto of a user who is not root") });
        }
        UsernsMode::Auto(asked) => (UserNamespace::Private(auto::maps(inputs, &asked)?), None, "--userns auto"),
        UsernsMode::NoMap if !own.rootless => return Err(PlanError::RootlessOnly { mode: "nomap" }),
        UsernsMode::NoMap => {
            let maps = IdMaps { uids: without_own(&own.uid_map), gids: without_own(&own.gid_map) };
            (UserNamespace::Private(maps), None, "--userns nomap")
        }
        UsernsMode::Container(name) => {
            let path = joined("user", &name, facts)?;
            let maps = facts.joined.get(&name).and_then(|container| container.user_namespace.clone());
            (of_others(path, maps), None, "--userns container")
        }
        UsernsMode::Path(path) => (of_others(existing("user", &path, facts)?, facts.user_namespace.clone()), None, "--userns ns"),
    };
    let decision = match namespace {
        UserNamespace::Host => "the engine's own",
        UserNamespace::Private(_) => "new",
        UserNamespace::Path { .. } => "joined",
    };
    notes.because("user namespace", decision, because);
    Ok((namespace, keep))
}

/// Returns the namespace behind `path`, which has `maps` unless it is the engine's own.
fn of_others(path: String, maps: Option<IdMaps>) -> UserNamespace {
    maps.map_or(UserNamespace::Host, |maps| UserNamespace::Path { path, maps })
}

/// Maps the caller's own ids onto themselves (or `uid`, `gid`) and the subordinate ids around them.
fn keep_id(facts: &HostFacts, uid: Option<u32>, gid: Option<u32>) -> (UserNamespace, Option<(u32, u32)>, &'static str) {
    let own = &facts.own;
    let (uid, gid) = (uid.unwrap_or(own.euid), gid.unwrap_or(own.egid));
    let uids = around(&own.uid_map, own.euid, uid);
    let gids = around(&own.gid_map, own.egid, gid);
    (UserNamespace::Private(IdMaps { uids, gids }), Some((uid, gid)), "--userns keep-id")
}

/// Moves the caller's `own` id from 0 to `inside`, and the subordinate ids to what is left, from 0 on.
fn around(maps: &[IdMap], own: u32, inside: u32) -> Vec<IdMap> {
    let mut below = inside;
    let mut next = 0_u32;
    let mut around = Vec::new();
    for map in without_own(maps) {
        let first = map.size.min(below);
        if first > 0 {
            around.push(IdMap { container: next, host: map.host, size: first });
            (below, next) = (below - first, next + first);
        }
        if below == 0 && next == inside {
            next = inside.saturating_add(1);
        }
        let rest = map.size - first;
        if rest > 0 {
            around.push(IdMap { container: next, host: map.host + first, size: rest });
            next = next.saturating_add(rest);
        }
    }
    around.push(IdMap { container: inside, host: own, size: 1 });
    around.sort_by_key(|map| map.container);
    around
}

/// Returns the subordinate ids alone, from 0 on.
fn without_own(maps: &[IdMap]) -> Vec<IdMap> {
    let mut next = 0_u32;
    let subordinate = maps.iter().filter(|map| map.container != 0);
    subordinate
        .map(|map| {
            let moved = IdMap { container: next, host: map.host, size: map.size };
            next = next.saturating_add(map.size);
            moved
        })
        .collect()
}

fn shown(namespace: &Namespace) -> String {
    match namespace {
        Namespace::Private => String::from("private"),
        Namespace::Host => String::from("host"),
        Namespace::Path(path) => format!("joined at {path}"),
    }
}

fn mode_text(mode: &NamespaceMode) -> String {
    match mode {
        NamespaceMode::Default => String::from("default"),
        NamespaceMode::Private => String::from("private"),
        NamespaceMode::Shareable => String::from("shareable"),
        NamespaceMode::None => String::from("none"),
        NamespaceMode::Host => String::from("host"),
        NamespaceMode::Container(name) => format!("container:{name}"),
        NamespaceMode::Path(path) => format!("ns:{path}"),
    }
}
