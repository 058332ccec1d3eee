//! Names and ids of containers.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A container's id: 64 lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct ContainerId(String);

impl ContainerId {
    /// Returns a new random id.
    ///
    /// # Errors
    /// When the kernel gives no random bytes.
    pub(crate) fn random() -> Result<Self> {
        let mut bytes = [0; 32];
        random(&mut bytes)?;
        Ok(Self(hexadecimal(&bytes)))
    }

    /// Returns the id `text`, if it is one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let valid = text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        valid.then(|| Self(text.to_owned()))
    }

    /// Returns all 64 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the 12 digits that tables show.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

impl TryFrom<String> for ContainerId {
    type Error = String;

    fn try_from(text: String) -> std::result::Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("{text:?} is not an id of 64 hexadecimal digits"))
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Fills `bytes` from getrandom(2).
fn random(bytes: &mut [u8]) -> Result<()> {
    rustix::rand::getrandom(&mut *bytes, rustix::rand::GetRandomFlags::empty()).map(drop).map_err(|errno| Error::System {
        action: "get random bytes".to_owned(),
        source: selkie_sys::SyscallError::new("getrandom()", errno),
    })
}

/// Returns a random id of 64 digits for something that is no container, for example an exec session.
pub(crate) fn random_id() -> Result<String> {
    ContainerId::random().map(|id| id.0)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
        text
    })
}

/// A container's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Name(String);

impl Name {
    const LONGEST: usize = 240;

    /// Returns the name `text`.
    ///
    /// # Errors
    /// A character that names cannot have, or more of them than fit into the name of a file with what is put around them.
    pub fn parse(text: &str) -> Result<Self> {
        let (first, rest) = match text.as_bytes() {
            [first, rest @ ..] => (*first, rest),
            [] => return Err(Error::InvalidName { name: text.to_owned() }),
        };
        let valid = first.is_ascii_alphanumeric() && rest.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(byte));
        match text.len() {
            _ if !valid => Err(Error::InvalidName { name: text.to_owned() }),
            length if length > Self::LONGEST => Err(Error::LongName { length, most: Self::LONGEST }),
            _ => Ok(Self(text.to_owned())),
        }
    }

    /// Returns a random name, as Podman makes them: an adjective and a seafarer or marine scientist.
    pub(crate) fn random() -> Result<Self> {
        let mut bytes = [0; 4];
        random(&mut bytes)?;
        let [a, b, c, d] = bytes.map(usize::from);
        let pick = |list: &'static [&'static str], number: usize| list.get(number % list.len()).copied().unwrap_or("selkie");
        Ok(Self(format!("{}_{}", pick(&ADJECTIVES, a << 8 | b), pick(&PEOPLE, c << 8 | d))))
    }

    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(text: String) -> std::result::Result<Self, String> {
        Self::parse(&text).map_err(|error| error.to_string())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const ADJECTIVES: [&str; 64] = [
    "amber", "ample", "apt", "ardent", "azure", "balmy", "blithe", "bold", "brave", "breezy", "bright", "brisk", "calm", "candid", "civil",
    "clear", "clever", "crisp", "deft", "eager", "earnest", "easy", "fair", "fleet", "fond", "frank", "fresh", "gentle", "glad", "golden",
    "grand", "hardy", "hearty", "humble", "jolly", "keen", "kind", "lively", "lucid", "lucky", "mellow", "merry", "mild", "modest", "neat",
    "nimble", "noble", "patient", "placid", "plucky", "polite", "proud", "quick", "quiet", "ready", "salty", "serene", "sleek", "snug",
    "steady", "sturdy", "sunny", "tidy", "witty",
];

const PEOPLE: [&str; 48] = [
    "agassiz",
    "amundsen",
    "anning",
    "baret",
    "beaufort",
    "bering",
    "bligh",
    "bowditch",
    "cabot",
    "carson",
    "cook",
    "cousteau",
    "crozier",
    "darwin",
    "drake",
    "earle",
    "ekman",
    "eriksson",
    "fitzroy",
    "franklin",
    "frobisher",
    "hadal",
    "heezen",
    "henson",
    "hudson",
    "humboldt",
    "magellan",
    "maury",
    "nansen",
    "navarch",
    "piccard",
    "polo",
    "rae",
    "ross",
    "scoresby",
    "scott",
    "shackleton",
    "sverdrup",
    "tasman",
    "tharp",
    "thomson",
    "vancouver",
    "vespucci",
    "wallace",
    "weddell",
    "wegener",
    "worsley",
    "zheng",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_of_a_short_id_is_none() {
        assert_eq!(ContainerId::parse("abc"), None);
    }

    #[test]
    fn parse_of_upper_case_digits_is_none() {
        assert_eq!(ContainerId::parse(&"A".repeat(64)), None);
    }

    #[test]
    fn random_id_is_an_id() {
        let id = ContainerId::random().unwrap();
        assert_eq!(ContainerId::parse(id.as_str()), Some(id));
    }

    #[test]
    fn random_name_is_a_name() {
        let name = Name::random().unwrap();
        assert_eq!(Name::parse(name.as_str()).unwrap(), name);
    }

    #[test]
    fn name_with_a_slash_is_refused() {
        assert!(matches!(Name::parse("a/b"), Err(Error::InvalidName { .. })));
    }

    #[test]
    fn name_that_begins_with_a_dot_is_refused() {
        assert!(matches!(Name::parse("../x"), Err(Error::InvalidName { .. })));
    }
}
