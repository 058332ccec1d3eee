//! Text that came from elsewhere, made fit for a terminal.

/// Replaces everything that could move the cursor, change colours or reverse the direction of text.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            '\n' | '\t' => character,
            _ if character.is_control() || is_bidirectional(character) => '\u{fffd}',
            _ => character,
        })
        .collect()
}

/// As [`printable`], on one line.
pub(crate) fn one_line(text: &str) -> String {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return text.to_owned();
    }
    printable(text).replace(['\n', '\t'], " ")
}

/// Returns what the system answered, in Podman's words: small letters, no number.
pub(crate) fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_lowercase().chain(characters).collect())
}

/// Explicit directional formatting: Unicode Standard Annex 9.
const fn is_bidirectional(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printable_takes_escapes_out() {
        assert_eq!(printable("a\u{1b}[31mb\u{9b}c\u{202e}d\n"), "a\u{fffd}[31mb\u{fffd}c\u{fffd}d\n");
    }
}
