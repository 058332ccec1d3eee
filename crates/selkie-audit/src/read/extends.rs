//! `extends` of compose files: what a service says, merged into what the service says that it extends. compose-spec.io, "Extends" and
//! "Merge and override".
//!
//! Maps are merged, lists go on in one another, of anything else the service's own counts; `!override` replaces what is there and
//! `!reset` takes it away. What is merged keeps its places. Not for `extends` of another file, which is not read: that is said.
//!
//! ```text
//! base: {privileged: true, cap_add: [A]}        privileged: true     (of `base`)
//! web: {extends: base, cap_add: [B]}      -->   cap_add: [A, B]      (A of `base`, B of `web`)
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::{Reading, compose, variables};
use crate::place::Located;
use crate::tree::{Entry, Node, VALUES, Value};
use crate::{Place, ReadError};

/// How many names of a circle are told.
const SHOWN: usize = 8;

/// A service with all that it extends.
#[derive(Clone)]
pub(super) struct Service {
    pub(super) name: String,
    /// What it says, with what it extends; its place is its own.
    pub(super) node: Rc<Node>,
    /// What of it is not in this file: what `extends` says, and where.
    pub(super) elsewhere: Option<(String, Option<Place>)>,
}

/// What `extends` of a service names.
enum Target {
    Nothing,
    /// The service with this number.
    Here(usize, Place),
    /// Something that is not in this file.
    Elsewhere(String, Option<Place>),
}

/// Returns the services of the file `name`, each with what it extends, in their order; those that are no maps are noted and left out.
///
/// # Errors
/// Services that extend each other in a circle, and more values than are read.
pub(super) fn resolve(reading: &mut Reading, name: &str, services: &[Entry]) -> Result<Vec<Service>, ReadError> {
    let mut all: Vec<&Entry> = Vec::new();
    for entry in services {
        reading.subject.clone_from(&entry.key.value);
        if matches!(entry.value.value, Value::Map(_)) {
            all.push(entry);
        } else {
            reading.wrong(&entry.key.value, entry.value.place, entry.value.kind(), "a map");
        }
    }
    let numbers = all.iter().enumerate().map(|(number, entry)| (entry.key.value.as_str(), number)).collect();
    let mut targets = Vec::new();
    for entry in &all {
        reading.subject.clone_from(&entry.key.value);
        targets.push(target(reading, name, &numbers, &entry.value));
    }
    let mut done: BTreeMap<usize, Service> = BTreeMap::new();
    let mut merge = Merge { tags: &reading.tags, values: 0 };
    for number in 0..all.len() {
        let mut last: Option<Service> = None;
        for number in chain(number, &all, &targets, &done)?.into_iter().rev() {
            let Some(entry) = all.get(number) else { continue };
            let service = match (done.get(&number), &last, targets.get(number)) {
                (Some(done), ..) => done.clone(),
                (None, Some(base), _) => Service {
                    name: entry.key.value.clone(),
                    node: Rc::new(merge.maps(&base.node, &entry.value)?),
                    elsewhere: base.elsewhere.clone(),
                },
                (None, None, target) => {
                    let elsewhere = match target {
                        Some(Target::Elsewhere(text, place)) => Some((text.clone(), *place)),
                        _ => None,
                    };
                    Service { name: entry.key.value.clone(), node: Rc::clone(&entry.value), elsewhere }
                }
            };
            done.insert(number, service.clone());
            last = Some(service);
        }
    }
    Ok(done.into_values().collect())
}

/// Returns the service with this number and those that it extends, up to one that is `done` or extends nothing of this file.
fn chain(number: usize, all: &[&Entry], targets: &[Target], done: &BTreeMap<usize, Service>) -> Result<Vec<usize>, ReadError> {
    let (mut chain, mut seen, mut at) = (vec![number], BTreeSet::from([number]), number);
    while let (false, Some(Target::Here(next, place))) = (done.contains_key(&at), targets.get(at)) {
        chain.push(*next);
        if !seen.insert(*next) {
            let circle = chain.iter().skip_while(|number| *number != next);
            let names: Vec<&str> = circle.filter_map(|number| all.get(*number)).map(|entry| entry.key.value.as_str()).collect();
            let shown =
                if names.len() > SHOWN { names.get(..SHOWN).unwrap_or_default().join(" -> ") + " -> ..." } else { names.join(" -> ") };
            return Err(ReadError::Circle { circle: shown, place: *place });
        }
        at = *next;
    }
    Ok(chain)
}

fn target(reading: &mut Reading, name: &str, numbers: &BTreeMap<&str, usize>, node: &Rc<Node>) -> Target {
    let Some(entry) = node.entry("extends").filter(|entry| !matches!(entry.value.value, Value::Null)) else { return Target::Nothing };
    let (value, written) = (&entry.value, reading.source.at(entry.value.place).lines().next().unwrap_or_default().to_owned());
    let (file, service) = match &value.value {
        Value::Map(_) => (value.get("file").and_then(|file| file.scalar()), value.get("service").and_then(|service| service.scalar())),
        _ => (None, value.scalar()),
    };
    let elsewhere = || Target::Elsewhere(written, entry.key.place);
    let Some(service) = service.map(|service| variables::fill(&service)) else {
        reading.wrong("extends", value.place, value.kind(), "the name of a service");
        return elsewhere();
    };
    let is_here = file.is_none_or(|file| is_same(name, &variables::fill(&file).text));
    match numbers.get(service.text.as_str()).filter(|_| is_here) {
        Some(number) => Target::Here(*number, value.place),
        None => elsewhere(),
    }
}

/// Tells whether `file`, as the file `name` calls it, is that file itself.
fn is_same(name: &str, file: &str) -> bool {
    let parts = |path: &str| path.split('/').filter(|part| !matches!(*part, "" | ".")).map(str::to_owned).collect::<Vec<_>>();
    let (name, written) = (parts(name), parts(file));
    if file.starts_with('/') { name == written } else { name.last() == written.last() && written.len() == 1 }
}

/// Lists in which an item takes the place of the one before it that is for the same path of the container.
const BY_TARGET: [&str; 2] = ["volumes", "devices"];
/// Maps that may be written as lists of their keys.
const OR_LIST: [&str; 2] = ["sysctls", "networks"];

/// Merges, and counts what is made by it.
struct Merge<'a> {
    tags: &'a BTreeMap<usize, String>,
    values: usize,
}

impl Merge<'_> {
    /// Returns the map `own` merged into the map `base`.
    fn maps(&mut self, base: &Node, own: &Node) -> Result<Node, ReadError> {
        let mut entries: Vec<Entry> = base.entries().iter().filter(|entry| entry.key.value != "extends").cloned().collect();
        let mut numbers: BTreeMap<String, usize> = entries.iter().enumerate().map(|(at, entry)| (entry.key.value.clone(), at)).collect();
        self.count(entries.len(), own.place)?;
        for entry in own.entries().iter().filter(|entry| entry.key.value != "extends") {
            let before = numbers.get(&entry.key.value).and_then(|at| entries.get(*at)).map(|entry| Rc::clone(&entry.value));
            let value = match (self.tags.get(&entry.value.place.start).map(String::as_str), before) {
                (Some("reset"), _) => Rc::new(Node { place: entry.value.place, value: Value::Null }),
                (Some("override"), _) | (_, None) => Rc::clone(&entry.value),
                (_, Some(before)) => self.values(&entry.key.value, &before, &entry.value)?,
            };
            let merged = Entry { value, ..entry.clone() };
            if let Some(old) = numbers.get(&entry.key.value).and_then(|at| entries.get_mut(*at)) {
                *old = merged;
            } else {
                numbers.insert(entry.key.value.clone(), entries.len());
                entries.push(merged);
            }
        }
        Ok(Node { place: own.place, value: Value::Map(entries) })
    }

    /// Returns the value of `key` of two that say one.
    fn values(&mut self, key: &str, base: &Rc<Node>, own: &Rc<Node>) -> Result<Rc<Node>, ReadError> {
        match (&base.value, &own.value) {
            (_, Value::Null) => Ok(Rc::clone(base)),
            (Value::Map(_), Value::Map(_)) => Ok(Rc::new(self.maps(base, own)?)),
            (Value::Map(_), Value::List(_)) if OR_LIST.contains(&key) => Ok(Rc::new(self.maps(base, &keyed(own))?)),
            (Value::List(_), Value::Map(_)) if OR_LIST.contains(&key) => Ok(Rc::new(self.maps(&keyed(base), own)?)),
            (Value::List(first), Value::List(second)) => {
                self.count(first.len() + second.len(), own.place)?;
                let again: BTreeSet<String> = if BY_TARGET.contains(&key) {
                    second.iter().filter_map(|item| compose::target(item)).collect()
                } else {
                    BTreeSet::new()
                };
                let kept =
                    first.iter().filter(|item| again.is_empty() || compose::target(item).is_none_or(|target| !again.contains(&target)));
                let items = kept.chain(second).cloned().collect();
                Ok(Rc::new(Node { place: own.place, value: Value::List(items) }))
            }
            _ => Ok(Rc::clone(own)),
        }
    }

    fn count(&mut self, more: usize, place: Place) -> Result<(), ReadError> {
        self.values = self.values.saturating_add(more);
        if self.values > VALUES { Err(ReadError::TooManyValues { limit: VALUES, place }) } else { Ok(()) }
    }
}

/// Returns a list of `KEY` and `KEY=VALUE` as the map that it stands for.
fn keyed(list: &Node) -> Node {
    let entry = |item: &Rc<Node>| {
        let text = item.scalar()?;
        let (key, value) = text
            .split_once('=')
            .map_or((text.as_str(), Value::Null), |(key, value)| (key, Value::Text { text: value.to_owned(), plain: false }));
        let value = Rc::new(Node { place: item.place, value });
        Some(Entry { key: Located::new(key.to_owned(), item.place), value, merged: false })
    };
    Node { place: list.place, value: Value::Map(list.items().iter().filter_map(entry).collect()) }
}

#[cfg(test)]
mod tests {
    use super::is_same;

    #[test]
    fn file_is_the_same_by_its_name_beside_itself() {
        let cases = [
            ("a/c.yaml", "c.yaml"),
            ("c.yaml", "./c.yaml"),
            ("/a/c.yaml", "/a/./c.yaml"),
            ("a/c.yaml", "b/c.yaml"),
            ("a/c.yaml", "../c.yaml"),
            ("c.yaml", "d.yaml"),
            ("-", "c.yaml"),
        ];
        assert_eq!(cases.map(|(name, file)| is_same(name, file)), [true, true, true, false, false, false, false]);
    }
}
