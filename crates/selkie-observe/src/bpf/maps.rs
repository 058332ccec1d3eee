//! The maps that both sides share, and what is done with them.

use aya::maps::{Array, HashMap, Map, MapData, MapError};

use super::kinds;
use super::layout::{ALIKE, CALL, CALL_KEY, CHECK, CONTEXT, COUNTED, ENDING, REPEATED, SITE, STACK, TALLY};
use crate::error::{Error, Result};
use crate::subject::Cgroup;

/// A hash map whose keys and values are bytes.
pub(super) type Hash<const K: usize, const V: usize> = HashMap<MapData, [u8; K], [u8; V]>;

/// Every map that is read or written here, by its name in `bpf/observe.bpf.c`; the programs have some more for themselves.
pub(super) struct Maps {
    pub(super) mounts: Hash<4, 8>,
    pub(super) cgroups: Hash<8, 8>,
    pub(super) contexts: Hash<8, CONTEXT>,
    pub(super) tallies: Hash<8, TALLY>,
    pub(super) checks: Hash<CHECK, COUNTED>,
    pub(super) sites: Hash<SITE, 8>,
    pub(super) stacks: Hash<8, STACK>,
    pub(super) alikes: Hash<ALIKE, REPEATED>,
    pub(super) calls: Hash<CALL_KEY, CALL>,
    pub(super) endings: Hash<ENDING, 8>,
    levels: Array<MapData, u32>,
    kinds: Array<MapData, u8>,
    shared: Array<MapData, u32>,
}

/// Names a map in the error of a failed operation on it.
pub(super) trait Named<T> {
    fn named(self, map: &'static str) -> Result<T>;
}

impl<T> Named<T> for std::result::Result<T, MapError> {
    fn named(self, map: &'static str) -> Result<T> {
        self.map_err(|source| Error::Map { map, source: Box::new(source) })
    }
}

impl Maps {
    /// Takes each map from where `take` finds it.
    pub(super) fn take(mut take: impl FnMut(&'static str) -> Result<Map>) -> Result<Self> {
        Ok(Self {
            mounts: take("mounts")?.try_into().named("mounts")?,
            cgroups: take("cgroups")?.try_into().named("cgroups")?,
            contexts: take("contexts")?.try_into().named("contexts")?,
            tallies: take("tallies")?.try_into().named("tallies")?,
            checks: take("checks")?.try_into().named("checks")?,
            sites: take("sites")?.try_into().named("sites")?,
            stacks: take("stacks")?.try_into().named("stacks")?,
            alikes: take("alikes")?.try_into().named("alikes")?,
            calls: take("calls")?.try_into().named("calls")?,
            endings: take("endings")?.try_into().named("endings")?,
            levels: take("levels")?.try_into().named("levels")?,
            kinds: take("kinds")?.try_into().named("kinds")?,
            shared: take("shared")?.try_into().named("shared")?,
        })
    }

    /// Says what the arguments of the calls are.
    pub(super) fn fill_kinds(&mut self) -> Result<()> {
        kinds::table().into_iter().try_for_each(|(number, kind)| self.kinds.set(number, kind, 0)).named("kinds")
    }

    /// Returns the number of the link of sys_exit that was attached last, 0 if none was.
    pub(super) fn shared_link(&self) -> Result<u32> {
        self.shared.get(&0, 0).named("shared")
    }

    /// Says which link of sys_exit is there to be shared.
    pub(super) fn share_link(&mut self, id: u32) -> Result<()> {
        self.shared.set(0, id, 0).named("shared")
    }

    /// Lets the programs look for cgroups that far below the root, for as long as they are loaded.
    pub(super) fn look_for(&mut self, cgroup: Cgroup) -> Result<()> {
        let all = 1..self.levels.len();
        let levels = cgroup.level.filter(|level| all.contains(level)).map_or(all, |level| level..level + 1);
        for level in std::iter::once(0).chain(levels) {
            self.levels.set(level, 1, 0).named("levels")?;
        }
        Ok(())
    }
}

/// Returns what is at `key`, if anything is.
pub(super) fn find<const K: usize, const V: usize>(map: &Hash<K, V>, name: &'static str, key: &[u8; K]) -> Result<Option<[u8; V]>> {
    match map.get(key, 0) {
        Ok(value) => Ok(Some(value)),
        Err(MapError::KeyNotFound) => Ok(None),
        Err(error) => Err(error).named(name),
    }
}

/// Removes what is at `key`, if anything is.
pub(super) fn remove<const K: usize, const V: usize>(map: &mut Hash<K, V>, name: &'static str, key: &[u8; K]) -> Result<()> {
    match map.remove(key) {
        Err(MapError::SyscallError(error)) if error.io_error.raw_os_error() == Some(rustix::io::Errno::NOENT.raw_os_error()) => Ok(()),
        Ok(()) | Err(MapError::KeyNotFound) => Ok(()),
        Err(error) => Err(error).named(name),
    }
}

/// Returns the keys that `wanted` chooses. A map that changes meanwhile may show some twice, or begin again.
pub(super) fn keys<const K: usize, const V: usize>(
    map: &Hash<K, V>,
    name: &'static str,
    wanted: impl Fn(&[u8; K]) -> bool,
) -> Result<Vec<[u8; K]>> {
    let mut keys = std::collections::BTreeSet::new();
    for key in map.keys() {
        let key = key.named(name)?;
        if wanted(&key) {
            keys.insert(key);
        }
    }
    Ok(keys.into_iter().collect())
}
