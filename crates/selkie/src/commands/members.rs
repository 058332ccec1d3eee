//! Which processes are in which container, of every engine on this host.

use std::collections::{BTreeMap, HashMap};

use selkie_engine::Container;
use selkie_host::{Buffer, Engine, Namespace, Owner, Placements, Procfs, hierarchies};

use crate::context::Context;
use crate::ui::error::Failure;

/// Finds out which processes are in which container.
pub(crate) fn placements(context: &Context, containers: &[Container], procfs: &Procfs) -> Result<Placements, Failure> {
    let live = || containers.iter().filter(|container| container.live.is_some());
    let mut known = BTreeMap::new();
    for container in live() {
        if let Some(path) = container.plan(context.engine.store())?.and_then(|plan| plan.cgroup.path) {
            known.insert(path, owner(container));
        }
    }
    let mounts = procfs.mounts(std::process::id(), &mut Buffer::new())?.unwrap_or_default();
    let mut placements = Placements::walk(&hierarchies(&mounts), &known);
    // Containers without cgroups, as of users who may make none, are told by their mount namespaces.
    let mut unplaced = HashMap::new();
    for container in live() {
        if let Some(pid) = init(container).filter(|pid| placements.of(*pid).is_none())
            && let Some(namespace) = procfs.namespace(pid, Namespace::Mount)
        {
            unplaced.insert(namespace, owner(container));
        }
    }
    if !unplaced.is_empty() {
        for pid in procfs.pids()? {
            if let Some(owner) = procfs.namespace(pid, Namespace::Mount).and_then(|namespace| unplaced.get(&namespace)) {
                placements.insert(pid, owner);
            }
        }
    }
    Ok(placements)
}

pub(crate) fn owner(container: &Container) -> Owner {
    Owner { engine: Engine::Selkie, id: container.id().to_string() }
}

fn init(container: &Container) -> Option<u32> {
    container.live.as_ref().and_then(|live| u32::try_from(live.init.pid).ok())
}
