//! Strict JSON of strangers: a key given twice, too deep a nesting or bytes behind the end are errors.
//!
//! Two programs that read one document must not see two images, and what serde does by default (the last of two equal
//! keys wins) is not what every reader does.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::error::{Error, Result};

/// How long a manifest, an index or a configuration may be.
pub(crate) const LIMIT: u64 = 4 << 20;

/// How deep arrays and objects may lie in one another.
const DEPTH: u32 = 64;

/// Parses the document `what`. Total: any bytes give a value or an error.
///
/// # Errors
/// [`Error::Document`] with the line, the column and the reason.
pub fn parse(what: &str, bytes: &[u8]) -> Result<Value> {
    if bytes.len() as u64 > LIMIT {
        return Err(Error::TooLong { what: what.to_owned(), limit: LIMIT });
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    Strict(DEPTH)
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value))
        .map_err(|error| Error::document(what, error))
}

/// A value in which so many levels may follow.
#[derive(Clone, Copy)]
struct Strict(u32);

impl Strict {
    fn deeper<E: serde::de::Error>(self) -> std::result::Result<Self, E> {
        self.0.checked_sub(1).map(Self).ok_or_else(|| E::custom(format_args!("more than {DEPTH} levels of nesting")))
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> std::result::Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> std::result::Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> std::result::Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> std::result::Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> std::result::Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_unit<E>(self) -> std::result::Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> std::result::Result<Value, A::Error> {
        let deeper = self.deeper()?;
        let mut values = Vec::new();
        while let Some(value) = sequence.next_element_seed(deeper)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Value, A::Error> {
        let deeper = self.deeper()?;
        let mut values = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            if values.contains_key(&key) {
                return Err(A::Error::custom(format_args!("key {key:?} is given twice")));
            }
            values.insert(key, map.next_value_seed(deeper)?);
        }
        Ok(Value::Object(values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> String {
        parse("x", text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn parse_of_a_document_is_what_serde_says() {
        let text = r#"{"a": [1, -2, 0.5, "x", null, true], "b": {"c": {}}}"#;
        assert_eq!(parse("x", text.as_bytes()).unwrap(), serde_json::from_str::<Value>(text).unwrap());
    }

    #[test]
    fn parse_of_a_key_given_twice_is_refused() {
        assert_eq!(problem(r#"{"config": 1, "config": 2}"#), "x is not valid: key \"config\" is given twice at line 1 column 22");
    }

    #[test]
    fn parse_of_many_levels_is_refused() {
        let text = "[".repeat(200_000);
        assert!(problem(&text).contains("levels of nesting"), "{}", problem(&text));
    }

    #[test]
    fn parse_with_bytes_behind_the_end_is_refused() {
        assert!(problem("{} {}").contains("trailing characters"));
    }

    #[test]
    fn parse_of_a_byte_order_mark_is_refused() {
        assert!(problem("\u{feff}{}").contains("expected value"));
    }

    #[test]
    fn parse_of_too_long_a_document_is_refused() {
        let error = parse("manifest", &vec![b' '; 5 << 20]).unwrap_err();
        assert_eq!(error.to_string(), "manifest is longer than 4194304 bytes");
    }

    proptest::proptest! {
        #[test]
        fn parse_of_any_text_ends_and_agrees_with_serde(text in "[\\[\\]{}:,\"a-c0-9. \\\\-]{0,40}") {
            if let Ok(value) = parse("x", text.as_bytes()) {
                proptest::prop_assert_eq!(value, serde_json::from_str::<Value>(&text).unwrap());
            }
        }

        #[test]
        fn documents_of_any_form_are_parsed_or_refused(text in "\\{(\"(config|layers|manifests|mediaType|digest|size)\":(null|1|\"x\"|\\[\\]|\\{\\}|\\[1\\]|\\[\\{\\}\\]),?){0,4}\\}") {
            use crate::archive::documents::{docker_manifest, oci_index, oci_manifest};
            let _ = (docker_manifest(text.as_bytes()), oci_index(text.as_bytes()), oci_manifest(text.as_bytes()));
        }
    }
}
