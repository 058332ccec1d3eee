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
    /// [`crate::HostFacts::user_namespace`], of this file.
    pub user_namespace: Option<String>,
    /// [`crate::HostFacts::subordinate_ids`].
    pub subordinate_ids: bool,
    /// [`crate::HostFacts::hosts`].
    pub hosts: bool,
    /// [`crate::KernelFacts::processors`].
    pub processors: bool,
    /// [`crate::KernelFacts::memory_nodes`].
    pub memory_nodes: bool,
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
    needs.processors = request.limits.cpuset_cpus.is_some();
    needs.memory_nodes = request.limits.cpuset_mems.is_some();
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
        UsernsMode::Path(path) => {
            needs.namespace_files.insert(path.clone());
            needs.user_namespace = Some(path.clone());
        }
        UsernsMode::Auto(_) => needs.subordinate_ids = true,
        UsernsMode::Default => needs.subordinate_ids = conf.userns.as_deref().is_some_and(|mode| mode.starts_with("auto")),
        _ => {}
    }
    needs
}

fn bind_source(mount: &UserMount) -> Option<String> {
    if let UserMount::Bind(bind) = mount { Some(bind.source.clone()) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{BindMount, DeviceSpec};

    #[test]
    fn plain_request_needs_nothing_expensive() {
        assert_eq!(needs(&Request::default(), &ContainersConf::default()), Needs::default());
    }

    #[test]
    fn request_needs_what_it_names() {
        let mut request = Request::default();
        request.security.privileged = Some(true);
        request.devices.devices.push(DeviceSpec::parse("/dev/kvm").unwrap());
        request.mounts.volumes.push(BindMount::parse("/a:/x", "/").unwrap());
        request.namespaces.pid = NamespaceMode::Container("db".into());
        request.namespaces.network = NetworkMode::Host;
        request.namespaces.user = UsernsMode::Path("/proc/1/ns/user".into());
        request.process.timezone = Some("local".into());
        request.limits.cpuset_cpus = Some("0".into());
        let set = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<BTreeSet<_>>();
        let expected = Needs {
            dev_nodes: true,
            devices: set(&["/dev/kvm"]),
            bind_sources: set(&["/a", "/etc/localtime"]),
            containers: set(&["db"]),
            namespace_files: set(&["/proc/1/ns/user"]),
            user_namespace: Some("/proc/1/ns/user".into()),
            subordinate_ids: false,
            hosts: true,
            processors: true,
            memory_nodes: false,
        };
        assert_eq!(needs(&request, &ContainersConf::default()), expected);
    }

    #[test]
    fn conf_can_need_something_too() {
        let conf = ContainersConf { volumes: vec!["/b:/y".into(), "bad".into()], privileged: true, ..ContainersConf::default() };
        let needs = needs(&Request::default(), &conf);
        assert_eq!((needs.dev_nodes, needs.bind_sources), (true, BTreeSet::from(["/b".to_owned()])));
    }
}
