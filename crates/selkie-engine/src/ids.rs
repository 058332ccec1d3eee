//! Ids of the host for containers with `--userns auto`: which there are, and which are taken.
//!
//! Whoever plans such a container holds one lock from before it looks at the plans of the others until its own is written.

use selkie_plan::{IdMaps, IdRange, Needs, Plan, Request, SubordinateIds, needs};

use crate::engine::Engine;
use crate::error::Result;
use crate::files;
use crate::id::ContainerId;
use crate::store::Lock;

/// Whose subordinate ids are given to containers: Podman's `root-auto-userns-user`.
const OWNER: &str = "containers";

impl Engine {
    /// Takes the right to give ids to a container, if this request needs some.
    pub(crate) fn lock_ids(&self, request: &Request) -> Result<Option<Lock>> {
        needs(request, self.conf()).subordinate_ids.then(|| self.store.lock_ids()).transpose()
    }

    /// Finds the ids for the container `own`, if `needs` says so.
    pub(crate) fn subordinate_ids(&self, needs: &Needs, own: &ContainerId) -> Result<SubordinateIds> {
        if !needs.subordinate_ids {
            return Ok(SubordinateIds::default());
        }
        let read = |path: &str| ranges(&std::fs::read_to_string(path).unwrap_or_default());
        let mut found = SubordinateIds { uids: read("/etc/subuid"), gids: read("/etc/subgid"), ..SubordinateIds::default() };
        for id in self.store.ids()?.0 {
            // One whose plan is damaged or gone does not run with it either.
            let Some(maps) = self.maps_of(&id) else { continue };
            if id == *own {
                found.before = Some(maps);
            } else {
                found.taken.uids.extend(maps.uids);
                found.taken.gids.extend(maps.gids);
            }
        }
        Ok(found)
    }

    fn maps_of(&self, id: &ContainerId) -> Option<IdMaps> {
        let plan: Plan = files::read_json(&self.store.records(id).join("plan.json")).ok().flatten()?;
        plan.namespaces.user.maps().cloned()
    }
}

/// Reads subuid(5): `NAME:START:SIZE`. Lines that are none are left out.
fn ranges(text: &str) -> Vec<IdRange> {
    let range = |line: &str| {
        let mut fields = line.trim().split(':');
        let (name, start, size) = (fields.next()?, fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        (name == OWNER && fields.next().is_none()).then_some(IdRange { start, size })
    };
    text.lines().filter_map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_containers() {
        let text = "tester:100000:65536\ncontainers:2147483647:2147483648\n# x\ncontainers:5\ncontainers:7:-1\n containers:10:20\n";
        assert_eq!(ranges(text), [IdRange { start: 2_147_483_647, size: 2_147_483_648 }, IdRange { start: 10, size: 20 }]);
    }
}
