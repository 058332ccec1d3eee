//! What a service of a compose file has of the file's volumes. compose-spec.io, "Volumes" (`driver_opts`).

use std::collections::BTreeMap;

use super::compose;
use crate::subject::Mount;
use crate::tree::Node;

/// A compose file, as its services see it.
pub(super) struct Project {
    /// Named volumes that are paths of the host.
    binds: BTreeMap<String, String>,
}

impl Project {
    pub(super) fn new(document: &Node) -> Self {
        Self { binds: bind_volumes(document) }
    }

    /// Returns what an item of `volumes` mounts.
    pub(super) fn mount(&self, item: &Node) -> Option<Mount> {
        let mut mount = compose::mount(item)?;
        if !mount.of_host
            && let Some(path) = self.binds.get(&mount.source)
        {
            mount.source.clone_from(path);
            mount.of_host = true;
        }
        Some(mount)
    }
}

/// Named volumes of the local driver that are bind mounts: `driver_opts: {o: bind, device: /}`.
fn bind_volumes(document: &Node) -> BTreeMap<String, String> {
    let volumes = document.get("volumes").map_or(&[][..], |volumes| volumes.entries());
    let device = |node: &Node| {
        let options = node.get("driver_opts")?;
        let is_bind = options.get("o")?.scalar()?.split(',').any(|option| matches!(option, "bind" | "rbind"));
        is_bind.then(|| options.get("device")?.scalar())?
    };
    volumes.iter().filter_map(|entry| Some((entry.key.value.clone(), device(&entry.value)?))).collect()
}
