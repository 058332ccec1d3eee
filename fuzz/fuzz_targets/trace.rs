//! Recorded traces and reports of learning: a file from a stranger leads to an error or to a verdict.
#![no_main]

use libfuzzer_sys::fuzz_target;
use selkie_learn::{Report, Trace, evidence};

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Ok(trace) = Trace::parse(text) {
        let _ = evidence(&trace, None);
    }
    let _ = Report::parse(text);
});
