//! Layers: archives of changes, unpacked into directories that overlay mounts.
//!
//! A layer is hostile. Every path of it is resolved beneath its own directory (openat2(2), `RESOLVE_IN_ROOT`), every
//! entry is made by a call relative to a descriptor of its parent, and nothing existing is ever followed or written to.
//!
//! ```text
//! .wh.NAME       -> NAME, a character device 0/0: hides NAME of the layers below (overlayfs)
//! .wh..wh..opq   -> trusted.overlay.opaque=y on the directory: hides everything below in it
//! ```

mod attribute;
mod name;
mod remove;
mod tree;
mod unpack;

pub(crate) use remove::remove_tree;
pub use unpack::{Limits, Unpacked, unpack};
