//! How a test says that it does not run here, for the tests of every crate.
#![allow(dead_code, reason = "each test program uses a part of it")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a skipped test says so, or fails")]

use std::io::Write;

/// Says why a test does not run here: on standard error, and as a line of the file `SELKIE_TEST_SKIPS`.
pub(crate) fn skip(reason: &str) {
    let line = format!("{}: {reason}\n", std::thread::current().name().unwrap_or("?"));
    eprint!("SKIPPED {line}");
    if let Some(list) = std::env::var_os("SELKIE_TEST_SKIPS") {
        std::fs::OpenOptions::new().append(true).create(true).open(list).unwrap().write_all(line.as_bytes()).unwrap();
    }
}

/// As [`skip`], for what `make test` installs or makes: with `SELKIE_TEST_REQUIRE=1` it is a defect that it is missing.
pub(crate) fn lack(reason: &str) {
    assert!(std::env::var_os("SELKIE_TEST_REQUIRE").is_none_or(|value| value != "1"), "{reason}");
    skip(reason);
}
