//! Files of records: read whole, written whole or not at all.

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{Error, Result};

/// Whether a record has to survive a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// fsync before and after the rename.
    Durable,
    /// Atomic for every reader, gone with the power: for what `--rm` or a reboot removes anyway.
    Volatile,
}

/// Writes `value` as JSON to `directory/name`: under another name first, then by rename(2).
pub(crate) fn write_json<T: Serialize>(directory: &Path, name: &str, value: &T, durability: Durability) -> Result<()> {
    let path = directory.join(name);
    let mut text = serde_json::to_vec_pretty(value).map_err(|source| Error::Record { path: path.clone(), source })?;
    text.push(b'\n');
    write(directory, name, &text, 0o600, durability)
}

/// The same on one line, for what people read through `selkie` only.
pub(crate) fn write_dense_json<T: Serialize>(directory: &Path, name: &str, value: &T, durability: Durability) -> Result<()> {
    write(directory, name, &dense(&directory.join(name), value)?, 0o600, durability)
}

fn dense<T: Serialize>(path: &Path, value: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|source| Error::Record { path: path.to_path_buf(), source })
}

/// Takes out of `value` what is the same in `usual`, so that a record says what is special, and is read in less time.
pub(crate) fn without_defaults(value: &mut Value, usual: &Value) {
    let (Value::Object(fields), Value::Object(usual)) = (value, usual) else { return };
    fields.retain(|name, field| match usual.get(name) {
        Some(usual) if field == usual => false,
        Some(usual) => {
            without_defaults(field, usual);
            true
        }
        None => true,
    });
}

/// Writes `content` to `directory/name` with the permission bits `mode`.
pub(crate) fn write(directory: &Path, name: &str, content: &[u8], mode: u32, durability: Durability) -> Result<()> {
    let path = directory.join(name);
    // Each record has one writer at a time: its monitor, or whoever holds the container's lock. What a crash left is overwritten.
    let temporary = directory.join(format!(".{name}.new"));
    let failed = |action: &'static str| {
        let path = path.clone();
        move |source| Error::File { action, path, source }
    };
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&temporary).map_err(failed("create"))?;
    let written = file.write_all(content).and_then(|()| match durability {
        Durability::Durable => file.sync_all(),
        Durability::Volatile => Ok(()),
    });
    if let Err(source) = written {
        let _ = std::fs::remove_file(&temporary);
        return Err(Error::File { action: "write", path, source });
    }
    std::fs::rename(&temporary, &path).map_err(failed("rename"))?;
    if durability == Durability::Durable {
        sync_directory(directory)?;
    }
    Ok(())
}

/// Writes a file that nobody reads before a later step says so, in a directory that is ours alone.
pub(crate) fn write_new(directory: &Path, name: &str, content: &[u8], mode: u32) -> Result<()> {
    let path = directory.join(name);
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&path);
    file.and_then(|mut file| file.write_all(content)).map_err(|source| Error::File { action: "write", path, source })
}

/// Gives a file to a user and a group.
pub(crate) fn give(path: &Path, uid: u32, gid: u32) -> Result<()> {
    std::os::unix::fs::lchown(path, Some(uid), Some(gid)).map_err(|source| Error::File {
        action: "change the owner of",
        path: path.to_path_buf(),
        source,
    })
}

/// Writes `value` as JSON over `directory/name`: readers may see a part of it.
pub(crate) fn write_json_in_place<T: Serialize>(directory: &Path, name: &str, value: &T) -> Result<()> {
    let path = directory.join(name);
    let text = dense(&path, value)?;
    std::fs::write(&path, text).map_err(|source| Error::File { action: "write", path, source })
}

/// Renames a file within `directory`.
pub(crate) fn rename(directory: &Path, from: &str, to: &str) -> Result<()> {
    let path = directory.join(to);
    std::fs::rename(directory.join(from), &path).map_err(|source| Error::File { action: "rename", path, source })
}

/// Makes renames and removals in `directory` durable.
pub(crate) fn sync_directory(directory: &Path) -> Result<()> {
    std::fs::File::open(directory).and_then(|file| file.sync_all()).map_err(|source| Error::File {
        action: "sync",
        path: directory.to_path_buf(),
        source,
    })
}

/// Reads JSON from `path`; `None` when the file is missing.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let text = match read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Error::File { action: "read", path: path.to_path_buf(), source }),
    };
    serde_json::from_slice(&text).map(Some).map_err(|source| Error::Record { path: path.to_path_buf(), source })
}

/// Reads a whole file of ours: they are small, and each is replaced at once, so that one call tells all of most.
fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    const USUAL: usize = 16 * 1024;
    let file = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut text = Vec::with_capacity(USUAL);
    loop {
        let room = text.capacity() - text.len();
        // Of a regular file less than asked for is the rest.
        if rustix::io::retry_on_intr(|| rustix::io::read(&file, rustix::buffer::spare_capacity(&mut text)))? < room {
            return Ok(text);
        }
        text.reserve(text.capacity());
    }
}

/// Makes `path` and its parents, 0700: other users of the host must not look in.
pub(crate) fn make_directories(path: &Path) -> Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|source| Error::File {
        action: "create directory",
        path: path.to_path_buf(),
        source,
    })
}

/// Removes `path` and everything in it, which may be missing.
pub(crate) fn remove_tree(path: &Path) -> Result<()> {
    // Often nothing is in it.
    if rustix::fs::rmdir(path).is_ok() {
        return Ok(());
    }
    match std::fs::remove_dir_all(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::File { action: "remove", path: path.to_path_buf(), source })
        }
        _ => Ok(()),
    }
}

/// Removes the file `path`, which may be missing.
pub(crate) fn remove_file(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::File { action: "remove", path: path.to_path_buf(), source })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_json_of_a_missing_file_is_none() {
        assert_eq!(read_json::<u8>(Path::new("/nonexistent/selkie")).unwrap(), None);
    }

    #[test]
    fn read_of_a_file_longer_than_usual_is_whole() {
        let directory = tempfile::tempdir().unwrap();
        for length in [0, 1, 16 * 1024 - 1, 16 * 1024, 16 * 1024 + 1, 100_000] {
            let content = vec![b'x'; length];
            std::fs::write(directory.path().join("x"), &content).unwrap();
            assert_eq!(read(&directory.path().join("x")).unwrap(), content);
        }
    }

    #[test]
    fn without_defaults_only_what_differs_stays() {
        let mut value = serde_json::json!({"a": 1, "b": {"c": false, "d": []}, "e": null, "f": false});
        without_defaults(&mut value, &serde_json::json!({"a": 1, "b": {"c": true, "d": []}, "e": null, "f": null}));
        assert_eq!(value, serde_json::json!({"b": {"c": false}, "f": false}));
    }

    #[test]
    fn read_json_of_a_record_cut_short_names_the_file() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("x"), "{\"a\":").unwrap();
        let error = read_json::<serde_json::Value>(&directory.path().join("x")).unwrap_err();
        assert!(error.to_string().contains(&directory.path().join("x").display().to_string()), "{error}");
    }

    #[test]
    fn write_json_then_read_json_is_the_same() {
        let directory = tempfile::tempdir().unwrap();
        write_json(directory.path(), "x", &[1, 2], Durability::Durable).unwrap();
        assert_eq!(read_json::<Vec<u8>>(&directory.path().join("x")).unwrap(), Some(vec![1, 2]));
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
