//! Attacks that have worked on container engines, one test each, named after the row of the threat model that it is about.
//! What counts as safe: the host is untouched, the container has no more than its plan says, and the error is clear.
//!
//! Rows without a test here, and why:
//!
//! | row | about | why |
//! |---|---|---|
//! | C11 | sources, caches and contexts of `build` | there is no `build`; the malformed mounts of the row are a test |
//! | D5 | `cp` with a running container that exchanges directories | there is no `cp` |
//! | E1 E2 E5 E7 | documents of an archive that lie | `selkie-image/tests/archives.rs`: `manifest_that_is_an_index_as_well_is_refused`, `digest_that_is_a_path_is_refused`, `index_with_a_key_twice_is_refused`, `blob_with_other_content_than_its_digest_is_refused`, `load_of_a_name_that_exists_moves_only_that_name`; from a registry: there is no `pull` |
//! | E3 | credentials sent to another host | there is no `pull`, and nothing connects to a network |
//! | E4 | documents without end | `archives.rs` `manifest_of_megabytes_is_refused`; account files: c9; tokens and errors of a registry: there is no `pull` |
//! | E6 | a blob longer than its descriptor says | `archives.rs` `blob_with_another_length_is_refused`; from a registry: there is no `pull` |
//! | F8 | published ports, source addresses, IPv6 of a bridge | there are no bridges and no ports: the network is private and empty, the host's, or another container's |
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

#[path = "cve/capabilities.rs"]
mod capabilities;
#[path = "cve/descriptors.rs"]
mod descriptors;
mod harness;
#[path = "cve/injection.rs"]
mod injection;
#[path = "cve/layers.rs"]
mod layers;
#[path = "cve/mounts.rs"]
mod mounts;
// Archives as strangers write them.
#[path = "../../selkie-image/tests/support/mod.rs"]
mod support;

// The support of images says with it what is skipped.
use harness::skip;

/// The rows of the threat model, group by group.
const ROWS: [(char, u32); 6] = [('a', 12), ('b', 7), ('c', 12), ('d', 6), ('e', 7), ('f', 11)];

#[test]
fn every_row_is_a_test_or_has_a_reason() {
    let tests = [
        include_str!("cve/capabilities.rs"),
        include_str!("cve/descriptors.rs"),
        include_str!("cve/injection.rs"),
        include_str!("cve/layers.rs"),
        include_str!("cve/mounts.rs"),
    ]
    .concat();
    let names: Vec<&str> = tests.lines().filter_map(|line| line.strip_prefix("fn ")).collect();
    let reasons: Vec<&str> = include_str!("cve.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("//! | ")?.split(" | ").next())
        .flat_map(str::split_whitespace)
        .collect();
    let rows = ROWS.into_iter().flat_map(|(group, count)| (1..=count).map(move |number| format!("{group}{number}")));
    let missing: Vec<String> = rows
        .filter(|row| !names.iter().any(|name| name.split('_').take(2).any(|word| word == row)))
        .filter(|row| !reasons.contains(&row.to_uppercase().as_str()))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
