//! Attacks that have worked on container engines, one test each, named after the class in the threat model.
//! What counts as safe: the host is untouched, the container has no more than its plan says, and the error is clear.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

#[path = "cve/capabilities.rs"]
mod capabilities;
#[path = "cve/descriptors.rs"]
mod descriptors;
mod harness;
#[path = "cve/injection.rs"]
mod injection;
#[path = "cve/mounts.rs"]
mod mounts;
