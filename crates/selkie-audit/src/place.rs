//! Where something stands in a file.

use serde::{Deserialize, Serialize};

/// A piece of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// Line, counted from 1.
    pub line: usize,
    /// Column, counted from 1 in characters.
    pub column: usize,
    /// First byte.
    pub start: usize,
    /// The byte behind the last one.
    pub end: usize,
}

/// A fact, and where it is said; a running container says it nowhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Located<T> {
    /// The fact.
    pub value: T,
    /// Where it is said.
    pub place: Option<Place>,
}

impl<T> Located<T> {
    /// A fact of a file.
    pub const fn new(value: T, place: Place) -> Self {
        Self { value, place: Some(place) }
    }

    /// A fact without a place, for example of a running container.
    pub const fn nowhere(value: T) -> Self {
        Self { value, place: None }
    }
}

/// Text whose bytes can be given as lines and columns: that of a file, or of a unit with its drop-ins behind it.
#[derive(Debug)]
pub(crate) struct Source<'a> {
    pub(crate) text: &'a str,
    lines: Vec<usize>,
    /// Where the drop-ins begin, each on a line of its own; the lines of each are counted from 1.
    parts: Vec<usize>,
}

impl<'a> Source<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { text, lines: std::iter::once(0).chain(ends).collect(), parts: Vec::new() }
    }

    /// Takes the text for several files, the second and all others of which begin at `parts`.
    pub(crate) fn with_parts(self, parts: Vec<usize>) -> Self {
        Self { parts, ..self }
    }

    /// Returns the first byte of each file of the text, and the byte behind its last one.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = (usize, usize)> {
        let starts = std::iter::once(0).chain(self.parts.iter().copied());
        starts.zip(self.parts.iter().copied().chain([self.text.len()]))
    }

    /// Returns the place of these bytes, cut down to the text and to whole characters.
    pub(crate) fn place(&self, start: usize, end: usize) -> Place {
        let start = self.text.floor_char_boundary(start);
        let end = self.text.ceil_char_boundary(end).max(start);
        let line = self.lines.partition_point(|begin| *begin <= start).max(1);
        let begin = self.lines.get(line - 1).copied().unwrap_or(0);
        // Lines of hostile files are long; a column beyond this one helps nobody and would be counted again for each value.
        let near = self.text.ceil_char_boundary(begin.max(start.saturating_sub(COLUMNS)));
        let column = near - begin + self.text.get(near..start).map_or(0, |text| text.chars().count()) + 1;
        let part = self.parts.partition_point(|part| *part <= start).checked_sub(1).and_then(|number| self.parts.get(number));
        let before = part.map_or(0, |part| self.lines.partition_point(|begin| *begin < *part));
        Place { line: line - before.min(line - 1), column, start, end }
    }

    /// Returns the text at `place`.
    pub(crate) fn at(&self, place: Place) -> &'a str {
        self.text.get(place.start..place.end).unwrap_or_default()
    }

    /// Returns the line around the byte `at`, without its end: its first byte, and the byte behind its last.
    pub(crate) fn line_around(&self, at: usize) -> (usize, usize) {
        let number = self.lines.partition_point(|begin| *begin <= at).max(1);
        let begin = self.lines.get(number - 1).copied().unwrap_or(0);
        let end = self.lines.get(number).map_or(self.text.len(), |next| next - 1);
        (begin, end)
    }
}

/// Columns are characters up to here, and bytes beyond.
const COLUMNS: usize = 2000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn place_counts_lines_and_characters_from_one() {
        let source = Source::new("a\nbé c\n");
        assert_eq!(source.place(0, 1), Place { line: 1, column: 1, start: 0, end: 1 });
        assert_eq!(source.place(6, 7), Place { line: 2, column: 4, start: 6, end: 7 });
        assert_eq!(source.place(99, 99), Place { line: 3, column: 1, start: 8, end: 8 });
        assert_eq!(source.line_around(3), (2, 7));
    }
}
