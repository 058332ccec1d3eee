//! Changes of YAML, JSON and TOML.

use std::rc::Rc;

use super::{FixError, splice};
use crate::place::{Located, Source};
use crate::tree::{self, Entry, Node, Value};
use crate::{Change, FileType, Place, Setting};

/// Files that stand for more values are not edited.
const VALUES: usize = 50_000;

/// Where a node is: numbers of entries or items, from the document on.
type Path = Vec<usize>;

/// Makes one change.
pub(super) fn apply(kind: FileType, source: &Source, change: &Change) -> Result<String, FixError> {
    let documents = parse(kind, source)?;
    let edit = Edit { source, is_toml: kind == FileType::ContainersConf, is_json: source.text.trim_start().starts_with('{') };
    let roots = Node { place: source.place(0, source.text.len()), value: Value::List(documents) };
    let (text, wanted) = match change {
        Change::Replace { place, value } => {
            let path = only(&roots, |node| same_place(node.place, *place))?;
            (edit.replace(&roots, &path, value)?, put(&roots, &path, Some(&node_of(value, *place))))
        }
        Change::Remove { place } => {
            let found = only(&roots, |node| same_place(node.place, *place))?;
            // There a list that is not there is the engine's own, and an empty one says none.
            let stays_empty = matches!(kind, FileType::ContainersConf | FileType::Oci);
            let path = if stays_empty { found } else { shorten(&roots, found) };
            (edit.remove(&roots, &path)?, put(&roots, &path, None))
        }
        Change::Set { within, path, value } => edit.set(&roots, *within, path, value)?,
        Change::Append { within, path, item } => {
            let home = only(&roots, |node| node.place.start == within.start && matches!(node.value, Value::Map(_)))?;
            let list = at(&roots, &home).and_then(|node| path.iter().try_fold(node, |node, key| node.get(key).map(AsRef::as_ref)));
            let mut items: Vec<String> = list.map_or_else(Vec::new, |list| list.items().iter().filter_map(|item| item.scalar()).collect());
            if list.is_some_and(|list| list.items().len() != items.len() || !matches!(list.value, Value::List(_))) {
                return Err(FixError::Unusual);
            }
            // What says the opposite goes: `no-new-privileges:false`.
            let name = item.split([':', '=']).next().unwrap_or_default();
            items.retain(|other| other.split([':', '=']).next() != Some(name));
            items.push(item.clone());
            edit.set(&roots, *within, path, &Setting::List(items))?
        }
    };
    let result = parse(kind, &Source::new(&text)).map_err(|_| FixError::NotAsIntended)?;
    let means = Node { place: roots.place, value: Value::List(result) };
    if wanted.same(&means) { Ok(text) } else { Err(FixError::NotAsIntended) }
}

fn parse(kind: FileType, source: &Source) -> Result<Vec<Rc<Node>>, FixError> {
    let read = match kind {
        FileType::ContainersConf => tree::toml(source),
        FileType::Oci => tree::json(source),
        _ => tree::yaml(source),
    };
    Ok(read.map_err(|_| FixError::Unusual)?.documents)
}

fn same_place(one: Place, other: Place) -> bool {
    one.start == other.start && one.end == other.end
}

/// Returns the path of the one node for which `wanted` holds.
fn only(root: &Node, wanted: impl Fn(&Node) -> bool) -> Result<Path, FixError> {
    let mut found = Vec::new();
    let mut waiting: Vec<(Path, &Node)> = vec![(Vec::new(), root)];
    let mut visited = 0;
    while let Some((path, node)) = waiting.pop() {
        visited += 1;
        if visited > VALUES {
            return Err(FixError::TooMany);
        }
        if !path.is_empty() && wanted(node) {
            found.push(path.clone());
        }
        for (number, child) in children(node).enumerate() {
            waiting.push((path.iter().copied().chain([number]).collect(), child));
        }
    }
    match found.as_slice() {
        [one] => Ok(one.clone()),
        _ => Err(FixError::Shared),
    }
}

fn children(node: &Node) -> Box<dyn Iterator<Item = &Node> + '_> {
    match &node.value {
        Value::List(items) => Box::new(items.iter().map(AsRef::as_ref)),
        Value::Map(entries) => Box::new(entries.iter().map(|entry| entry.value.as_ref())),
        _ => Box::new(std::iter::empty()),
    }
}

fn at<'a>(root: &'a Node, path: &[usize]) -> Option<&'a Node> {
    path.iter().try_fold(root, |node, number| children(node).nth(*number))
}

/// A list or map that would be empty goes with what holds it; documents stay.
fn shorten(root: &Node, mut path: Path) -> Path {
    while path.len() > 2 && at(root, path.get(..path.len() - 1).unwrap_or_default()).is_some_and(|parent| children(parent).count() == 1) {
        path.pop();
    }
    path
}

/// Returns the tree with `new` at `path`, or nothing there.
fn put(root: &Node, path: &[usize], new: Option<&Node>) -> Node {
    let Some((first, rest)) = path.split_first() else { return new.unwrap_or(root).clone() };
    let mut node = root.clone();
    match &mut node.value {
        Value::List(items) if rest.is_empty() && new.is_none() && *first < items.len() => drop(items.remove(*first)),
        Value::Map(entries) if rest.is_empty() && new.is_none() && *first < entries.len() => drop(entries.remove(*first)),
        Value::List(items) => {
            if let Some(item) = items.get_mut(*first) {
                *item = Rc::new(put(item, rest, new));
            }
        }
        Value::Map(entries) => {
            if let Some(entry) = entries.get_mut(*first) {
                entry.value = Rc::new(put(&entry.value, rest, new));
            }
        }
        _ => {}
    }
    node
}

fn node_of(value: &Setting, place: Place) -> Node {
    let text = |text: &String| Value::Text { text: text.clone(), plain: true };
    let value = match value {
        Setting::Truth(value) => Value::Bool(*value),
        Setting::Text(word) => text(word),
        Setting::List(words) => Value::List(words.iter().map(|word| Rc::new(Node { place, value: text(word) })).collect()),
    };
    Node { place, value }
}

/// How this file is written.
struct Edit<'a> {
    source: &'a Source<'a>,
    is_toml: bool,
    is_json: bool,
}

impl Edit<'_> {
    fn replace(&self, roots: &Node, path: &[usize], value: &Setting) -> Result<String, FixError> {
        let node = at(roots, path).ok_or(FixError::Shared)?;
        if children(node).next().is_some() {
            return Err(FixError::Unusual);
        }
        splice(self.source.text, node.place.start, node.place.end, &self.written(value))
    }

    fn remove(&self, roots: &Node, path: &[usize]) -> Result<String, FixError> {
        let (number, parent) = path.split_last().ok_or(FixError::Shared)?;
        let parent = at(roots, parent).ok_or(FixError::Shared)?;
        let pieces = self.pieces(parent)?;
        let (start, end) = *pieces.get(*number).ok_or(FixError::Shared)?;
        if self.is_flow(parent) {
            return match (pieces.get(number + 1), number.checked_sub(1).and_then(|before| pieces.get(before))) {
                (Some((next, _)), _) => splice(self.source.text, start, *next, ""),
                (None, Some((_, before))) => splice(self.source.text, *before, end, ""),
                (None, None) => splice(self.source.text, start, self.behind_comma(end), ""),
            };
        }
        let (line, _) = self.source.line_around(start);
        let before = self.source.text.get(line..start).unwrap_or_default();
        let stands_alone = match parent.value {
            Value::List(_) => before.trim() == "-",
            _ => before.trim().is_empty() && !self.is_toml,
        };
        let (_, last) = self.source.line_around(end);
        let behind = self.source.text.get(end..last).unwrap_or_default().trim();
        if !stands_alone || !(behind.is_empty() || behind.starts_with('#')) {
            return Err(FixError::Unusual);
        }
        splice(self.source.text, line, (last + 1).min(self.source.text.len()), "")
    }

    /// Returns the byte behind the comma that follows, as TOML allows behind the last item too.
    fn behind_comma(&self, end: usize) -> usize {
        let rest = self.source.text.get(end..).unwrap_or_default();
        let blanks = rest.len() - rest.trim_start().len();
        if rest.trim_start().starts_with(',') { end + blanks + 1 } else { end }
    }

    /// The bytes of each item or entry, which have to stand one behind the other within their parent.
    fn pieces(&self, parent: &Node) -> Result<Vec<(usize, usize)>, FixError> {
        let mut pieces = Vec::new();
        match &parent.value {
            Value::List(items) => {
                for item in items {
                    pieces.push((item.place.start, self.last(item)?));
                }
            }
            // Its tables come in the order of their keys, and not of the text.
            Value::Map(_) if self.is_toml => return Err(FixError::Unusual),
            Value::Map(entries) => {
                for entry in entries {
                    pieces.push((entry.key.place.ok_or(FixError::Unusual)?.start, self.end_of(entry)?));
                }
            }
            _ => return Err(FixError::Unusual),
        }
        let in_order = pieces.windows(2).all(|pair| matches!(pair, [one, two] if one.1 <= two.0));
        let within = pieces.first().is_none_or(|first| first.0 >= parent.place.start);
        if in_order && within { Ok(pieces) } else { Err(FixError::Shared) }
    }

    fn end_of(&self, entry: &Entry) -> Result<usize, FixError> {
        let key = entry.key.place.ok_or(FixError::Unusual)?;
        if entry.merged {
            return Err(FixError::Shared);
        }
        match entry.value.value {
            Value::Null if entry.value.place.start == entry.value.place.end => Ok(key.end + 1),
            _ if entry.value.place.start < key.end => Err(FixError::Shared),
            _ => self.last(&entry.value),
        }
    }

    /// Returns the byte behind a node, without the blanks and comments that follow.
    fn last(&self, node: &Node) -> Result<usize, FixError> {
        if self.is_flow(node) {
            return Ok(node.place.end);
        }
        let end = match &node.value {
            Value::List(items) => items.last().map_or(Ok(node.place.end), |item| self.last(item))?,
            Value::Map(entries) => {
                entries.iter().rev().find(|entry| !entry.merged).map_or(Ok(node.place.end), |entry| self.end_of(entry))?
            }
            _ => node.place.end,
        };
        let text = self.source.text.get(node.place.start..end).unwrap_or_default();
        Ok(node.place.start + text.trim_end().len())
    }

    fn is_flow(&self, node: &Node) -> bool {
        self.source.at(node.place).starts_with(['[', '{'])
    }

    fn set(&self, roots: &Node, within: Place, path: &[&str], value: &Setting) -> Result<(String, Node), FixError> {
        let mut home = only(roots, |node| node.place.start == within.start && matches!(node.value, Value::Map(_)))?;
        let mut keys = path.iter();
        let mut rest: Vec<&str> = Vec::new();
        while let Some(key) = keys.next() {
            let map = at(roots, &home).ok_or(FixError::Shared)?;
            match map.entries().iter().rposition(|entry| entry.key.value == *key) {
                Some(number) => home.push(number),
                None => {
                    rest = std::iter::once(*key).chain(keys.copied()).collect();
                    break;
                }
            }
        }
        let node = at(roots, &home).ok_or(FixError::Shared)?;
        if rest.is_empty() {
            return Ok((self.overwrite(roots, &home, value)?, put(roots, &home, Some(&node_of(value, node.place)))));
        }
        if self.is_toml || !matches!(node.value, Value::Map(_)) {
            return Err(FixError::Unusual);
        }
        let (text, position) = self.insert(node, &rest, value)?;
        let new = rest.iter().rev().fold(node_of(value, node.place), |inner, key| {
            let entry = Entry { key: Located::new((*key).to_owned(), node.place), value: Rc::new(inner), merged: false };
            Node { place: node.place, value: Value::Map(vec![entry]) }
        });
        let mut changed = node.clone();
        if let (Value::Map(entries), Value::Map(added)) = (&mut changed.value, new.value) {
            entries.splice(position..position, added);
        }
        Ok((text, put(roots, &home, Some(&changed))))
    }

    /// Writes `value` in place of what is at `path` now.
    fn overwrite(&self, roots: &Node, path: &[usize], value: &Setting) -> Result<String, FixError> {
        let (number, parent) = path.split_last().ok_or(FixError::Shared)?;
        let parent = at(roots, parent).ok_or(FixError::Shared)?;
        let entry = parent.entries().get(*number).ok_or(FixError::Unusual)?;
        let (key, end) = (entry.key.place.ok_or(FixError::Unusual)?, self.end_of(entry)?);
        let is_block = children(&entry.value).next().is_some() && !self.is_flow(&entry.value);
        if is_block || matches!(entry.value.value, Value::Null) {
            return splice(self.source.text, key.end, end, &format!(": {}", self.written(value)));
        }
        splice(self.source.text, entry.value.place.start, end, &self.written(value))
    }

    /// Writes a new entry into the map `node`; returns its number among the entries too.
    fn insert(&self, node: &Node, keys: &[&str], value: &Setting) -> Result<(String, usize), FixError> {
        let written = self.written(value);
        let text = self.source.text;
        if self.is_flow(node) {
            let quoted = |key: &&str| if self.is_json { format!("\"{key}\"") } else { (*key).to_owned() };
            let open = keys.iter().map(quoted).collect::<Vec<_>>().join(": {");
            let close = "}".repeat(keys.len() - 1);
            let first = node.entries().first().and_then(|entry| entry.key.place);
            let between = first.and_then(|first| text.get(node.place.start + 1..first.start)).unwrap_or_default();
            let comma = if first.is_some() { "," } else { "" };
            let blank = if first.is_some() && between.is_empty() { " " } else { "" };
            let new = format!("{between}{open}: {written}{close}{comma}{blank}");
            return Ok((splice(text, node.place.start + 1, node.place.start + 1, &new)?, 0));
        }
        let own: Vec<(usize, &Entry)> = node.entries().iter().enumerate().filter(|(_, entry)| !entry.merged).collect();
        let (_, first) = own.first().ok_or(FixError::Unusual)?;
        let first = first.key.place.ok_or(FixError::Unusual)?;
        let (line, _) = self.source.line_around(first.start);
        let indent =
            text.get(line..first.start).unwrap_or_default().chars().map(|c| if c == '\t' { '\t' } else { ' ' }).collect::<String>();
        let end_of_line = if text.contains("\r\n") { "\r\n" } else { "\n" };
        let mut lines = String::new();
        for (depth, key) in keys.iter().enumerate() {
            let value = if depth + 1 == keys.len() { format!(" {written}") } else { String::new() };
            lines.push_str(&format!("{indent}{}{key}:{value}{end_of_line}", "  ".repeat(depth)));
        }
        let plain = own.iter().find(|(_, entry)| children(&entry.value).next().is_none() && self.is_one_line(entry));
        let (number, entry) = plain.or(own.last()).ok_or(FixError::Unusual)?;
        let (_, end) = self.source.line_around(self.end_of(entry)?);
        if end >= text.len() {
            return Ok((format!("{text}{end_of_line}{lines}"), number + 1));
        }
        Ok((splice(text, end + 1, end + 1, &lines)?, number + 1))
    }

    fn is_one_line(&self, entry: &Entry) -> bool {
        let Some(key) = entry.key.place else { return false };
        self.end_of(entry).is_ok_and(|end| self.source.text.get(key.start..end).is_some_and(|text| !text.contains('\n')))
    }

    fn written(&self, value: &Setting) -> String {
        match value {
            Setting::Truth(value) => value.to_string(),
            Setting::Text(word) => self.word(word),
            Setting::List(words) => format!("[{}]", words.iter().map(|word| self.word(word)).collect::<Vec<_>>().join(", ")),
        }
    }

    fn word(&self, word: &str) -> String {
        let plain =
            word.chars().all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c)) && word.starts_with(|c: char| c.is_ascii_alphabetic());
        if plain && !self.is_json && !self.is_toml { word.to_owned() } else { serde_json::to_string(word).unwrap_or_default() }
    }
}
