//! Variables of compose files: compose-spec, "Interpolation". Without an environment only their defaults are known.

/// A text with its variables replaced by their defaults.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Filled {
    pub(super) text: String,
    /// Something of it is known only when it runs.
    pub(super) open: bool,
    /// Something of it has no default either.
    pub(super) unset: bool,
}

/// Returns what of `SOURCE:TARGET` is before the first colon that is of no variable; nothing where there is none.
pub(super) fn source(text: &str) -> &str {
    let mut inside = false;
    let end = text.char_indices().find(|(_, character)| {
        inside = *character == '{' || inside && *character != '}';
        *character == ':' && !inside
    });
    end.and_then(|(at, _)| text.get(..at)).unwrap_or_default()
}

/// Fills in `${NAME:-default}`; `$NAME`, `${NAME}` and `${NAME:?error}` become nothing, `$$` a dollar.
pub(super) fn fill(text: &str) -> Filled {
    let mut filled = Filled { text: String::new(), open: false, unset: false };
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        filled.text.push_str(before);
        rest = after;
        if let Some(after) = rest.strip_prefix('$') {
            filled.text.push('$');
            rest = after;
        } else if let Some((inside, after)) = rest.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            let default = inside.split_once(":-").or_else(|| inside.split_once('-'));
            filled.text.push_str(default.map_or("", |(_, default)| default));
            filled.open = true;
            filled.unset |= default.is_none();
            rest = after;
        } else {
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
            filled.open |= end > 0;
            filled.unset |= end > 0;
            if end == 0 {
                filled.text.push('$');
            }
            rest = rest.get(end..).unwrap_or_default();
        }
    }
    filled.text.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_become_their_defaults() {
        let filled = |text: &str, open, unset| Filled { text: text.to_owned(), open, unset };
        assert_eq!(fill("${A:-true}"), filled("true", true, false));
        assert_eq!(fill("a${A}b$C-d$$e"), filled("ab-d$e", true, true));
        assert_eq!(fill("plain"), filled("plain", false, false));
        assert_eq!(fill("${open"), filled("${open", false, false));
    }

    #[test]
    fn source_ends_at_the_first_colon_that_is_of_no_variable() {
        assert_eq!(["${A:-/x}/y:/t:ro", "a:/t", "/t", "$A:/t"].map(source), ["${A:-/x}/y", "a", "", "$A"]);
    }
}
