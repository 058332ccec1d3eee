//! Tables as Podman prints them: Go's text/tabwriter with two blanks between columns.

use std::io::Write;

use tabwriter::TabWriter;

use crate::ui::text::one_line;

/// Lays out `rows`, each a list of cells, in columns.
pub(crate) fn layout(rows: &[Vec<String>]) -> String {
    let mut writer = TabWriter::new(Vec::new()).padding(2).minwidth(10);
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| one_line(cell)).collect();
        // Writing to memory cannot fail.
        let _ = writeln!(writer, "{}", cells.join("\t"));
    }
    let bytes = writer.into_inner().unwrap_or_default();
    String::from_utf8_lossy(&bytes).lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout_aligns_columns_and_trims_the_end() {
        let rows = [vec!["ID".to_owned(), "NAME".to_owned()], vec!["0123456789abcdef".to_owned(), "x".to_owned()]];
        assert_eq!(layout(&rows), "ID                NAME\n0123456789abcdef  x\n");
    }
}
