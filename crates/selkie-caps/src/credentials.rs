//! Credentials of a thread: what the kernel's capability rules read and write. Follows credentials(7) and `struct cred`.

use crate::{FiveSets, Securebits};

/// Four ids of one kind, user or group, as the thread's own user namespace numbers them: 0 is that namespace's root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Ids {
    /// Whose process it is.
    pub real: u32,
    /// As whom it acts.
    pub effective: u32,
    /// To whom it may go back.
    pub saved: u32,
    /// As whom it opens files.
    pub filesystem: u32,
}

impl Ids {
    /// All four the same.
    #[must_use]
    pub const fn all(id: u32) -> Self {
        Self { real: id, effective: id, saved: id, filesystem: id }
    }

    /// Returns whether one of real, effective and saved is `id`: what a change without privilege may choose from.
    #[must_use]
    pub const fn may_become(self, id: u32) -> bool {
        self.real == id || self.effective == id || self.saved == id
    }
}

/// What the kernel's capability rules know of a thread.
///
/// The sets hold only capabilities that the running kernel has: the kernel masks all others away without an error,
/// so a set from elsewhere has to be cut to [`CapSet::up_to`](crate::CapSet::up_to) its last capability first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Credentials {
    /// User ids.
    pub user: Ids,
    /// Group ids.
    pub group: Ids,
    /// Capability sets.
    pub sets: FiveSets,
    /// How far root's special treatment is off.
    pub securebits: Securebits,
    /// Whether execve(2) can never give anything new.
    pub no_new_privs: bool,
}
