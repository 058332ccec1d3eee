//! Content addresses: `sha256:` and 64 lower-case hexadecimal digits, nothing else.

use std::fmt;
use std::io::Read;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A SHA-256 digest. It is made of digits only, so that it can be part of a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

impl Digest {
    /// Returns the digest that `text` (`sha256:...`) is, if it is one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::from_hex(text.strip_prefix("sha256:")?)
    }

    /// Returns the digest with the digits `hex`.
    #[must_use]
    pub fn from_hex(hex: &str) -> Option<Self> {
        let valid = hex.len() == 64 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        valid.then(|| Self(hex.to_owned()))
    }

    /// Returns the digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self::finish(Sha256::new_with_prefix(bytes))
    }

    /// Returns the 64 digits.
    #[must_use]
    pub fn hex(&self) -> &str {
        &self.0
    }

    fn finish(hash: Sha256) -> Self {
        let mut text = String::with_capacity(64);
        for byte in hash.finalize() {
            for nibble in [byte >> 4, byte & 15] {
                text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
            }
        }
        Self(text)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.0)
    }
}

impl TryFrom<String> for Digest {
    type Error = String;

    fn try_from(text: String) -> std::result::Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("{text:?} is not a digest (`sha256:` and 64 hexadecimal digits)"))
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

/// A reader that takes the digest and the length of what passes through it.
pub(crate) struct Hashing<R> {
    stream: R,
    hash: Sha256,
    length: u64,
}

impl<R: Read> Hashing<R> {
    pub(crate) fn new(stream: R) -> Self {
        Self { stream, hash: Sha256::new(), length: 0 }
    }

    /// Returns the digest and the length of what has been read.
    pub(crate) fn finish(self) -> (Digest, u64) {
        (Digest::finish(self.hash), self.length)
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.stream.read(buffer)?;
        self.hash.update(buffer.get(..count).unwrap_or(&[]));
        self.length += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_of_nothing_is_the_known_one() {
        assert_eq!(Digest::of(b"").to_string(), "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }

    #[test]
    fn parse_of_a_path_as_digest_is_none() {
        assert_eq!(Digest::parse("sha256:../../etc/passwd"), None);
    }

    #[test]
    fn parse_of_another_algorithm_is_none() {
        assert_eq!(Digest::parse(&format!("md5:{}", "0".repeat(32))), None);
    }

    #[test]
    fn parse_of_upper_case_digits_is_none() {
        assert_eq!(Digest::parse(&format!("sha256:{}", "A".repeat(64))), None);
    }

    #[test]
    fn parse_of_a_printed_digest_is_the_digest() {
        let digest = Digest::of(b"x");
        assert_eq!(Digest::parse(&digest.to_string()), Some(digest));
    }
}
