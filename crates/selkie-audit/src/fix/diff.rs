//! The unified format of diff(1), three lines of context.

const CONTEXT: usize = 3;
/// Beyond so many pairs of lines the middle is shown as one change.
const PAIRS: usize = 4_000_000;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Same,
    Old,
    New,
}

/// Returns how `new` differs from `old`; empty if it does not.
#[must_use]
pub fn diff(name: &str, old: &str, new: &str) -> String {
    if old == new {
        return String::new();
    }
    let (old, new): (Vec<&str>, Vec<&str>) = (old.split_inclusive('\n').collect(), new.split_inclusive('\n').collect());
    let lines = compare(&old, &new);
    let mut text = format!("--- {name}\n+++ {name}\n");
    for (begin, end) in hunks(&lines) {
        let count = |kinds: [Kind; 2], part: &[(Kind, &str)]| part.iter().filter(|(kind, _)| kinds.contains(kind)).count();
        let (before, part) = (lines.get(..begin).unwrap_or_default(), lines.get(begin..end).unwrap_or_default());
        let side = |kind| {
            let (first, length) = (count([Kind::Same, kind], before) + 1, count([Kind::Same, kind], part));
            format!("{},{length}", if length == 0 { first - 1 } else { first })
        };
        text.push_str(&format!("@@ -{} +{} @@\n", side(Kind::Old), side(Kind::New)));
        for (kind, line) in part {
            text.push(match kind {
                Kind::Same => ' ',
                Kind::Old => '-',
                Kind::New => '+',
            });
            text.push_str(line);
            if !line.ends_with('\n') {
                text.push_str("\n\\ No newline at end of file\n");
            }
        }
    }
    text
}

fn compare<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<(Kind, &'a str)> {
    let head = old.iter().zip(new).take_while(|(old, new)| old == new).count();
    let (old_rest, new_rest) = (old.get(head..).unwrap_or_default(), new.get(head..).unwrap_or_default());
    let tail = old_rest.iter().rev().zip(new_rest.iter().rev()).take_while(|(old, new)| old == new).count();
    let old_middle = old_rest.get(..old_rest.len() - tail).unwrap_or_default();
    let new_middle = new_rest.get(..new_rest.len() - tail).unwrap_or_default();
    let mut lines: Vec<(Kind, &str)> = old.iter().take(head).map(|line| (Kind::Same, *line)).collect();
    lines.extend(middle(old_middle, new_middle));
    lines.extend(old_rest.iter().skip(old_middle.len()).map(|line| (Kind::Same, *line)));
    lines
}

/// The longest common subsequence, by its table.
fn middle<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<(Kind, &'a str)> {
    let width = new.len() + 1;
    if old.len().saturating_mul(new.len()) > PAIRS {
        let gone = old.iter().map(|line| (Kind::Old, *line));
        return gone.chain(new.iter().map(|line| (Kind::New, *line))).collect();
    }
    let mut table = vec![0_u32; (old.len() + 1) * width];
    let cell = |table: &[u32], row: usize, column: usize| table.get(row * width + column).copied().unwrap_or(0);
    for (row, old_line) in old.iter().enumerate().rev() {
        for (column, new_line) in new.iter().enumerate().rev() {
            let best = if old_line == new_line {
                cell(&table, row + 1, column + 1) + 1
            } else {
                cell(&table, row + 1, column).max(cell(&table, row, column + 1))
            };
            if let Some(place) = table.get_mut(row * width + column) {
                *place = best;
            }
        }
    }
    let (mut row, mut column, mut lines) = (0, 0, Vec::new());
    loop {
        match (old.get(row), new.get(column)) {
            (Some(one), Some(two)) if one == two => {
                lines.push((Kind::Same, *one));
                row += 1;
                column += 1;
            }
            (Some(one), two) if two.is_none() || cell(&table, row + 1, column) >= cell(&table, row, column + 1) => {
                lines.push((Kind::Old, *one));
                row += 1;
            }
            (_, Some(two)) => {
                lines.push((Kind::New, *two));
                column += 1;
            }
            (_, None) => return lines,
        }
    }
}

/// Runs of lines around changes: first line and the one behind the last.
fn hunks(lines: &[(Kind, &str)]) -> Vec<(usize, usize)> {
    let mut hunks: Vec<(usize, usize)> = Vec::new();
    for (number, _) in lines.iter().enumerate().filter(|(_, (kind, _))| *kind != Kind::Same) {
        let (begin, end) = (number.saturating_sub(CONTEXT), (number + 1 + CONTEXT).min(lines.len()));
        match hunks.last_mut() {
            Some(last) if last.1 >= begin => last.1 = end,
            _ => hunks.push((begin, end)),
        }
    }
    hunks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn diff_is_the_unified_format() {
        let old = "1\n2\n3\n4\n5\n6\n7\n8\n9\n";
        let new = "1\n2\n3\n4\nfive\n6\n7\n8\n9\nten";
        let expected = "--- f\n+++ f\n@@ -2,8 +2,9 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n 9\n+ten\n\\ No newline at end of file\n";
        assert_eq!(diff("f", old, new), expected);
        assert_eq!(diff("f", old, old), "");
    }
}
