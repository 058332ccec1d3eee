//! Sets of capabilities, as the kernel keeps them: 64 bits, of which 41 have names today.
//!
//! Unknown bits are kept, never dropped: a newer kernel's capability survives a round trip.

use core::fmt;

use crate::Capability;

/// A set of capabilities, including bits that this version has no name for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[must_use]
pub struct CapSet(u64);

impl CapSet {
    /// The empty set.
    pub const EMPTY: Self = Self(0);
    /// Every capability that this version knows (0x1ffffffffff).
    pub const KNOWN: Self = Self((1 << Capability::ALL.len()) - 1);

    /// Builds a set from the kernel's bit mask.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Builds the set of all capabilities up to and including `last`, the value of `/proc/sys/kernel/cap_last_cap`.
    pub const fn up_to(last: u8) -> Self {
        if last >= 63 { Self(u64::MAX) } else { Self((1 << (last + 1)) - 1) }
    }

    /// Adds `capability`.
    pub const fn insert(&mut self, capability: Capability) {
        self.0 |= 1 << capability.number();
    }

    /// Takes `capability` out.
    pub const fn remove(&mut self, capability: Capability) {
        self.0 &= !(1 << capability.number());
    }

    /// Returns the set with `capability` in it.
    pub const fn with(self, capability: Capability) -> Self {
        Self(self.0 | 1 << capability.number())
    }

    /// Returns the set without `capability`.
    pub const fn without(self, capability: Capability) -> Self {
        Self(self.0 & !(1 << capability.number()))
    }

    /// Returns the kernel's bit mask.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Returns whether `capability` is in the set.
    #[must_use]
    pub const fn contains(self, capability: Capability) -> bool {
        self.0 & (1 << capability.number()) != 0
    }

    /// Returns whether nothing is in the set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns whether everything in this set is in `other` too.
    #[must_use]
    pub const fn is_subset(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// Returns how many capabilities are in the set, unknown ones counted.
    #[must_use]
    pub const fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// Returns what is in either set.
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns what is in both sets.
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Returns what is in this set and not in `other`.
    pub const fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Returns the bits that this version has no name for.
    pub const fn unknown(self) -> Self {
        Self(self.0 & !Self::KNOWN.0)
    }

    /// Returns the set with the capability of this kernel `number` in it, named or not; numbers above 63 change nothing.
    pub const fn with_number(self, number: u8) -> Self {
        if number > 63 { self } else { Self(self.0 | 1 << number) }
    }

    /// Returns the set without the capability of this kernel `number`, named or not.
    pub const fn without_number(self, number: u8) -> Self {
        if number > 63 { self } else { Self(self.0 & !(1 << number)) }
    }

    /// Returns whether the capability of this kernel `number` is in the set, named or not.
    #[must_use]
    pub const fn contains_number(self, number: u8) -> bool {
        number <= 63 && self.0 & (1 << number) != 0
    }

    /// Iterates over the kernel's numbers of everything in the set, unknown ones too, in ascending order. Does not allocate.
    pub fn numbers(self) -> impl Iterator<Item = u8> + Clone {
        (0..64).filter(move |number| self.contains_number(*number))
    }

    /// Iterates over the named capabilities in the kernel's order.
    pub fn iter(self) -> impl Iterator<Item = Capability> + Clone {
        Capability::ALL.into_iter().filter(move |capability| self.contains(*capability))
    }
}

impl FromIterator<Capability> for CapSet {
    fn from_iter<I: IntoIterator<Item = Capability>>(iter: I) -> Self {
        iter.into_iter().fold(Self::EMPTY, Self::with)
    }
}

impl fmt::Debug for CapSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CapSet({:#x})", self.0)
    }
}

/// Sixteen hexadecimal digits, as in `/proc/PID/status`.
impl fmt::LowerHex for CapSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Serialised as the kernel writes it: sixteen hexadecimal digits.
#[cfg(feature = "serde")]
impl serde::Serialize for CapSet {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{self:016x}"))
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for CapSet {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Hex;
        impl serde::de::Visitor<'_> for Hex {
            type Value = CapSet;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("sixteen hexadecimal digits of a capability set")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<CapSet, E> {
                u64::from_str_radix(text, 16).map(CapSet).map_err(|_| E::invalid_value(serde::de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Hex)
    }
}
