//! TOML by the `toml` crate, with the place of each value.

use std::rc::Rc;

use ::toml::Spanned;
use ::toml::de::{DeTable, DeValue};

use super::{DEPTH, Documents, Entry, Meter, Node, Value, syntax};
use crate::ReadError;
use crate::place::{Located, Source};

/// Reads one file.
///
/// # Errors
/// Broken TOML, too many values, too deep ones. TOML itself refuses keys that are there twice.
pub(crate) fn parse(source: &Source) -> Result<Documents, ReadError> {
    let table = DeTable::parse(source.text)
        .map_err(|error| syntax(source, "TOML", error.message(), error.span().map_or(source.text.len(), |span| span.start)))?;
    let mut meter = Meter::default();
    let value = map(source, table.get_ref(), 0, &mut meter)?;
    let node = Node { place: source.place(0, source.text.len()), value };
    Ok(Documents { documents: vec![Rc::new(node)], ..Documents::default() })
}

fn map(source: &Source, table: &DeTable, depth: usize, meter: &mut Meter) -> Result<Value, ReadError> {
    let entry = |(key, value): (&Spanned<_>, &Spanned<DeValue>)| {
        let place = source.place(key.span().start, key.span().end);
        let key: &std::borrow::Cow<str> = key.get_ref();
        Ok(Entry { key: Located::new(key.clone().into_owned(), place), value: node(source, value, depth + 1, meter)?, merged: false })
    };
    Ok(Value::Map(table.iter().map(entry).collect::<Result<_, _>>()?))
}

fn node(source: &Source, value: &Spanned<DeValue>, depth: usize, meter: &mut Meter) -> Result<Rc<Node>, ReadError> {
    let place = source.place(value.span().start, value.span().end);
    if depth > DEPTH {
        return Err(ReadError::TooDeep { limit: DEPTH, place });
    }
    meter.add(1, place)?;
    let value = match value.get_ref() {
        DeValue::String(text) => Value::Text { text: text.clone().into_owned(), plain: false },
        DeValue::Integer(number) => Value::Number(number.as_str().to_owned()),
        DeValue::Float(number) => Value::Number(number.as_str().to_owned()),
        DeValue::Boolean(value) => Value::Bool(*value),
        DeValue::Datetime(time) => Value::Text { text: time.to_string(), plain: true },
        DeValue::Array(items) => Value::List(items.iter().map(|item| node(source, item, depth + 1, meter)).collect::<Result<_, _>>()?),
        DeValue::Table(table) => map(source, table, depth, meter)?,
    };
    Ok(Rc::new(Node { place, value }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_their_places() {
        let documents = parse(&Source::new("[containers]\ndefault_capabilities = [\n  \"CHOWN\",\n]\nprivileged = true\n")).unwrap();
        let list = documents.documents[0].get("containers").unwrap().get("default_capabilities").unwrap();
        assert_eq!((list.items()[0].place.line, list.items()[0].place.column), (3, 3));
    }

    #[test]
    fn broken_text_is_an_error_with_its_place() {
        assert!(parse(&Source::new("a = 1\nb = \n")).unwrap_err().to_string().starts_with("line 2, column 5: not TOML: "));
    }
}
