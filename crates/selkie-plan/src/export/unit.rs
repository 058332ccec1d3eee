//! Values of unit files: systemd.syntax(7), systemd.exec(5), and "Command lines" of systemd.service(5).
//!
//! `%` begins a specifier and `$` a variable, so both are doubled. A value that is read as words has quotes and C's escapes; one
//! that is read as it stands has none, so not every text can be written there.

/// Writes one word of a value that is read as words.
pub(super) fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_@+=:,./-".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            '%' => quoted.push_str("%%"),
            '$' => quoted.push_str("$$"),
            c if c.is_ascii_control() => quoted.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Writes several words.
pub(super) fn words<'a>(texts: impl IntoIterator<Item = &'a String>) -> String {
    texts.into_iter().map(|text| word(text)).collect::<Vec<_>>().join(" ")
}

/// Writes one word of `Environment=`, in which `$` has no meaning.
pub(super) fn assignment(text: &str) -> String {
    word(text).replace("$$", "$")
}

/// Writes a value that is read as it stands; `None` if it would not be the same again.
pub(super) fn raw(text: &str) -> Option<String> {
    let survives = !text.is_empty() && text.trim() == text && !text.ends_with('\\') && !text.contains(|c: char| c.is_control());
    let quoted = text.starts_with(['"', '\'']);
    (survives && !quoted).then(|| text.replace('%', "%%").replace('$', "$$"))
}

/// Writes a value that is read as it stands, of a key that is no command line; `None` as [`raw`].
pub(super) fn setting(text: &str) -> Option<String> {
    raw(text).map(|value| value.replace("$$", "$"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn word_has_escapes_and_doubled_signs() {
        assert_eq!(word("a=b"), "a=b");
        assert_eq!(word(""), "\"\"");
        assert_eq!(word("50% of $HOME\n\"x\" \\"), "\"50%% of $$HOME\\n\\\"x\\\" \\\\\"");
        assert_eq!(word("\u{1b}é"), "\"\\x1bé\"");
        assert_eq!(assignment("A=$1%"), "\"A=$1%%\"");
    }

    #[test]
    fn raw_is_refused_if_it_would_change() {
        assert_eq!(raw("/a b%$"), Some("/a b%%$$".to_owned()));
        assert_eq!(setting("/a b%$$"), Some("/a b%%$$".to_owned()));
        for text in ["", " a", "a\\", "a\nb", "\"a\""] {
            assert_eq!(raw(text), None, "{text:?}");
        }
    }
}
