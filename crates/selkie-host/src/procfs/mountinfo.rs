//! `/proc/PID/mountinfo`: what a process has mounted where. proc_pid_mountinfo(5).
//!
//! ```text
//! 36 35 98:0 /mnt1 /mnt\0402 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
//! id parent device root point options optional... - type source super-options
//! ```
//! Blank, tab, newline, backslash and `#` in names are three octal digits.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use super::{lines, number};

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Its number.
    pub id: u32,
    /// The mount that it is on.
    pub parent: u32,
    /// Device number of its files, `(major, minor)`.
    pub device: (u32, u32),
    /// Which directory of the file system is its root; `/` unless it is a bind mount.
    pub root: PathBuf,
    /// Where it is, from the process's own root.
    pub point: PathBuf,
    /// Options of this mount.
    pub options: Vec<String>,
    /// Propagation: `shared:1`, `master:2`, `propagate_from:3`, `unbindable`.
    pub propagation: Vec<String>,
    /// Type of the file system.
    pub kind: String,
    /// What was mounted.
    pub source: PathBuf,
    /// Options of the file system.
    pub super_options: Vec<String>,
}

impl Mount {
    /// Returns whether nothing can be written through it.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.has("ro") || self.super_options.iter().any(|option| option == "ro")
    }

    /// Returns whether the mount has this option.
    #[must_use]
    pub fn has(&self, option: &str) -> bool {
        self.options.iter().any(|found| found == option)
    }

    fn parse(line: &[u8]) -> Option<Self> {
        let mut fields = line.split(|byte| *byte == b' ');
        let mut next = || fields.next();
        let (id, parent) = (number(next()?)?, number(next()?)?);
        let device = next()?;
        let colon = device.iter().position(|byte| *byte == b':')?;
        let device = (number(device.get(..colon)?)?, number(device.get(colon + 1..)?)?);
        let (root, point) = (path(next()?), path(next()?));
        let options = list(next()?);
        let propagation = fields.by_ref().take_while(|field| *field != b"-").map(text).collect();
        let (kind, source) = (text(fields.next()?), path(fields.next()?));
        // The kernel has once left the last field out.
        let super_options = fields.next().map(list).unwrap_or_default();
        Some(Self { id, parent, device, root, point, options, propagation, kind, source, super_options })
    }
}

/// Reads the file; lines that are none are left out.
#[must_use]
pub fn parse(file: &[u8]) -> Vec<Mount> {
    lines(file).filter_map(Mount::parse).collect()
}

fn list(field: &[u8]) -> Vec<String> {
    field.split(|byte| *byte == b',').filter(|word| !word.is_empty()).map(text).collect()
}

fn text(field: &[u8]) -> String {
    String::from_utf8_lossy(&unescape(field)).into_owned()
}

fn path(field: &[u8]) -> PathBuf {
    OsString::from_vec(unescape(field)).into()
}

/// Replaces `\NNN` by its byte; a backslash that begins no such escape stays.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, tail)) = rest.split_first() {
        let octal = match rest {
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] => Some((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0')),
            _ => None,
        };
        bytes.push(octal.unwrap_or(*first));
        rest = if octal.is_some() { rest.get(4..).unwrap_or(&[]) } else { tail };
    }
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parse_line_of_the_manual_returns_every_field() {
        let wanted = Mount {
            id: 36,
            parent: 35,
            device: (98, 0),
            root: "/mnt1".into(),
            point: "/mnt 2".into(),
            options: vec!["rw".to_owned(), "noatime".to_owned()],
            propagation: vec!["master:1".to_owned()],
            kind: "ext3".to_owned(),
            source: "/dev/root".into(),
            super_options: vec!["rw".to_owned(), "errors=continue".to_owned()],
        };
        assert_eq!(parse(b"36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 - ext3 /dev/root rw,errors=continue\n"), [wanted]);
    }

    #[test]
    fn parse_hostile_mount_point_stays_one_field() {
        let found = parse(br"1 2 0:1 / /a\040-\040proc\012x\134 rw - tmpfs none rw");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].point, PathBuf::from("/a - proc\nx\\"));
        assert_eq!(found[0].kind, "tmpfs");
    }

    #[test]
    fn unescape_of_what_is_no_escape_keeps_it() {
        assert_eq!(unescape(br"\04 \777 \x \"), br"\04 \777 \x \");
    }

    #[test]
    fn parse_line_without_the_separator_is_left_out() {
        assert_eq!(parse(b"1 2 0:1 / /a rw tmpfs none rw\n"), []);
    }

    proptest! {
        #[test]
        fn parse_any_bytes_does_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes);
        }
    }
}
