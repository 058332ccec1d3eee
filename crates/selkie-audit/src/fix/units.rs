//! Changes of files with `Key=value` lines.

use super::{FixError, splice};
use crate::place::Source;
use crate::unit::{self, Setting as Line};
use crate::{Change, FileType, Place, Setting};

/// Makes one change.
pub(super) fn apply(kind: FileType, source: &Source, change: &Change) -> Result<String, FixError> {
    let lines = parse(kind, source)?;
    let mut wanted: Vec<(String, String, String)> = meanings(&lines);
    let text = match change {
        Change::Replace { place, value } => {
            let (number, line) = holder(&lines, *place)?;
            let new = written(value);
            if let Some(wanted) = wanted.get_mut(number) {
                wanted.2 = with(source, line, *place, &new)?;
            }
            splice(source.text, place.start, place.end, &new)?
        }
        Change::Remove { place } => {
            let (number, line) = holder(&lines, *place)?;
            let rest = if line.value.place == Some(*place) { String::new() } else { without(source, line, *place)? };
            if rest.is_empty() {
                wanted.remove(number);
                let value = line.value.place.ok_or(FixError::Unusual)?;
                if kind == FileType::Lxc && line.key.value == KEEP && !keeps(&wanted) {
                    wanted.insert(number, (line.section.clone(), line.key.value.clone(), "none".to_owned()));
                    splice(source.text, value.start, value.end, "none")?
                } else {
                    remove_line(source, line)?
                }
            } else {
                let value = line.value.place.ok_or(FixError::Unusual)?;
                if let Some(wanted) = wanted.get_mut(number) {
                    wanted.2.clone_from(&rest);
                }
                splice(source.text, value.start, value.end, &rest)?
            }
        }
        Change::Set { path, value, .. } => {
            let [section, key] = path.as_slice() else { return Err(FixError::Unusual) };
            set(source, &lines, &mut wanted, (section, key), &written(value))?
        }
        Change::Append { .. } => return Err(FixError::Unusual),
    };
    let means = meanings(&parse(kind, &Source::new(&text)).map_err(|_| FixError::NotAsIntended)?);
    if means == wanted { Ok(text) } else { Err(FixError::NotAsIntended) }
}

/// Where LXC names what is kept: without it, everything is.
const KEEP: &str = "lxc.cap.keep";

/// Tells whether these lines still bound what is kept; an empty value takes back what is before it.
fn keeps(lines: &[(String, String, String)]) -> bool {
    lines.iter().rev().find(|(_, key, _)| key == KEEP).is_some_and(|(_, _, value)| !value.is_empty())
}

fn parse(kind: FileType, source: &Source) -> Result<Vec<Line>, FixError> {
    let parsed = if kind == FileType::Lxc { unit::parse_lxc(source) } else { unit::parse(source) };
    parsed.map_err(|_| FixError::Unusual)
}

fn meanings(lines: &[Line]) -> Vec<(String, String, String)> {
    lines.iter().map(|line| (line.section.clone(), line.key.value.clone(), line.value.value.clone())).collect()
}

fn written(value: &Setting) -> String {
    match value {
        Setting::Truth(value) => value.to_string(),
        Setting::Text(word) => word.clone(),
        Setting::List(words) => words.join(" "),
    }
}

/// Returns the line whose value holds `place`.
fn holder(lines: &[Line], place: Place) -> Result<(usize, &Line), FixError> {
    let holds = |line: &Line| line.value.place.is_some_and(|value| value.start <= place.start && place.end <= value.end);
    lines.iter().enumerate().find(|(_, line)| holds(line)).ok_or(FixError::Shared)
}

fn with(source: &Source, line: &Line, place: Place, new: &str) -> Result<String, FixError> {
    let value = line.value.place.ok_or(FixError::Unusual)?;
    // A word with commas is several names, and a value over several lines has no places of its own.
    if !line.on_one_line || place != value && source.at(place).contains(',') {
        return Err(FixError::Unusual);
    }
    let text = source.at(value);
    splice(text, place.start - value.start, place.end - value.start, new)
}

fn without(source: &Source, line: &Line, place: Place) -> Result<String, FixError> {
    let is_argument = line.key.value == "PodmanArgs" && !source.at(place).starts_with('-');
    if is_argument {
        return Err(FixError::Unusual);
    }
    // What is in front stays where it is: other changes name it by its bytes.
    with(source, line, place, "")?;
    let (value, text) = (line.value.place.ok_or(FixError::Unusual)?, line.value.value.as_str());
    let before = text.get(..place.start - value.start).ok_or(FixError::Unusual)?;
    let after = text.get(place.end - value.start..).ok_or(FixError::Unusual)?.trim_start();
    Ok(if after.is_empty() { before.trim_end().to_owned() } else { format!("{before}{after}") })
}

fn remove_line(source: &Source, line: &Line) -> Result<String, FixError> {
    let place = line.place();
    let (begin, _) = source.line_around(place.start);
    let (_, end) = source.line_around(place.end);
    splice(source.text, begin, (end + 1).min(source.text.len()), "")
}

fn set(
    source: &Source,
    lines: &[Line],
    wanted: &mut Vec<(String, String, String)>,
    (section, key): (&str, &str),
    new: &str,
) -> Result<String, FixError> {
    let there: Vec<usize> = lines.iter().enumerate().filter(|(_, line)| line.is(section, key)).map(|(number, _)| number).collect();
    let entry = (section.to_owned(), key.to_owned(), new.to_owned());
    if let Some((first, more)) = there.split_first() {
        let mut text = source.text.to_owned();
        for number in more.iter().rev() {
            wanted.remove(*number);
            text = remove_line(&Source::new(&text), lines.get(*number).ok_or(FixError::Shared)?)?;
        }
        let line = lines.get(*first).ok_or(FixError::Shared)?;
        if let Some(wanted) = wanted.get_mut(*first) {
            *wanted = entry;
        }
        let value = line.value.place.ok_or(FixError::Unusual)?;
        return splice(&text, value.start, value.end, new);
    }
    let last = lines.iter().rposition(|line| line.section == section).ok_or(FixError::Unusual)?;
    let place = lines.get(last).ok_or(FixError::Shared)?.place();
    let (_, end) = source.line_around(place.end);
    wanted.insert(last + 1, entry);
    let equals = if section.is_empty() { " = " } else { "=" };
    let line = format!("{key}{equals}{new}\n");
    if end >= source.text.len() { Ok(format!("{}\n{line}", source.text)) } else { splice(source.text, end + 1, end + 1, &line) }
}
