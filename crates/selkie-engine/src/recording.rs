//! Counts what containers were denied while nobody watches: only where programs are pinned already, and then by the kernel alone.
//!
//! Its number in the kernel's maps is the beginning of a container's id. What is there outlives the container and goes with its
//! records: [`forget`] is called by whoever deletes them. A recording is worth nothing that a container would have to fail for.

use std::cell::OnceCell;
use std::collections::BTreeSet;

use selkie_learn::Trace;
use selkie_observe::Subject;

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::id::ContainerId;
use crate::record::Container;
use crate::store::Store;

/// Returns the number of a container in the kernel's maps.
fn context(id: &str) -> Option<u64> {
    u64::from_str_radix(id.get(..16)?, 16).ok().filter(|context| *context != 0)
}

/// Begins to count for a container whose first process waits short of its program.
pub(crate) fn begin(id: &str, pid: i32, store: u64) {
    if let Some(context) = context(id) {
        let _ = selkie_observe::record(Subject { context, pid }, store);
    }
}

/// Removes what was counted of a container.
pub(crate) fn forget(id: &ContainerId) {
    if let Some(context) = context(id.as_str()) {
        let _ = selkie_observe::forget(context);
    }
}

impl Store {
    /// Returns a number that tells containers of this store from those of others.
    pub(crate) fn tag(&self) -> u64 {
        let text = format!("{}\0{}", self.root().display(), self.run().display());
        text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    }
}

impl Engine {
    /// Removes what was counted of containers that are no more, though nobody has removed them: their directory was deleted by hand.
    ///
    /// # Errors
    /// The store or the maps cannot be read.
    pub fn sweep_recorded(&self) -> Result<()> {
        // Read once, when the entries are known: what is started meanwhile has its directory already.
        let known = OnceCell::new();
        let read = || self.store.ids().ok().map(|(ids, _)| ids.iter().filter_map(|id| context(id.as_str())).collect::<BTreeSet<u64>>());
        let is_there = |number: u64| known.get_or_init(read).as_ref().is_none_or(|ids| ids.contains(&number));
        selkie_observe::sweep(self.store.tag(), &is_there).map_err(|error| Error::observe(&error))
    }
}

impl Container {
    /// Returns the denied checks that were counted while nobody watched; `None` if they were not.
    ///
    /// # Errors
    /// The maps cannot be read.
    pub fn counted(&self) -> Result<Option<Trace>> {
        let Some(context) = context(self.id().as_str()) else { return Ok(None) };
        selkie_observe::recorded(context).map_err(|error| Error::observe(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_is_the_beginning_of_the_id() {
        assert_eq!(context(&format!("00000000000000ff{}", "a".repeat(48))), Some(255));
        assert_eq!(context("short"), None);
    }
}
