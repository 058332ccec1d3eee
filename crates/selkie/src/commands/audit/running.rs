//! Containers of other engines as subjects: what the kernel says of their first processes, and the flag of their engine.

use selkie_audit::{Confinement, Engine, Entry, Learned, Located, Mount, Namespace, Subject, check};
use selkie_host::containers::HostContainer;
use selkie_host::privileged::{self, Devices, Facts};
use selkie_host::{Buffer, Namespace as Kind, Procfs};

use crate::commands::members;
use crate::context::Context;
use crate::ui::error::{Failure, warn};

/// Audits every running container of other engines, an entry for each engine.
pub(super) fn entries(context: &Context, procfs: &Procfs, learned: &[Learned]) -> Result<Vec<Entry>, Failure> {
    let census = members::whole_census(context, &context.containers()?, procfs)?;
    members::say_hidden(&census);
    let mut entries: Vec<Entry> = Vec::new();
    let mut stopped = 0;
    for container in census.containers().filter(|container| container.owner.engine != selkie_host::Engine::Selkie) {
        match entry(container, procfs, learned)? {
            None => stopped += 1,
            Some(one) => match entries.iter_mut().find(|entry| entry.name == one.name) {
                None => entries.push(one),
                Some(entry) => {
                    entry.subjects.extend(one.subjects);
                    entry.findings.extend(one.findings);
                    entry.findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
                }
            },
        }
    }
    if stopped > 0 {
        warn(&format!("left out, because they do not run: {stopped} container{} of other engines", if stopped == 1 { "" } else { "s" }));
    }
    Ok(entries)
}

/// Audits one; `None` when it does not run, or may not be looked into.
pub(super) fn entry(container: &HostContainer, procfs: &Procfs, learned: &[Learned]) -> Result<Option<Entry>, Failure> {
    let Some(pid) = container.pid else { return Ok(None) };
    let seen = privileged::Subject::Process { pid, configured: container.configured() };
    let Some(facts) = privileged::read(procfs, seen)? else { return Ok(None) };
    let Some(mounts) = procfs.mounts(pid, &mut Buffer::new())? else { return Ok(None) };
    let root = mounts.iter().rfind(|mount| mount.point.as_os_str() == "/");
    let subject = subject(container, &facts, root.map(selkie_host::Mount::is_read_only));
    let findings = check(&subject, learned);
    Ok(Some(Entry { name: container.owner.engine.word().to_owned(), kind: None, subjects: vec![subject], findings }))
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
        image: container.image.clone(),
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
