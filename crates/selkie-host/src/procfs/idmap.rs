//! `/proc/PID/uid_map` and `gid_map`: which ids a user namespace has. user_namespaces(7).

use super::{lines, number, words};

/// One line of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdMap {
    /// The first id in the namespace.
    pub inside: u32,
    /// The first id in the reader's namespace (in the parent's, for the reader's own).
    pub outside: u32,
    /// How many.
    pub count: u32,
}

impl IdMap {
    /// Returns whether this one line maps every id to itself, as the initial namespace's does.
    #[must_use]
    pub const fn is_everything(&self) -> bool {
        self.inside == 0 && self.outside == 0 && self.count == u32::MAX
    }
}

/// Reads the file; `None` when a line is none.
#[must_use]
pub fn parse(file: &[u8]) -> Option<Vec<IdMap>> {
    lines(file)
        .map(|line| {
            let mut words = words(line);
            let map = IdMap { inside: number(words.next()?)?, outside: number(words.next()?)?, count: number(words.next()?)? };
            words.next().is_none().then_some(map)
        })
        .collect()
}

/// Returns the outside id of `inside`; `None` when it is not mapped.
#[must_use]
pub fn outside(maps: &[IdMap], inside: u32) -> Option<u32> {
    maps.iter().find_map(|map| {
        let offset = inside.checked_sub(map.inside).filter(|offset| *offset < map.count)?;
        map.outside.checked_add(offset)
    })
}

/// Returns the inside id of `outside`; `None` when it is not mapped.
#[must_use]
pub fn inside(maps: &[IdMap], outside: u32) -> Option<u32> {
    maps.iter().find_map(|map| {
        let offset = outside.checked_sub(map.outside).filter(|offset| *offset < map.count)?;
        map.inside.checked_add(offset)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parse_initial_namespace_is_everything() {
        let maps = parse(b"         0          0 4294967295\n").unwrap();
        assert!(maps.iter().all(IdMap::is_everything));
        assert_eq!(maps.len(), 1);
    }

    #[test]
    fn parse_of_a_line_with_a_word_too_many_is_none() {
        assert_eq!(parse(b"0 0 1 1\n"), None);
        assert_eq!(parse(b"0 0\n"), None);
        assert_eq!(parse(b"0 -1 1\n"), None);
    }

    #[test]
    fn ids_go_both_ways() {
        let maps = parse(b"0 1000 1\n1 100000 65536\n").unwrap();
        assert_eq!(outside(&maps, 0), Some(1000));
        assert_eq!(outside(&maps, 5), Some(100_004));
        assert_eq!(outside(&maps, 65_537), None);
        assert_eq!(inside(&maps, 100_004), Some(5));
        assert_eq!(inside(&maps, 5), None);
    }

    proptest! {
        #[test]
        fn ids_of_any_map_do_not_overflow(i: u32, o: u32, c: u32, id: u32) {
            let maps = [IdMap { inside: i, outside: o, count: c }];
            if let Some(found) = outside(&maps, id) {
                prop_assert_eq!(inside(&maps, found), Some(id));
            }
        }

        #[test]
        fn parse_any_bytes_does_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = parse(&bytes);
        }
    }
}
