//! Removal of what the index does not mention, and the space that makes it possible on a full disk.

use std::collections::BTreeSet;
use std::path::Path;

use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::files;
use crate::index::{Index, Layer};
use crate::staging;

/// Bytes kept for the day when the disk is full: room for an index of some thousand images.
const RESERVE: u64 = 1 << 20;

/// Removes layers and blobs that `index` does not mention. The caller holds the lock and owns `trash`.
///
/// What the index says is done already: when this fails, the caller leaves `trash` to the next command, which tries again.
pub(crate) fn unreferenced(root: &Path, index: &Index, trash: &Path) -> Result<()> {
    let layers: BTreeSet<&Digest> = index.images.values().flat_map(|record| &record.layers).collect();
    let blobs: BTreeSet<&Digest> = index.images.iter().flat_map(|(id, record)| [id, &record.manifest]).collect();
    let mut directories: BTreeSet<String> = BTreeSet::new();
    for name in names(&root.join("layers"))? {
        let diff_id = name.strip_suffix(".json").and_then(Digest::from_hex);
        match diff_id {
            Some(diff_id) if layers.contains(&diff_id) => match Layer::read(root, &diff_id) {
                Ok(layer) => drop(directories.insert(layer.directory)),
                Err(Error::LayerMissing { .. }) => {}
                // Which directory it means is not known: none may be removed.
                Err(error) => return Err(error),
            },
            // The record goes first: a directory without one is nothing.
            _ => files::remove(&root.join("layers").join(&name))?,
        }
    }
    let mut failed = Ok(());
    for name in names(&root.join("l"))? {
        if !directories.contains(&name) {
            let (from, to) = (root.join("l").join(&name), trash.join(format!("removed-{name}")));
            // On a disk without a free block even the rename may fail; then it is removed where it is.
            let place = if std::fs::rename(&from, &to).is_ok() { to } else { from };
            failed = failed.and(staging::remove(&place));
        }
    }
    for name in names(&root.join("blobs/sha256"))? {
        if !Digest::from_hex(&name).is_some_and(|digest| blobs.contains(&digest)) {
            files::remove(&root.join("blobs/sha256").join(&name))?;
        }
    }
    failed
}

/// Gives the reserve back.
pub(crate) fn release_reserve(root: &Path) {
    let _ = std::fs::remove_file(root.join("reserve"));
}

/// Sets space aside, if there is enough of it.
pub(crate) fn keep_reserve(root: &Path) {
    let path = root.join("reserve");
    if path.exists() {
        return;
    }
    let made = std::fs::File::create(&path)
        .map(|file| rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, RESERVE).is_ok())
        .unwrap_or(false);
    if !made {
        // Half a reserve is none, and file systems that cannot set space aside need none.
        release_reserve(root);
    }
}

fn names(directory: &Path) -> Result<Vec<String>> {
    match std::fs::read_dir(directory) {
        Ok(entries) => Ok(entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Error::file("read", directory)(error)),
    }
}
