//! Writes YAML: a small part of it, which parsers of version 1.1 and 1.2 read alike. yaml.org/spec/1.2.2.
//!
//! Every text is in double quotes, where nothing has a meaning but `\` and `"`: no text can become a number, a truth value, a
//! comment or another line. Keys that are plain words stay bare.

use serde_json::Value;

/// Words that YAML 1.1 takes for truth values, whatever their case.
const NOT_WORDS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];

/// Writes a document.
pub(super) fn write(value: &Value) -> String {
    let mut text = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => block(&mut text, value, 0),
        Value::Array(list) if !list.is_empty() => block(&mut text, value, 0),
        _ => {
            text.push_str(&scalar(value));
            text.push('\n');
        }
    }
    text
}

/// Writes the lines of a map or list, each ended.
fn block(text: &mut String, value: &Value, depth: usize) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                text.push_str(&indent);
                text.push_str(&key(name));
                text.push(':');
                if is_block(value) {
                    text.push('\n');
                    block(text, value, depth + 1);
                } else {
                    text.push(' ');
                    text.push_str(&scalar(value));
                    text.push('\n');
                }
            }
        }
        Value::Array(list) => {
            for value in list {
                let mut item = String::new();
                if is_block(value) {
                    block(&mut item, value, depth + 1)
                } else {
                    item = format!("{indent}  {}\n", scalar(value))
                }
                // The first line of an item stands behind its dash.
                text.push_str(&indent);
                text.push_str("- ");
                text.push_str(item.get(indent.len() + 2..).unwrap_or_default());
            }
        }
        other => text.push_str(&scalar(other)),
    }
}

fn is_block(value: &Value) -> bool {
    value.as_object().is_some_and(|map| !map.is_empty()) || value.as_array().is_some_and(|list| !list.is_empty())
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Array(_) => "[]".to_owned(),
        Value::Object(_) => "{}".to_owned(),
        other => other.to_string(),
    }
}

fn key(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
    if plain && !NOT_WORDS.contains(&name.to_ascii_lowercase().as_str()) { name.to_owned() } else { quoted(name) }
}

fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            c if is_hidden(c) && u32::from(c) < 0x100 => quoted.push_str(&format!("\\x{:02X}", u32::from(c))),
            c if is_hidden(c) && u32::from(c) < 0x1_0000 => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c if is_hidden(c) => quoted.push_str(&format!("\\U{:08X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// What is not printable in YAML, breaks a line, or turns the direction of writing around.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(u32::from(c), 0x2028..=0x202e | 0x2066..=0x2069 | 0xfeff | 0xfffe | 0xffff)
        || u32::from(c) & 0xfffe == 0xfffe
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn maps_and_lists_are_blocks_and_texts_are_quoted() {
        let value = json!({"a": {"b": [1, "x: y", {"c": true, "d": []}, ["e"]], "on": {}}, "f.g": "no"});
        let expected = "a:\n  b:\n    - 1\n    - \"x: y\"\n    - c: true\n      d: []\n    - - \"e\"\n  \"on\": {}\n\"f.g\": \"no\"\n";
        assert_eq!(write(&value), expected);
    }

    #[test]
    fn what_is_not_printable_is_escaped() {
        assert_eq!(quoted("a\"\\\n\t\u{1b}\u{85}\u{2028}\u{feff}é🦭"), "\"a\\\"\\\\\\n\\t\\x1B\\x85\\u2028\\uFEFFé🦭\"");
    }
}
