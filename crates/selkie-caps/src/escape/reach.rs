//! Questions about the walls, each answered with how sure it is; `None` is "no".

use super::{Calls, Sureness, Walls};
use crate::Capability::{self, DacOverride, Setuid};

/// Asks.
pub(super) struct Reach<'a>(pub(super) &'a Walls);

impl Reach<'_> {
    /// Whether capabilities and user 0 count for the host.
    fn counts(&self) -> bool {
        self.0.initial_users != Some(false)
    }

    /// What is there and counts for the host.
    fn there(&self) -> Sureness {
        if self.0.initial_users == Some(true) { Sureness::Certain } else { Sureness::Possible }
    }

    /// Whether the process has a capability, or gets it by executing a program.
    pub(super) fn has(&self, capability: Capability) -> Option<Sureness> {
        if !self.counts() {
            return None;
        }
        if self.0.permitted.contains(capability) {
            return Some(self.there());
        }
        // A set-user-ID program gives what the bounding set allows, if there is one and it does what is wanted.
        let gained = self.0.bounding.contains(capability) && self.0.no_new_privileges != Some(true);
        gained.then_some(Sureness::Possible)
    }

    /// Whether the kernel takes a system call of the process.
    pub(super) fn call(&self, name: &str) -> Option<Sureness> {
        match &self.0.calls {
            Calls::All | Calls::Engine => Some(Sureness::Certain),
            Calls::Strict => None,
            Calls::Listed { allowed, .. } if allowed.contains(name) => Some(Sureness::Certain),
            Calls::Listed { partly, .. } => partly.contains(name).then_some(Sureness::Possible),
            // The profiles that engines bring open a call together with the capability that it needs.
            Calls::Unknown => Some(Sureness::Likely),
        }
    }

    /// A profile of a security module may stand in between.
    pub(super) fn through_label(&self, sureness: Sureness) -> Sureness {
        if self.0.confined == Some(true) { sureness.less() } else { sureness }
    }

    /// Whether it is, or can become, the host's user 0.
    pub(super) fn is_root(&self) -> Option<Sureness> {
        let becomes = || self.has(Setuid).map(|sureness| sureness.max(Sureness::Likely));
        match self.0.root {
            root if !self.counts() => self.0.own_root.filter(|_| root == Some(true)),
            Some(true) => Some(self.there()),
            Some(false) => becomes(),
            None => becomes().or(Some(Sureness::Possible)),
        }
    }

    /// Whether it gets past the permissions of files that are root's.
    pub(super) fn opens(&self) -> Option<Sureness> {
        self.is_root().or_else(|| self.has(DacOverride))
    }

    /// Whether the device cgroup lets it open any device.
    pub(super) fn any_device(&self) -> Option<Sureness> {
        match self.0.any_device {
            Some(true) => Some(Sureness::Certain),
            None => Some(Sureness::Possible),
            Some(false) => None,
        }
    }

    /// Whether a node for the machine's memory or ports is there.
    pub(super) fn memory_node(&self) -> bool {
        self.0.nodes.iter().any(|node| MEMORY.contains(&node.as_str()))
    }

    /// The nodes of disks.
    pub(super) fn disks(&self) -> alloc::vec::Vec<&str> {
        self.0.nodes.iter().map(alloc::string::String::as_str).filter(|node| !MEMORY.contains(node)).collect()
    }
}

const MEMORY: [&str; 3] = ["/dev/mem", "/dev/kmem", "/dev/port"];

/// What is known to be so; a way that nothing speaks for is not said.
pub(super) const fn known(answer: Option<bool>) -> Option<Sureness> {
    match answer {
        Some(true) => Some(Sureness::Certain),
        Some(false) | None => None,
    }
}

/// Returns the weakest of what a way needs; `None` when one of it is not there.
pub(super) fn all(needs: &[Option<Sureness>]) -> Option<Sureness> {
    needs.iter().copied().try_fold(Sureness::Certain, |weakest, need| Some(weakest.max(need?)))
}
