//! Archives of images: `docker save`, `podman save`, `skopeo copy`.
//!
//! ```text
//! docker-archive   manifest.json  [{"Config": NAME, "RepoTags": [..], "Layers": [NAME..]}]
//! oci-archive      oci-layout, index.json, blobs/sha256/HEX
//! ```
//! Docker 25 and later write both at once; its `manifest.json` is the one with all the names.

mod docker;
mod load;
mod member;
mod oci;

pub use load::{Loaded, Progress};

/// Parsers of documents, for fuzzing: each is total.
pub mod documents {
    pub use super::docker::{ArchivedImage, manifest as docker_manifest};
    pub use super::oci::{Descriptor, Manifest, index as oci_index, manifest as oci_manifest};
}
