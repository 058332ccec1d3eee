//! Which facts a request needs, so that the engine reads no more than that.

use std::collections::BTreeSet;

use crate::part::mounts::timezone_path;
use crate::value::{NamespaceMode, NetworkMode, UserMount, UsernsMode};
use crate::{ContainersConf, Request};

/// The expensive facts for one plan. All other fields of [`crate::HostFacts`] are always needed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// [`crate::HostFacts::dev_nodes`].
    pub dev_nodes: bool,
    /// Keys of [`crate::HostFacts::devices`].
    pub devices: BTreeSet<String>,
    /// Keys of [`crate::HostFacts::bind_sources`].
    pub bind_sources: BTreeSet<String>,
    /// Keys of [`crate::HostFacts::joined`].
    pub containers: BTreeSet<String>,
    /// Candidates of [`crate::HostFacts::namespace_files`].
    pub namespace_files: BTreeSet<String>,
    /// [`crate::HostFacts::hosts`].
    pub hosts: bool,
}

/// Computes which facts `request` needs. Paths of `devices`, `volumes` and `mounts` in `conf` that cannot be parsed
/// are left out: the plan says what is wrong with them.
#[must_use]
pub fn needs(request: &Request, conf: &ContainersConf) -> Needs {
    let mut needs = Needs { dev_nodes: request.security.privileged.unwrap_or(conf.privileged), ..Needs::default() };
    needs.devices.extend(request.devices.devices.iter().map(|device| device.host.clone()));
    needs.devices.extend(conf.devices.iter().filter_map(|text| crate::value::DeviceSpec::parse(text).ok()).map(|device| device.host));
    needs.bind_sources.extend(request.mounts.volumes.iter().map(|volume| volume.source.clone()));
    needs.bind_sources.extend(request.mounts.mounts.iter().filter_map(bind_source));
    needs
        .bind_sources
        .extend(conf.volumes.iter().filter_map(|text| crate::value::BindMount::parse(text, "/").ok()).map(|bind| bind.source));
    needs.bind_sources.extend(conf.mounts.iter().filter_map(|text| bind_source(&UserMount::parse(text, "/").ok()?)));
    let zone = request.process.timezone.as_deref().or(conf.tz.as_deref());
    needs.bind_sources.extend(timezone_path(zone).ok().flatten());
    let asked = &request.namespaces;
    for mode in [&asked.pid, &asked.ipc, &asked.uts, &asked.cgroup] {
        match mode {
            NamespaceMode::Container(name) => drop(needs.containers.insert(name.clone())),
            NamespaceMode::Path(path) => drop(needs.namespace_files.insert(path.clone())),
            _ => {}
        }
    }
    match &asked.network {
        NetworkMode::Host => needs.hosts = true,
        NetworkMode::Container(name) => drop(needs.containers.insert(name.clone())),
        NetworkMode::Path(path) => drop(needs.namespace_files.insert(path.clone())),
        _ => {}
    }
    needs.hosts |= conf.netns.as_deref() == Some("host");
    match &asked.user {
        UsernsMode::Container(name) => drop(needs.containers.insert(name.clone())),
        UsernsMode::Path(path) => drop(needs.namespace_files.insert(path.clone())),
        _ => {}
    }
    needs
}

fn bind_source(mount: &UserMount) -> Option<String> {
    if let UserMount::Bind(bind) = mount { Some(bind.source.clone()) } else { None }
}
