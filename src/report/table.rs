//! A plain table: columns padded to their widest cell, readable without colour.
//!
//! This module must never write escape sequences; the caller may colour whole lines. Only cells
//! longer than any reasonable name are cut; JSON has the full data.

use std::fmt;
use unicode_width::UnicodeWidthStr;

/// How a column is padded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Text: padding on the right.
    Left,
    /// Numbers: padding on the left.
    Right,
}

/// A table with a header line. `Display` writes one line per row, each with a line feed.
#[derive(Clone, Debug, Default)]
pub struct Table {
    aligns: Vec<Align>,
    rows: Vec<Vec<String>>,
    /// The line width from which on the last column is wrapped; without it lines are never broken.
    width_max: Option<usize>,
}

/// The longest cell that is shown in full, in characters. Names in model files can have any length,
/// and every row is padded to the longest cell.
const CELL_CHARS_MAX: usize = 1_000;

const GAP: &str = "  ";
/// The smallest width of a wrapped last column.
pub const LAST_WIDTH_MIN: usize = 24;

impl Table {
    /// An empty table with these column names.
    pub fn new(columns: &[(&str, Align)]) -> Self {
        Self {
            aligns: columns.iter().map(|(_, align)| *align).collect(),
            rows: vec![columns.iter().map(|(name, _)| (*name).to_owned()).collect()],
            width_max: None,
        }
    }

    /// Wraps the last column between words, so that lines are at most `width` wide if that leaves
    /// the column at least [`LAST_WIDTH_MIN`]. Continuation lines start with spaces.
    #[must_use]
    pub fn wrapped(mut self, width: usize) -> Self {
        self.width_max = Some(width);
        self
    }

    /// Adds a row. Missing cells are empty; cells beyond the last column are dropped.
    pub fn row<C: Into<String>>(&mut self, cells: impl IntoIterator<Item = C>) {
        let mut row: Vec<String> = cells.into_iter().map(|cell| one_line(cell.into())).collect();
        row.resize(self.aligns.len(), String::new());
        self.rows.push(row);
    }

    /// How many rows there are below the header.
    pub fn len(&self) -> usize {
        self.rows.len() - 1
    }

    /// Whether there are no rows below the header.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Control characters would break the table or control the terminal, so they are made visible. A
/// cell that is too long ends in an ellipsis.
fn one_line(cell: String) -> String {
    if cell.len() <= CELL_CHARS_MAX && !cell.chars().any(char::is_control) {
        return cell;
    }
    let visible = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    let mut characters = cell.chars().map(visible);
    let mut shown: String = characters.by_ref().take(CELL_CHARS_MAX).collect();
    if characters.next().is_some() {
        shown.pop();
        shown.push('…');
    }
    shown
}

impl Table {
    fn lines(&self, row: &[String], widths: &[usize]) -> Vec<String> {
        let mut line = String::new();
        let last = row.len().saturating_sub(1);
        for (column, (cell, align)) in row.iter().zip(&self.aligns).enumerate() {
            if column > 0 {
                line.push_str(GAP);
            }
            // Formatting counts characters, but some are two columns wide and some have no width.
            let padding = " ".repeat(widths[column].saturating_sub(cell.width()));
            match align {
                Align::Left if column == last => match self.width_max {
                    Some(width_max) => return wrapped_cell(&line, cell, width_max),
                    None => line.push_str(cell),
                },
                Align::Left => line.extend([cell, padding.as_str()]),
                Align::Right => line.extend([padding.as_str(), cell]),
            }
        }
        vec![line]
    }
}

/// A line whose last cell is broken between words, followed by its continuation lines.
fn wrapped_cell(line: &str, cell: &str, width_max: usize) -> Vec<String> {
    let indent = line.width();
    let room = width_max.saturating_sub(indent).max(LAST_WIDTH_MIN);
    let mut lines = words_in_lines(cell, room).into_iter();
    let first = format!("{line}{}", lines.next().unwrap_or_default());
    let blanks = " ".repeat(indent);
    std::iter::once(first).chain(lines.map(|words| format!("{blanks}{words}"))).collect()
}

/// Breaks text between words into lines of at most `width` columns; a wider word is not broken.
pub(super) fn words_in_lines(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.width() + 1 + word.width() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width_of = |column: usize| self.rows.iter().map(|row| row[column].width()).max();
        let widths: Vec<usize> =
            (0..self.aligns.len()).map(|column| width_of(column).unwrap_or(0)).collect();
        for row in &self.rows {
            for line in self.lines(row, &widths) {
                writeln!(f, "{}", line.trim_end())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_padded_to_the_widest_cell() {
        let mut table = Table::new(&[("language", Align::Left), ("held out", Align::Right)]);
        table.row(["de", "120"]);
        table.row(["zh-Hant-TW", "7"]);
        table.row(["fi"]);
        let expected = "language    held out\n\
                        de               120\n\
                        zh-Hant-TW         7\n\
                        fi\n";
        assert_eq!(table.to_string(), expected);
        assert_eq!(table.len(), 3);
    }

    #[test]
    fn columns_are_counted_as_a_terminal_counts_them() {
        let mut table = Table::new(&[("label", Align::Left), ("count", Align::Right)]);
        table.row(["開燈", "1"]);
        table.row(["e\u{301}te\u{301}", "2"]);
        table.row(["مُدُن", "3"]);
        let expected = "label  count\n開燈       1\ne\u{301}te\u{301}        2\nمُدُن        3\n";
        assert_eq!(table.to_string(), expected);
    }

    #[test]
    fn the_last_column_is_wrapped_between_words() {
        let mut table = Table::new(&[("language", Align::Left), ("reason", Align::Left)]);
        table.row(["de", "one two three four five six seven"]);
        table.row(["fi", &"w".repeat(50)]);
        table.row(["tr", ""]);
        let expected = format!(
            "language  reason\n\
             de        one two three four five\n          six seven\n\
             fi        {}\ntr\n",
            "w".repeat(50)
        );
        assert_eq!(table.clone().wrapped(34).to_string(), expected);
        // A narrower line still leaves the column its minimum.
        assert_eq!(table.clone().wrapped(12).to_string(), expected);
        assert_eq!(table.to_string().lines().count(), 4);
    }

    #[test]
    fn a_cell_cannot_drive_the_terminal() {
        let mut table = Table::new(&[("label", Align::Left)]);
        table.row(["a\u{1b}[2Jb\nc"]);
        assert_eq!(table.to_string(), "label\na\u{fffd}[2Jb\u{fffd}c\n");
    }

    #[test]
    fn a_name_of_any_length_is_cut() {
        for (character, length) in [('a', CELL_CHARS_MAX + 1), ('b', 70_000), ('\n', 70_000)] {
            let mut table = Table::new(&[("name", Align::Left), ("nodes", Align::Right)]);
            table.row([String::from_iter(vec![character; length]), "1".to_owned()]);
            let text = table.to_string();
            let row = text.lines().nth(1).unwrap_or_default();
            assert!(row.ends_with("…      1"), "{row}");
            assert_eq!(row.chars().count(), CELL_CHARS_MAX + GAP.len() + "nodes".len());
        }
        let mut whole = Table::new(&[("name", Align::Left)]);
        whole.row(["語".repeat(CELL_CHARS_MAX)]);
        assert!(!whole.to_string().contains('…'));
    }
}
