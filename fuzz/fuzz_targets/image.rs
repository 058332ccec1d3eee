//! Archives, manifests and references of images.
#![no_main]

use libfuzzer_sys::fuzz_target;
use selkie_image::archive::documents;
use selkie_image::{Reference, json, tar};

fuzz_target!(|bytes: &[u8]| {
    let mut reader = tar::Reader::new(bytes);
    let mut buffer = [0; 4096];
    // A sparse file is as long as its header says: a few pieces of each are enough.
    while let Ok(Some(_)) = reader.next_entry() {
        for _ in 0..8 {
            if !reader.read_content(&mut buffer).is_ok_and(|length| length > 0) {
                break;
            }
        }
    }
    let _ = (json::parse("x", bytes), documents::docker_manifest(bytes), documents::oci_index(bytes), documents::oci_manifest(bytes));
    if let Ok(reference) = str::from_utf8(bytes).map_err(drop).and_then(|text| Reference::parse(text).map_err(drop)) {
        assert_eq!(Reference::parse(&reference.to_string()).ok(), Some(reference));
    }
});
