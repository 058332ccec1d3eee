//! Containers of other engines as subjects: what the kernel says of their first processes, and the flag of their engine. Of those
//! that do not run, what configures them, where their engine keeps it, else the flag and the capabilities.

use std::path::{Component, Path};

use selkie_audit::{
    Basis, Confinement, Engine, Entry, FILE_LIMIT, FileType, Finding, Learned, Located, Mount, Namespace, Seen, Subject,
    UNKNOWN_OF_STOPPED, check,
};
use selkie_host::containers::{Configuration, HostContainer};
use selkie_host::privileged::{self, Devices, Facts};
use selkie_host::{Buffer, Namespace as Kind, Procfs};

use super::files;
use crate::commands::members;
use crate::context::Context;
use crate::ui::error::{Failure, warn};

/// Audits every container of other engines, an entry for each engine.
pub(super) fn entries(context: &Context, procfs: &Procfs, learned: &[Learned], api: members::Api) -> Result<Vec<Entry>, Failure> {
    let ours = context.containers()?;
    let census = members::whole_census(context, &ours, procfs, api)?;
    members::say_hidden(&census);
    let mut entries: Vec<Entry> = Vec::new();
    for container in census.containers().filter(|container| !members::is_ours(container, &ours)) {
        let Some(one) = entry(container, procfs, learned)? else { continue };
        match entries.iter_mut().find(|entry| entry.name == one.name) {
            None => entries.push(one),
            Some(entry) => {
                entry.subjects.extend(one.subjects);
                entry.findings.extend(one.findings);
            }
        }
    }
    for entry in &mut entries {
        entry.findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    }
    Ok(entries)
}

/// Audits one; `None` when it has ended meanwhile, or may not be looked into.
pub(super) fn entry(container: &HostContainer, procfs: &Procfs, learned: &[Learned]) -> Result<Option<Entry>, Failure> {
    let subject = match container.pid {
        None => return Ok(Some(configured(container, learned).unwrap_or_else(|| checked(container, stopped(container), learned)))),
        Some(pid) => {
            let seen = privileged::Subject::Process { pid, configured: container.configured() };
            let Some(facts) = privileged::read(procfs, seen)? else { return Ok(None) };
            // What hides its namespaces hides everything that a finding would be about.
            if facts.shared.iter().all(|(_, shared)| shared.is_none()) {
                return Ok(None);
            }
            let mounts = procfs.mounts(pid, &mut Buffer::new()).ok().flatten();
            let root = mounts.and_then(|mounts| Some(mounts.iter().rfind(|mount| mount.point.as_os_str() == "/")?.is_read_only()));
            subject(container, &facts, root)
        }
    };
    Ok(Some(checked(container, subject, learned)))
}

fn checked(container: &HostContainer, subject: Subject, learned: &[Learned]) -> Entry {
    let findings = check(&subject, learned);
    Entry { name: container.owner.engine.word().to_owned(), kind: None, subjects: vec![subject], findings }
}

/// Audits one that does not run by what configures it; `None` without anything that can be read.
fn configured(container: &HostContainer, learned: &[Learned]) -> Option<Entry> {
    let whole = |path: &str| files::read(path, FILE_LIMIT).ok().filter(|bytes| bytes.len() <= FILE_LIMIT);
    let (mut subject, findings) = match (container.configuration.as_ref()?, container.owner.engine) {
        (Configuration::File(path), selkie_host::Engine::Docker) if path.ends_with("/hostconfig.json") => {
            let beside = path.replace("hostconfig.json", "config.v2.json");
            (selkie_audit::docker(container.title(), &whole(&beside)?, &whole(path)?)?, Vec::new())
        }
        (Configuration::File(path), engine) => {
            let kind = if engine == selkie_host::Engine::Lxc { FileType::Lxc } else { FileType::Oci };
            only(path, &whole(path)?, kind)?
        }
        (Configuration::Specification(bytes), _) => only("config.json", bytes, FileType::Oci)?,
    };
    subject.name = container.title().to_owned();
    subject.basis = Basis::Planned;
    (subject.image, subject.digest) = (container.image.clone(), container.digest.clone());
    if let Some(flag) = container.privileged {
        subject.privileged = Some(Located::nowhere(flag));
    }
    subject.mounts.retain(|mount| !is_own(container, Path::new(&mount.value.source)));
    let mut entry = checked(container, subject, learned);
    entry.findings.extend(findings);
    // As of what runs: its engine is the entry's name, and no file was given that lines could be of.
    for subject in &mut entry.subjects {
        (subject.engine, subject.place) = (Engine::Other, None);
    }
    for finding in &mut entry.findings {
        // The engine writes that file: what to change are flags, and no line of it.
        finding.subject = container.title().to_owned();
        finding.place = None;
        finding.fix.changes.clear();
    }
    Some(entry)
}

/// Reads the only subject of a file, with what is found in the file itself.
fn only(name: &str, bytes: &[u8], kind: FileType) -> Option<(Subject, Vec<Finding>)> {
    let file = files::parse(name, bytes, Some(kind)).ok()?;
    Some((file.subjects.into_iter().next()?, file.findings))
}

/// Tells what its engine mounts of what it keeps for the container.
fn is_own(container: &HostContainer, source: &Path) -> bool {
    if source.components().any(|part| part == Component::ParentDir) {
        return false;
    }
    let beside = match &container.configuration {
        Some(Configuration::File(path)) => Path::new(path).parent(),
        _ => None,
    };
    beside.is_some_and(|beside| source.starts_with(beside))
        || container.owner.engine == selkie_host::Engine::Containerd && source.to_str().is_some_and(is_of_pod)
}

/// Tells names and addresses that containerd writes for a pod, and what the kubelet makes of its volumes: beneath the pod's id.
fn is_of_pod(source: &str) -> bool {
    let within = |place: &str| source.split_once(place).is_some_and(|(_, rest)| rest.contains('/'));
    within("/io.containerd.grpc.v1.cri/sandboxes/") || source.starts_with("/var/lib/kubelet/pods/") && within("/pods/")
}

/// Says, once and beside the data, what is not known of those that do not run.
pub(super) fn say_stopped(entries: &[Entry]) {
    let count = entries.iter().flat_map(|entry| &entry.subjects).filter(|subject| subject.basis == Basis::Stopped).count();
    let who = match count {
        0 => return,
        1 => "1 container of another engine does not run: of it".to_owned(),
        count => format!("{count} containers of other engines do not run: of them"),
    };
    warn(&format!("{who} files say the flag and the capabilities at most, and not {}", UNKNOWN_OF_STOPPED.join(", ")));
}

/// What was seen of a container that runs, in the words of the audit: the verdict is that of `selkie privileged`.
pub(super) fn seen(facts: &Facts) -> Basis {
    let verdict = privileged::verdict(facts);
    let ceiling = facts.ceiling.unwrap_or(facts.kernel);
    Basis::Running(Box::new(Seen {
        privileged: verdict.privileged,
        reasons: verdict.summary,
        whole: !ceiling.is_empty() && ceiling.is_subset(facts.sets.bounding),
        walls: privileged::walls(facts),
    }))
}

fn stopped(container: &HostContainer) -> Subject {
    Subject {
        name: container.title().to_owned(),
        engine: Engine::Other,
        basis: Basis::Stopped,
        image: container.image.clone(),
        digest: container.digest.clone(),
        effective: container.bounding,
        privileged: container.privileged.map(Located::nowhere),
        // A user's engine gives nothing that counts for the host.
        own_users: container.user.map(|_| Located::nowhere(true)),
        ..Subject::default()
    }
}

fn subject(container: &HostContainer, facts: &Facts, read_only_root: Option<bool>) -> Subject {
    fn all<T>(values: impl IntoIterator<Item = T>) -> Vec<Located<T>> {
        values.into_iter().map(Located::nowhere).collect()
    }
    let mounts = facts.host_mounts.iter().map(|mount| (mount.source.clone(), mount.point.clone(), mount.read_only));
    let sockets = facts.sockets.iter().map(|socket| (socket.clone(), socket.clone(), false));
    Subject {
        name: container.title().to_owned(),
        // Its engine is the entry's name: what is to be changed are flags, whoever has given them.
        engine: Engine::Other,
        basis: seen(facts),
        image: container.image.clone(),
        digest: container.digest.clone(),
        effective: Some(facts.sets.bounding),
        privileged: container.privileged.map(Located::nowhere),
        user: facts.uid.map(|uid| Located::nowhere(uid.to_string())),
        no_new_privileges: facts.no_new_privileges.map(Located::nowhere),
        // Which filter it is, the kernel does not say.
        seccomp: facts.seccomp.map(|mode| Located::nowhere(if mode == 0 { Confinement::Unconfined } else { Confinement::Default })),
        apparmor: facts.label.as_deref().map(|label| Located::nowhere(confinement(label))),
        read_only_root: read_only_root.map(Located::nowhere),
        host_namespaces: all(facts.shared.iter().filter(|(_, shared)| *shared == Some(true)).filter_map(|(kind, _)| namespace(*kind))),
        own_users: facts.initial_user_namespace.map(|initial| Located::nowhere(!initial)),
        mounts: all(mounts.chain(sockets).map(|(source, target, read_only)| Mount {
            source,
            target,
            of_host: true,
            read_only,
            propagates: false,
        })),
        devices: all(facts.host_nodes.iter().cloned()),
        device_rules: all((facts.devices == Devices::All).then(|| "a *:* rwm".to_owned())),
        unmasked: all(facts.unmasked.iter().flatten().cloned()),
        ..Subject::default()
    }
}

/// Reads a label as the kernel writes it: `unconfined`, or `PROFILE (enforce)`.
fn confinement(label: &str) -> Confinement {
    let name = label.split(" (").next().unwrap_or(label);
    if name == "unconfined" { Confinement::Unconfined } else { Confinement::Profile(name.to_owned()) }
}

/// The user namespace is [`Subject::own_users`], and nobody looks at mounts: without an own mount namespace it is no container.
fn namespace(kind: Kind) -> Option<Namespace> {
    match kind {
        Kind::Pid => Some(Namespace::Pid),
        Kind::Network => Some(Namespace::Network),
        Kind::Ipc => Some(Namespace::Ipc),
        Kind::Uts => Some(Namespace::Uts),
        Kind::Cgroup => Some(Namespace::Cgroup),
        Kind::User | Kind::Mount => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use selkie_caps::{CapSet, Capability};
    use tempfile::TempDir;

    use super::*;

    /// A directory with these files, of which the first is what configures the container.
    fn stopped_with(engine: selkie_host::Engine, files: &[(&str, &str)]) -> (TempDir, HostContainer) {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        for (name, text) in files {
            std::fs::write(path(name), text.replace("HERE", directory.path().to_str().unwrap())).unwrap();
        }
        let configuration = files.first().map(|(name, _)| Configuration::File(path(name)));
        let container = HostContainer { configuration, name: Some("web".to_owned()), ..HostContainer::unknown(engine, "id") };
        (directory, container)
    }

    fn audited(container: &HostContainer) -> Entry {
        entry(container, &Procfs::open(Path::new("/proc")).unwrap(), &[]).unwrap().unwrap()
    }

    fn rules(entry: &Entry) -> Vec<&str> {
        entry.findings.iter().map(|finding| finding.rule.id()).collect()
    }

    #[test]
    fn stopped_one_without_a_file_is_judged_by_flag_and_capabilities() {
        let bounding = Some(CapSet::EMPTY.with(Capability::SysAdmin));
        let container = HostContainer { bounding, ..HostContainer::unknown(selkie_host::Engine::Podman, "id") };
        let entry = audited(&container);
        assert_eq!(
            (entry.name.as_str(), &entry.subjects[0].basis, rules(&entry)),
            ("podman", &Basis::Stopped, vec!["capability-host-root"])
        );
    }

    #[test]
    fn stopped_one_whose_file_is_broken_gone_or_too_large_is_judged_without_it() {
        let (directory, container) = stopped_with(selkie_host::Engine::Podman, &[("config.json", "{\"ociVersion\": ")]);
        assert_eq!(audited(&container).subjects[0].basis, Basis::Stopped);
        let file = std::fs::File::create(directory.path().join("config.json")).unwrap();
        file.set_len(1 << 30).unwrap();
        assert_eq!(audited(&container).subjects[0].basis, Basis::Stopped);
        std::fs::remove_file(directory.path().join("config.json")).unwrap();
        assert_eq!(audited(&container).subjects[0].basis, Basis::Stopped);
    }

    #[test]
    fn stopped_one_with_a_file_is_judged_by_it_without_lines_and_patches() {
        let config = r#"{"ociVersion": "1", "process": {"user": {"uid": 7}, "noNewPrivileges": true, "capabilities": {"bounding": ["CAP_SYS_TIME"]}},
            "root": {"readonly": true}, "linux": {"seccomp": {"defaultAction": "SCMP_ACT_ERRNO"}, "maskedPaths": ["/proc/kcore"],
            "namespaces": [{"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"}]}}"#;
        let (_directory, container) = stopped_with(selkie_host::Engine::Podman, &[("config.json", config)]);
        let entry = audited(&container);
        assert_eq!((&entry.subjects[0].basis, entry.subjects[0].name.as_str()), (&Basis::Planned, "web"));
        assert_eq!((rules(&entry), entry.findings[0].subject.as_str()), (vec!["capability-outside"], "web"));
        assert!(entry.findings.iter().all(|finding| finding.place.is_none() && finding.fix.changes.is_empty()), "{entry:?}");
    }

    #[test]
    fn stopped_one_out_of_a_database_is_judged_by_its_specification_without_what_a_kubelet_mounts() {
        let rules_of = |source: &str| {
            let mounts = format!(r#"[{{"destination": "/m", "type": "bind", "source": "{source}"}}]"#);
            let text = format!(r#"{{"ociVersion": "1", "process": {{"noNewPrivileges": true}}, "mounts": {mounts}}}"#);
            let configuration = Some(Configuration::Specification(text.into_bytes().into()));
            let container = HostContainer { configuration, ..HostContainer::unknown(selkie_host::Engine::Containerd, "id") };
            let entry = audited(&container);
            assert_eq!((&entry.subjects[0].basis, entry.subjects[0].name.as_str()), (&Basis::Planned, "id"));
            rules(&entry).contains(&"host-directory")
        };
        let own = [
            "/var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/0a1/resolv.conf",
            "/var/lib/kubelet/pods/0a1/volumes/kubernetes.io~projected/token",
            "/var/lib/kubelet/pods/0a1/etc-hosts",
        ];
        assert_eq!(own.map(rules_of), [false; 3]);
        let others = [
            "/var/lib/kubelet/pods",
            "/var/lib/kubelet/pods/0a1/../..",
            "/var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/0a1",
            "/etc",
        ];
        assert_eq!(others.map(rules_of), [true; 4]);
    }

    #[test]
    fn stopped_one_whose_specification_is_none_is_judged_by_flag_and_capabilities() {
        let configuration = Some(Configuration::Specification(b"[]"[..].into()));
        let container = HostContainer { configuration, ..HostContainer::unknown(selkie_host::Engine::Containerd, "id") };
        assert_eq!(audited(&container).subjects[0].basis, Basis::Stopped);
    }

    #[test]
    fn mounts_of_the_engine_beside_its_file_are_no_findings_and_a_way_up_from_there_is() {
        let mount = |source: &str| format!(r#"{{"destination": "/m", "type": "bind", "source": "{source}"}}"#);
        let rules_of = |source: &str| {
            let config = format!(r#"{{"ociVersion": "1", "mounts": [{}]}}"#, mount(source));
            let (_directory, container) = stopped_with(selkie_host::Engine::Podman, &[("config.json", &config)]);
            rules(&audited(&container)).contains(&"host-directory")
        };
        assert!(!rules_of("HERE/shm"));
        assert!(rules_of("HERE/../../../../../../../etc"));
        assert!(rules_of("/etc"));
    }

    #[test]
    fn stopped_one_of_docker_is_judged_by_both_its_records() {
        let records = [("hostconfig.json", r#"{"PidMode": "host"}"#), ("config.v2.json", r#"{"Config": {"User": "7"}}"#)];
        let (directory, container) = stopped_with(selkie_host::Engine::Docker, &records);
        assert!(rules(&audited(&container)).contains(&"host-pid"));
        std::fs::remove_file(directory.path().join("config.v2.json")).unwrap();
        assert_eq!(audited(&container).subjects[0].basis, Basis::Stopped);
    }
}
