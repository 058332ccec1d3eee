//! Words of a command line as a POSIX shell reads them back.

/// Writes words as a shell reads them back.
#[must_use]
pub fn shell_words(words: &[String]) -> String {
    words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ")
}

/// Quotes one word, if it needs it.
pub(super) fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn word_is_quoted_only_if_it_has_to_be() {
        assert_eq!(quote("--env=A=1"), "--env=A=1");
        assert_eq!(quote(""), "''");
        assert_eq!(quote("a b"), "'a b'");
        assert_eq!(quote("it's $HOME\n"), "'it'\\''s $HOME\n'");
        assert_eq!(quote("~"), "'~'");
    }
}
