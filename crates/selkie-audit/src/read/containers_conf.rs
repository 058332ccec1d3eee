//! containers.conf(5): what every container of this machine gets.

use super::{Reading, compose, security_opt};
use crate::subject::{Engine, Namespace, Selinux};
use crate::{FileType, Located, ReadError, Subject, tree};

pub(super) fn read(reading: &mut Reading) -> Result<Vec<Subject>, ReadError> {
    let documents = tree::toml(reading.source)?;
    let Some(root) = documents.documents.first() else {
        let problem = "it is empty".to_owned();
        return Err(ReadError::NotThatKind { kind: FileType::ContainersConf, problem, place: reading.source.place(0, 0) });
    };
    "containers.conf".clone_into(&mut reading.subject);
    let Some(table) = reading.map(root, "containers").cloned() else { return Ok(Vec::new()) };
    let mut subject = Subject {
        name: "containers.conf".to_owned(),
        engine: Engine::Podman,
        place: Some(table.place),
        defaults: selkie_caps::PODMAN_DEFAULTS,
        privileged: reading.truth(&table, "privileged"),
        read_only_root: reading.truth(&table, "read_only"),
        no_new_privileges: reading.truth(&table, "no_new_privileges"),
        devices: reading.texts(&table, "devices"),
        ..Subject::default()
    };
    if table.entry("default_capabilities").is_some() {
        let names = reading.texts(&table, "default_capabilities");
        let set = crate::subject::Names::read(&names).set;
        subject.effective = Some(set);
        subject.added = names;
    }
    let confinement = |text: Located<String>| Located { value: security_opt::confinement(&text.value), place: text.place };
    subject.seccomp = reading.text(&table, "seccomp_profile").map(confinement);
    subject.apparmor = reading.text(&table, "apparmor_profile").map(confinement);
    if let Some(label) = reading.truth(&table, "label").filter(|label| !label.value) {
        subject.selinux.push(Located { value: Selinux::Disabled, place: label.place });
    }
    let kinds = [
        ("pidns", Namespace::Pid),
        ("netns", Namespace::Network),
        ("ipcns", Namespace::Ipc),
        ("utsns", Namespace::Uts),
        ("cgroupns", Namespace::Cgroup),
    ];
    for (key, namespace) in kinds {
        let shared = reading.text(&table, key).filter(|text| text.value == "host");
        subject.host_namespaces.extend(shared.map(|text| Located { value: namespace, place: text.place }));
    }
    let users = reading.text(&table, "userns").filter(|text| !matches!(text.value.as_str(), "host" | ""));
    subject.own_users = users.map(|text| Located { value: true, place: text.place });
    let pair = |text: Located<String>| Located { value: super::podman_args::pair(&text.value), place: text.place };
    subject.sysctls = reading.texts(&table, "default_sysctls").into_iter().map(pair).collect();
    let mount = |text: Located<String>| Located { value: compose::short(&text.value), place: text.place };
    subject.mounts = reading.texts(&table, "volumes").into_iter().map(mount).collect();
    let mount = |text: Located<String>| Located { value: super::podman_args::mount(&text.value), place: text.place };
    subject.mounts.extend(reading.texts(&table, "mounts").into_iter().map(mount));
    Ok(vec![subject])
}
