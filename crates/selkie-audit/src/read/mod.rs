//! From the bytes of a file to the containers that it describes, one kind of file a module.

mod compose;
mod containers_conf;
mod docker;
mod extends;
mod kubernetes;
mod lxc;
mod nspawn;
mod oci;
mod podman_args;
mod project;
mod quadlet;
mod security_opt;
mod variables;

use std::collections::BTreeMap;
use std::rc::Rc;

pub use self::docker::docker;
use crate::place::{Located, Source};
use crate::tree::{self, Node, Value};
use crate::unit::{self, Setting};
use crate::{DropIn, FileType, Finding, Fix, Learned, Place, ReadError, Rule, Subject, check, kind};

/// How many bytes of a file are read.
pub const FILE_LIMIT: usize = 8 << 20;
/// How many containers of a file are audited.
pub const SUBJECT_LIMIT: usize = 10_000;

/// What a file says of containers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its name, as it was given.
    pub name: String,
    /// What kind it is.
    pub kind: FileType,
    /// The containers.
    pub subjects: Vec<Subject>,
    /// What is wrong with the file itself.
    pub findings: Vec<Finding>,
    /// Its drop-ins, and from which byte of the whole on each is.
    drop_ins: Vec<(usize, String)>,
}

impl File {
    /// Lists what is wrong with the file and its containers, worst first; `learned` are the profiles that there are. What a drop-in
    /// says is placed there, and comes without a change: only the file itself is edited.
    #[must_use]
    pub fn judge(&self, learned: &[Learned]) -> Vec<Finding> {
        let of_subjects = self.subjects.iter().flat_map(|subject| check(subject, learned));
        let mut findings: Vec<Finding> = of_subjects.chain(self.findings.iter().cloned()).collect();
        findings.sort_by_key(|finding| (std::cmp::Reverse(finding.severity), finding.place.map(|place| place.start)));
        for finding in &mut findings {
            let start = finding.place.map_or(0, |place| place.start);
            let Some((begin, name)) = self.drop_ins.iter().rev().find(|(begin, _)| *begin <= start) else { continue };
            finding.file = Some(name.clone());
            finding.place = finding.place.map(|place| Place { start: start - begin, end: place.end.saturating_sub(*begin), ..place });
            finding.fix.changes.clear();
        }
        findings
    }
}

/// Reads a file of this `name`; `kind` is what it is, if that is known.
///
/// Keys that are not known never fail: they are the engine's business.
///
/// # Errors
/// [`ReadError`] says what is wrong and where. A value of the wrong type is no error, but a finding.
pub fn read(name: &str, bytes: &[u8], kind: Option<FileType>) -> Result<File, ReadError> {
    read_unit(name, bytes, kind, &[])
}

/// Reads a unit with its drop-ins, which are in the order in which they count; of what is no unit drop-ins are left out.
///
/// # Errors
/// As [`read`]; what is wrong with a drop-in names it.
pub fn read_unit(name: &str, bytes: &[u8], kind: Option<FileType>, drop_ins: &[DropIn]) -> Result<File, ReadError> {
    let main = source(bytes)?;
    let kind = kind.map_or_else(|| kind::recognise(name, &main), Ok)?;
    if kind != FileType::Quadlet || drop_ins.is_empty() {
        return read_source(name, kind, &main, Vec::new());
    }
    let (mut text, mut parts) = (main.text.to_owned(), Vec::new());
    for drop_in in drop_ins {
        let wrong = |error| ReadError::DropIn { file: drop_in.name.clone(), error: Box::new(error) };
        if !text.ends_with('\n') {
            text.push('\n');
        }
        parts.push((text.len(), drop_in.name.clone()));
        text.push_str(source(&drop_in.bytes).map_err(wrong)?.text);
        if text.len() > FILE_LIMIT {
            return Err(wrong(ReadError::TooLarge { limit: FILE_LIMIT }));
        }
    }
    let starts: Vec<usize> = parts.iter().map(|(start, _)| *start).collect();
    let read = read_source(name, kind, &Source::new(&text).with_parts(starts), parts.clone());
    read.map_err(|error| {
        let start = error.place().map_or(0, |place| place.start);
        match parts.iter().rev().find(|(begin, _)| *begin <= start) {
            Some((_, file)) => ReadError::DropIn { file: file.clone(), error: Box::new(error) },
            None => error,
        }
    })
}

fn read_source(name: &str, kind: FileType, source: &Source, drop_ins: Vec<(usize, String)>) -> Result<File, ReadError> {
    let mut reading = Reading { source, subject: String::new(), findings: Vec::new(), tags: BTreeMap::new() };
    let subjects = match kind {
        FileType::Compose => compose::read(&mut reading, name)?,
        FileType::Kubernetes => kubernetes::read(&mut reading)?,
        FileType::Quadlet => quadlet::read(&mut reading, name)?,
        FileType::Oci => oci::read(&mut reading, name)?,
        FileType::ContainersConf => containers_conf::read(&mut reading)?,
        FileType::Lxc => lxc::read(&mut reading, name)?,
        FileType::Nspawn => nspawn::read(&mut reading, name)?,
    };
    if subjects.len() > SUBJECT_LIMIT {
        return Err(ReadError::TooManySubjects { limit: SUBJECT_LIMIT });
    }
    Ok(File { name: name.to_owned(), kind, subjects, findings: reading.findings, drop_ins })
}

/// Returns the text of a file.
pub(crate) fn source(bytes: &[u8]) -> Result<Source<'_>, ReadError> {
    if bytes.len() > FILE_LIMIT {
        return Err(ReadError::TooLarge { limit: FILE_LIMIT });
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let byte = error.valid_up_to();
        let line = bytes.iter().take(byte).filter(|byte| **byte == b'\n').count() + 1;
        ReadError::NotText { line, byte }
    })?;
    Ok(Source::new(text))
}

/// What all readers share: the text, and what is wrong with it.
pub(crate) struct Reading<'a> {
    pub(crate) source: &'a Source<'a>,
    /// The container that is read now.
    pub(crate) subject: String,
    pub(crate) findings: Vec<Finding>,
    /// Tags of YAML's values, by the byte at which a value begins.
    tags: BTreeMap<usize, String>,
}

impl Reading<'_> {
    /// Notes a finding about the file.
    pub(crate) fn note(&mut self, rule: Rule, message: String, place: Option<Place>, fix: Fix) {
        let (severity, subject) = (rule.severity(), self.subject.clone());
        self.findings.push(Finding { rule, severity, subject, message, capability: None, place, file: None, fix, accepted: None });
    }

    /// Notes a value of the wrong type.
    pub(crate) fn wrong(&mut self, key: &str, place: Place, found: &str, expected: &str) {
        let written: String = self.source.at(place).lines().next().unwrap_or_default().chars().take(60).collect();
        let fix = Fix { text: format!("write {expected}"), ..Fix::default() };
        self.note(Rule::WrongType, format!("`{key}` takes {expected}, and `{}` is {found}", written.trim()), Some(place), fix);
    }

    /// Notes that a value is not known before the container starts.
    fn later(&mut self, key: &str, text: &str, place: Option<Place>) {
        let fix = Fix {
            text: "audit the file with its variables filled in, for example of `docker compose config`".to_owned(),
            changes: Vec::new(),
            ..Fix::default()
        };
        self.note(Rule::KnownOnlyLater, format!("`{key}: {text}` is known only when it runs"), place, fix);
    }

    /// Notes that more is in another file.
    fn elsewhere(&mut self, key: &str, file: &str, place: Option<Place>) {
        let text = format!("`{key}: {file}` is another file, which is not read");
        self.note(Rule::KnownOnlyLater, text, place, Fix { text: "audit that file, too".to_owned(), ..Fix::default() });
    }

    /// Notes a namespace that is another's: whose it is, a file does not tell.
    fn joined(&mut self, kind: &str, whose: &str, place: Option<Place>) {
        let text = format!("the {kind} namespace is that of {whose}: what else is in it is known only when it runs");
        self.note(Rule::KnownOnlyLater, text, place, Fix { text: "audit the container while it runs".to_owned(), ..Fix::default() });
    }

    fn duplicates(&mut self, duplicates: Vec<Located<String>>) {
        for key in duplicates {
            let fix = Fix { text: "take one of both away".to_owned(), ..Fix::default() };
            self.note(Rule::DuplicateKey, format!("`{}` is there twice, and most readers take the last one", key.value), key.place, fix);
        }
    }

    fn yaml(&mut self) -> Result<Vec<Rc<Node>>, ReadError> {
        let is_json = self.source.text.trim_start().starts_with('{');
        let documents = if is_json && let Ok(documents) = tree::json(self.source) { documents } else { tree::yaml(self.source)? };
        self.duplicates(documents.duplicates);
        self.tags = documents.tags;
        Ok(documents.documents)
    }

    fn json(&mut self) -> Result<Rc<Node>, ReadError> {
        let documents = tree::json(self.source)?;
        self.duplicates(documents.duplicates);
        let cut = |place| ReadError::Syntax { syntax: "JSON", problem: "no value".to_owned(), place };
        documents.documents.into_iter().next().ok_or_else(|| cut(self.source.place(0, 0)))
    }

    fn units(&self) -> Result<Vec<Setting>, ReadError> {
        unit::parse(self.source)
    }

    /// Returns the map at `key`; nothing if there is none.
    fn map<'n>(&mut self, node: &'n Node, key: &str) -> Option<&'n Rc<Node>> {
        let value = node.get(key)?;
        if matches!(value.value, Value::Map(_)) {
            return Some(value);
        }
        self.wrong(key, value.place, value.kind(), "a map");
        None
    }

    /// Returns the items of the list at `key`.
    fn list<'n>(&mut self, node: &'n Node, key: &str) -> &'n [Rc<Node>] {
        match node.get(key) {
            None => &[],
            Some(value) if matches!(value.value, Value::List(_)) => value.items(),
            Some(value) => {
                self.wrong(key, value.place, value.kind(), "a list");
                &[]
            }
        }
    }

    /// Returns the truth value at `key`.
    fn truth(&mut self, node: &Node, key: &str) -> Option<Located<bool>> {
        let value = node.get(key)?;
        if let Some(truth) = value.truth() {
            return Some(Located::new(truth, value.place));
        }
        self.wrong(key, value.place, value.kind(), "`true` or `false`");
        None
    }

    /// Returns the text at `key`; numbers are text too.
    fn text(&mut self, node: &Node, key: &str) -> Option<Located<String>> {
        let value = node.get(key)?;
        let text = value.scalar();
        if text.is_none() {
            self.wrong(key, value.place, value.kind(), "text");
        }
        text.map(|text| Located::new(text, value.place))
    }

    /// Returns the texts of the list at `key`.
    fn texts(&mut self, node: &Node, key: &str) -> Vec<Located<String>> {
        let mut texts = Vec::new();
        for item in self.list(node, key) {
            match item.scalar() {
                Some(text) => texts.push(Located::new(text, item.place)),
                None => self.wrong(key, item.place, item.kind(), "a list of texts"),
            }
        }
        texts
    }
}

/// Returns what a file without names of its own calls its container: the file's name without directories and extension.
fn stem(name: &str) -> String {
    let parts: Vec<&str> = name.rsplit('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let file = parts.first().copied().unwrap_or(name);
    match (file, parts.get(1)) {
        // /var/lib/lxc/NAME/config and BUNDLE/config.json
        ("config" | "config.json", Some(directory)) if *directory != ".." => (*directory).to_owned(),
        _ => file.rsplit_once('.').map_or(file, |(stem, _)| if stem.is_empty() { file } else { stem }).to_owned(),
    }
}

/// Tells whether a path is one of the host, and not the name of a volume.
fn is_path(source: &str) -> bool {
    source.starts_with(['/', '.', '~'])
}

#[cfg(test)]
mod tests {
    use super::stem;

    #[test]
    fn name_of_a_file_is_its_bundles_where_there_is_one() {
        let names =
            ["bundle/config.json", "./config.json", "../config.json", "/var/lib/lxc/old/./config", "config.json", "a/web.container"];
        assert_eq!(names.map(stem), ["bundle", "config", "config", "old", "config", "web"]);
    }
}
