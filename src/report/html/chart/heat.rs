//! A table of numbers whose cells are shaded by value.

use super::super::markup::{Coordinate, Html};
use super::super::table::scrolling;
use super::Unit;

/// One cell.
#[derive(Clone, Debug, Default)]
pub struct Cell {
    /// The value in the unit of the table; without one the cell is empty.
    pub value: Option<f64>,
    /// Shown when the pointer is over the cell; may be empty.
    pub tooltip: String,
}

/// One row.
#[derive(Clone, Debug, Default)]
pub struct HeatRow {
    /// What the row is about, in a few characters.
    pub label: String,
    /// More about the label, in small letters below it. May be empty.
    pub about: String,
    /// One cell per column; missing cells are empty.
    pub cells: Vec<Cell>,
}

/// Rows under one heading.
#[derive(Clone, Debug, Default)]
pub struct HeatGroup {
    /// The heading; none when empty.
    pub heading: String,
    /// The rows from top to bottom.
    pub rows: Vec<HeatRow>,
}

/// A table of shaded numbers.
#[derive(Clone, Debug)]
pub struct Heat {
    /// What the table shows: a sentence above it.
    pub caption: String,
    /// What the rows are: `language`.
    pub labels: String,
    /// The names of the columns.
    pub columns: Vec<String>,
    /// The unit of the values.
    pub unit: Unit,
    /// All groups share one scale of shades: the value farthest from zero is the darkest, and
    /// negative values have another colour.
    pub groups: Vec<HeatGroup>,
}

impl Heat {
    /// Renders the table.
    pub fn html(&self) -> Html {
        let rows = self.groups.iter().flat_map(|group| &group.rows);
        let values = rows.flat_map(|row| &row.cells).filter_map(|cell| cell.value);
        let most = values.filter(|value| value.is_finite()).map(f64::abs).fold(0.0, f64::max);
        let table = Html::of("table", &[("class", &"heat")], |table| {
            table.element("thead", &[], |head| head.element("tr", &[], |row| self.head(row)));
            for group in &self.groups {
                table.element("tbody", &[], |body| self.group(body, group, most));
            }
            table.line();
        });
        scrolling(&self.caption, &table)
    }

    fn head(&self, row: &mut Html) {
        row.leaf("th", &[("scope", &"col")], &self.labels);
        for column in &self.columns {
            row.element("th", &[("scope", &"col"), ("class", &"number")], |cell| {
                cell.isolated(column);
            });
        }
    }

    fn group(&self, body: &mut Html, group: &HeatGroup, most: f64) {
        if !group.heading.is_empty() {
            body.group_heading(self.columns.len() + 1, &group.heading);
        }
        for entry in &group.rows {
            body.line();
            body.element("tr", &[], |row| {
                row.row_heading(&entry.label, &entry.about);
                for index in 0..self.columns.len() {
                    self.cell(row, entry.cells.get(index), most);
                }
            });
        }
    }

    fn cell(&self, row: &mut Html, cell: Option<&Cell>, most: f64) {
        let Some((cell, value)) = cell.and_then(|cell| Some((cell, cell.value?))) else {
            row.leaf("td", &[], "");
            return;
        };
        let strength = if most > 0.0 && value.is_finite() { value.abs() / most } else { 0.0 };
        let class = if value < 0.0 { "shade loss" } else { "shade gain" };
        let style = format!("--strength:{}", Coordinate(strength));
        let mut attributes: Vec<(&str, &dyn std::fmt::Display)> =
            vec![("class", &class), ("style", &style)];
        if !cell.tooltip.is_empty() {
            attributes.push(("title", &cell.tooltip));
        }
        row.leaf("td", &attributes, &self.unit.label(value));
    }
}
