//! JSON (RFC 8259) with the place of each value, which `serde_json` does not tell.

use std::collections::HashSet;
use std::rc::Rc;

use super::{DEPTH, Documents, Entry, Meter, Node, Value, insert, syntax};
use crate::ReadError;
use crate::place::{Located, Source};

/// Reads one value.
///
/// # Errors
/// Broken JSON, too many values, too deep ones.
pub(crate) fn parse(source: &Source) -> Result<Documents, ReadError> {
    let at = source.text.len() - source.text.trim_start_matches('\u{feff}').len();
    let mut reader = Reader { source, at, meter: Meter::default(), documents: Documents::default() };
    let node = reader.value(0)?;
    reader.blank();
    if reader.at < source.text.len() {
        return Err(reader.wrong("more text behind the value"));
    }
    reader.documents.documents.push(node);
    Ok(reader.documents)
}

struct Reader<'a> {
    source: &'a Source<'a>,
    at: usize,
    meter: Meter,
    documents: Documents,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        self.source.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.source.text.as_bytes().get(self.at).copied()
    }

    fn blank(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn wrong(&self, problem: &str) -> ReadError {
        let problem = if self.peek().is_none() { "the file is cut off" } else { problem };
        syntax(self.source, "JSON", problem, self.at)
    }

    fn value(&mut self, depth: usize) -> Result<Rc<Node>, ReadError> {
        self.blank();
        let start = self.at;
        let place = self.source.place(start, start);
        if depth > DEPTH {
            return Err(ReadError::TooDeep { limit: DEPTH, place });
        }
        self.meter.add(1, place)?;
        let value = match self.peek() {
            Some(b'{') => self.map(depth)?,
            Some(b'[') => self.list(depth)?,
            Some(b'"') => Value::Text { text: self.text()?, plain: false },
            Some(b'-' | b'0'..=b'9') => self.number()?,
            _ => self.word()?,
        };
        Ok(Rc::new(Node { place: self.source.place(start, self.at), value }))
    }

    fn word(&mut self) -> Result<Value, ReadError> {
        for (word, value) in [("null", Value::Null), ("true", Value::Bool(true)), ("false", Value::Bool(false))] {
            if self.rest().starts_with(word) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err(self.wrong("a value is expected"))
    }

    fn number(&mut self) -> Result<Value, ReadError> {
        let end = self.rest().find(|c: char| !matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E')).unwrap_or(self.rest().len());
        let number = self.rest().get(..end).unwrap_or_default().to_owned();
        if number.parse::<f64>().is_err() {
            return Err(self.wrong("not a number"));
        }
        self.at += end;
        Ok(Value::Number(number))
    }

    fn text(&mut self) -> Result<String, ReadError> {
        let start = self.at;
        let bytes = self.source.text.as_bytes();
        let mut end = start + 1;
        loop {
            match bytes.get(end) {
                Some(b'"') => break,
                Some(b'\\') => end += 2,
                Some(byte) if *byte >= b' ' => end += 1,
                Some(_) => {
                    self.at = end;
                    return Err(self.wrong("a control character within text"));
                }
                None => {
                    self.at = bytes.len();
                    return Err(self.wrong("text without its end"));
                }
            }
        }
        let written = self.source.text.get(start..=end).unwrap_or_default();
        // serde_json knows the escapes.
        let text = serde_json::from_str(written).map_err(|_| self.wrong("an escape that there is not"))?;
        self.at = end + 1;
        Ok(text)
    }

    fn list(&mut self, depth: usize) -> Result<Value, ReadError> {
        let mut items = Vec::new();
        self.at += 1;
        self.blank();
        if self.close(b']') {
            return Ok(Value::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.blank();
            if self.close(b']') {
                return Ok(Value::List(items));
            }
            self.expect(b',', "`,` or `]` is expected")?;
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, ReadError> {
        let (mut entries, mut seen) = (Vec::new(), HashSet::new());
        self.at += 1;
        self.blank();
        if self.close(b'}') {
            return Ok(Value::Map(entries));
        }
        loop {
            self.blank();
            let start = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.wrong("a name in quotes is expected"));
            }
            let key = Located::new(self.text()?, self.source.place(start, self.at));
            self.blank();
            self.expect(b':', "`:` is expected")?;
            let value = self.value(depth + 1)?;
            insert(&mut entries, &mut seen, Entry { key, value, merged: false }, &mut self.documents.duplicates);
            self.blank();
            if self.close(b'}') {
                return Ok(Value::Map(entries));
            }
            self.expect(b',', "`,` or `}` is expected")?;
        }
    }

    fn close(&mut self, byte: u8) -> bool {
        let closes = self.peek() == Some(byte);
        self.at += usize::from(closes);
        closes
    }

    fn expect(&mut self, byte: u8, problem: &str) -> Result<(), ReadError> {
        if self.close(byte) { Ok(()) } else { Err(self.wrong(problem)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_their_places() {
        let source = Source::new("{\n\t\"a\": [1, \"\\ud83e\\uddad\"],\n\t\"b\": {\"c\": true}\n}\n");
        let documents = parse(&source).unwrap();
        let item = &documents.documents[0].get("a").unwrap().items()[1];
        assert_eq!((item.place.line, item.place.column, item.scalar().unwrap()), (2, 11, "🦭".to_owned()));
        assert_eq!(documents.documents[0].get("b").unwrap().get("c").unwrap().truth(), Some(true));
    }

    #[test]
    fn cut_text_is_an_error_with_its_place() {
        let error = parse(&Source::new("{\"a\": [1,")).unwrap_err();
        assert_eq!(error.to_string(), "line 1, column 10: not JSON: the file is cut off");
        assert!(parse(&Source::new("\"\\")).is_err());
        assert!(matches!(parse(&Source::new(&"[".repeat(100_000))), Err(ReadError::TooDeep { .. })));
    }
}
