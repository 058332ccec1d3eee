//! Everything that can go wrong with images, and a hint for each.

use std::path::{Path, PathBuf};

use crate::digest::Digest;
use crate::tar::TarError;

/// The result of an operation on images.
pub type Result<T> = std::result::Result<T, Error>;

/// An operation on images that failed. Texts are Podman's where Podman has one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A reference that names no image here.
    #[error("{name}: image not known")]
    NotKnown {
        /// As written.
        name: String,
    },
    /// A name that no image can have.
    #[error("invalid reference {reference:?}: {problem}")]
    Reference {
        /// As written.
        reference: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A name to be removed that the image does not have.
    #[error("{name}: tag not known")]
    TagNotKnown {
        /// As written.
        name: String,
    },
    /// An image to be deleted by its id that has several names.
    #[error("unable to delete image {id:?} by ID with more than one tag ({}): please force removal", format_args!("[{}]", names.join(" ")))]
    SeveralNames {
        /// The image.
        id: String,
        /// Its names.
        names: Vec<String>,
    },
    /// An image that a container needs.
    #[error("image used by {container}: image is in use by a container: consider listing external containers and force-removing image")]
    InUse {
        /// The container.
        container: String,
    },
    /// A file of the store, or one that the user named.
    #[error("cannot {action} `{}`", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system answered.
        source: std::io::Error,
    },
    /// A record of the store that is not what selkie writes.
    #[error("record `{}` is damaged: {problem}", path.display())]
    Record {
        /// Which file.
        path: PathBuf,
        /// Where and why.
        problem: String,
    },
    /// A layer that the store should have.
    #[error("layer {diff_id} is not in the store")]
    LayerMissing {
        /// Digest of its unpacked archive.
        diff_id: Digest,
    },
    /// Bytes that are not those of their digest.
    #[error("{what} does not match its digest: expected {expected}, found {found}")]
    Mismatch {
        /// What was read.
        what: String,
        /// What it should be.
        expected: Digest,
        /// What it is.
        found: Digest,
    },
    /// Something that is longer than it may be.
    #[error("{what} is longer than {limit} bytes")]
    TooLong {
        /// What it is.
        what: String,
        /// How long it may be.
        limit: u64,
    },
    /// JSON that is not what the format wants.
    #[error("{what} is not valid: {problem}")]
    Document {
        /// Which document.
        what: String,
        /// Where and why.
        problem: String,
    },
    /// An archive that is no image.
    #[error("{problem}")]
    Archive {
        /// What is wrong, with the name of the member.
        problem: String,
    },
    /// A tar archive that cannot be read.
    #[error("cannot read the archive {what}")]
    Tar {
        /// Which archive.
        what: String,
        /// Where and why.
        source: TarError,
    },
    /// An entry of a layer that cannot be made, or must not be.
    #[error("layer entry {path:?}: {problem}")]
    Entry {
        /// Its name in the layer.
        path: String,
        /// Why.
        problem: String,
    },
    /// A system call on an entry of a layer.
    #[error("cannot unpack layer entry {path:?}")]
    Unpack {
        /// Its name in the layer.
        path: String,
        /// What the kernel answered.
        source: selkie_sys::SyscallError,
    },
    /// A value of `--change` that means nothing.
    #[error("invalid change {change:?} - {problem}")]
    Change {
        /// As written.
        change: String,
        /// Why.
        problem: String,
    },
    /// Something that this version cannot do.
    #[error("{what}: not supported yet")]
    NotSupported {
        /// What was asked for.
        what: String,
    },
}

impl Error {
    /// Builds the error of an operation on a file.
    pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::File { action, path, source }
    }

    /// Builds the error of a system call on a file.
    pub(crate) fn call(action: &'static str, path: &Path) -> impl FnOnce(rustix::io::Errno) -> Self {
        let path = path.to_path_buf();
        move |errno| Self::File { action, path, source: errno.into() }
    }

    /// Builds the error of a document.
    pub(crate) fn document(what: &str, problem: impl ToString) -> Self {
        Self::Document { what: what.to_owned(), problem: problem.to_string() }
    }

    /// Builds the error of an archive.
    pub(crate) fn archive(problem: impl Into<String>) -> Self {
        Self::Archive { problem: problem.into() }
    }

    /// Returns whether a disk without space is the cause.
    #[must_use]
    pub fn is_full_disk(&self) -> bool {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        match self {
            Self::File { source, .. } => matches!(source.kind(), StorageFull | QuotaExceeded),
            Self::Unpack { source, .. } => matches!(source.errno, selkie_sys::Errno::NOSPC | selkie_sys::Errno::DQUOT),
            _ => false,
        }
    }

    /// Returns what to do about it, if something can be said.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotKnown { .. } => {
                "pulling from registries is not supported yet: `selkie load` or `selkie import` an archive, or run `host:` (this machine's own programs) or --rootfs DIRECTORY".to_owned()
            }
            _ if self.is_full_disk() => "free some space: `selkie rm` and `selkie rmi` work on a full disk".to_owned(),
            Self::File { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
                "run as root, or choose directories of your own with --root and --runroot".to_owned()
            }
            Self::Record { .. } | Self::LayerMissing { .. } => "`selkie load` of the same archive repairs the image".to_owned(),
            Self::Mismatch { .. } => "the archive was damaged or changed: save or copy it again".to_owned(),
            Self::SeveralNames { .. } => "--force removes the image with all its names".to_owned(),
            _ => return None,
        })
    }
}
