//! Pax records: `LENGTH KEY=VALUE\n`, one behind the other (POSIX.1-2001, pax Interchange Format).

/// What the records say about the next entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records {
    /// Its name.
    pub path: Option<Vec<u8>>,
    /// The name that a link refers to.
    pub link: Option<Vec<u8>>,
    /// Bytes of content.
    pub size: Option<i64>,
    /// Owner.
    pub uid: Option<i64>,
    /// Group.
    pub gid: Option<i64>,
    /// Time of the last change: seconds, and nanoseconds from 0 to 999,999,999.
    pub modified: Option<(i64, u32)>,
    /// Extended attributes: names and values.
    pub attributes: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Parses records. Total: any bytes give records or an error. Of records with the same key the last one counts.
///
/// # Errors
/// What is wrong.
pub fn records(mut bytes: &[u8]) -> Result<Records, &'static str> {
    let mut records = Records::default();
    while !bytes.is_empty() {
        let (key, value, rest) = record(bytes).ok_or("a pax record is damaged")?;
        bytes = rest;
        match key {
            b"path" => records.path = Some(name(value)?),
            b"linkpath" => records.link = Some(name(value)?),
            b"size" => records.size = Some(decimal(value)?),
            b"uid" => records.uid = Some(decimal(value)?),
            b"gid" => records.gid = Some(decimal(value)?),
            b"mtime" => records.modified = Some(time(value)?),
            _ if key.starts_with(b"GNU.sparse.") => return Err("sparse files in pax form are not supported"),
            _ => {
                if let Some(attribute) = key.strip_prefix(b"SCHILY.xattr.") {
                    records.attributes.retain(|(known, _)| known != attribute);
                    records.attributes.push((attribute.to_vec(), value.to_vec()));
                }
            }
        }
    }
    Ok(records)
}

/// Splits the first record off: its key, its value, and what follows it.
fn record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let blank = bytes.iter().take(20).position(|byte| *byte == b' ')?;
    let length: usize = std::str::from_utf8(bytes.get(..blank)?).ok()?.parse().ok()?;
    let body = bytes.get(blank + 1..length)?.strip_suffix(b"\n")?;
    let equals = body.iter().position(|byte| *byte == b'=')?;
    Some((body.get(..equals)?, body.get(equals + 1..)?, bytes.get(length..)?))
}

fn name(value: &[u8]) -> Result<Vec<u8>, &'static str> {
    if value.contains(&0) { Err("a name in a pax record has a NUL") } else { Ok(value.to_vec()) }
}

fn decimal(value: &[u8]) -> Result<i64, &'static str> {
    std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()).ok_or("a pax record has a number that is none, or too large")
}

/// Seconds with a fraction; a negative time counts its fraction downwards.
fn time(value: &[u8]) -> Result<(i64, u32), &'static str> {
    const PROBLEM: &str = "a pax record has a time that is none, or out of range";
    let text = std::str::from_utf8(value).map_err(|_| PROBLEM)?;
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let whole: i64 = seconds.parse().map_err(|_| PROBLEM)?;
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(PROBLEM);
    }
    let nanoseconds: u32 =
        fraction.bytes().chain(std::iter::repeat(b'0')).take(9).fold(0, |value, digit| value * 10 + u32::from(digit - b'0'));
    if seconds.starts_with('-') && nanoseconds > 0 {
        return Ok((whole.checked_sub(1).ok_or(PROBLEM)?, 1_000_000_000 - nanoseconds));
    }
    Ok((whole, nanoseconds))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A record with its length, which counts its own digits.
    fn written(key: &str, value: &str) -> String {
        let body = format!(" {key}={value}\n");
        let length = (1..1000).find(|length| format!("{length}{body}").len() == *length).unwrap_or(0);
        format!("{length}{body}")
    }

    #[test]
    fn records_of_every_key() {
        let bytes = [("path", "a/b"), ("linkpath", "c"), ("size", "5"), ("uid", "1"), ("gid", "2"), ("mtime", "-1.5"), ("comment", "x")]
            .map(|(key, value)| written(key, value))
            .concat();
        let parsed = records(bytes.as_bytes());
        assert_eq!(
            parsed.map(|records| (records.path, records.link, records.size, records.uid, records.gid, records.modified)),
            Ok((Some(b"a/b".to_vec()), Some(b"c".to_vec()), Some(5), Some(1), Some(2), Some((-2, 500_000_000))))
        );
    }

    #[test]
    fn records_with_an_attribute_twice_keep_the_last() {
        let parsed = records([written("SCHILY.xattr.user.a", "b"), written("SCHILY.xattr.user.a", "c")].concat().as_bytes());
        assert_eq!(parsed.map(|records| records.attributes), Ok(vec![(b"user.a".to_vec(), b"c".to_vec())]));
    }

    #[test]
    fn records_longer_than_the_bytes_are_refused() {
        assert_eq!(records(b"99 path=a\n"), Err("a pax record is damaged"));
    }

    #[test]
    fn records_with_a_number_out_of_range_are_refused() {
        assert!(records(b"28 mtime=9223372036854775808\n").is_err());
        assert!(records(b"27 size=99999999999999999999\n").is_err());
    }

    #[test]
    fn records_with_a_nul_in_a_name_are_refused() {
        assert_eq!(records(b"12 path=a\0b\n"), Err("a name in a pax record has a NUL"));
    }

    #[test]
    fn records_of_sparse_files_are_refused() {
        assert_eq!(records(b"22 GNU.sparse.major=1\n"), Err("sparse files in pax form are not supported"));
    }

    proptest! {
        #[test]
        fn records_of_any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = records(&bytes);
        }
    }
}
