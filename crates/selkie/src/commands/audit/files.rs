//! Files that are audited: from strangers, so that nothing waits and nothing large is read; and those that are written.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use selkie_audit::{File, FileType, Problem};

use crate::ui::error::Failure;
use crate::ui::text::reason;

/// A file that cannot be audited.
#[derive(Debug)]
pub(super) struct Unreadable {
    pub(super) problem: Problem,
    hint: Option<&'static str>,
}

impl Unreadable {
    fn new(text: String) -> Self {
        Self { problem: Problem { text, place: None }, hint: None }
    }

    pub(super) fn failure(&self, name: &str) -> Failure {
        let failure = Failure::engine(format!("{name}: {}", self.problem.text));
        match self.hint {
            Some(hint) => failure.with_hint(hint),
            None => failure,
        }
    }
}

/// Reads a file, or standard input for `-`: at most one byte more than `limit`.
pub(super) fn read(name: &str, limit: usize) -> Result<Vec<u8>, Unreadable> {
    let wrong = |error: std::io::Error| Unreadable::new(format!("cannot be read: {}", reason(&error)));
    let limit = u64::try_from(limit).unwrap_or(u64::MAX) + 1;
    let mut bytes = Vec::new();
    if name == "-" {
        std::io::stdin().lock().take(limit).read_to_end(&mut bytes).map_err(wrong)?;
        return Ok(bytes);
    }
    // A pipe or terminal would wait for whoever writes to it; `-` is there for that.
    let kind = std::fs::metadata(name).map_err(wrong)?.file_type();
    if !kind.is_file() {
        let kind = if kind.is_dir() { "a directory" } else { "not a regular file" };
        return Err(Unreadable::new(format!("cannot be read: it is {kind}")));
    }
    let file = std::fs::File::open(name).map_err(wrong)?;
    file.take(limit).read_to_end(&mut bytes).map_err(wrong)?;
    Ok(bytes)
}

/// Reads what a file says.
pub(super) fn parse(name: &str, bytes: &[u8], kind: Option<FileType>) -> Result<File, Unreadable> {
    selkie_audit::read(name, bytes, kind).map_err(|error| Unreadable { problem: Problem::from(&error), hint: error.hint() })
}

/// Writes a file in one step: whoever reads it sees the old one or the new one. Links stay links, permissions stay.
pub(super) fn write(path: &Path, content: &[u8]) -> Result<(), Failure> {
    let wrong = |error: std::io::Error| Failure::engine(format!("cannot write {}: {}", path.display(), reason(&error)));
    if std::fs::metadata(path).is_ok_and(|about| !about.is_file()) {
        // /dev/stdout, or a pipe that somebody reads.
        return std::fs::write(path, content).map_err(wrong);
    }
    let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let name = target.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let directory = target.parent().filter(|parent| !parent.as_os_str().is_empty()).map_or_else(|| PathBuf::from("."), Path::to_owned);
    let new = directory.join(format!(".{name}.{}.new", std::process::id()));
    let done = (|| {
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(&new)?;
        if let Ok(about) = std::fs::metadata(&target) {
            file.set_permissions(about.permissions())?;
        }
        file.write_all(content)?;
        file.sync_all()?;
        std::fs::rename(&new, &target)
    })();
    if done.is_err() {
        // What failed is said; a name that is left over is of no use.
        let _ = std::fs::remove_file(&new);
    }
    done.map_err(wrong)
}
