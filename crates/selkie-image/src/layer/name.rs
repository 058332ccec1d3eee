//! Names of entries: which are refused, and what overlay makes of the special ones.

/// How long a path may be: `PATH_MAX` without its NUL.
const PATH_LIMIT: usize = 4095;

/// How long one name may be: `NAME_MAX`.
const NAME_LIMIT: usize = 255;

/// Splits a path into its names. An absolute one counts from the layer's root; the root itself has no names.
///
/// # Errors
/// Why such an entry is refused.
pub(super) fn components(path: &[u8]) -> Result<Vec<&[u8]>, &'static str> {
    if path.len() > PATH_LIMIT {
        return Err("the path is longer than 4095 bytes");
    }
    if path.contains(&0) || path.contains(&b'\n') {
        return Err("the path has a NUL or a line feed");
    }
    let names: Vec<&[u8]> = path.split(|byte| *byte == b'/').filter(|name| !matches!(*name, b"" | b".")).collect();
    if names.contains(&b"..".as_slice()) {
        return Err("the path has `..`");
    }
    if names.iter().any(|name| name.len() > NAME_LIMIT) {
        return Err("a name is longer than 255 bytes");
    }
    Ok(names)
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning<'a> {
    /// Itself.
    Plain,
    /// The absence of this name.
    Whiteout(&'a [u8]),
    /// The absence of everything below in its directory.
    Opaque,
    /// Book-keeping of AUFS, for nobody else.
    Ignored,
}

/// Returns what `name` stands for.
///
/// # Errors
/// Why such an entry is refused.
pub(super) fn meaning(name: &[u8]) -> Result<Meaning<'_>, &'static str> {
    match name.strip_prefix(b".wh.") {
        None => Ok(Meaning::Plain),
        Some(b".wh..opq") => Ok(Meaning::Opaque),
        Some(b"" | b"." | b"..") => Err("a whiteout of no name"),
        Some(hidden) if hidden.starts_with(b".wh.") => Ok(Meaning::Ignored),
        Some(hidden) => Ok(Meaning::Whiteout(hidden)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn components_of_an_absolute_path_count_from_the_root() {
        assert_eq!(components(b"//etc/./passwd"), Ok(vec![b"etc".as_slice(), b"passwd"]));
    }

    #[test]
    fn components_of_the_root_are_none() {
        assert_eq!(components(b"./"), Ok(vec![]));
    }

    #[test]
    fn components_upwards_are_refused() {
        assert_eq!(components(b"a/../../b"), Err("the path has `..`"));
    }

    #[test]
    fn components_with_a_line_feed_are_refused() {
        assert_eq!(components(b"a\nb"), Err("the path has a NUL or a line feed"));
    }

    #[test]
    fn components_of_a_long_path_are_refused() {
        assert_eq!(components(&b"d/".repeat(3000)), Err("the path is longer than 4095 bytes"));
        assert_eq!(components(&b"d".repeat(256)), Err("a name is longer than 255 bytes"));
    }

    #[test]
    fn meaning_of_each_whiteout() {
        assert_eq!(meaning(b"x"), Ok(Meaning::Plain));
        assert_eq!(meaning(b".wh.x"), Ok(Meaning::Whiteout(b"x")));
        assert_eq!(meaning(b".wh..wh..opq"), Ok(Meaning::Opaque));
        assert_eq!(meaning(b".wh..wh.plnk"), Ok(Meaning::Ignored));
        assert_eq!(meaning(b".wh..."), Err("a whiteout of no name"));
        assert_eq!(meaning(b".wh."), Err("a whiteout of no name"));
    }

    proptest! {
        #[test]
        fn components_of_any_bytes_never_lead_upwards(path in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(names) = components(&path) {
                prop_assert!(names.iter().all(|name| !name.is_empty() && *name != b".." && !name.contains(&b'/')));
            }
        }
    }
}
