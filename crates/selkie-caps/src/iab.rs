//! libcap's IAB text: inheritable, ambient and bounding in one line, `!cap_sys_admin,^cap_net_raw`. Follows cap_iab(3) of libcap 2.66.
//!
//! | prefix | meaning |
//! |---|---|
//! | `%` or none | inheritable |
//! | `^` | ambient, and so inheritable |
//! | `!` | NOT in the bounding set |

use alloc::string::String;
use core::fmt;

use crate::{CapSet, Capability, names};

/// The sets that decide what an execve(2) can give, as pam_cap(8) and capsh(1) write them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Iab {
    inheritable: CapSet,
    ambient: CapSet,
    blocked: CapSet,
}

/// An IAB text that libcap would refuse, with the place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("item {item}: `{text}` is not a capability written as `cap_NAME` or a number below 64, after any of `!`, `^` and `%`")]
pub struct IabError {
    /// Which item, counted from 1.
    pub item: usize,
    /// The item as it was written.
    pub text: String,
}

impl Iab {
    /// Builds it from sets; what is ambient becomes inheritable too, as the kernel demands.
    #[must_use]
    pub const fn new(inheritable: CapSet, ambient: CapSet, blocked: CapSet) -> Self {
        Self { inheritable: inheritable.union(ambient), ambient, blocked }
    }

    /// Reads libcap's text. One comma may end it.
    ///
    /// # Errors
    /// [`IabError`] with the item.
    pub fn parse(text: &str) -> Result<Self, IabError> {
        let items = text.strip_suffix(',').filter(|rest| !rest.is_empty()).unwrap_or(text);
        if items.is_empty() {
            return Ok(Self::default());
        }
        items.split(',').enumerate().try_fold(Self::default(), |iab, (index, item)| iab.item(index + 1, item))
    }

    fn item(mut self, item: usize, text: &str) -> Result<Self, IabError> {
        let name = text.trim_start_matches(['!', '^', '%']);
        let prefixes = text.strip_suffix(name).unwrap_or_default();
        let set = names::libcap_name(name).ok_or_else(|| IabError { item, text: text.into() })?;
        if prefixes.contains('!') {
            self.blocked = self.blocked.union(set);
        }
        if prefixes.contains('^') {
            self.ambient = self.ambient.union(set);
        }
        if prefixes.is_empty() || prefixes.contains(['^', '%']) {
            self.inheritable = self.inheritable.union(set);
        }
        Ok(self)
    }

    /// Returns the inheritable set.
    pub const fn inheritable(self) -> CapSet {
        self.inheritable
    }

    /// Returns the ambient set.
    pub const fn ambient(self) -> CapSet {
        self.ambient
    }

    /// Returns what is kept out of the bounding set.
    pub const fn blocked(self) -> CapSet {
        self.blocked
    }
}

/// As libcap prints it. libcap leaves out bits above the kernel's last capability; here they are numbers.
impl fmt::Display for Iab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.inheritable.union(self.ambient).union(self.blocked);
        for (index, number) in all.numbers().enumerate() {
            let blocked = self.blocked.contains_number(number);
            let inherited = match (self.ambient.contains_number(number), self.inheritable.contains_number(number)) {
                (true, _) => "^",
                (false, true) if blocked => "%",
                _ => "",
            };
            write!(f, "{}{}{inherited}", if index > 0 { "," } else { "" }, if blocked { "!" } else { "" })?;
            match Capability::from_number(number) {
                Some(capability) => f.write_str(&capability.lower_name())?,
                None => write!(f, "{number}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use proptest::prelude::*;

    use super::*;

    /// What libcap 2.66 makes of the same texts: `text -> its print` or `text -> ?` where it refuses.
    const LIBCAP: &str = include_str!("../tests/cases/libcap_iab.txt");

    #[test]
    fn parse_and_print_equal_libcap() {
        for line in LIBCAP.lines() {
            let (text, wanted) = line.split_once(" -> ").unwrap();
            let found = Iab::parse(text).map_or_else(|_| "?".to_string(), |iab| iab.to_string());
            assert_eq!(found, wanted, "for `{text}`");
        }
    }

    #[test]
    fn parse_bad_item_names_the_place() {
        assert_eq!(
            Iab::parse("cap_chown,!chown").unwrap_err().to_string(),
            "item 2: `!chown` is not a capability written as `cap_NAME` or a number below 64, after any of `!`, `^` and `%`"
        );
    }

    proptest! {
        #[test]
        fn display_any_iab_parses_back(i: u64, a: u64, b: u64) {
            let iab = Iab::new(CapSet::from_bits(i), CapSet::from_bits(a), CapSet::from_bits(b));
            prop_assert_eq!(Iab::parse(&iab.to_string()), Ok(iab));
        }
    }
}
