//! What Docker keeps of a container, running or not: `config.v2.json` and `hostconfig.json` of `containers/ID` beneath its data root.
//!
//! Not a file that anybody writes by hand, so no findings are about it and nothing has a line.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{podman_args, security_opt};
use crate::subject::{Engine, Mount, Namespace};
use crate::{Basis, Confinement, Located, Subject};

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Config {
    config: Option<Image>,
    app_armor_profile: Option<String>,
    mount_points: Option<BTreeMap<String, MountPoint>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Image {
    user: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct MountPoint {
    r#type: Option<String>,
    source: Option<String>,
    #[serde(rename = "RW")]
    writable: bool,
    propagation: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct HostConfig {
    privileged: bool,
    cap_add: Option<Vec<String>>,
    cap_drop: Option<Vec<String>>,
    security_opt: Option<Vec<String>>,
    pid_mode: Option<String>,
    network_mode: Option<String>,
    ipc_mode: Option<String>,
    #[serde(rename = "UTSMode")]
    uts_mode: Option<String>,
    userns_mode: Option<String>,
    cgroupns_mode: Option<String>,
    readonly_rootfs: bool,
    devices: Option<Vec<Device>>,
    device_cgroup_rules: Option<Vec<String>>,
    sysctls: Option<BTreeMap<String, String>>,
    masked_paths: Option<Vec<String>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Device {
    path_on_host: Option<String>,
}

/// Reads both files of a container that is called `name`; `None` when one of them is not what Docker writes.
///
/// Of a container that runs the kernel knows better: this is for those that do not.
#[must_use]
pub fn docker(name: &str, config: &[u8], hostconfig: &[u8]) -> Option<Subject> {
    let config: Config = serde_json::from_slice(config).ok()?;
    let host: HostConfig = serde_json::from_slice(hostconfig).ok()?;
    let image = config.config?;
    let mut subject = Subject {
        name: name.to_owned(),
        engine: Engine::Docker,
        basis: Basis::Planned,
        defaults: selkie_caps::DOCKER_DEFAULTS,
        added: all(host.cap_add),
        dropped: all(host.cap_drop),
        privileged: Some(Located::nowhere(host.privileged)),
        // Docker copies the image's user; an empty one is root.
        user: Some(Located::nowhere(image.user.filter(|user| !user.is_empty()).unwrap_or_else(|| "0".to_owned()))),
        no_new_privileges: Some(Located::nowhere(false)),
        seccomp: Some(Located::nowhere(if host.privileged { Confinement::Unconfined } else { Confinement::Default })),
        read_only_root: Some(Located::nowhere(host.readonly_rootfs)),
        device_rules: all(host.device_cgroup_rules),
        sysctls: all(host.sysctls.map(|map| map.into_iter().collect())),
        devices: host.devices.into_iter().flatten().filter_map(|device| device.path_on_host).map(Located::nowhere).collect(),
        mounts: config
            .mount_points
            .into_iter()
            .flatten()
            .filter_map(|(target, point)| mount(target, point))
            .map(Located::nowhere)
            .collect(),
        ..Subject::default()
    };
    for option in all(host.security_opt) {
        security_opt::apply(&mut subject, &option);
    }
    // The daemon resolves the profile at each start; without AppArmor it stays empty.
    if let Some(profile) = config.app_armor_profile.filter(|profile| !profile.is_empty()) {
        subject.apparmor = Some(Located::nowhere(security_opt::confinement(&profile)));
    }
    if host.masked_paths.is_some_and(|paths| paths.is_empty()) && subject.unmasked.is_empty() {
        subject.unmasked.push(Located::nowhere("ALL".to_owned()));
    }
    let modes = [
        (host.pid_mode, Namespace::Pid),
        (host.network_mode, Namespace::Network),
        (host.ipc_mode, Namespace::Ipc),
        (host.uts_mode, Namespace::Uts),
        (host.userns_mode, Namespace::User),
        (host.cgroupns_mode, Namespace::Cgroup),
    ];
    for (mode, namespace) in modes {
        podman_args::namespace(&mut subject, namespace, &Located::nowhere(mode.unwrap_or_default()));
    }
    // As of what runs, all that it holds is there to be judged, and not what could be dropped.
    subject.effective = Some(subject.capabilities());
    Some(subject)
}

fn all<T>(list: Option<Vec<T>>) -> Vec<Located<T>> {
    list.into_iter().flatten().map(Located::nowhere).collect()
}

/// A volume's data is the engine's to keep, and no file of the host.
fn mount(target: String, point: MountPoint) -> Option<Mount> {
    let is_bind = point.r#type.as_deref() == Some("bind");
    let propagates = point.propagation.is_some_and(|mode| matches!(mode.as_str(), "shared" | "rshared"));
    let source = point.source.filter(|_| is_bind)?;
    Some(Mount { source, target, of_host: true, read_only: !point.writable, propagates })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check;

    fn rules(config: &str, host: &str) -> Vec<String> {
        let subject = docker("web", config.as_bytes(), host.as_bytes()).unwrap();
        let mut rules: Vec<String> = check(&subject, &[]).iter().map(|finding| finding.rule.id().to_owned()).collect();
        rules.sort();
        rules
    }

    #[test]
    fn plain_container_has_what_docker_gives() {
        let found = rules(r#"{"ID": "x", "Config": {"User": ""}, "MountPoints": {}}"#, r#"{"NetworkMode": "default", "CapAdd": null}"#);
        assert_eq!(found, ["privilege-escalation", "root-writable", "runs-as-root"]);
    }

    #[test]
    fn everything_that_is_closed_is_no_finding() {
        let config = r#"{"Config": {"User": "7"}, "AppArmorProfile": "docker-default",
            "MountPoints": {"/data": {"Type": "volume", "Source": "/var/lib/docker/volumes/d/_data", "RW": true}}}"#;
        let host = r#"{"CapDrop": ["ALL"], "ReadonlyRootfs": true, "SecurityOpt": ["no-new-privileges"], "MaskedPaths": ["/proc/kcore"]}"#;
        assert_eq!(rules(config, host), Vec::<String>::new());
    }

    #[test]
    fn what_is_open_is_found() {
        let config = r#"{"Config": {"User": "root"}, "AppArmorProfile": "unconfined", "MountPoints": {
            "/s": {"Type": "bind", "Source": "/var/run/docker.sock", "RW": false},
            "/etc": {"Type": "bind", "Source": "/etc", "RW": true, "Propagation": "rshared"}}}"#;
        let host = r#"{"CapAdd": ["CAP_SYS_PTRACE"], "PidMode": "host", "NetworkMode": "host", "IpcMode": "host", "UTSMode": "host",
            "UsernsMode": "host", "CgroupnsMode": "host", "ReadonlyRootfs": true, "MaskedPaths": [], "Sysctls": {"kernel.panic": "1"},
            "SecurityOpt": ["seccomp=unconfined", "no-new-privileges:true"], "DeviceCgroupRules": ["c 1:1 rwm"],
            "Devices": [{"PathOnHost": "/dev/sda", "PathInContainer": "/dev/x", "CgroupPermissions": "rwm"}]}"#;
        let wanted = [
            "apparmor-unconfined",
            "capability-host-root",
            "engine-socket",
            "escape-procfs",
            "escape-ptrace",
            "host-cgroup",
            "host-device",
            "host-device",
            "host-directory",
            "host-ipc",
            "host-network",
            "host-pid",
            "host-users",
            "host-uts",
            "mount-propagation",
            "proc-unmasked",
            "runs-as-root",
            "seccomp-unconfined",
            "unsafe-sysctl",
        ];
        assert_eq!(rules(config, host), wanted);
    }

    #[test]
    fn privileged_container_is_one_finding_of_that() {
        let found = rules(r#"{"Config": {"User": "7"}}"#, r#"{"Privileged": true, "ReadonlyRootfs": true, "MaskedPaths": null}"#);
        assert_eq!(found, ["privilege-escalation", "privileged", "seccomp-unconfined"]);
    }

    #[test]
    fn files_that_are_none_of_dockers_are_none() {
        assert_eq!(docker("web", b"{}", b"{}"), None);
        assert_eq!(docker("web", b"[", b"{}"), None);
        assert_eq!(docker("web", br#"{"Config": {}}"#, br#"{"CapAdd": 7}"#), None);
    }
}
