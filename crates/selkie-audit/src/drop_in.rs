//! Drop-ins of units: files that add to a unit, or change it, without being in it. podman-systemd.unit(5), systemd.unit(5).
//!
//! ```text
//! web-a.container  +  container.d/*.conf, web-.container.d/*.conf, web-a.container.d/*.conf
//! ```
//!
//! Of files of one name that in the most special directory counts; all others are read behind the unit, in the order of their names.
//! Which files there are others have to look: nothing here reads a directory.

/// A drop-in, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DropIn {
    /// Its name, as findings name it.
    pub name: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// What of a unit's name says that Quadlet reads it.
const KINDS: [&str; 7] = ["container", "pod", "kube", "network", "volume", "image", "build"];

/// Returns the directories beside the unit of this name that may hold its drop-ins, the most special first; none of what is no unit.
#[must_use]
pub fn drop_in_directories(name: &str) -> Vec<String> {
    let file = name.rsplit('/').next().unwrap_or(name);
    let Some((stem, kind)) = file.rsplit_once('.').filter(|(stem, kind)| !stem.is_empty() && KINDS.contains(kind)) else {
        return Vec::new();
    };
    let mut directories = vec![format!("{file}.d")];
    let unit = stem.split_once('@').map_or(stem, |(unit, instance)| {
        if !instance.is_empty() {
            directories.push(format!("{unit}@.{kind}.d"));
        }
        unit
    });
    let dashes = unit.char_indices().rev().filter(|(at, character)| *character == '-' && *at > 0);
    directories.extend(
        dashes.map(|(at, _)| format!("{}-.{kind}.d", unit.get(..at).unwrap_or_default())).filter(|name| *name != format!("{file}.d")),
    );
    directories.push(format!("{kind}.d"));
    directories
}

/// Returns the unit, or the beginning of units, that a file of this name is a drop-in of, and what kind of unit that is.
pub(crate) fn unit_of(name: &str) -> Option<(&str, &str)> {
    let (directory, file) = name.rsplit_once('/')?;
    let unit = directory.rsplit('/').next()?.strip_suffix(".d").filter(|_| file.ends_with(".conf"))?;
    let (stem, kind) = unit.rsplit_once('.').unwrap_or((unit, unit));
    KINDS.contains(&kind).then_some((stem, kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_those_of_the_unit_of_its_prefixes_and_of_its_kind() {
        assert_eq!(drop_in_directories("a/web.container"), ["web.container.d", "container.d"]);
        assert_eq!(drop_in_directories("a-b-c.pod"), ["a-b-c.pod.d", "a-b-.pod.d", "a-.pod.d", "pod.d"]);
        assert_eq!(drop_in_directories("a-b@c.container"), ["a-b@c.container.d", "a-b@.container.d", "a-.container.d", "container.d"]);
        assert_eq!(drop_in_directories("foo-.container"), ["foo-.container.d", "container.d"]);
        assert_eq!([drop_in_directories("x.conf"), drop_in_directories(".container"), drop_in_directories("-")], [[""; 0]; 3]);
    }

    #[test]
    fn drop_in_is_told_by_its_directory() {
        assert_eq!(unit_of("q/web.container.d/x.conf"), Some(("web", "container")));
        assert_eq!(unit_of("container.d/x.conf"), Some(("container", "container")));
        assert_eq!([unit_of("x.conf"), unit_of("containers.conf.d/x.conf"), unit_of("web.container.d/x.txt")], [None; 3]);
    }
}
