//! `--userns auto`: ids for one container out of those that the host gives to containers, which no other container has.
//!
//! Podman's rules: as many as asked for, else as many as the image's users and groups need, at least 1024; the first free ones.

use super::{Inputs, user};
use crate::accounts::{accounts, groups};
use crate::value::AutoUserns;
use crate::{IdMap, IdMaps, IdRange, PlanError};

/// Podman's `auto-userns-min-size`.
const LEAST: u32 = 1024;
/// Podman's `auto-userns-max-size`.
const MOST: u32 = 65536;
/// `nobody` has a number that says nothing about how many there are.
const NOBODY: u32 = 65534;

/// Computes the maps. A container that has been planned before keeps its ids as long as nobody else has them.
pub(crate) fn maps(inputs: &Inputs, asked: &AutoUserns) -> Result<IdMaps, PlanError> {
    let facts = &inputs.facts.subordinate_ids;
    let free = |maps: &IdMaps| !overlap(&maps.uids, &facts.taken.uids) && !overlap(&maps.gids, &facts.taken.gids);
    if let Some(before) = facts.before.as_ref().filter(|before| free(before)) {
        return Ok(before.clone());
    }
    let size = match asked.size {
        Some(size) => size,
        None => needed(inputs)?,
    };
    Ok(IdMaps {
        uids: choose(size, &facts.uids, &facts.taken.uids, &asked.uid_map)?,
        gids: choose(size, &facts.gids, &facts.taken.gids, &asked.gid_map)?,
    })
}

/// Returns how many ids the image and the user of the container need. Files that say nothing useful need none.
fn needed(inputs: &Inputs) -> Result<u32, PlanError> {
    let mut highest = 0;
    let mut see = |id: Result<u32, PlanError>| {
        if let Ok(id) = id
            && id != NOBODY
        {
            highest = highest.max(id);
        }
    };
    for account in accounts(inputs.facts.passwd.as_deref())?.filter(|account| account.name != "nobody") {
        see(account.uid());
        see(account.gid());
    }
    groups(inputs.facts.group.as_deref())?.filter(|group| !matches!(group.name, "nobody" | "nogroup")).for_each(|group| see(group.gid()));
    // What is wrong with the user is said where it is decided.
    if let Ok(part) = user::part(inputs, None) {
        see(Ok(part.user.uid));
        part.user.groups.iter().for_each(|gid| see(Ok(*gid)));
    }
    let size = highest.saturating_add(1).max(LEAST);
    if size > MOST { Err(PlanError::TooManyIds { size, most: MOST }) } else { Ok(size) }
}

/// Maps the ids from 0 to `size` that `extra` does not map, onto the first of `ranges` that nobody has.
fn choose(size: u32, ranges: &[IdRange], taken: &[IdMap], extra: &[IdMap]) -> Result<Vec<IdMap>, PlanError> {
    let inside = extra.iter().fold(vec![IdRange { start: 0, size }], |left, map| without(&left, map.container, map.size));
    let mut free =
        taken.iter().chain(extra).fold(ranges.to_vec(), |left, map| without(&left, map.host, map.size)).into_iter().filter(|r| r.size > 0);
    let mut maps = Vec::new();
    let mut current = IdRange { start: 0, size: 0 };
    for mut wanted in inside {
        while wanted.size > 0 {
            if current.size == 0 {
                current = free.next().ok_or(PlanError::NotEnoughIds { ranges: ranges.len() })?;
            }
            let size = wanted.size.min(current.size);
            maps.push(IdMap { container: wanted.start, host: current.start, size });
            wanted = wanted.after(size);
            current = current.after(size);
        }
    }
    maps.extend_from_slice(extra);
    maps.sort_by_key(|map| map.container);
    Ok(maps)
}

/// Takes the ids from `start` on, `size` of them, out of `ranges`.
fn without(ranges: &[IdRange], start: u32, size: u32) -> Vec<IdRange> {
    let end = u64::from(start) + u64::from(size);
    let between = |from: u64, to: u64| {
        let (start, size) = (u32::try_from(from).ok()?, u32::try_from(to.checked_sub(from)?).ok()?);
        (size > 0).then_some(IdRange { start, size })
    };
    let cut = |range: &IdRange| {
        let (from, to) = (u64::from(range.start), u64::from(range.start) + u64::from(range.size));
        [between(from, to.min(start.into())), between(from.max(end), to)]
    };
    ranges.iter().flat_map(cut).flatten().collect()
}

fn overlap(maps: &[IdMap], others: &[IdMap]) -> bool {
    let ranges: Vec<IdRange> = maps.iter().map(|map| IdRange { start: map.host, size: map.size }).collect();
    let left = others.iter().fold(ranges.clone(), |left, map| without(&left, map.host, map.size));
    left != ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: u32, size: u32) -> IdRange {
        IdRange { start, size }
    }

    fn map(container: u32, host: u32, size: u32) -> IdMap {
        IdMap { container, host, size }
    }

    #[test]
    fn first_free_ids_are_chosen() {
        assert_eq!(choose(10, &[range(100, 100)], &[], &[]), Ok(vec![map(0, 100, 10)]));
        assert_eq!(choose(10, &[range(100, 100)], &[map(0, 100, 10)], &[]), Ok(vec![map(0, 110, 10)]));
    }

    #[test]
    fn free_ids_in_pieces_are_several_lines() {
        let taken = [map(0, 105, 10)];
        assert_eq!(choose(10, &[range(100, 20)], &taken, &[]), Ok(vec![map(0, 100, 5), map(5, 115, 5)]));
        assert_eq!(choose(4, &[range(100, 2), range(200, 2)], &[], &[]), Ok(vec![map(0, 100, 2), map(2, 200, 2)]));
    }

    #[test]
    fn too_few_ids_is_an_error() {
        assert_eq!(choose(21, &[range(100, 20)], &[], &[]), Err(PlanError::NotEnoughIds { ranges: 1 }));
        assert_eq!(choose(1, &[], &[], &[]), Err(PlanError::NotEnoughIds { ranges: 0 }));
    }

    #[test]
    fn ids_that_are_mapped_by_hand_are_left_out() {
        let extra = [map(2, 1000, 1)];
        assert_eq!(choose(4, &[range(100, 9)], &[], &extra), Ok(vec![map(0, 100, 2), map(2, 1000, 1), map(3, 102, 1)]));
    }

    #[test]
    fn range_without_a_part_is_what_is_left() {
        assert_eq!(without(&[range(10, 10)], 12, 3), [range(10, 2), range(15, 5)]);
        assert_eq!(without(&[range(10, 10)], 0, 100), []);
        assert_eq!(without(&[range(10, 10)], 20, 5), [range(10, 10)]);
        assert_eq!(without(&[range(u32::MAX - 1, 1)], u32::MAX - 1, u32::MAX), []);
    }
}
