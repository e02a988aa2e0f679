//! A plain table: columns padded to their widest cell, readable without colour.
//!
//! Rows of text flow in, lines of text flow out. It must never cut a cell and never write escape
//! sequences: whoever prints may add colour around whole lines.

use std::fmt;

/// How a column is padded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Text: the padding follows.
    Left,
    /// Numbers: the padding leads.
    Right,
}

/// A table with a header line. `Display` writes one line per row, each ended by a line feed.
#[derive(Clone, Debug, Default)]
pub struct Table {
    aligns: Vec<Align>,
    rows: Vec<Vec<String>>,
}

/// Stands between two columns.
const GAP: &str = "  ";

impl Table {
    /// An empty table with these column names.
    pub fn new(columns: &[(&str, Align)]) -> Self {
        Self {
            aligns: columns.iter().map(|(_, align)| *align).collect(),
            rows: vec![columns.iter().map(|(name, _)| (*name).to_owned()).collect()],
        }
    }

    /// Adds a row. Missing cells are empty; cells beyond the last column are left out.
    pub fn row<C: Into<String>>(&mut self, cells: impl IntoIterator<Item = C>) {
        let mut row: Vec<String> = cells.into_iter().map(|cell| one_line(cell.into())).collect();
        row.resize(self.aligns.len(), String::new());
        self.rows.push(row);
    }

    /// How many rows there are below the header.
    pub fn len(&self) -> usize {
        self.rows.len() - 1
    }

    /// Whether there is only the header.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Control characters would break the table, or drive the terminal; they become visible.
fn one_line(cell: String) -> String {
    if !cell.chars().any(char::is_control) {
        return cell;
    }
    cell.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width_of =
            |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max();
        let widths: Vec<usize> =
            (0..self.aligns.len()).map(|column| width_of(column).unwrap_or(0)).collect();
        for row in &self.rows {
            let mut line = String::new();
            for ((cell, width), align) in row.iter().zip(&widths).zip(&self.aligns) {
                if !line.is_empty() {
                    line.push_str(GAP);
                }
                match align {
                    Align::Left => line.push_str(&format!("{cell:<width$}")),
                    Align::Right => line.push_str(&format!("{cell:>width$}")),
                }
            }
            writeln!(f, "{}", line.trim_end())?;
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
    fn a_cell_cannot_drive_the_terminal() {
        let mut table = Table::new(&[("label", Align::Left)]);
        table.row(["a\u{1b}[2Jb\nc"]);
        assert_eq!(table.to_string(), "label\na\u{fffd}[2Jb\u{fffd}c\n");
    }
}
