//! The five capability sets of a thread: capabilities(7), "Thread capability sets".

use crate::CapSet;

/// The five sets that the kernel keeps for every thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct FiveSets {
    /// Kept over execve(2) together with the file's inheritable set (`CapInh`).
    pub inheritable: CapSet,
    /// The most that the effective set may become (`CapPrm`).
    pub permitted: CapSet,
    /// What the kernel checks (`CapEff`).
    pub effective: CapSet,
    /// The most that execve(2) may ever give (`CapBnd`).
    pub bounding: CapSet,
    /// Kept over execve(2) of programs without file capabilities (`CapAmb`).
    pub ambient: CapSet,
}

impl FiveSets {
    /// All five empty, as `--cap-drop all` leaves them.
    pub const NONE: Self = Self {
        inheritable: CapSet::EMPTY,
        permitted: CapSet::EMPTY,
        effective: CapSet::EMPTY,
        bounding: CapSet::EMPTY,
        ambient: CapSet::EMPTY,
    };
}
