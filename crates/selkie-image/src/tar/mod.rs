//! tar archives of strangers, read in bounded memory: ustar, pax, and GNU's long names and sparse files.
//!
//! The `tar` crate keeps names, pax records and sparse maps of any size in memory, so it only writes archives in tests.
//! What ends an archive is what ends it for GNU tar: a block of zeros or the end of the stream. What follows is left to
//! the caller, who has to read it for the digest.
//!
//! ```text
//! 512 bytes  header: name, mode, uid, gid, size, mtime, checksum, type, link name, "ustar", device, prefix
//! size bytes content, filled up to a multiple of 512
//! ...        types `x` (pax records), `L`, `K` (long names) are about the entry behind them
//! ```

mod header;
mod pax;
mod reader;

pub use header::{Header, Kind};
pub use pax::{Records, records};
pub use reader::{Entry, Reader};

/// How long the pax records or a long name before an entry may be: Go's limit, which Podman has.
pub(crate) const METADATA_LIMIT: u64 = 1 << 20;

/// How many pieces of data a sparse file may have.
pub(crate) const SPARSE_LIMIT: usize = 65_536;

/// An archive that cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TarError {
    /// The stream failed, or ends too early.
    #[error("read at byte {offset} failed")]
    Read {
        /// Where.
        offset: u64,
        /// What the system or the decompressor answered.
        source: std::io::Error,
    },
    /// A header that means nothing.
    #[error("header at byte {offset}: {problem}")]
    Header {
        /// Where it begins.
        offset: u64,
        /// What is wrong.
        problem: &'static str,
    },
}
