//! The image's `/etc/passwd` and `/etc/group`: passwd(5), group(5). Hostile input.
//!
//! A line that is no entry is skipped; an entry that is asked for and has an id out of range is an error, never
//! a guess. Names are compared as bytes, and a number is never looked up as a name.

use crate::PlanError;

/// The most that is read of each file; a longer one is an error.
pub const ACCOUNT_FILE_LIMIT: usize = 4 << 20;
/// A longer line is no entry.
const LINE_LIMIT: usize = 64 << 10;
/// The greatest uid and gid, as Podman has it.
pub(crate) const MAX_ID: u32 = i32::MAX.unsigned_abs();

/// An entry of the passwd file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Account<'a> {
    pub(crate) name: &'a str,
    uid: Result<u32, &'a str>,
    gid: Result<u32, &'a str>,
    pub(crate) home: &'a str,
}

impl Account<'_> {
    pub(crate) fn uid(&self) -> Result<u32, PlanError> {
        self.uid.map_err(|id| PlanError::IdRange { id: id.to_owned() })
    }

    pub(crate) fn gid(&self) -> Result<u32, PlanError> {
        self.gid.map_err(|id| PlanError::IdRange { id: id.to_owned() })
    }
}

/// An entry of the group file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Group<'a> {
    pub(crate) name: &'a str,
    gid: Result<u32, &'a str>,
    members: &'a str,
}

impl Group<'_> {
    pub(crate) fn gid(&self) -> Result<u32, PlanError> {
        self.gid.map_err(|id| PlanError::IdRange { id: id.to_owned() })
    }

    pub(crate) fn has_member(&self, name: &str) -> bool {
        self.members.split(',').any(|member| member == name)
    }
}

/// A user or group as written on the command line.
pub(crate) enum Reference<'a> {
    Id(u32),
    Name(&'a str),
}

impl<'a> Reference<'a> {
    /// Parses an id or a name; whatever looks like a number is one.
    pub(crate) fn parse(text: &'a str) -> Result<Self, PlanError> {
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Ok(Self::Name(text));
        }
        id(text).map(Self::Id).map_err(|id| PlanError::IdRange { id: id.to_owned() })
    }
}

/// Iterates over the entries of a passwd file.
pub(crate) fn accounts(file: Option<&[u8]>) -> Result<impl Iterator<Item = Account<'_>>, PlanError> {
    let lines = lines("/etc/passwd", file)?;
    Ok(lines.filter_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        match *fields.as_slice() {
            [name, _, uid, gid, _, home, ..] if !name.is_empty() => Some(Account { name, uid: id(uid), gid: id(gid), home }),
            [name, _, uid, gid, ..] if !name.is_empty() => Some(Account { name, uid: id(uid), gid: id(gid), home: "" }),
            _ => None,
        }
    }))
}

/// Iterates over the entries of a group file.
pub(crate) fn groups(file: Option<&[u8]>) -> Result<impl Iterator<Item = Group<'_>>, PlanError> {
    let lines = lines("/etc/group", file)?;
    Ok(lines.filter_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        match *fields.as_slice() {
            [name, _, gid, ref rest @ ..] if !name.is_empty() => {
                Some(Group { name, gid: id(gid), members: rest.first().copied().unwrap_or_default() })
            }
            _ => None,
        }
    }))
}

fn lines<'a>(name: &'static str, file: Option<&'a [u8]>) -> Result<impl Iterator<Item = &'a str>, PlanError> {
    let file = file.unwrap_or_default();
    if file.len() > ACCOUNT_FILE_LIMIT {
        let problem = format!("it is longer than {} MiB", ACCOUNT_FILE_LIMIT >> 20);
        return Err(PlanError::AccountFile { file: name, problem });
    }
    Ok(file.split(|byte| *byte == b'\n').filter_map(|line| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let plain = line.len() <= LINE_LIMIT && !line.starts_with(b"#") && !line.contains(&0);
        if plain { str::from_utf8(line).ok() } else { None }
    }))
}

fn id(text: &str) -> Result<u32, &str> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if digits { text.parse().ok().filter(|id| *id <= MAX_ID).ok_or(text) } else { Err(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_no_entries_are_skipped() {
        let file = b"\n#c:x:1:1::/:\nshort:x\nnul\0:x:1:1::/:\n\xff:x:1:1::/:\nu:x:5:6::/home/u:/bin/sh\r\nlast:x:7:8";
        let names: Vec<_> = accounts(Some(file)).unwrap().map(|account| (account.name, account.uid().unwrap(), account.home)).collect();
        assert_eq!(names, [("u", 5, "/home/u"), ("last", 7, "")]);
    }

    #[test]
    fn id_out_of_range_is_an_error_when_asked_for() {
        for id in ["4294967295", "2147483648", "-1", "", "x", "+1"] {
            let line = format!("u:x:{id}:0::/:");
            let account = accounts(Some(line.as_bytes())).unwrap().next().unwrap();
            assert_eq!(account.uid(), Err(PlanError::IdRange { id: id.into() }));
        }
    }

    #[test]
    fn number_is_never_a_name() {
        assert!(matches!(Reference::parse("1000"), Ok(Reference::Id(1000))));
        assert!(matches!(Reference::parse("01000"), Ok(Reference::Id(1000))));
        assert!(matches!(Reference::parse("u1"), Ok(Reference::Name("u1"))));
        for text in ["-1", "+5", "4294967296", "2147483648", "99999999999999999999"] {
            assert!(matches!(Reference::parse(text), Err(PlanError::IdRange { .. })), "{text}");
        }
    }

    #[test]
    fn file_of_64_megabytes_is_an_error() {
        let file = vec![b'a'; ACCOUNT_FILE_LIMIT + 1];
        assert!(matches!(groups(Some(&file)).map(drop), Err(PlanError::AccountFile { file: "/etc/group", .. })));
    }
}
