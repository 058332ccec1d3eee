//! The container's output as a file: Podman's `k8s-file` and Docker's `json-file`.
//!
//! ```text
//! 2026-11-24T09:51:19.123456789Z stdout F a whole line
//! 2026-11-24T09:51:19.123456789Z stdout P a piece of a line, continued by the next entry
//! ```

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Where the log goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LogTarget {
    /// The file.
    pub(crate) path: PathBuf,
    /// JSON lines in place of Podman's text.
    pub(crate) json: bool,
    /// Bytes after which the file becomes `FILE.1` and a new one begins; `None` never.
    pub(crate) limit: Option<u64>,
}

/// A log that is being written.
#[derive(Debug)]
pub(super) struct Log {
    target: LogTarget,
    /// Opened with the first output: most short runs say nothing.
    file: Option<File>,
    written: u64,
    buffer: Vec<u8>,
}

/// Which stream a piece of output came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

impl Log {
    /// Refers to the log.
    pub(super) fn new(target: LogTarget) -> Self {
        Self { target, file: None, written: 0, buffer: Vec::new() }
    }

    /// Appends `data`. A full disk must not stop the container: what cannot be written is lost.
    pub(super) fn append(&mut self, stream: Stream, data: &[u8]) {
        if self.file.is_none() {
            self.file = open(&self.target.path).ok();
            self.written = self.file.as_ref().and_then(|file| file.metadata().ok()).map_or(0, |data| data.len());
        }
        let time = jiff::Timestamp::now();
        self.buffer.clear();
        for piece in data.split_inclusive(|byte| *byte == b'\n') {
            if self.target.json {
                json_entry(&mut self.buffer, time, stream, piece)
            } else {
                text_entry(&mut self.buffer, time, stream, piece)
            }
        }
        if self.target.limit.is_some_and(|limit| self.written + self.buffer.len() as u64 > limit) {
            self.rotate();
        }
        if self.file.as_mut().is_some_and(|file| file.write_all(&self.buffer).is_ok()) {
            self.written += self.buffer.len() as u64;
        }
    }

    fn rotate(&mut self) {
        let mut old = self.target.path.clone().into_os_string();
        old.push(".1");
        if std::fs::rename(&self.target.path, PathBuf::from(old)).is_ok()
            && let Ok(file) = open(&self.target.path)
        {
            self.file = Some(file);
            self.written = 0;
        }
    }
}

fn open(path: &Path) -> Result<File> {
    std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path).map_err(|source| Error::File {
        action: "open",
        path: path.to_path_buf(),
        source,
    })
}

fn text_entry(buffer: &mut Vec<u8>, time: jiff::Timestamp, stream: Stream, piece: &[u8]) {
    let (content, flag) = match piece.strip_suffix(b"\n") {
        Some(content) => (content, 'F'),
        None => (piece, 'P'),
    };
    let _ = write!(buffer, "{time:.9} {} {flag} ", stream.as_str());
    buffer.extend_from_slice(content);
    buffer.push(b'\n');
}

fn json_entry(buffer: &mut Vec<u8>, time: jiff::Timestamp, stream: Stream, piece: &[u8]) {
    let entry = serde_json::json!({"log": String::from_utf8_lossy(piece), "stream": stream.as_str(), "time": format!("{time:.9}")});
    let _ = serde_json::to_writer(&mut *buffer, &entry);
    buffer.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logged(json: bool, limit: Option<u64>, pieces: &[&str]) -> (tempfile::TempDir, String) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let mut log = Log::new(LogTarget { path: path.clone(), json, limit });
        for piece in pieces {
            log.append(Stream::Stdout, piece.as_bytes());
        }
        let text = std::fs::read_to_string(path).unwrap();
        (directory, text)
    }

    #[test]
    fn append_marks_a_piece_without_an_end_as_partial() {
        let (_directory, text) = logged(false, None, &["a\nb"]);
        let entries: Vec<_> = text.lines().map(|line| line.split_once(' ').unwrap().1).collect();
        assert_eq!(entries, ["stdout F a", "stdout P b"]);
    }

    #[test]
    fn append_beyond_the_limit_keeps_the_old_file_beside_the_new_one() {
        let (directory, text) = logged(false, Some(60), &["first\n", "second\n"]);
        assert!(text.ends_with("F second\n"));
        assert!(std::fs::read_to_string(directory.path().join("log.1")).unwrap().ends_with("F first\n"));
    }

    #[test]
    fn append_as_json_keeps_the_end_of_the_line() {
        let (_directory, text) = logged(true, None, &["a\n"]);
        let entry: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((entry["log"].as_str(), entry["stream"].as_str()), (Some("a\n"), Some("stdout")));
    }
}
