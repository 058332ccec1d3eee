//! Files of the store: read whole, written whole or not at all, durable when that returns.

use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use crate::error::{Error, Result};

/// Makes `path` and its parents, 0700: images may hold secrets and set-user-ID programs.
pub(crate) fn make_directories(path: &Path) -> Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(Error::file("create directory", path))
}

/// Writes `content` to `directory/name`: under another name first, then by rename(2). The caller holds the store's lock.
pub(crate) fn write(directory: &Path, name: &str, content: &[u8]) -> Result<()> {
    let path = directory.join(name);
    let temporary = directory.join(format!(".{name}.new"));
    let written = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)
        .and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&temporary, &path));
    if let Err(source) = written {
        let _ = std::fs::remove_file(&temporary);
        return Err(Error::File { action: "write", path, source });
    }
    sync(directory)
}

/// Makes renames and removals in `directory` durable.
pub(crate) fn sync(directory: &Path) -> Result<()> {
    std::fs::File::open(directory).and_then(|file| file.sync_all()).map_err(Error::file("sync", directory))
}

/// How long most files are at most.
const USUAL: usize = 8 << 10;

/// Reads at most `limit` bytes of `path`; `None` when it is missing.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Error::File { action: "read", path: path.to_path_buf(), source }),
    };
    // Without room std reads a few bytes at a time at first; most of these files are short.
    let mut content = Vec::with_capacity(usize::try_from(limit + 1).unwrap_or(usize::MAX).min(USUAL));
    file.take(limit + 1).read_to_end(&mut content).map_err(Error::file("read", path))?;
    if content.len() as u64 > limit {
        return Err(Error::TooLong { what: format!("`{}`", path.display()), limit });
    }
    Ok(Some(content))
}

/// Removes the file `path`, which may be missing.
pub(crate) fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::file("remove", path)(error)),
        _ => Ok(()),
    }
}
