//! YAML 1.2 by the events of granit-parser; `<<` merges as in YAML 1.1, which compose files use.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use granit_parser::{Event, Parser, ScalarStyle, Span, StrInput};

use super::{DEPTH, Documents, Entry, Meter, Node, Value, insert, is_number, syntax};
use crate::ReadError;
use crate::place::{Located, Source};

/// Reads all documents.
///
/// # Errors
/// Broken YAML, too many values, too deep ones.
pub(crate) fn parse(source: &Source) -> Result<Documents, ReadError> {
    let text = source.text.strip_prefix('\u{feff}').unwrap_or(source.text);
    let skipped = source.text.len() - text.len();
    let parser = Parser::new_from_str(text);
    let reader = Reader { source, skipped, parser, anchors: HashMap::new(), meter: Meter::default(), documents: Documents::default() };
    reader.read()
}

struct Reader<'a> {
    source: &'a Source<'a>,
    skipped: usize,
    parser: Parser<'a, StrInput<'a>>,
    /// Nodes with anchors, and how many values each stands for.
    anchors: HashMap<usize, (Rc<Node>, usize)>,
    meter: Meter,
    documents: Documents,
}

impl<'a> Reader<'a> {
    fn read(mut self) -> Result<Documents, ReadError> {
        while let Some((event, span)) = self.next()? {
            match event {
                Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
                Event::StreamEnd => break,
                event => {
                    let (node, _) = self.node(event, span, 0)?;
                    self.documents.documents.push(node);
                    self.anchors.clear();
                }
            }
        }
        Ok(self.documents)
    }

    fn next(&mut self) -> Result<Option<(Event<'a>, Span)>, ReadError> {
        match self.parser.next_event() {
            None => Ok(None),
            Some(Ok(next)) => Ok(Some(next)),
            Some(Err(error)) => {
                let at = error.marker().byte_offset().map_or(self.source.text.len(), |at| at + self.skipped);
                let template = if self.source.text.contains("{{") { " (the file has `{{` of a template)" } else { "" };
                Err(syntax(self.source, "YAML", error.info() + template, at))
            }
        }
    }

    fn some(&mut self) -> Result<(Event<'a>, Span), ReadError> {
        let end = self.source.text.len();
        self.next()?.ok_or_else(|| syntax(self.source, "YAML", "the file is cut off", end))
    }

    /// Reads the node that `event` begins; returns it and how many values it stands for.
    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<(Rc<Node>, usize), ReadError> {
        let mut place = self.place(&span);
        if depth > DEPTH {
            return Err(ReadError::TooDeep { limit: DEPTH, place });
        }
        let before = self.meter.values;
        self.meter.add(1, place)?;
        if let Event::Scalar(_, _, _, Some(tag)) | Event::SequenceStart(_, _, Some(tag)) | Event::MappingStart(_, _, Some(tag)) = &event
            && tag.handle() == "!"
        {
            self.documents.tags.insert(place.start, tag.suffix().to_owned());
        }
        let (value, anchor) = match event {
            Event::Alias(id) => {
                let found = self.anchors.get(&id).cloned();
                let (node, weight) = found.ok_or_else(|| syntax(self.source, "YAML", "an alias within its own anchor", place.start))?;
                self.meter.add(weight, place)?;
                return Ok((node, weight));
            }
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain;
                let is_text = tag.as_ref().is_some_and(|tag| tag.core_suffix() == Some("str"));
                (if plain && !is_text { plain_scalar(&text) } else { Value::Text { text: text.into_owned(), plain: false } }, anchor)
            }
            Event::SequenceStart(_, anchor, _) => {
                let mut items = Vec::new();
                loop {
                    let (event, span) = self.some()?;
                    if event == Event::SequenceEnd {
                        place = self.source.place(place.start, self.place(&span).end);
                        break;
                    }
                    items.push(self.node(event, span, depth + 1)?.0);
                }
                (Value::List(items), anchor)
            }
            Event::MappingStart(_, anchor, _) => {
                let (entries, end) = self.map(depth)?;
                place = self.source.place(place.start, end);
                (Value::Map(entries), anchor)
            }
            _ => return Err(syntax(self.source, "YAML", "a value is missing", place.start)),
        };
        let node = Rc::new(Node { place, value });
        let weight = self.meter.values - before;
        if anchor != 0 {
            self.anchors.insert(anchor, (Rc::clone(&node), weight));
        }
        Ok((node, weight))
    }

    /// Reads the entries of a map; returns the byte behind it too.
    fn map(&mut self, depth: usize) -> Result<(Vec<Entry>, usize), ReadError> {
        let (mut entries, mut seen, mut merged) = (Vec::new(), HashSet::new(), Vec::new());
        let end = loop {
            let (event, span) = self.some()?;
            if event == Event::MappingEnd {
                break self.place(&span).end;
            }
            let (key, _) = self.node(event, span, depth + 1)?;
            let (event, span) = self.some()?;
            let (value, _) = self.node(event, span, depth + 1)?;
            if matches!(key.value, Value::List(_) | Value::Map(_)) {
                let problem = "a list or map stands where a key should, as by the `{{` of a template".to_owned();
                return Err(ReadError::Syntax { syntax: "YAML", problem, place: key.place });
            }
            let is_merge = matches!(&key.value, Value::Text { text, plain: true } if text == "<<");
            if is_merge {
                merged.push(value);
            } else {
                let key = Located::new(key.scalar().unwrap_or_default(), key.place);
                insert(&mut entries, &mut seen, Entry { key, value, merged: false }, &mut self.documents.duplicates);
            }
        };
        for other in merged {
            let maps = if matches!(other.value, Value::List(_)) { other.items().to_vec() } else { vec![other] };
            for entry in maps.iter().flat_map(|map| map.entries()) {
                if seen.insert(entry.key.value.clone()) {
                    self.meter.add(1, entry.key.place.unwrap_or(entry.value.place))?;
                    entries.push(Entry { merged: true, ..entry.clone() });
                }
            }
        }
        Ok((entries, end))
    }

    fn place(&self, span: &Span) -> crate::Place {
        let range = span.byte_range().unwrap_or_default();
        self.source.place(range.start + self.skipped, range.end + self.skipped)
    }
}

/// Resolves a scalar without quotes by the core schema.
fn plain_scalar(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ if is_number(text) => Value::Number(text.to_owned()),
        _ => Value::Text { text: text.to_owned(), plain: true },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Documents, ReadError> {
        parse(&Source::new(text))
    }

    #[test]
    fn values_have_their_places() {
        let documents = read("a: 1\nb:\n  - é: yes\n    c: [x, 'y']\n---\n{\"d\": null}\n").unwrap();
        let first = &documents.documents[0];
        let item = &first.get("b").unwrap().items()[0];
        assert_eq!(item.get("é").unwrap().truth(), Some(true));
        let list = item.get("c").unwrap();
        assert_eq!((list.place.line, list.place.column), (4, 8));
        assert_eq!(list.items()[1].scalar().as_deref(), Some("y"));
        assert_eq!(documents.documents.len(), 2);
    }

    #[test]
    fn merge_fills_what_is_not_said() {
        let documents = read("base: &b {x: 1, y: 2}\nweb:\n  <<: *b\n  x: 3\n").unwrap();
        let web = documents.documents[0].get("web").unwrap();
        assert_eq!((web.get("x").unwrap().scalar().unwrap(), web.get("y").unwrap().scalar().unwrap()), ("3".into(), "2".into()));
    }

    #[test]
    fn alias_bomb_is_refused_at_its_place() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let item = format!("*a{}", level - 1);
            text.push_str(&format!("a{level}: &a{level} [{}]\n", [item.as_str(); 10].join(", ")));
        }
        let Err(ReadError::TooManyValues { place, .. }) = read(&text) else { panic!("not refused") };
        assert_eq!(place.line, 6);
    }

    #[test]
    fn depth_is_limited() {
        assert!(matches!(read(&("- ".repeat(200) + "x")), Err(ReadError::TooDeep { limit: 100, .. })));
        assert!(read(&"[".repeat(100_000)).is_err());
    }

    #[test]
    fn broken_text_is_an_error_with_its_place() {
        let Err(error) = read("a: 1\nb: [1, 2\nc: 3\n") else { panic!("read") };
        assert!(error.to_string().starts_with("line 3, column 2: not YAML: "), "{error}");
    }

    #[test]
    fn template_that_looks_like_a_map_is_an_error_with_a_hint() {
        for text in ["kind: Pod\nspec: {{ .Values }}\n", "spec:\n  {{- x }}: 1\n", "? [a, b]\n: 1\n"] {
            let Err(error) = read(text) else { panic!("read: {text}") };
            assert!(error.to_string().contains("not YAML") && error.hint().is_some(), "{error}");
        }
        assert!(read("? \n: 1\n").is_ok() && read("{a: {b: 1}}").is_ok());
    }

    #[test]
    fn duplicate_keys_are_noted_and_the_last_counts() {
        let documents = read("a: 1\na: 2\n").unwrap();
        assert_eq!(documents.duplicates[0].place.unwrap().line, 2);
        assert_eq!(documents.documents[0].get("a").unwrap().scalar().as_deref(), Some("2"));
    }
}
