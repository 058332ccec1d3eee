//! Names of users and groups from passwd(5) and group(5), of this machine or of a container. Hostile input.
//!
//! Not through the C library: a static binary has no name service, and a container's files are not this machine's.

use std::collections::HashMap;
use std::os::fd::AsFd;
use std::path::Path;

use crate::procfs::{lines, number};

/// Longer files are not read: names are a convenience, ids are the truth.
const LIMIT: usize = 4 << 20;

/// The names of ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accounts {
    users: HashMap<u32, String>,
    groups: HashMap<u32, String>,
}

impl Accounts {
    /// Reads the content of both files; lines that are no entries are left out, the first entry of an id counts.
    #[must_use]
    pub fn parse(passwd: &[u8], group: &[u8]) -> Self {
        Self { users: entries(passwd), groups: entries(group) }
    }

    /// Reads both files beneath `root`. A file that is missing, too long or no file has no names.
    #[must_use]
    pub fn beneath(root: impl AsFd) -> Self {
        let read = |path: &str| selkie_sys::root::read(root.as_fd(), Path::new(path), LIMIT).ok().flatten().unwrap_or_default();
        Self::parse(&read("/etc/passwd"), &read("/etc/group"))
    }

    /// Returns the name of a user, if it has one.
    #[must_use]
    pub fn user(&self, id: u32) -> Option<&str> {
        self.users.get(&id).map(String::as_str)
    }

    /// Returns the name of a group, if it has one.
    #[must_use]
    pub fn group(&self, id: u32) -> Option<&str> {
        self.groups.get(&id).map(String::as_str)
    }
}

/// Both files have the name in the first and the id in the third field.
fn entries(file: &[u8]) -> HashMap<u32, String> {
    let mut names = HashMap::new();
    for line in lines(file) {
        let mut fields = line.split(|byte| *byte == b':');
        let (name, id) = (fields.next().unwrap_or_default(), fields.nth(1).and_then(number::<u32>));
        if let (Ok(name), Some(id)) = (str::from_utf8(name), id)
            && !name.is_empty()
            && !name.starts_with('#')
        {
            names.entry(id).or_insert_with(|| name.to_owned());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_first_entry_of_an_id_counts() {
        let accounts = Accounts::parse(b"root:x:0:0::/:\ntoor:x:0:0::/:\nweb:x:33:33::/:\n", b"root:x:0:\nwww:x:33:web\n");
        assert_eq!((accounts.user(0), accounts.user(33), accounts.user(34)), (Some("root"), Some("web"), None));
        assert_eq!(accounts.group(33), Some("www"));
    }

    #[test]
    fn parse_lines_that_are_no_entries_are_left_out() {
        let accounts = Accounts::parse(b"\n#a:x:1:\n:x:2:\nb:x:-3:\nc:x\nd:x:99999999999:\n\xff:x:5:\n", b"");
        assert_eq!(accounts, Accounts::default());
    }
}
