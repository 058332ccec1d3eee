//! JSON of other engines. Total: what is no JSON, or lies too deep in one another, is `None`.
//!
//! Of a key that is given twice the last one counts, as in the engines' own readers.

use serde_json::Value;

/// How deep arrays and objects may lie in one another; an OCI specification has eight levels.
const DEPTH: usize = 64;
/// Longer texts are cut: nobody's name is longer, and a list of thousands has to be kept.
const LENGTH: usize = 512;

/// Parses one document.
pub(super) fn parse(bytes: &[u8]) -> Option<Value> {
    if depth(bytes) > DEPTH {
        return None;
    }
    serde_json::from_slice(bytes).ok()
}

/// Returns the text at `key` of an object; `None` when there is none, or an empty one.
pub(super) fn text(value: &Value, key: &str) -> Option<String> {
    value.get(key).and_then(Value::as_str).and_then(short)
}

/// Returns the text, cut; `None` for an empty one.
pub(super) fn short(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.chars().take(LENGTH).collect())
}

/// Returns the texts of the list at `key`.
pub(super) fn texts(value: &Value, key: &str) -> Vec<String> {
    let list = value.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(Value::as_str).filter_map(short).take(LENGTH).collect()
}

/// Returns the digest at `key`: `sha256:` and 64 digits.
pub(super) fn digest(value: &Value, key: &str) -> Option<String> {
    value.get(key)?.as_str().filter(|text| crate::engines::is_digest(text)).map(str::to_owned)
}

/// Returns a process id at `key`; `None` for 0, which engines write for none.
pub(super) fn pid(value: &Value, key: &str) -> Option<u32> {
    value.get(key).and_then(Value::as_u64).and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid > 0)
}

/// How deep brackets lie in one another, those in strings left out.
fn depth(bytes: &[u8]) -> usize {
    let (mut deepest, mut now, mut string, mut escaped) = (0_usize, 0_usize, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if string => escaped = true,
            b'"' => string = !string,
            b'[' | b'{' if !string => now += 1,
            b']' | b'}' if !string => now = now.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(now);
    }
    deepest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parse_of_what_lies_too_deep_is_none() {
        let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(parse(deep(DEPTH).as_bytes()).is_some());
        assert_eq!(parse(deep(DEPTH + 1).as_bytes()), None);
        assert_eq!(parse(deep(1_000_000).as_bytes()), None);
    }

    #[test]
    fn parse_does_not_count_brackets_in_strings() {
        let text = format!(r#"["\"{}"]"#, "[".repeat(100));
        assert!(parse(text.as_bytes()).is_some());
    }

    #[test]
    fn text_is_cut_and_never_empty() {
        let value = serde_json::json!({"a": "x".repeat(5000), "b": "", "c": 7});
        assert_eq!(["a", "b", "c", "d"].map(|key| text(&value, key).map(|text| text.len())), [Some(LENGTH), None, None, None]);
    }

    proptest! {
        #[test]
        fn parse_any_bytes_does_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }
    }
}
