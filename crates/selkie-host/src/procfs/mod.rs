//! The files of `/proc/PID`: proc(5). One parser a file, and the reader that they share.

pub mod cgroup;
pub mod idmap;
pub mod mountinfo;
pub(crate) mod namespace;
pub(crate) mod reader;
pub(crate) mod stat;
pub mod status;

/// Reads a decimal number that is all of `text`.
pub(crate) fn number<T: TryFrom<u64>>(text: &[u8]) -> Option<T> {
    if text.is_empty() || text.len() > 20 {
        return None;
    }
    let value = text.iter().try_fold(0_u64, |value, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })?;
    T::try_from(value).ok()
}

/// Iterates over the words of `text` between blanks and tabs.
pub(crate) fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty())
}

/// Iterates over the lines of `text`, without an empty one at its end.
pub(crate) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
}
