//! Our own containers as subjects: by their plans, which say everything that they were given, and by the kernel while they run.

use selkie_audit::{Basis, Confinement, Engine, Entry, Learned, Located, Mount, Namespace, Subject, check};
use selkie_engine::Container;
use selkie_host::Procfs;
use selkie_host::privileged;
use selkie_plan::{self as plan, DeviceKind, MountSource, Plan, Propagation, UserNamespace};

use super::running;
use crate::commands::subject::configured;
use crate::context::Context;
use crate::ui::error::{Failure, warn};

/// Audits those of these containers that were started once. Of those that run the kernel has the last word.
pub(super) fn entry(context: &Context, procfs: &Procfs, containers: Vec<Container>, learned: &[Learned]) -> Result<Entry, Failure> {
    let mut entry = Entry { name: "selkie".to_owned(), ..Entry::default() };
    for container in containers {
        match container.plan(context.engine.store())? {
            Some(plan) => {
                let basis = basis(context, procfs, &container)?;
                entry.subjects.push(Subject { basis, ..subject(&container, &plan) });
            }
            None => warn(&format!("{} was never started: it has no plan to audit", container.record.name)),
        }
    }
    entry.findings = entry.subjects.iter().flat_map(|subject| check(subject, learned)).collect();
    entry.findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    Ok(entry)
}

fn basis(context: &Context, procfs: &Procfs, container: &Container) -> Result<Basis, Failure> {
    let live = container.live.as_ref().and_then(|live| u32::try_from(live.init.pid).ok());
    let Some(pid) = live else { return Ok(Basis::Planned) };
    let subject = privileged::Subject::Process { pid, configured: configured(context, container)? };
    Ok(privileged::read(procfs, subject)?.map_or(Basis::Planned, |facts| running::seen(&facts)))
}

fn subject(container: &Container, plan: &Plan) -> Subject {
    let somewhere = Located::nowhere;
    Subject {
        name: container.record.name.to_string(),
        engine: Engine::Other,
        image: container.record.request.image.clone(),
        digest: container.record.image.as_ref().map(|image| image.digest.clone()),
        defaults: selkie_caps::PODMAN_DEFAULTS,
        effective: Some(plan.process.sets.bounding),
        privileged: Some(Located::nowhere(plan.privileged)),
        user: Some(Located::nowhere(plan.process.user.uid.to_string())),
        no_new_privileges: Some(Located::nowhere(plan.process.no_new_privileges)),
        seccomp: Some(Located::nowhere(match &plan.seccomp {
            plan::Seccomp::Unconfined => Confinement::Unconfined,
            plan::Seccomp::Default { .. } => Confinement::Default,
            plan::Seccomp::File(name) => Confinement::Profile(name.clone()),
        })),
        read_only_root: Some(Located::nowhere(plan.root.readonly)),
        host_namespaces: namespaces(plan).into_iter().map(somewhere).collect(),
        own_users: Some(Located::nowhere(plan.namespaces.user != UserNamespace::Host)),
        mounts: plan.mounts.iter().filter_map(mount).map(Located::nowhere).collect(),
        devices: plan.devices.iter().map(|device| Located::nowhere(device.path.clone())).collect(),
        device_rules: plan.device_rules.iter().filter(|rule| rule.allow).map(|rule| Located::nowhere(words(rule))).collect(),
        unmasked: plan.masked_paths.is_empty().then(|| Located::nowhere("ALL".to_owned())).into_iter().collect(),
        sysctls: plan.sysctls.iter().map(|(name, value)| Located::nowhere((name.clone(), value.clone()))).collect(),
        ..Subject::default()
    }
}

fn namespaces(plan: &Plan) -> Vec<Namespace> {
    let all = &plan.namespaces;
    let kinds = [
        (&all.pid, Namespace::Pid),
        (&all.network, Namespace::Network),
        (&all.ipc, Namespace::Ipc),
        (&all.uts, Namespace::Uts),
        (&all.cgroup, Namespace::Cgroup),
    ];
    kinds.into_iter().filter(|(namespace, _)| **namespace == plan::Namespace::Host).map(|(_, kind)| kind).collect()
}

fn mount(mount: &plan::Mount) -> Option<Mount> {
    let MountSource::Bind { path, .. } = &mount.source else { return None };
    Some(Mount {
        source: path.clone(),
        target: mount.destination.clone(),
        of_host: true,
        read_only: mount.readonly,
        propagates: matches!(mount.propagation, Propagation::Shared | Propagation::Rshared),
    })
}

/// A rule in the words of the device cgroup.
fn words(rule: &plan::DeviceRule) -> String {
    let kind = match rule.kind {
        None => "a",
        Some(DeviceKind::Char) => "c",
        Some(DeviceKind::Block) => "b",
    };
    let number = |number: Option<u32>| number.map_or_else(|| "*".to_owned(), |number| number.to_string());
    format!("{kind} {}:{} {}", number(rule.major), number(rule.minor), rule.access)
}
