//! Names and masks of capabilities in the forms that people and tools write them.
//!
//! Not for flags of `run` (their rules are Podman's and live in selkie-plan), nor for libcap's clauses ([`CapState`](crate::CapState)).
//!
//! | form | example | written by |
//! |---|---|---|
//! | names, any case, with or without `CAP_` | `net_admin,CAP_CHOWN` | people |
//! | number | `12` | people, tools on an old libcap |
//! | mask | `0x1000`, `00000000800405fb` | `/proc/PID/status`, capsh |
//! | lower-case list | `chown, setuid`, `full`, `none` | pscap(8) |
//! | sorted list | `CHOWN,SETUID`, `full`, `none` | `podman top` |

use alloc::{string::String, vec::Vec};
use core::fmt;

use crate::{CapSet, Capability};

/// A name that no capability has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not a capability{}", suggestion(.closest))]
pub struct UnknownCapability {
    /// The name as it was written.
    pub name: String,
    /// The capability whose name is nearest, when one is near.
    pub closest: Option<Capability>,
}

fn suggestion(closest: &Option<Capability>) -> impl fmt::Display + use<> {
    let closest = *closest;
    Printed(move |f: &mut fmt::Formatter<'_>| match closest {
        Some(capability) => write!(f, " (did you mean `{capability}`?)"),
        None => Ok(()),
    })
}

/// A list or mask of capabilities that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NamesError {
    /// An item of the list names nothing.
    #[error("item {item} of the list: {unknown}")]
    Unknown {
        /// Which item, counted from 1.
        item: usize,
        /// What it is.
        unknown: UnknownCapability,
    },
    /// An item of the list is empty, as in `chown,,kill`.
    #[error("item {item} of the list is empty")]
    Empty {
        /// Which item, counted from 1.
        item: usize,
    },
    /// A number that does not fit the kernel's 64 bits.
    #[error("item {item} of the list: `{number}` is not a capability number (0 to 63)")]
    Number {
        /// Which item, counted from 1.
        item: usize,
        /// The number as it was written.
        number: String,
    },
    /// A mask with something other than 1 to 16 hexadecimal digits.
    #[error("`{mask}` is not a mask of at most sixteen hexadecimal digits")]
    Mask {
        /// The mask as it was written.
        mask: String,
    },
}

impl Capability {
    /// Returns the capability of this `name`, in any case, with or without `CAP_`.
    ///
    /// # Errors
    /// [`UnknownCapability`] names the text and the nearest name.
    pub fn parse_name(name: &str) -> Result<Self, UnknownCapability> {
        Self::of_name(name).ok_or_else(|| UnknownCapability { name: name.into(), closest: closest(strip_prefix(name)) })
    }

    /// As [`Self::parse_name`], for whoever does not ask what else may have been meant: that takes much longer than to say no.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        let short = strip_prefix(name);
        Self::ALL.into_iter().find(|capability| capability.short_name().eq_ignore_ascii_case(short))
    }

    /// Returns the kernel's name in lower case as libcap prints it, `cap_net_admin`.
    #[must_use]
    pub fn lower_name(self) -> String {
        self.name().to_ascii_lowercase()
    }
}

/// Serialised as the kernel's name, read in any case and with or without `CAP_`.
#[cfg(feature = "serde")]
impl serde::Serialize for Capability {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Capability {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::parse_name(&name).map_err(serde::de::Error::custom)
    }
}

impl CapSet {
    /// Reads a list of names and numbers, or one mask: `net_admin,CAP_CHOWN`, `12`, `0x1000`. `all` is every capability that has a name; `none` or nothing is the empty set.
    ///
    /// Sixteen digits without `0x` are a mask, as in `/proc/PID/status`; fewer are a number.
    ///
    /// # Errors
    /// [`NamesError`] says which item is wrong and how.
    pub fn parse(text: &str) -> Result<Self, NamesError> {
        let text = text.trim();
        if text.is_empty() || text.eq_ignore_ascii_case("none") {
            return Ok(Self::EMPTY);
        }
        let mask = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
        if let Some(digits) = mask.or_else(|| is_bare_mask(text).then_some(text)) {
            return parse_mask(digits).ok_or_else(|| NamesError::Mask { mask: text.into() });
        }
        text.split(',').enumerate().try_fold(Self::EMPTY, |set, (index, item)| Ok(set.union(parse_item(index + 1, item.trim())?)))
    }

    /// Returns the names in alphabetical order, `CAP_SETGID` before `CAP_SETUID`, as `podman inspect` lists them. Unknown bits have no name here.
    #[must_use]
    pub fn sorted_names(self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.iter().map(Capability::name).collect();
        names.sort_unstable();
        names
    }

    /// Prints the set as pscap(8) does: `full` when it is `ceiling`, `none`, or `chown, dac_override`; an unknown bit is its number.
    ///
    /// `ceiling` is [`CapSet::up_to`] the kernel's last capability.
    pub fn pscap(self, ceiling: Self) -> impl fmt::Display {
        Printed(move |f: &mut fmt::Formatter<'_>| match self {
            Self::EMPTY => f.write_str("none"),
            set if set == ceiling => f.write_str("full"),
            set => join(f, ", ", set.numbers().map(|number| Label { number, form: Form::LowerShort })),
        })
    }

    /// Prints the set as `podman top` does: `full` when it is 0x1ffffffffff, `none`, or `CHOWN,SETUID` in alphabetical order; an unknown bit is `unknown`.
    pub fn psgo(self) -> impl fmt::Display {
        Printed(move |f: &mut fmt::Formatter<'_>| match self {
            Self::EMPTY => f.write_str("none"),
            Self::KNOWN => f.write_str("full"),
            set => {
                let names = set.sorted_names().into_iter().map(|name| name.strip_prefix("CAP_").unwrap_or(name));
                join(f, ",", names.chain(set.unknown().numbers().map(|_| "unknown")))
            }
        })
    }

    /// Prints the set as `capsh --decode` does after its mask: `cap_chown,cap_setuid`, in the kernel's order; an unknown bit is its number.
    pub fn lower_names(self) -> impl fmt::Display {
        Printed(move |f: &mut fmt::Formatter<'_>| join(f, ",", self.numbers().map(|number| Label { number, form: Form::Lower })))
    }
}

/// The kernel's names in the kernel's order, comma-separated, `CAP_CHOWN,CAP_KILL`; unknown bits as numbers, the empty set as `none`.
/// What it prints, [`CapSet::parse`] reads.
impl fmt::Display for CapSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        join(f, ",", self.numbers().map(|number| Label { number, form: Form::Kernel }))
    }
}

/// A closure as something to print: `core::fmt::from_fn`, which needs a newer compiler than ours.
struct Printed<F>(F);

impl<F: Fn(&mut fmt::Formatter<'_>) -> fmt::Result> fmt::Display for Printed<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0(f)
    }
}

#[derive(Clone, Copy)]
enum Form {
    Kernel,
    Lower,
    LowerShort,
}

/// A capability by number, printed as its name where it has one.
struct Label {
    number: u8,
    form: Form,
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(capability) = Capability::from_number(self.number) else { return write!(f, "{}", self.number) };
        match self.form {
            Form::Kernel => f.write_str(capability.name()),
            Form::Lower => f.write_str(&capability.lower_name()),
            Form::LowerShort => f.write_str(&capability.short_name().to_ascii_lowercase()),
        }
    }
}

fn join<T: fmt::Display>(f: &mut fmt::Formatter<'_>, separator: &str, items: impl Iterator<Item = T>) -> fmt::Result {
    for (index, item) in items.enumerate() {
        if index > 0 {
            f.write_str(separator)?;
        }
        write!(f, "{item}")?;
    }
    Ok(())
}

/// Reads one capability as libcap does: `cap_NAME` in any case, prefix needed, or a number below 64 in C notation.
pub(crate) fn libcap_name(text: &str) -> Option<CapSet> {
    if text.starts_with(|first: char| first.is_ascii_digit()) {
        return c_number(text).filter(|number| *number < 64).map(|number| CapSet::EMPTY.with_number(number));
    }
    let named = Capability::ALL.into_iter().find(|capability| capability.name().eq_ignore_ascii_case(text));
    named.map(|capability| CapSet::EMPTY.with(capability))
}

/// A number as strtoul(3) with base 0 reads it, all of the text: `12`, `0xc`, `014`.
fn c_number(text: &str) -> Option<u8> {
    let (digits, radix) = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => (text.get(2..)?, 16),
        [b'0', _, ..] => (text.get(1..)?, 8),
        _ => (text, 10),
    };
    digits.bytes().all(|byte| byte.is_ascii_alphanumeric()).then(|| u8::from_str_radix(digits, radix).ok()).flatten()
}

fn strip_prefix(name: &str) -> &str {
    match name.split_at_checked(4) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case("CAP_") => rest,
        _ => name,
    }
}

/// Exactly the width that the kernel prints; a list of names never looks like this.
fn is_bare_mask(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn parse_mask(digits: &str) -> Option<CapSet> {
    let plain = (1..=16).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    plain.then(|| u64::from_str_radix(digits, 16).ok()).flatten().map(CapSet::from_bits)
}

fn parse_item(item: usize, text: &str) -> Result<CapSet, NamesError> {
    if text.is_empty() {
        return Err(NamesError::Empty { item });
    }
    if text.eq_ignore_ascii_case("all") {
        return Ok(CapSet::KNOWN);
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        let number = text.parse().ok().filter(|number: &u8| *number < 64);
        return number.map(|number| CapSet::EMPTY.with_number(number)).ok_or_else(|| NamesError::Number { item, number: text.into() });
    }
    Capability::parse_name(text).map(|capability| CapSet::EMPTY.with(capability)).map_err(|unknown| NamesError::Unknown { item, unknown })
}

/// Returns the capability whose short name is at most two edits from `short`; a text of another length class has no neighbour.
fn closest(short: &str) -> Option<Capability> {
    if !(3..=24).contains(&short.len()) {
        return None;
    }
    let short = short.to_ascii_uppercase().replace('-', "_");
    // Each letter more or fewer is an edit.
    let is_near = |capability: &Capability| capability.short_name().len().abs_diff(short.len()) <= 2;
    Capability::ALL
        .into_iter()
        .filter(is_near)
        .map(|capability| (edits(short.as_bytes(), capability.short_name().as_bytes()), capability))
        .min()
        .filter(|(distance, _)| *distance <= 2)
        .map(|(_, capability)| capability)
}

/// Levenshtein distance, one row at a time.
fn edits(from: &[u8], to: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (index, left) in from.iter().enumerate() {
        let mut diagonal = index;
        let mut previous = index + 1;
        for (cell, right) in row.iter_mut().skip(1).zip(to) {
            let substituted = diagonal + usize::from(left != right);
            diagonal = *cell;
            previous = substituted.min(previous + 1).min(*cell + 1);
            *cell = previous;
        }
        if let Some(first) = row.first_mut() {
            *first = index + 1;
        }
    }
    row.last().copied().unwrap_or(from.len())
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parse_name_any_case_and_prefix_returns_capability() {
        for capability in Capability::ALL {
            for text in [
                capability.name().to_string(),
                capability.lower_name(),
                capability.short_name().into(),
                capability.short_name().to_ascii_lowercase(),
            ] {
                assert_eq!(Capability::parse_name(&text), Ok(capability));
            }
        }
    }

    #[test]
    fn parse_name_unknown_suggests_nearest() {
        let error = Capability::parse_name("NET-ADMIM").unwrap_err();
        assert_eq!(error.to_string(), "`NET-ADMIM` is not a capability (did you mean `CAP_NET_ADMIN`?)");
    }

    #[test]
    fn parse_name_far_from_all_suggests_nothing() {
        assert_eq!(Capability::parse_name("frobnicate").unwrap_err().to_string(), "`frobnicate` is not a capability");
    }

    #[test]
    fn parse_name_not_ascii_is_unknown() {
        assert_eq!(Capability::parse_name("cäp_chown").unwrap_err().name, "cäp_chown");
    }

    #[test]
    fn parse_forms_give_the_same_set() {
        let wanted = CapSet::EMPTY.with(Capability::Chown).with(Capability::NetAdmin);
        for text in ["chown,net_admin", "CAP_NET_ADMIN, CAP_CHOWN", "0,12", "0x1001", "0000000000001001", "cap_chown,12,chown"] {
            assert_eq!(CapSet::parse(text), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn parse_words_give_whole_sets() {
        assert_eq!(CapSet::parse("ALL"), Ok(CapSet::KNOWN));
        assert_eq!(CapSet::parse("none"), Ok(CapSet::EMPTY));
        assert_eq!(CapSet::parse(" "), Ok(CapSet::EMPTY));
    }

    #[test]
    fn parse_bad_item_says_which() {
        assert_eq!(CapSet::parse("chown,,kill").unwrap_err().to_string(), "item 2 of the list is empty");
        assert_eq!(CapSet::parse("kill,64").unwrap_err().to_string(), "item 2 of the list: `64` is not a capability number (0 to 63)");
        assert_eq!(
            CapSet::parse("chwon").unwrap_err().to_string(),
            "item 1 of the list: `chwon` is not a capability (did you mean `CAP_CHOWN`?)"
        );
        assert_eq!(CapSet::parse("0x").unwrap_err().to_string(), "`0x` is not a mask of at most sixteen hexadecimal digits");
        assert_eq!(CapSet::parse("0x10000000000000000").unwrap_err(), NamesError::Mask { mask: "0x10000000000000000".into() });
    }

    #[test]
    fn sorted_names_are_alphabetical() {
        let set = CapSet::parse("setuid,setgid,chown").unwrap();
        assert_eq!(set.sorted_names(), ["CAP_CHOWN", "CAP_SETGID", "CAP_SETUID"]);
    }

    #[test]
    fn pscap_forms_match_the_tool() {
        let ceiling = CapSet::up_to(40);
        assert_eq!(CapSet::EMPTY.pscap(ceiling).to_string(), "none");
        assert_eq!(ceiling.pscap(ceiling).to_string(), "full");
        assert_eq!(CapSet::from_bits(0xc0).pscap(ceiling).to_string(), "setgid, setuid");
        assert_eq!(CapSet::from_bits(0x8000_0000_0000_0001).pscap(ceiling).to_string(), "chown, 63");
    }

    #[test]
    fn psgo_forms_match_podman_top() {
        assert_eq!(CapSet::EMPTY.psgo().to_string(), "none");
        assert_eq!(CapSet::from_bits(0x1ff_ffff_ffff).psgo().to_string(), "full");
        assert_eq!(CapSet::from_bits(0x200_0000_00c1).psgo().to_string(), "CHOWN,SETGID,SETUID,unknown");
    }

    proptest! {
        #[test]
        fn display_any_set_parses_back(bits: u64) {
            let set = CapSet::from_bits(bits);
            prop_assert_eq!(CapSet::parse(&set.to_string()), Ok(set));
            prop_assert_eq!(CapSet::parse(&alloc::format!("{set:x}")), Ok(set));
        }

        #[test]
        fn parse_any_text_does_not_panic(text in ".{0,40}") {
            let _ = CapSet::parse(&text);
        }
    }
}
