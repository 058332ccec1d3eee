//! `/proc/PID/cgroup`: where a process is in each hierarchy. cgroups(7).
//!
//! ```text
//! 5:devices:/selkie/0123...     number : controllers : path
//! 0::/system.slice/a:b.scope    the unified hierarchy; a path may hold blanks and colons, never a newline
//! ```

use super::{lines, number};

/// One hierarchy that a process is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CgroupLine {
    /// Its number; 0 is the unified hierarchy.
    pub hierarchy: u32,
    /// Its controllers, or `name=systemd`; empty for the unified one.
    pub controllers: Vec<String>,
    /// The path beneath its root, as the reader's cgroup namespace shows it.
    pub path: String,
}

/// Reads the file; lines that are none are left out.
#[must_use]
pub fn parse(file: &[u8]) -> Vec<CgroupLine> {
    lines(file).filter_map(line).collect()
}

fn line(line: &[u8]) -> Option<CgroupLine> {
    let mut fields = line.splitn(3, |byte| *byte == b':');
    let (hierarchy, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
    let controllers = str::from_utf8(controllers).ok()?;
    if path.first() != Some(&b'/') {
        return None;
    }
    Some(CgroupLine {
        hierarchy: number(hierarchy)?,
        controllers: controllers.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect(),
        path: String::from_utf8_lossy(path).into_owned(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parse_splits_at_the_first_two_colons_only() {
        let wanted = CgroupLine { hierarchy: 0, controllers: Vec::new(), path: "/a b:c/d".to_owned() };
        assert_eq!(parse(b"0::/a b:c/d\n"), [wanted]);
    }

    #[test]
    fn parse_hybrid_file_returns_every_line() {
        let found = parse(b"9:name=systemd:/x\n4:cpu,cpuacct:/\nnonsense\n:::\n0::/\n");
        let shown: Vec<_> = found.iter().map(|line| (line.hierarchy, line.controllers.join("+"), line.path.as_str())).collect();
        assert_eq!(shown, [(9, "name=systemd".to_owned(), "/x"), (4, "cpu+cpuacct".to_owned(), "/"), (0, String::new(), "/")]);
    }

    proptest! {
        #[test]
        fn parse_any_bytes_does_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }
    }
}
