//! `--name`: what a container may be called.

use crate::PlanError;

/// Parses a container's name; one leading slash is taken off, as Docker's clients send it.
///
/// # Errors
/// [`PlanError::Name`] when it does not match `[a-zA-Z0-9][a-zA-Z0-9_.-]*`.
pub fn parse_name(text: &str) -> Result<String, PlanError> {
    let name = text.strip_prefix('/').unwrap_or(text);
    let first = name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    let rest = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
    if first && rest { Ok(name.to_owned()) } else { Err(PlanError::Name { text: text.to_owned() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_is_letters_digits_and_three_signs() {
        assert_eq!(parse_name("/web-1.a_b"), Ok("web-1.a_b".into()));
        for text in ["", "/", "a/b", "-a", "a b", "ä", "a\n"] {
            assert_eq!(parse_name(text), Err(PlanError::Name { text: text.into() }));
        }
    }
}
