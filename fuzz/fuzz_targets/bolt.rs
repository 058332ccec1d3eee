//! Databases of bbolt, and what containerd's has of containers.
#![no_main]

use libfuzzer_sys::fuzz_target;
use selkie_host::bolt::{Bucket, Database, Value};
use selkie_host::containers::parse_metadata;

fuzz_target!(|bytes: &[u8]| {
    let mut bytes = bytes.to_vec();
    seal(&mut bytes);
    if let Ok(database) = Database::open(&bytes)
        && let Ok(root) = database.root()
    {
        walk(root, 6);
    }
    let _ = parse_metadata(&bytes);
});

fn walk(bucket: Bucket<'_>, levels: u32) {
    for (_, value) in bucket.entries().flatten() {
        if let Value::Bucket(inner) = value
            && levels > 0
        {
            walk(inner, levels - 1);
        }
    }
}

/// Makes the first page a meta page with the right checksum, which nobody guesses: magic, version 2, pages of 1 KiB. What it says of
/// the root stays.
fn seal(bytes: &mut [u8]) {
    let Some(meta) = bytes.get_mut(16..80) else { return };
    for (place, number) in meta.chunks_exact_mut(4).zip([0xED0C_DAED_u32, 2, 1024, 0]) {
        place.copy_from_slice(&number.to_ne_bytes());
    }
    let (said, sum) = meta.split_at_mut(56);
    let hash = said.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    sum.copy_from_slice(&hash.to_ne_bytes());
}
