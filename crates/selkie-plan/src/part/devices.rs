//! Device nodes and the rules of the device cgroup.

use std::collections::BTreeMap;

use selkie_caps::{CapSet, Capability};

use super::{Inputs, Notes, mounts};
use crate::value::DeviceSpec;
use crate::{
    CgroupLayout, Device, DeviceKind, DeviceNode, DevicePath, DeviceRule, Mount, MountSource, Namespaces, PlanError, UserNamespace,
};

/// The devices.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) devices: Vec<Device>,
    pub(crate) rules: Vec<DeviceRule>,
    /// In a user namespace nodes cannot be made: they are bound from the host.
    pub(crate) mounts: Vec<Mount>,
    pub(crate) notes: Notes,
}

/// Path, major and minor number of the nodes that every container has.
const NODES: [(&str, u32, u32); 6] =
    [("/dev/full", 1, 7), ("/dev/null", 1, 3), ("/dev/random", 1, 8), ("/dev/tty", 5, 0), ("/dev/urandom", 1, 9), ("/dev/zero", 1, 5)];

/// Returns the nodes that every container has.
#[must_use]
pub fn usual_devices() -> Vec<Device> {
    NODES
        .map(|(path, major, minor)| Device { path: path.to_owned(), kind: DeviceKind::Char, major, minor, mode: 0o666, uid: 0, gid: 0 })
        .to_vec()
}

/// Computes nodes and rules; `bounding` decides whether other nodes may be made.
pub(crate) fn part(inputs: &Inputs, namespaces: &Namespaces, bounding: CapSet) -> Result<Part, PlanError> {
    let mut notes = Notes::default();
    let in_user_namespace = namespaces.user != UserNamespace::Host;
    let mut devices: BTreeMap<String, Device> = usual_devices().into_iter().map(|device| (device.path.clone(), device)).collect();
    let asked = asked(inputs)?;
    let of_host = if inputs.privileged() { of_host(inputs, in_user_namespace) } else { Vec::new() };
    if inputs.privileged() {
        notes.because("devices", format!("{} of the host", of_host.len()), "--privileged");
    }
    let mut bound = BTreeMap::new();
    for wanted in of_host.iter().chain(&asked) {
        let (path, node) = (&wanted.path, &wanted.node);
        if in_user_namespace {
            let source = MountSource::Bind { path: node.path.clone(), recursive: false };
            bound.insert(path.clone(), Mount { nosuid: true, noexec: true, ..mounts::mount(path, source) });
        } else if wanted.explicit || !devices.contains_key(path) {
            let (kind, major, minor) = (node.kind, node.major, node.minor);
            let device = Device { path: path.clone(), kind, major, minor, mode: node.mode, uid: node.uid, gid: node.gid };
            devices.insert(path.clone(), device);
        }
    }
    let rules = rules(inputs, in_user_namespace, bounding, &asked)?;
    if rules.is_empty() && !in_user_namespace && bounding.contains(Capability::Mknod) {
        notes.warn("with CAP_MKNOD and without a device cgroup every device of the host can be opened", Some("leave out --cap-add mknod"));
    }
    Ok(Part { devices: devices.into_values().collect(), rules, mounts: bound.into_values().collect(), notes })
}

/// A node of the host that the container gets.
struct Wanted {
    /// Where.
    path: String,
    node: DeviceNode,
    access: String,
    /// By `--device`.
    explicit: bool,
}

/// Returns the nodes of `--device` and of containers.conf.
fn asked(inputs: &Inputs) -> Result<Vec<Wanted>, PlanError> {
    let conf = inputs.facts.conf.devices.iter().map(|text| DeviceSpec::parse(text)).collect::<Result<Vec<_>, _>>()?;
    let mut all = Vec::new();
    for spec in conf.iter().chain(&inputs.request.devices.devices) {
        let wanted = |path: String, node: &DeviceNode| Wanted { path, node: node.clone(), access: spec.access.clone(), explicit: true };
        match inputs.facts.devices.get(&spec.host) {
            None => return Err(PlanError::NoDevice { path: spec.host.clone() }),
            Some(DevicePath::Other) => return Err(PlanError::NotADevice { path: spec.host.clone() }),
            Some(DevicePath::Node(node)) => all.push(wanted(spec.container.clone(), node)),
            Some(DevicePath::Directory(nodes)) => {
                let beneath = |node: &DeviceNode| node.path.strip_prefix(&spec.host).map(|rest| format!("{}{rest}", spec.container));
                all.extend(nodes.iter().filter_map(|node| Some(wanted(beneath(node)?, node))));
            }
        }
    }
    Ok(all)
}

/// Returns the host's nodes for `--privileged`, without those that every container has of its own.
fn of_host(inputs: &Inputs, in_user_namespace: bool) -> Vec<Wanted> {
    let own_place = |path: &str| {
        let rest = path.strip_prefix("/dev/").unwrap_or(path);
        let first = rest.split('/').next().unwrap_or(rest);
        matches!(first, "pts" | "shm" | "fd" | "mqueue" | ".lxc" | ".lxd-mounts" | "console")
    };
    let terminal = |path: &str| {
        let number = path.strip_prefix("/dev/tty").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()));
        number || path == "/dev/ptmx"
    };
    // devpts of the container has its own multiplexer.
    let skipped = |path: &str| own_place(path) || path == "/dev/ptmx" || (in_user_namespace && terminal(path));
    let nodes = inputs.facts.dev_nodes.iter().filter(|node| node.path.starts_with("/dev/") && !skipped(&node.path));
    nodes.map(|node| Wanted { path: node.path.clone(), node: node.clone(), access: String::from("rwm"), explicit: false }).collect()
}

fn rule(allow: bool, kind: Option<DeviceKind>, major: Option<u32>, minor: Option<u32>, access: &str) -> DeviceRule {
    DeviceRule { allow, kind, major, minor, access: access.to_owned() }
}

/// Computes the rules. Nodes of any number may be made (not opened) only where MKNOD is granted; `/dev/net/tun` is
/// not among the defaults.
fn rules(inputs: &Inputs, in_user_namespace: bool, bounding: CapSet, asked: &[Wanted]) -> Result<Vec<DeviceRule>, PlanError> {
    let explicit = !inputs.request.devices.rules.is_empty();
    if in_user_namespace || inputs.facts.own.rootless {
        return if explicit { Err(PlanError::CgroupRuleRootless) } else { Ok(Vec::new()) };
    }
    if super::limits::cgroup_path(inputs).is_none() {
        let problem = if inputs.facts.kernel.cgroups == CgroupLayout::Missing { "this host has no cgroups" } else { "there is no cgroup" };
        let flag = String::from("--device-cgroup-rule");
        return if explicit { Err(PlanError::NoCgroup { flag, problem }) } else { Ok(Vec::new()) };
    }
    if inputs.privileged() {
        return Ok(vec![rule(true, None, None, None, "rwm")]);
    }
    let mut rules = vec![rule(false, None, None, None, "rwm")];
    if bounding.contains(Capability::Mknod) {
        rules.push(rule(true, Some(DeviceKind::Char), None, None, "m"));
        rules.push(rule(true, Some(DeviceKind::Block), None, None, "m"));
    }
    let char = |major, minor| rule(true, Some(DeviceKind::Char), Some(major), minor, "rwm");
    rules.extend(NODES.map(|(_, major, minor)| char(major, Some(minor))));
    rules.extend([char(5, Some(2)), char(136, None)]);
    rules.extend(
        asked.iter().map(|wanted| rule(true, Some(wanted.node.kind), Some(wanted.node.major), Some(wanted.node.minor), &wanted.access)),
    );
    rules.extend(inputs.request.device_rules().cloned());
    Ok(rules)
}
