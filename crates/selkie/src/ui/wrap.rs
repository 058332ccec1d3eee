//! Paragraphs of our own text, broken at blanks.

/// Returns how wide text for people should be: the terminal's width, at most 100 columns; 80 elsewhere.
pub(crate) fn width() -> usize {
    let columns = rustix::termios::tcgetwinsize(std::io::stdout()).map(|size| usize::from(size.ws_col)).unwrap_or(0);
    if columns == 0 { 80 } else { columns.clamp(40, 100) }
}

/// Breaks `text` into lines of at most `width` columns, each after `indent` blanks. A word that is longer stands alone.
pub(crate) fn paragraph(text: &str, indent: usize, width: usize) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let begin = if words.is_empty() { 0 } else { indent };
    hanging(&format!("{}{}", " ".repeat(begin), words.join(" ")), indent, width) + "\n"
}

/// How many columns a text takes: each character one, and none the escapes that colour it.
fn columns(text: &str) -> usize {
    let mut in_escape = false;
    text.chars()
        .filter(|character| {
            let counts = !in_escape && *character != '\x1b';
            in_escape = (in_escape || *character == '\x1b') && *character != 'm';
            counts
        })
        .count()
}

/// Breaks one line of ours into lines of at most `width` columns; those behind the first begin with `hanging` blanks. What it
/// begins with stays as it is.
pub(crate) fn hanging(line: &str, hanging: usize, width: usize) -> String {
    if columns(line) <= width {
        return line.to_owned();
    }
    let blanks = " ".repeat(hanging);
    let mut lines = String::new();
    let mut column = 0;
    let begin = line.len() - line.trim_start().len();
    for (number, word) in line.get(begin..).unwrap_or(line).split(' ').enumerate() {
        let length = columns(word);
        if number == 0 {
            lines.push_str(line.get(..begin).unwrap_or_default());
            column = begin;
        } else if column + 1 + length > width && column > hanging {
            let kept = lines.trim_end_matches(' ').len();
            lines.truncate(kept);
            lines.push('\n');
            lines.push_str(&blanks);
            column = hanging;
        } else {
            lines.push(' ');
            column += 1;
        }
        lines.push_str(word);
        column += length;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraph_breaks_at_blanks() {
        assert_eq!(paragraph("one two  three", 2, 9), "  one two\n  three\n");
        assert_eq!(paragraph(" ", 2, 9), "\n");
    }

    #[test]
    fn hanging_keeps_the_begin_and_indents_the_rest() {
        assert_eq!(hanging("  A     one two three", 8, 14), "  A     one\n        two\n        three");
        assert_eq!(hanging("short", 8, 14), "short");
    }

    #[test]
    fn hanging_does_not_count_colours() {
        assert_eq!(hanging("\x1b[32mone\x1b[0m two three", 2, 8), "\x1b[32mone\x1b[0m two\n  three");
        assert_eq!(hanging("\x1b[32mone\x1b[0m two", 2, 7), "\x1b[32mone\x1b[0m two");
    }

    #[test]
    fn paragraph_with_a_long_word_keeps_it_whole() {
        assert_eq!(paragraph("a incomprehensible b", 0, 6), "a\nincomprehensible\nb\n");
    }
}
