//! File capabilities: the `security.capability` attribute of an executable. Follows `vfs_cap_data` in `include/uapi/linux/capability.h`.
//!
//! ```text
//!        0            4            8            12           16           20
//! v1     magic|flags  permitted    inheritable                                         12 bytes, 32 capabilities
//! v2     magic|flags  permitted 0  inherit. 0   permitted 1  inherit. 1                20 bytes
//! v3     magic|flags  permitted 0  inherit. 0   permitted 1  inherit. 1   rootid       24 bytes
//! ```
//! All little-endian; the top byte of the first word is the revision, its lowest bit the effective flag. A v3 attribute
//! counts only in the user namespace whose uid 0 is `rootid`, and below it.

use alloc::vec::Vec;
use core::fmt;

use crate::{CapSet, CapState};

const REVISION_MASK: u32 = 0xff00_0000;
const EFFECTIVE: u32 = 1;

/// What an executable's `security.capability` attribute says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub struct FileCaps {
    revision: Revision,
    permitted: CapSet,
    inheritable: CapSet,
    effective: bool,
}

/// The layout of the attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Revision {
    /// 32 bits, written by Linux 2.6.24 only; the kernel still reads it.
    V1,
    /// 64 bits, for the user namespace that owns the file system.
    V2,
    /// 64 bits, for the user namespace whose root is `rootid` (since Linux 4.14).
    V3 {
        /// The uid, as the file system's owner namespace numbers it, that is uid 0 where the attribute counts.
        rootid: u32,
    },
}

/// Bytes that are not a `security.capability` attribute.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileCapsError {
    /// Fewer than the four bytes of the first word.
    #[error("attribute of {length} bytes is shorter than its first word")]
    Short {
        /// The length in bytes.
        length: usize,
    },
    /// A revision that no kernel wrote.
    #[error("attribute has revision byte {revision:#04x}, known are 0x01, 0x02 and 0x03")]
    Revision {
        /// The top byte of the first word.
        revision: u8,
    },
    /// A length that does not go with the revision.
    #[error("attribute of revision {revision} has {length} bytes instead of {wanted}")]
    Length {
        /// The revision, 1 to 3.
        revision: u8,
        /// The length in bytes.
        length: usize,
        /// The right length in bytes.
        wanted: usize,
    },
}

impl FileCaps {
    /// Builds a v2 attribute.
    pub const fn new(permitted: CapSet, inheritable: CapSet, effective: bool) -> Self {
        Self { revision: Revision::V2, permitted, inheritable, effective }
    }

    /// Returns the attribute bound to the user namespace whose root is `rootid` (v3).
    pub const fn with_rootid(self, rootid: u32) -> Self {
        Self { revision: Revision::V3 { rootid }, ..self }
    }

    /// Reads the attribute's bytes as the kernel does: flags other than the effective one are ignored.
    ///
    /// # Errors
    /// [`FileCapsError`]; execve(2) of such a file fails with `EINVAL`.
    pub fn parse(bytes: &[u8]) -> Result<Self, FileCapsError> {
        let short = FileCapsError::Short { length: bytes.len() };
        let (magic, data) = split_word(bytes).ok_or(short)?;
        let (revision, wanted) = match magic & REVISION_MASK {
            0x0100_0000 => (1, 12),
            0x0200_0000 => (2, 20),
            0x0300_0000 => (3, 24),
            other => return Err(FileCapsError::Revision { revision: other.to_be_bytes()[0] }),
        };
        let effective = magic & EFFECTIVE != 0;
        match (revision, words(data).as_slice()) {
            (1, [p, i]) if bytes.len() == wanted => {
                Ok(Self { revision: Revision::V1, permitted: set(*p, 0), inheritable: set(*i, 0), effective })
            }
            (2, [p, i, p1, i1]) if bytes.len() == wanted => Ok(Self::new(set(*p, *p1), set(*i, *i1), effective)),
            (3, [p, i, p1, i1, rootid]) if bytes.len() == wanted => {
                Ok(Self::new(set(*p, *p1), set(*i, *i1), effective).with_rootid(*rootid))
            }
            _ => Err(FileCapsError::Length { revision, length: bytes.len(), wanted }),
        }
    }

    /// Returns the attribute's bytes in its revision.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        let (magic, words, rootid) = match self.revision {
            Revision::V1 => (0x0100_0000, 1, None),
            Revision::V2 => (0x0200_0000, 2, None),
            Revision::V3 { rootid } => (0x0300_0000, 2, Some(rootid)),
        };
        let mut bytes = Vec::with_capacity(24);
        bytes.extend_from_slice(&(magic | u32::from(self.effective)).to_le_bytes());
        let halves = |set: CapSet| set.bits().to_le_bytes();
        let (permitted, inheritable) = (halves(self.permitted), halves(self.inheritable));
        for (permitted, inheritable) in permitted.chunks(4).zip(inheritable.chunks(4)).take(words) {
            bytes.extend_from_slice(permitted);
            bytes.extend_from_slice(inheritable);
        }
        bytes.extend(rootid.into_iter().flat_map(u32::to_le_bytes));
        bytes
    }

    /// Returns the layout, and for whom the attribute counts.
    #[must_use]
    pub const fn revision(self) -> Revision {
        self.revision
    }

    /// Returns what the file gives as far as the bounding set lets it.
    pub const fn permitted(self) -> CapSet {
        self.permitted
    }

    /// Returns what the file gives to a process that has it inheritable.
    pub const fn inheritable(self) -> CapSet {
        self.inheritable
    }

    /// Returns whether what the file gives is effective at once.
    #[must_use]
    pub const fn effective(self) -> bool {
        self.effective
    }

    /// Returns the three sets that libcap's text shows: the effective flag counts for everything that the file gives.
    #[must_use]
    pub fn state(self) -> CapState {
        let effective = if self.effective { self.permitted.union(self.inheritable) } else { CapSet::EMPTY };
        CapState { effective, inheritable: self.inheritable, permitted: self.permitted }
    }

    /// Returns whether the attribute counts for a process, the kernel's `rootid_owns_currentns`.
    ///
    /// `roots` are the uids, in the file system's numbering, that uid 0 of the process' user namespace and of each ancestor is.
    #[must_use]
    pub fn counts_for(self, roots: &[u32]) -> bool {
        match self.revision {
            Revision::V1 | Revision::V2 => roots.contains(&0),
            Revision::V3 { rootid } => roots.contains(&rootid),
        }
    }
}

/// As `getcap -n` prints it after the path: `cap_net_raw=ep`, `cap_net_raw=ep [rootid=1000]`.
impl fmt::Display for FileCaps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.state())?;
        match self.revision {
            Revision::V3 { rootid } => write!(f, " [rootid={rootid}]"),
            Revision::V1 | Revision::V2 => Ok(()),
        }
    }
}

fn split_word(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (word, rest) = bytes.split_first_chunk()?;
    Some((u32::from_le_bytes(*word), rest))
}

/// The whole words of `bytes`.
fn words(bytes: &[u8]) -> Vec<u32> {
    let mut rest = bytes;
    core::iter::from_fn(|| {
        let (word, tail) = split_word(rest)?;
        rest = tail;
        Some(word)
    })
    .collect()
}

fn set(low: u32, high: u32) -> CapSet {
    CapSet::from_bits(u64::from(low) | u64::from(high) << 32)
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use proptest::prelude::*;

    use super::*;
    use crate::Capability;

    const NET_RAW: CapSet = CapSet::EMPTY.with(Capability::NetRaw);

    #[test]
    fn parse_setcap_bytes_returns_v2() {
        // setcap cap_net_raw=ep
        let bytes = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(FileCaps::parse(&bytes), Ok(FileCaps::new(NET_RAW, CapSet::EMPTY, true)));
    }

    #[test]
    fn parse_v1_returns_low_half() {
        let bytes = [0, 0, 0, 1, 0, 0x20, 0, 0, 1, 0, 0, 0];
        let caps = FileCaps::parse(&bytes).unwrap();
        assert_eq!((caps.revision(), caps.permitted(), caps.inheritable()), (Revision::V1, NET_RAW, CapSet::from_bits(1)));
        assert_eq!(caps.to_bytes(), bytes);
    }

    #[test]
    fn display_v3_shows_rootid_like_getcap() {
        let caps = FileCaps::new(NET_RAW, CapSet::EMPTY, true).with_rootid(1000);
        assert_eq!(caps.to_string(), "cap_net_raw=ep [rootid=1000]");
    }

    #[test]
    fn display_not_effective_shows_no_e() {
        assert_eq!(FileCaps::new(NET_RAW, NET_RAW, false).to_string(), "cap_net_raw=ip");
    }

    #[test]
    fn parse_wrong_bytes_says_what_is_wrong() {
        assert_eq!(FileCaps::parse(&[1, 0]).unwrap_err().to_string(), "attribute of 2 bytes is shorter than its first word");
        assert_eq!(
            FileCaps::parse(&[0, 0, 0, 9]).unwrap_err().to_string(),
            "attribute has revision byte 0x09, known are 0x01, 0x02 and 0x03"
        );
        assert_eq!(FileCaps::parse(&[0, 0, 0, 2, 1]).unwrap_err().to_string(), "attribute of revision 2 has 5 bytes instead of 20");
        assert_eq!(FileCaps::parse(&[0; 24]).unwrap_err(), FileCapsError::Revision { revision: 0 });
    }

    #[test]
    fn counts_for_needs_the_namespace_root() {
        let v2 = FileCaps::new(NET_RAW, CapSet::EMPTY, true);
        assert!(v2.counts_for(&[0]));
        assert!(v2.counts_for(&[100_000, 0]), "an ancestor's attribute counts");
        assert!(!v2.with_rootid(100_000).counts_for(&[0]));
        assert!(v2.with_rootid(100_000).counts_for(&[100_000, 0]));
    }

    proptest! {
        #[test]
        fn bytes_any_caps_parse_back(permitted: u64, inheritable: u64, effective: bool, rootid: Option<u32>) {
            let v2 = FileCaps::new(CapSet::from_bits(permitted), CapSet::from_bits(inheritable), effective);
            let caps = rootid.map_or(v2, |rootid| v2.with_rootid(rootid));
            prop_assert_eq!(FileCaps::parse(&caps.to_bytes()), Ok(caps));
        }

        #[test]
        fn parse_any_bytes_does_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..32)) {
            let _ = FileCaps::parse(&bytes);
        }
    }
}
