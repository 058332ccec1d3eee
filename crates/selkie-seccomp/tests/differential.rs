//! Our filters against libseccomp's, call by call. Needs the C library: `cargo test -p selkie-seccomp --features differential`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics has failed, which is what it is for")]

mod calls;
#[test]
fn placeholder() {}
