//! Files that `selkie audit` reads: whatever they are, what is reported can be printed, and what `--fix` writes can be read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use selkie_audit::{Baseline, Entry, FileType, Problem, Report, check, docker, html, json, mend, read, sarif};

fuzz_target!(|input: (u8, &[u8])| {
    let (choice, bytes) = input;
    let kind = FileType::ALL.get(usize::from(choice)).copied();
    let mut report = Report::default();
    match read("x", bytes, kind) {
        Ok(file) => {
            let of_subjects = file.subjects.iter().flat_map(|subject| check(subject, &[]));
            let findings: Vec<_> = of_subjects.chain(file.findings.clone()).collect();
            if let Ok(mended) = mend("x", bytes, kind, &findings) {
                assert!(read("x", mended.text.as_bytes(), Some(file.kind)).is_ok(), "{}", mended.text);
            }
            report.entries.push(Entry { name: "x".to_owned(), kind: Some(file.kind), subjects: file.subjects, findings });
        }
        Err(error) => report.unreadable.push(("x".to_owned(), Problem::from(&error))),
    }
    assert!(!html(&report).contains("<script"));
    let _ = (sarif(&report), json(&report));
    let _ = docker("x", bytes, bytes);
    if let Ok(text) = str::from_utf8(bytes) {
        let _ = Baseline::parse(text);
    }
});
