//! libcap's text of a capability state: `=ep cap_sys_resource-ep`. Follows cap_from_text(3) and cap_to_text(3) of libcap 2.66.
//!
//! Reads and prints what `capsh --print`, `getcap` and `setcap` do. Not for plain lists ([`CapSet::parse`]) or IAB ([`Iab`](crate::Iab)).
//!
//! ```text
//! state  = clause { space clause }
//! clause = [ names ] action { action }          without names: every capability
//! names  = name { "," name } | "all"            a name is cap_NAME in any case, or a number
//! action = ( "=" | "+" | "-" ) { "e" | "i" | "p" }   "=" only first, and only "=" works without names or flags
//! ```

use alloc::string::{String, ToString};
use core::fmt;

use crate::{CapSet, Capability, names};

/// Three of a thread's sets, those that capset(2) changes and libcap's text shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct CapState {
    /// Flag `e`.
    pub effective: CapSet,
    /// Flag `i`.
    pub inheritable: CapSet,
    /// Flag `p`.
    pub permitted: CapSet,
}

/// A text that libcap would refuse, with the place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CapTextError {
    /// A name or number that is no capability.
    #[error("clause {clause}: `{name}` is not a capability written as `cap_NAME` or a number below 64")]
    Name {
        /// Which clause, counted from 1.
        clause: usize,
        /// The name as it was written.
        name: String,
    },
    /// There are names but nothing is done with them.
    #[error("clause {clause}: `{text}` has no action (`=`, `+` or `-`)")]
    NoAction {
        /// Which clause, counted from 1.
        clause: usize,
        /// The clause.
        text: String,
    },
    /// `+` or `-` without names.
    #[error("clause {clause}: `{text}` needs names before `+` or `-`")]
    NoNames {
        /// Which clause, counted from 1.
        clause: usize,
        /// The clause.
        text: String,
    },
    /// `=` after another action.
    #[error("clause {clause}: `{text}` has `=` after another action")]
    LateAssignment {
        /// Which clause, counted from 1.
        clause: usize,
        /// The clause.
        text: String,
    },
    /// `+` or `-` without a flag, or a letter that is no flag.
    #[error("clause {clause}: `{flags}` is not a combination of the flags `e`, `i` and `p`")]
    Flags {
        /// Which clause, counted from 1.
        clause: usize,
        /// What stands where flags should.
        flags: String,
    },
}

impl CapState {
    /// Reads libcap's text.
    ///
    /// # Errors
    /// [`CapTextError`] with the clause.
    pub fn parse(text: &str) -> Result<Self, CapTextError> {
        let words = text.split(is_space).filter(|word| !word.is_empty());
        words.enumerate().try_fold(Self::default(), |state, (index, word)| state.clause(index + 1, word))
    }

    fn clause(mut self, clause: usize, text: &str) -> Result<Self, CapTextError> {
        let end = text.find(['=', '+', '-']).ok_or_else(|| CapTextError::NoAction { clause, text: text.into() })?;
        let (names, mut rest) = text.split_at(end);
        let listed = if names.is_empty() { CapSet::KNOWN } else { parse_names(clause, names)? };
        let mut first = true;
        while let Some(operator) = rest.chars().next() {
            let tail = rest.get(1..).unwrap_or_default();
            let end = tail.find(['=', '+', '-']).unwrap_or(tail.len());
            let (flags, next) = tail.split_at(end);
            // `=+ep` clears first and then raises: an empty assignment followed by another action. libcap wants names for it.
            match operator {
                '=' if !first => return Err(CapTextError::LateAssignment { clause, text: text.into() }),
                '=' => {}
                _ if names.is_empty() => return Err(CapTextError::NoNames { clause, text: text.into() }),
                _ if flags.is_empty() => return Err(CapTextError::Flags { clause, flags: flags.into() }),
                _ => {}
            }
            self.act(operator, Flags::parse(clause, flags)?, listed);
            rest = next;
            first = false;
        }
        Ok(self)
    }

    fn act(&mut self, operator: char, flags: Flags, listed: CapSet) {
        for (set, flagged) in
            [(&mut self.effective, flags.effective), (&mut self.inheritable, flags.inheritable), (&mut self.permitted, flags.permitted)]
        {
            *set = match (operator, flagged) {
                ('=' | '+', true) => set.union(listed),
                ('=', false) | ('-', true) => set.difference(listed),
                _ => *set,
            };
        }
    }

    fn flags_of(self, number: u8) -> Flags {
        Flags {
            effective: self.effective.contains_number(number),
            inheritable: self.inheritable.contains_number(number),
            permitted: self.permitted.contains_number(number),
        }
    }

    /// Returns the flags that most of the named capabilities have, the smaller combination where two are equally frequent.
    fn prevailing(self) -> Flags {
        let count = |flags: Flags| Capability::ALL.into_iter().filter(|capability| self.flags_of(capability.number()) == flags).count();
        Flags::COMBINATIONS.into_iter().max_by_key(|flags| count(*flags)).unwrap_or_default()
    }
}

/// As libcap 2.66 prints it, except that libcap stops at the running kernel's last capability and this at the last that has a name.
impl fmt::Display for CapState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let base = self.prevailing();
        let mut text = alloc::format!("={base}");
        for flags in Flags::COMBINATIONS.into_iter().filter(|flags| *flags != base) {
            let set: CapSet = Capability::ALL.into_iter().filter(|capability| self.flags_of(capability.number()) == flags).collect();
            if set.is_empty() {
                continue;
            }
            let (raised, lowered) = (flags.without(base), base.without(flags));
            let mut clause = set.lower_names().to_string();
            if raised != Flags::default() {
                // libcap writes `cap_chown=ep` for `= cap_chown+ep`.
                let operator = if text == "=" { '=' } else { '+' };
                clause.push_str(&alloc::format!("{operator}{raised}"));
                if operator == '=' {
                    text.clear();
                }
            }
            if lowered != Flags::default() {
                clause.push_str(&alloc::format!("-{lowered}"));
            }
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(&clause);
        }
        for flags in Flags::COMBINATIONS {
            let all = self.effective.union(self.inheritable).union(self.permitted).unknown();
            let set = all.numbers().filter(|number| self.flags_of(*number) == flags).fold(CapSet::EMPTY, CapSet::with_number);
            if !set.is_empty() {
                text.push_str(&alloc::format!(" {}+{flags}", set.lower_names()));
            }
        }
        f.write_str(&text)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
struct Flags {
    effective: bool,
    inheritable: bool,
    permitted: bool,
}

impl Flags {
    /// In the order in which libcap prints them: `i` counts 4, `p` 2, `e` 1, from the most.
    const COMBINATIONS: [Self; 8] = {
        let mut all = [Self { effective: false, inheritable: false, permitted: false }; 8];
        let mut index = 0;
        #[expect(clippy::indexing_slicing, reason = "a constant expression: an index out of bounds does not compile")]
        while index < 8 {
            let value = 7 - index;
            all[index] = Self { effective: value & 1 != 0, permitted: value & 2 != 0, inheritable: value & 4 != 0 };
            index += 1;
        }
        all
    };

    fn parse(clause: usize, text: &str) -> Result<Self, CapTextError> {
        text.chars().try_fold(Self::default(), |flags, letter| match letter {
            'e' => Ok(Self { effective: true, ..flags }),
            'i' => Ok(Self { inheritable: true, ..flags }),
            'p' => Ok(Self { permitted: true, ..flags }),
            _ => Err(CapTextError::Flags { clause, flags: text.into() }),
        })
    }

    fn without(self, other: Self) -> Self {
        Self {
            effective: self.effective && !other.effective,
            inheritable: self.inheritable && !other.inheritable,
            permitted: self.permitted && !other.permitted,
        }
    }
}

impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters = [(self.effective, "e"), (self.inheritable, "i"), (self.permitted, "p")];
        letters.into_iter().filter(|(set, _)| *set).try_for_each(|(_, letter)| f.write_str(letter))
    }
}

/// isspace(3) in the C locale.
fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\u{b}' | '\u{c}' | '\r')
}

/// As in libcap, `all` replaces what stands before it in the list (a number without a name can), and names after it add to it.
fn parse_names(clause: usize, text: &str) -> Result<CapSet, CapTextError> {
    text.split(',').try_fold(CapSet::EMPTY, |set, name| {
        if name.eq_ignore_ascii_case("all") {
            return Ok(CapSet::KNOWN);
        }
        names::libcap_name(name).map(|listed| set.union(listed)).ok_or_else(|| CapTextError::Name { clause, name: name.into() })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What libcap 2.66 makes of the same texts: `text -> its print` or `text -> !` where it refuses.
    const LIBCAP: &str = include_str!("../tests/cases/libcap_text.txt");

    #[test]
    fn parse_and_print_equal_libcap() {
        for line in LIBCAP.lines() {
            let (text, wanted) = line.split_once(" -> ").unwrap();
            let found = CapState::parse(text).map_or_else(|_| "!".to_string(), |state| state.to_string());
            assert_eq!(found, wanted, "for `{text}`");
        }
    }

    #[test]
    fn parse_bad_text_names_the_place() {
        let cases = [
            ("cap_chown=ep cap_foo=e", "clause 2: `cap_foo` is not a capability written as `cap_NAME` or a number below 64"),
            ("cap_chown", "clause 1: `cap_chown` has no action (`=`, `+` or `-`)"),
            ("+ep", "clause 1: `+ep` needs names before `+` or `-`"),
            ("cap_kill+e=p", "clause 1: `cap_kill+e=p` has `=` after another action"),
            ("cap_kill+x", "clause 1: `x` is not a combination of the flags `e`, `i` and `p`"),
        ];
        for (text, message) in cases {
            assert_eq!(CapState::parse(text).unwrap_err().to_string(), message);
        }
    }

    fn state() -> impl Strategy<Value = CapState> {
        [any::<u64>(), any::<u64>(), any::<u64>()].prop_map(|[e, i, p]| CapState {
            effective: CapSet::from_bits(e),
            inheritable: CapSet::from_bits(i),
            permitted: CapSet::from_bits(p),
        })
    }

    proptest! {
        #[test]
        fn display_any_state_parses_back(state in state()) {
            prop_assert_eq!(CapState::parse(&state.to_string()), Ok(state));
        }

        #[test]
        fn parse_any_text_does_not_panic(text in "[a-z_=+, eip0-9-]{0,40}|.{0,20}") {
            let _ = CapState::parse(&text);
        }
    }
}
