//! How `caps ps` shows processes: lines of a table, or the fields of JSON and templates.

use std::collections::{HashMap, VecDeque};

use selkie_caps::{CapSet, Capability};
use selkie_host::containers::Census;
use selkie_host::{Accounts, Owner, Procfs, Row};
use serde_json::{Value, json};

use crate::ui::error::Failure;
use crate::ui::text;

/// Everything that turns a row into text.
pub(super) struct View {
    /// Of our own containers, by their ids.
    names: HashMap<String, String>,
    pub(super) census: Census,
    /// How deep each process lies in the tree; nothing without one.
    pub(super) depths: HashMap<u32, usize>,
    accounts: Accounts,
    ceiling: CapSet,
    user_namespace: Option<u64>,
}

impl View {
    pub(super) fn new(names: HashMap<String, String>, census: Census, procfs: &Procfs, rows: &[Row]) -> Result<Self, Failure> {
        // Names are looked up only when a row needs one: root's is known.
        let others = rows.iter().any(|row| row.status.uids[1] != 0);
        let accounts = if others { std::fs::File::open("/").map(Accounts::beneath)? } else { Accounts::parse(b"root:x:0:", b"") };
        Ok(Self {
            names,
            census,
            depths: HashMap::new(),
            accounts,
            ceiling: CapSet::up_to(selkie_sys::capability::last_capability()),
            user_namespace: procfs.user_namespace(std::process::id()),
        })
    }

    pub(super) fn is_in(&self, row: &Row, name: &str) -> bool {
        self.census.placements.of(row.pid).is_some_and(|owner| self.is_called(owner, name))
    }

    /// Whether any container with processes is called so, whether these are shown or not.
    pub(super) fn knows(&self, name: &str) -> bool {
        self.census.placements.owners().iter().any(|owner| self.is_called(owner, name))
    }

    fn is_called(&self, owner: &Owner, name: &str) -> bool {
        owner.id.starts_with(name) || self.name(owner) == Some(name)
    }

    fn name(&self, owner: &Owner) -> Option<&str> {
        let ours = || self.names.get(&owner.id).map(String::as_str);
        ours().or_else(|| self.census.container(owner).and_then(|container| container.name.as_deref()))
    }

    fn engine(&self, row: &Row) -> &'static str {
        self.census.placements.of(row.pid).map_or("-", |owner| owner.engine.word())
    }

    fn user(&self, row: &Row) -> String {
        let [_, uid, ..] = row.status.uids;
        self.accounts.user(uid).map_or_else(|| uid.to_string(), text::one_line)
    }

    fn in_child(&self, row: &Row) -> bool {
        row.user_namespace.is_some() && row.user_namespace != self.user_namespace
    }

    /// pscap's text: which are permitted, and whether there are ambient ones and any left to gain.
    fn text(&self, row: &Row) -> String {
        let sets = &row.status.sets;
        let mut text = sets.permitted.pscap(self.ceiling).to_string();
        if !sets.ambient.is_empty() {
            text.push_str(" @");
        }
        if !sets.bounding.is_empty() {
            text.push_str(" +");
        }
        text
    }

    /// The table, in parts of whole lines: of thousands of processes it is long, and nobody needs all of it in one piece.
    pub(super) fn table(&self, rows: &[Row], heading: bool, print: &mut dyn FnMut(&str) -> Result<(), Failure>) -> Result<(), Failure> {
        const PART: usize = 64 << 10;
        let labels = self.labels(rows);
        let width = |least: usize, length: &dyn Fn(&Label) -> usize| labels.iter().flatten().map(length).fold(least, usize::max);
        let mut lines = Lines {
            text: String::with_capacity(PART + (4 << 10)),
            container: width(9, &|label| label.length),
            engine: width(6, &|label| label.engine.len()),
        };
        if heading {
            lines.numbers("ppid", "pid");
            let mut rest = String::new();
            lines.rest(&mut rest, &["uid", "command", "container", "engine"], 9, "capabilities");
            lines.text.push_str(&rest);
        }
        let mut user = None;
        let mut held = Texts::default();
        let mut command = String::new();
        let (mut last, mut rest) = (None, String::new());
        for row in rows {
            let status = &row.status;
            let place = self.census.placements.place(row.pid);
            let sets = (status.sets.permitted, status.sets.ambient.is_empty(), status.sets.bounding.is_empty());
            // Most processes are as the one before them, but for their numbers.
            let look = (status.uids[1], status.name, self.in_child(row), self.depth(row), place, sets);
            if last != Some(look) {
                last = Some(look);
                let id = status.uids[1];
                let name = match &mut user {
                    Some((known, name)) if *known == id => name,
                    _ => &mut user.insert((id, self.user(row))).1,
                };
                let caps = held.of(sets, || self.text(row));
                command.clear();
                self.command(row, &mut command);
                let label = place.and_then(|place| labels.get(place)?.as_ref());
                let (within, length, engine) = label.map_or(("-", 1, "-"), |label| (label.text.as_str(), label.length, label.engine));
                rest.clear();
                lines.rest(&mut rest, &[name, &command, within, engine], length, caps);
            }
            lines.numbers(&Digits::of(status.parent), &Digits::of(row.pid));
            lines.text.push_str(&rest);
            if lines.text.len() >= PART {
                print(&lines.text)?;
                lines.text.clear();
            }
        }
        print(&lines.text)
    }

    /// What stands for each container of which there are rows, by its place among the owners.
    fn labels(&self, rows: &[Row]) -> Vec<Option<Label>> {
        let placements = &self.census.placements;
        let mut labels: Vec<Option<Label>> = placements.owners().iter().map(|_| None).collect();
        for place in rows.iter().filter_map(|row| placements.place(row.pid)) {
            if let (Some(label @ None), Some(owner)) = (labels.get_mut(place), placements.owners().get(place)) {
                let text = text::one_line(self.name(owner).unwrap_or_else(|| owner.short()));
                *label = Some(Label { length: text.chars().count(), text, engine: owner.engine.word() });
            }
        }
        labels
    }

    fn depth(&self, row: &Row) -> usize {
        self.depths.get(&row.pid).copied().unwrap_or(0)
    }

    /// Its name, indented in a tree, with the mark of a child user namespace.
    fn command(&self, row: &Row, command: &mut String) {
        command.extend(std::iter::repeat_n("  ", self.depth(row).min(20)));
        match str::from_utf8(row.status.name.as_bytes()) {
            Ok(name) if name.bytes().all(|byte| matches!(byte, b' '..=b'~')) => command.push_str(name),
            _ => command.push_str(&text::one_line(&row.status.name.to_text())),
        }
        if self.in_child(row) {
            command.push_str(" *");
        }
    }

    pub(super) fn value(&self, row: &Row) -> Value {
        let names = |set: CapSet| set.iter().map(Capability::name).collect::<Vec<_>>();
        let (status, sets) = (&row.status, &row.status.sets);
        let owner = self.census.placements.of(row.pid);
        json!({
            "Ppid": status.parent,
            "Pid": row.pid,
            "Uid": status.uids[1],
            "User": self.user(row),
            "Command": status.name.to_text(),
            "Container": owner.map_or("-", |owner| self.name(owner).unwrap_or_else(|| owner.short())),
            "ContainerId": owner.map_or("", |owner| owner.id.as_str()),
            "Engine": self.engine(row),
            "Capabilities": self.text(row),
            "Effective": names(sets.effective),
            "Permitted": names(sets.permitted),
            "Inheritable": names(sets.inheritable),
            "Bounding": names(sets.bounding),
            "Ambient": names(sets.ambient),
            "ChildUserNamespace": self.in_child(row),
            "NoNewPrivileges": status.no_new_privileges,
            "Seccomp": status.seccomp,
        })
    }
}

/// What decides the text of capabilities: the permitted set, and whether the ambient and the bounding one are empty.
type Sets = (CapSet, bool, bool);

/// The texts that were needed last: in turns come processes of the host and of containers, and a text takes longer than a line.
#[derive(Default)]
struct Texts(VecDeque<(Sets, String)>);

impl Texts {
    const MOST: usize = 16;

    fn of(&mut self, sets: Sets, make: impl FnOnce() -> String) -> &str {
        let at = self.0.iter().position(|(known, _)| *known == sets).unwrap_or_else(|| {
            self.0.truncate(Self::MOST - 1);
            self.0.push_front((sets, make()));
            0
        });
        self.0.get(at).map_or("", |(_, text)| text)
    }
}

/// What a table says of one container.
struct Label {
    /// Fit for one line; in JSON names are as they are.
    text: String,
    /// How many characters that is.
    length: usize,
    engine: &'static str,
}

/// The lines of the table.
struct Lines {
    text: String,
    /// Widths of the columns that have no fixed one.
    container: usize,
    engine: usize,
}

impl Lines {
    /// Begins a line.
    fn numbers(&mut self, parent: &str, pid: &str) {
        field(&mut self.text, parent, parent.len(), 5, " ");
        field(&mut self.text, pid, pid.len(), 5, " ");
    }

    /// Adds all of a line that is behind the numbers to `to`; `length` is how many characters the name of the container has.
    fn rest(&self, to: &mut String, words: &[&str; 4], length: usize, caps: &str) {
        let [user, command, container, engine] = words;
        field(to, user, user.chars().count(), 10, "  ");
        field(to, command, command.chars().count(), 16, "  ");
        field(to, container, length, self.container, "  ");
        field(to, engine, engine.len(), self.engine, "  ");
        to.push_str(caps);
        to.push('\n');
    }
}

fn field(to: &mut String, text: &str, length: usize, width: usize, behind: &str) {
    const BLANKS: &str = "                                ";
    to.push_str(text);
    let mut missing = width.saturating_sub(length);
    while missing > 0 {
        let some = missing.min(BLANKS.len());
        to.push_str(BLANKS.get(..some).unwrap_or_default());
        missing -= some;
    }
    to.push_str(behind);
}

/// A number in decimal digits, without memory of its own.
struct Digits {
    bytes: [u8; 10],
    from: usize,
}

impl Digits {
    fn of(mut number: u32) -> Self {
        let mut digits = Self { bytes: [b'0'; 10], from: 10 };
        for (place, byte) in digits.bytes.iter_mut().enumerate().rev() {
            // A digit is less than ten.
            *byte = b'0' + u8::try_from(number % 10).unwrap_or(0);
            digits.from = place;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        digits
    }
}

impl std::ops::Deref for Digits {
    type Target = str;

    fn deref(&self) -> &str {
        self.bytes.get(self.from..).and_then(|bytes| str::from_utf8(bytes).ok()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_of_any_number_are_its_text() {
        for number in [0, 7, 10, 4_194_304, u32::MAX] {
            assert_eq!(&*Digits::of(number), number.to_string());
        }
    }

    #[test]
    fn texts_are_made_once_and_again_when_too_many_came_between() {
        let (mut texts, mut made) = (Texts::default(), 0);
        let sets = |number| (CapSet::from_bits(number), true, false);
        for number in [1, 2, 1, 2].into_iter().chain(3..=18).chain([18, 1]) {
            let text = texts.of(sets(number), || {
                made += 1;
                number.to_string()
            });
            assert_eq!(text, number.to_string());
        }
        assert_eq!(made, 19);
    }

    #[test]
    fn line_pads_by_characters_and_keeps_what_is_too_long() {
        let mut lines = Lines { text: String::new(), container: 40, engine: 6 };
        lines.numbers("1", "1234567");
        let mut line = lines.text.clone();
        lines.rest(&mut line, &["r\u{fffd}", "a", "-", "-"], 1, "none");
        assert_eq!(line, format!("{:<5} {:<5} {:<10}  {:<16}  {:<40}  {:<6}  none\n", "1", "1234567", "r\u{fffd}", "a", "-", "-"));
    }
}
