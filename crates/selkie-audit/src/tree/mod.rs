//! Values with their places: what YAML, JSON and TOML files have in common.

mod json;
mod toml;
mod yaml;

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::place::{Located, Source};
use crate::{Place, ReadError};

pub(crate) use self::json::parse as json;
pub(crate) use self::toml::parse as toml;
pub(crate) use self::yaml::parse as yaml;

/// How deep values may be nested.
const DEPTH: usize = 100;
/// How many values a file may stand for, aliases counted as what they stand for.
pub(crate) const VALUES: usize = 1_000_000;

/// A value.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

/// What a value is. Nodes are shared: an alias is its anchor's node.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(String),
    /// Text; `plain` if without quotes.
    Text {
        text: String,
        plain: bool,
    },
    List(Vec<Rc<Node>>),
    Map(Vec<Entry>),
}

/// A key with its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: Located<String>,
    pub(crate) value: Rc<Node>,
    /// It comes from another map by `<<`.
    pub(crate) merged: bool,
}

/// The documents of a file, and what is odd about them.
#[derive(Debug, Default)]
pub(crate) struct Documents {
    pub(crate) documents: Vec<Rc<Node>>,
    /// Keys that a map has twice; the last one counts, as for most readers.
    pub(crate) duplicates: Vec<Located<String>>,
    /// Values with a tag of their own (`!override`), by the byte at which they begin.
    pub(crate) tags: BTreeMap<usize, String>,
}

impl Node {
    /// Returns the value of `key`, if this is a map that has it with a value.
    pub(crate) fn get(&self, key: &str) -> Option<&Rc<Self>> {
        self.entry(key).map(|entry| &entry.value).filter(|node| !matches!(node.value, Value::Null))
    }

    /// Returns the last entry of `key`.
    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().rev().find(|entry| entry.key.value == key)
    }

    /// Returns the entries of a map; none of anything else.
    pub(crate) fn entries(&self) -> &[Entry] {
        if let Value::Map(entries) = &self.value { entries } else { &[] }
    }

    /// Returns the items of a list; none of anything else.
    pub(crate) fn items(&self) -> &[Rc<Self>] {
        if let Value::List(items) = &self.value { items } else { &[] }
    }

    /// Returns a text, or a number or truth value as it is written.
    pub(crate) fn scalar(&self) -> Option<String> {
        match &self.value {
            Value::Text { text, .. } => Some(text.clone()),
            Value::Number(number) => Some(number.clone()),
            Value::Bool(value) => Some(value.to_string()),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// Returns a truth value. Words of YAML 1.1 count: the readers of Kubernetes and Docker take them.
    pub(crate) fn truth(&self) -> Option<bool> {
        match &self.value {
            Value::Bool(value) => Some(*value),
            Value::Text { text, plain: true } => match text.as_str() {
                "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "y" | "Y" => Some(true),
                "no" | "No" | "NO" | "off" | "Off" | "OFF" | "n" | "N" => Some(false),
                _ => None,
            },
            _ => None,
        }
    }

    /// Returns what the value is, for messages.
    pub(crate) const fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "a truth value",
            Value::Number(_) => "a number",
            Value::Text { .. } => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }

    /// Tells whether both mean the same, wherever they stand and however they are written.
    pub(crate) fn same(&self, other: &Self) -> bool {
        match (&self.value, &other.value) {
            (Value::Null, Value::Null) => true,
            (Value::Bool(one), Value::Bool(two)) => one == two,
            (Value::Number(one), Value::Number(two)) => one == two,
            (Value::Text { text: one, .. }, Value::Text { text: two, .. }) => one == two,
            (Value::List(one), Value::List(two)) => one.len() == two.len() && one.iter().zip(two).all(|(one, two)| one.same(two)),
            (Value::Map(one), Value::Map(two)) => {
                one.len() == two.len() && one.iter().zip(two).all(|(one, two)| one.key.value == two.key.value && one.value.same(&two.value))
            }
            _ => false,
        }
    }
}

/// Counts what is made of a file, so that little text cannot become much.
#[derive(Debug, Default)]
struct Meter {
    values: usize,
}

impl Meter {
    /// Adds `more` values.
    fn add(&mut self, more: usize, place: Place) -> Result<(), ReadError> {
        self.values = self.values.saturating_add(more);
        if self.values > VALUES { Err(ReadError::TooManyValues { limit: VALUES, place }) } else { Ok(()) }
    }
}

/// Adds an entry, and notes a key that is there already.
fn insert(entries: &mut Vec<Entry>, seen: &mut std::collections::HashSet<String>, entry: Entry, duplicates: &mut Vec<Located<String>>) {
    if !seen.insert(entry.key.value.clone()) {
        duplicates.push(entry.key.clone());
    }
    entries.push(entry);
}

/// Tells whether plain text is a number by the rules of JSON, YAML and TOML alike, loosely.
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let radix = |prefix: &str, radix| {
        digits.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty() && rest.chars().all(|character| character.is_digit(radix)))
    };
    let plain = digits.starts_with(|first: char| first.is_ascii_digit() || first == '.');
    radix("0x", 16) || radix("0o", 8) || radix("0b", 2) || plain && digits.parse::<f64>().is_ok()
}

/// The error of a parser at these bytes.
fn syntax(source: &Source, syntax: &'static str, problem: impl Into<String>, start: usize) -> ReadError {
    ReadError::Syntax { syntax, problem: problem.into(), place: source.place(start, start) }
}
