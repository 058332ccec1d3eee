//! Securebits: the switches that turn off root's special treatment. Follows capabilities(7), "The securebits flags", and `securebits.h`.
//!
//! Each switch has a lock one bit higher; a set lock can never be cleared, and holds its switch where it is.

use core::fmt;

/// The securebits of a thread, unknown bits kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[must_use]
pub struct Securebits(u32);

impl Securebits {
    /// All switches off, the usual state.
    pub const NONE: Self = Self(0);
    /// Uid 0 gains nothing at execve(2).
    pub const NOROOT: Self = Self(1);
    /// Changing uids does not change the capability sets.
    pub const NO_SETUID_FIXUP: Self = Self(1 << 2);
    /// Leaving uid 0 keeps the permitted set; cleared by execve(2).
    pub const KEEP_CAPS: Self = Self(1 << 4);
    /// The ambient set can only shrink.
    pub const NO_CAP_AMBIENT_RAISE: Self = Self(1 << 6);
    /// Interpreters should ask the kernel whether a script may be executed (since Linux 6.14).
    pub const EXEC_RESTRICT_FILE: Self = Self(1 << 8);
    /// Interpreters should take no commands from elsewhere than files (since Linux 6.14).
    pub const EXEC_DENY_INTERACTIVE: Self = Self(1 << 10);
    /// The switches that anyone may change: the kernel does not act on them itself.
    pub const UNPRIVILEGED: Self = Self(1 << 8 | 1 << 10);

    const SWITCHES: [(Self, &'static str); 6] = [
        (Self::NOROOT, "noroot"),
        (Self::NO_SETUID_FIXUP, "no-setuid-fixup"),
        (Self::KEEP_CAPS, "keep-caps"),
        (Self::NO_CAP_AMBIENT_RAISE, "no-cap-ambient-raise"),
        (Self::EXEC_RESTRICT_FILE, "exec-restrict-file"),
        (Self::EXEC_DENY_INTERACTIVE, "exec-deny-interactive"),
    ];
    const SWITCH_MASK: u32 = 0x555;

    /// Builds it from what `prctl(PR_GET_SECUREBITS)` returns.
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// Returns the kernel's bits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Returns whether everything in `other` is set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Returns what is set in either.
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns what is set here and not in `other`.
    pub const fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Returns the locks of the switches set here.
    pub const fn locks(self) -> Self {
        Self((self.0 & Self::SWITCH_MASK) << 1)
    }

    /// Returns whether the kernel lets a thread with `self` ask for `new`, capabilities aside: no locked switch changes, no lock opens, no unknown bit.
    #[must_use]
    pub const fn may_become(self, new: Self) -> bool {
        let locks = self.0 & (Self::SWITCH_MASK << 1);
        let locked_change = (locks >> 1) & (self.0 ^ new.0);
        locked_change == 0 && locks & !new.0 == 0 && new.0 & !(Self::SWITCH_MASK | Self::SWITCH_MASK << 1) == 0
    }
}

/// The switches that are on, `noroot,keep-caps(locked)`; a lock of a switch that is off is `!noroot(locked)`; none is `none`.
impl fmt::Display for Securebits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (switch, name) in Self::SWITCHES {
            let (on, locked) = (self.contains(switch), self.contains(switch.locks()));
            if on || locked {
                write!(f, "{separator}{}{name}{}", if on { "" } else { "!" }, if locked { "(locked)" } else { "" })?;
                separator = ",";
            }
        }
        let unknown = self.0 & !(Self::SWITCH_MASK | Self::SWITCH_MASK << 1);
        match (unknown, separator) {
            (0, "") => f.write_str("none"),
            (0, _) => Ok(()),
            _ => write!(f, "{separator}{unknown:#x}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn display_shows_switches_and_locks() {
        assert_eq!(Securebits::NONE.to_string(), "none");
        assert_eq!(Securebits::from_bits(0b11).to_string(), "noroot(locked)");
        assert_eq!(Securebits::from_bits(0b10_1000).to_string(), "!no-setuid-fixup(locked),!keep-caps(locked)");
        assert_eq!(Securebits::from_bits(0x1_0010).to_string(), "keep-caps,0x10000");
    }

    #[test]
    fn may_become_locked_switch_stays() {
        let locked = Securebits::NOROOT.union(Securebits::NOROOT.locks());
        assert!(!locked.may_become(Securebits::NONE));
        assert!(!locked.may_become(Securebits::NOROOT), "a lock cannot be opened");
        assert!(locked.may_become(locked.union(Securebits::KEEP_CAPS)));
        assert!(!Securebits::NONE.may_become(Securebits::from_bits(1 << 12)), "unknown bits are refused");
    }
}
