//! Files of `[Section]` and `Key=value` lines, as systemd reads them: systemd.syntax(7).
//!
//! A line that ends in `\` goes on in the next one, comments between them are left out. For LXC's `key = value` too, which has no
//! sections and no such lines.

use crate::place::{Located, Source};
use crate::{Place, ReadError};

/// One assignment.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) section: String,
    pub(crate) key: Located<String>,
    pub(crate) value: Located<String>,
    /// The value stands on one line, so that its words have places of their own.
    pub(crate) on_one_line: bool,
}

/// Reads a file of systemd's syntax.
///
/// # Errors
/// A line that is neither section, assignment nor comment.
pub(crate) fn parse(source: &Source) -> Result<Vec<Setting>, ReadError> {
    let mut settings = Vec::new();
    for (start, end) in source.ranges() {
        parse_part(source, Lines { text: source.text.get(..end).unwrap_or_default(), at: start }, &mut settings)?;
    }
    Ok(settings)
}

/// Reads one file of the source: no section and no line of it goes on in the next one.
fn parse_part(source: &Source, mut lines: Lines, settings: &mut Vec<Setting>) -> Result<(), ReadError> {
    let mut section = String::new();
    while let Some((start, line)) = lines.next() {
        let trimmed = line.trim();
        let begin = start + (line.len() - line.trim_start().len());
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if let Some(rest) = trimmed.strip_prefix('[') {
            let Some(name) = rest.strip_suffix(']') else { return Err(wrong(source, "`]` is missing", begin)) };
            name.clone_into(&mut section);
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            return Err(wrong(source, "a line without `=` that is no section and no comment", begin));
        };
        let key_place = source.place(begin, begin + key.trim().len());
        let at = start + key.len() + 1 + (value.len() - value.trim_start().len());
        let (mut text, mut end, mut on_one_line) = (value.trim().to_owned(), start + line.trim_end().len(), true);
        while text.ends_with('\\') {
            let Some((start, line)) = lines.next() else { break };
            on_one_line = false;
            if !line.trim_start().starts_with(['#', ';']) {
                text.pop();
                text.truncate(text.trim_end().len());
                text.push(' ');
                text.push_str(line.trim());
            }
            end = start + line.trim_end().len();
        }
        let key = Located::new(key.trim().to_owned(), key_place);
        let value = Located::new(text.trim_end_matches('\\').to_owned(), source.place(at.min(end), end));
        settings.push(Setting { section: section.clone(), key, value, on_one_line });
    }
    Ok(())
}

/// Tells whether there is a section of this name, be it empty.
pub(crate) fn has_section(source: &Source, name: &str) -> bool {
    source.text.lines().any(|line| line.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) == Some(name))
}

/// Reads a file of `key = value` lines without sections: lxc.container.conf(5).
///
/// # Errors
/// A line that is neither assignment nor comment.
pub(crate) fn parse_lxc(source: &Source) -> Result<Vec<Setting>, ReadError> {
    let mut settings = Vec::new();
    for (start, line) in Lines::new(source.text) {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        let begin = start + (line.len() - line.trim_start().len());
        let Some((key, value)) = line.split_once('=') else { return Err(wrong(source, "a line without `=`", begin)) };
        let at = start + key.len() + 1 + (value.len() - value.trim_start().len());
        settings.push(Setting {
            section: String::new(),
            key: Located::new(key.trim().to_owned(), source.place(begin, begin + key.trim().len())),
            value: Located::new(value.trim().to_owned(), source.place(at.min(start + line.len()), start + line.trim_end().len())),
            on_one_line: true,
        });
    }
    Ok(settings)
}

impl Setting {
    /// Tells whether it is this key of this section.
    pub(crate) fn is(&self, section: &str, key: &str) -> bool {
        self.section == section && self.key.value == key
    }

    /// Returns where it stands, from key to value.
    pub(crate) fn place(&self) -> Place {
        let value = self.value.place.unwrap_or_default();
        let key = self.key.place.unwrap_or(value);
        Place { end: value.end, ..key }
    }

    /// Returns the words of the value, each with its place; quotes hold words together.
    pub(crate) fn words(&self, source: &Source) -> Vec<Located<String>> {
        let place = self.value.place.unwrap_or_default();
        let mut words = Vec::new();
        let (mut word, mut begin, mut quote) = (String::new(), None, None);
        for (at, character) in self.value.value.char_indices().chain([(self.value.value.len(), ' ')]) {
            let at = place.start + at;
            match quote {
                Some(open) if character == open => quote = None,
                Some(_) => word.push(character),
                None if character.is_whitespace() => {
                    if let Some(begin) = begin.take() {
                        let place = if self.on_one_line { source.place(begin, at) } else { place };
                        words.push(Located::new(std::mem::take(&mut word), place));
                    }
                }
                None => {
                    begin.get_or_insert(at);
                    if matches!(character, '"' | '\'') { quote = Some(character) } else { word.push(character) }
                }
            }
        }
        words.extend(begin.map(|_| Located::new(word, place)));
        words
    }
}

/// Returns a truth value as systemd reads it.
pub(crate) fn truth(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "yes" | "y" | "true" | "t" | "on" => Some(true),
        "0" | "no" | "n" | "false" | "f" | "off" => Some(false),
        _ => None,
    }
}

fn wrong(source: &Source, problem: &str, start: usize) -> ReadError {
    ReadError::Syntax { syntax: "a unit file", problem: problem.to_owned(), place: source.place(start, start) }
}

/// The lines of a text with the byte at which each begins.
struct Lines<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lines<'a> {
    const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = (usize, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.text.get(self.at..).filter(|rest| !rest.is_empty())?;
        let line = rest.split('\n').next().unwrap_or_default();
        let start = self.at;
        self.at += line.len() + 1;
        Some((start, line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_have_sections_places_and_go_on_in_the_next_line() {
        let source = Source::new("# c\n[Container]\nImage=x\nAddCapability=A B \\\n# no\n  C\nPodmanArgs=--a 'b c'\n");
        let settings = parse(&source).unwrap();
        let values: Vec<(&str, &str)> = settings.iter().map(|s| (s.key.value.as_str(), s.value.value.as_str())).collect();
        assert_eq!(values, [("Image", "x"), ("AddCapability", "A B C"), ("PodmanArgs", "--a 'b c'")]);
        assert!(settings[1].is("Container", "AddCapability"));
        let words: Vec<(String, usize)> =
            settings[2].words(&source).into_iter().map(|word| (word.value, word.place.unwrap().column)).collect();
        assert_eq!(words, [("--a".to_owned(), 12), ("b c".to_owned(), 16)]);
    }

    #[test]
    fn line_without_assignment_is_an_error_with_its_place() {
        assert_eq!(
            parse(&Source::new("[A]\n  what\n")).unwrap_err().to_string(),
            "line 2, column 3: not a unit file: a line without `=` that is no section and no comment"
        );
    }
}
