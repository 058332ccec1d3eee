//! Reads the log of a container: the formats of [`crate::monitor`].

use std::io::BufRead;

use serde::Deserialize;

use crate::error::{Error, Result};

/// One entry of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// When it was written, RFC 3339.
    pub time: String,
    /// It came from standard error.
    pub is_error: bool,
    /// Its bytes, with the end of the line if it had one.
    pub content: Vec<u8>,
}

/// Reads the next entry; `None` at the end, which may come before the end of a line that is being written.
///
/// # Errors
/// What reading answered. A line that is no entry comes as content without a time: nothing is lost.
pub fn read_log(reader: &mut impl BufRead) -> Result<Option<LogEntry>> {
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line).map_err(|source| Error::File { action: "read", path: "log".into(), source })?;
    if line.is_empty() {
        return Ok(None);
    }
    Ok(Some(parse(&line)))
}

/// A line of `json-file`.
#[derive(Deserialize)]
struct JsonEntry {
    log: String,
    stream: String,
    #[serde(default)]
    time: String,
}

fn parse(line: &[u8]) -> LogEntry {
    if line.first() == Some(&b'{')
        && let Ok(entry) = serde_json::from_slice::<JsonEntry>(line)
    {
        return LogEntry { time: entry.time, is_error: entry.stream == "stderr", content: entry.log.into_bytes() };
    }
    text_entry(line).unwrap_or_else(|| LogEntry { time: String::new(), is_error: false, content: line.to_vec() })
}

fn text_entry(line: &[u8]) -> Option<LogEntry> {
    let mut fields = line.splitn(4, |byte| *byte == b' ');
    let time = std::str::from_utf8(fields.next()?).ok()?.to_owned();
    let stream = fields.next()?;
    let flag = fields.next()?;
    let content = fields.next()?;
    let content = if flag == b"P" { content.strip_suffix(b"\n").unwrap_or(content) } else { content };
    matches!(stream, b"stdout" | b"stderr").then(|| LogEntry { time, is_error: stream == b"stderr", content: content.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(line: &str) -> (bool, String) {
        let entry = parse(line.as_bytes());
        (entry.is_error, String::from_utf8_lossy(&entry.content).into_owned())
    }

    #[test]
    fn whole_line_keeps_its_end() {
        assert_eq!(entry("2026-11-24T09:51:19Z stderr F a  b\n"), (true, "a  b\n".to_owned()));
    }

    #[test]
    fn partial_line_has_no_end() {
        assert_eq!(entry("2026-11-24T09:51:19Z stdout P a\n"), (false, "a".to_owned()));
    }

    #[test]
    fn line_that_is_no_entry_is_content() {
        assert_eq!(entry("garbage\n"), (false, "garbage\n".to_owned()));
    }

    #[test]
    fn json_line_is_an_entry() {
        assert_eq!(entry(r#"{"log":"a\n","stream":"stderr","time":"x"}"#), (true, "a\n".to_owned()));
    }
}
