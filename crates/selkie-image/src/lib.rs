//! Images: references, the local store of layers, archives.
//!
//! An *image* is a configuration (JSON) and the digests of its *layers*; its *id* is the digest of the configuration. A
//! *manifest* lists both with the form in which they travel. A layer's *diff id* is the digest of its archive, unpacked. A
//! *reference* is what a person calls an image; the store keeps full *names*.
//!
//! Everything in an archive is a stranger's: documents are parsed strictly ([`json`]), layers are unpacked with every
//! path resolved beneath their own directory ([`layer`]), and nothing is visible before all digests have been checked.
#![forbid(unsafe_code)]

mod add;
pub mod archive;
mod change;
mod collect;
pub mod compression;
mod digest;
mod error;
mod files;
mod import;
mod index;
pub mod json;
pub mod layer;
mod lookup;
mod reference;
mod staging;
mod store;
pub mod tar;

pub use archive::{Loaded, Progress};
pub use change::Changes;
pub use digest::Digest;
pub use error::{Error, Result};
pub use import::Import;
pub use layer::Limits;
pub use reference::Reference;
pub use store::{Image, Removed, Store};
