//! Text in columns.

use crate::terminal::text;

/// No column is padded beyond this; a longer cell just is longer. A single cell from a hostile service
/// would otherwise make every row as long as itself.
pub(super) const WIDEST: usize = 200;
/// The usual width of labels.
pub(super) const LABELS: usize = 16;
/// Columns are at least this far apart.
const GAP: usize = 2;

/// Rows under a header, in columns as wide as their widest cell and at least as wide as asked.
pub(super) struct Table {
    minimum: Vec<usize>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table whose columns have these titles and minimum widths.
    pub(super) fn new(columns: &[(&str, usize)]) -> Self {
        Self {
            minimum: columns.iter().map(|(_, width)| *width).collect(),
            rows: vec![columns.iter().map(|(title, _)| (*title).to_owned()).collect()],
        }
    }

    /// Adds a row.
    pub(super) fn push<const N: usize>(&mut self, cells: [&str; N]) {
        self.rows.push(cells.iter().map(|cell| text::one_line(cell)).collect());
    }

    /// The table's text.
    pub(super) fn finish(self) -> String {
        let mut widths = self.minimum;
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max((cell.chars().count() + GAP).min(WIDEST));
            }
        }
        let mut lines = String::new();
        for row in &self.rows {
            let cells = widths.iter().zip(row).map(|(width, cell)| {
                // Of a cell that is longer than its column, the gap remains.
                padded(cell, (*width).max(cell.chars().count() + GAP))
            });
            lines.push_str(cells.collect::<String>().trim_end());
            lines.push('\n');
        }
        lines
    }
}

/// `text` with spaces up to `width` columns. Not by a format string: those panic from 65,536 on, and what a
/// service sends may be longer.
pub(super) fn padded(text: &str, width: usize) -> String {
    let missing = width.saturating_sub(text.chars().count());
    format!("{text}{}", " ".repeat(missing))
}

/// Labels, each with its values in a column beside it.
pub(super) struct Labels {
    width: usize,
    text: String,
}

impl Labels {
    /// Labels whose values stand `width` characters from the beginning of the line.
    pub(super) fn new(width: usize) -> Self {
        Self { width, text: String::new() }
    }

    /// Adds a label and its value.
    pub(super) fn push(&mut self, label: &str, value: &str) {
        let line = format!("{:width$}{}", format!("{label}:"), text::one_line(value), width = self.width);
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    /// Adds a label with several values, one a line.
    pub(super) fn push_all<T: AsRef<str>>(&mut self, label: &str, values: &[T]) {
        let Some((first, others)) = values.split_first() else {
            return;
        };
        self.push(label, first.as_ref());
        for other in others {
            let line = format!("{:width$}{}\n", "", text::one_line(other.as_ref()), width = self.width);
            self.text.push_str(&line);
        }
    }

    /// Leaves a line empty between two items.
    pub(super) fn separate(&mut self) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
    }

    /// The text.
    pub(super) fn finish(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_grow_with_their_cells_and_lines_end_without_spaces() {
        let mut table = Table::new(&[("Name", 6), ("State", 0)]);
        table.push(["a", "x"]);
        table.push(["abcdefg", "\u{1b}[31mred\nline"]);
        table.push(["", ""]);
        assert_eq!(table.finish(), "Name     State\na        x\nabcdefg  [31mred line\n\n");
    }

    #[test]
    fn an_endless_cell_is_shown_and_makes_no_other_row_as_long() {
        // Beyond what a format string can pad to.
        for length in [197, 198, 199, 200, 201, 70_000] {
            for letter in ["x", "\u{e4}"] {
                let long = letter.repeat(length);
                let mut table = Table::new(&[("Name", 6), ("State", 0)]);
                table.push(["a", "short"]);
                table.push([&long, "long"]);
                let width = (length + 2).min(WIDEST);
                let expected = [
                    format!("Name{}State", " ".repeat(width - 4)),
                    format!("a{}short", " ".repeat(width - 1)),
                    format!("{long}  long"),
                ];
                let text = table.finish();
                assert!(text.lines().eq(expected), "{length} of {letter}");
            }
        }
    }

    #[test]
    fn a_wide_minimum_is_kept() {
        let mut table = Table::new(&[("Name", 70_000), ("State", 0)]);
        table.push(["a", "x"]);
        let text = table.finish();
        assert!(text.lines().all(|line| line.len() == 70_000 + if line.ends_with('x') { 1 } else { 5 }));
    }

    #[test]
    fn padding_counts_characters_and_never_cuts() {
        for (text, width, expected) in [
            ("", 0, ""),
            ("", 3, "   "),
            ("ab", 0, "ab"),
            ("ab", 2, "ab"),
            ("ab", 4, "ab  "),
            ("abc", 2, "abc"),
            ("\u{fc}\u{df}", 4, "\u{fc}\u{df}  "),
        ] {
            assert_eq!(padded(text, width), expected, "{text:?} to {width}");
        }
        assert_eq!(padded("ab", 70_000), format!("ab{}", " ".repeat(69_998)));
    }
}
