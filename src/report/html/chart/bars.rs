//! Horizontal bars around a zero line, one table row each.
//!
//! Every number is text in a cell, so that it can be read aloud, copied and printed as a table.
//! This module must never order or omit rows; the caller does that.

use super::super::markup::{Across, Html};
use super::{Scale, Unit};

/// How a bar is filled, which says whether the value took effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fill {
    /// It did: a solid bar.
    #[default]
    Solid,
    /// It would have: a hatched bar with an outline.
    Hatched,
}

/// One value with its label.
#[derive(Clone, Debug, Default)]
pub struct Bar {
    /// What the value belongs to, in a few characters: `de`.
    pub label: String,
    /// More about the label, in small letters below it: `German`. May be empty.
    pub about: String,
    /// The value in the unit of the chart; without one, no bar is drawn and the number is a dash.
    pub value: Option<f64>,
    /// The number beside the bar, when the value that took effect is not that of the bar.
    pub served: Option<f64>,
    /// How many examples the value is measured on, in a column of its own.
    pub count: Option<usize>,
    /// The lowest and the highest value, drawn as a whisker.
    pub spread: Option<(f64, f64)>,
    /// How the bar is filled.
    pub fill: Fill,
    /// A few words in the last column; may be empty.
    pub note: String,
    /// Shown when the pointer is over the bar; may be empty.
    pub tooltip: String,
}

/// Bars under one heading.
#[derive(Clone, Debug, Default)]
pub struct BarGroup {
    /// The heading; none when empty.
    pub heading: String,
    /// The bars from top to bottom.
    pub bars: Vec<Bar>,
}

/// A chart of horizontal bars.
#[derive(Clone, Debug)]
pub struct Bars {
    /// What the chart shows: a sentence above it.
    pub caption: String,
    /// What the labels are: `language`.
    pub labels: String,
    /// What the values are: `change`.
    pub values: String,
    /// What the notes are: `decision`. Empty when no bar has a note.
    pub notes: String,
    /// The unit of the values.
    pub unit: Unit,
    /// The groups share one axis, which always contains zero.
    pub groups: Vec<BarGroup>,
}

/// Heights of a row's drawing and of the bar in it, in pixels.
const ROW_HEIGHT: u32 = 20;
const BAR_HEIGHT: u32 = 12;

impl Bars {
    /// Renders the chart.
    pub fn html(&self) -> Html {
        let bars = || self.groups.iter().flat_map(|group| &group.bars);
        let spreads = bars().filter_map(|bar| bar.spread).flat_map(|(low, high)| [low, high]);
        let values = bars().filter_map(|bar| bar.value).chain(spreads);
        let scale = Scale::over(values.chain([0.0]), 5);
        let class = if self.has_counts() { "bars counted" } else { "bars" };
        Html::of("table", &[("class", &class)], |table| {
            table.leaf("caption", &[], &self.caption);
            self.head(table, &scale);
            for group in &self.groups {
                table.element("tbody", &[], |body| {
                    if !group.heading.is_empty() {
                        body.line();
                        body.group_heading(self.columns(), &group.heading);
                    }
                    group.bars.iter().for_each(|bar| self.row(body, &scale, bar));
                });
            }
            table.line();
        })
    }

    fn columns(&self) -> usize {
        3 + usize::from(!self.notes.is_empty()) + usize::from(self.has_counts())
    }

    fn has_counts(&self) -> bool {
        self.groups.iter().flat_map(|group| &group.bars).any(|bar| bar.count.is_some())
    }

    fn head(&self, table: &mut Html, scale: &Scale) {
        let row = |row: &mut Html| {
            row.leaf("th", &[("scope", &"col")], &self.labels);
            row.element("td", &[("class", &"drawing"), ("aria-hidden", &"true")], |cell| {
                axis(cell, &scale.ticks(self.unit), scale);
            });
            row.element("th", &[("scope", &"col"), ("class", &"number")], |cell| {
                cell.text(&self.values);
                let unit = self.unit.heading();
                if !unit.is_empty() {
                    cell.leaf("small", &[], unit);
                }
            });
            if self.has_counts() {
                let class = &"number count";
                row.leaf("th", &[("scope", &"col"), ("class", class)], "n");
            }
            if !self.notes.is_empty() {
                row.leaf("th", &[("scope", &"col"), ("class", &"note")], &self.notes);
            }
        };
        table.element("thead", &[], |head| head.element("tr", &[], row));
    }

    fn row(&self, body: &mut Html, scale: &Scale, bar: &Bar) {
        body.line();
        body.element("tr", &[], |row| {
            row.row_heading(&bar.label, &bar.about);
            row.element("td", &[("class", &"drawing"), ("aria-hidden", &"true")], |cell| {
                self.drawing(cell, scale, bar);
            });
            let value = bar.served.or(bar.value);
            let value = value.map_or_else(|| "–".to_owned(), |value| self.unit.label(value));
            row.leaf("td", &[("class", &"number")], &value);
            if self.has_counts() {
                let count = bar.count.map_or_else(String::new, |count| count.to_string());
                row.leaf("td", &[("class", &"number count")], &count);
            }
            if !self.notes.is_empty() {
                row.leaf("td", &[("class", &"note"), ("dir", &"auto")], &bar.note);
            }
        });
    }

    fn drawing(&self, cell: &mut Html, scale: &Scale, bar: &Bar) {
        cell.element("svg", &[("width", &"100%"), ("height", &ROW_HEIGHT)], |svg| {
            if !bar.tooltip.is_empty() {
                svg.leaf("title", &[], &bar.tooltip);
                // An area that takes the pointer over the whole row, however short the bar is.
                let (width, height) = ("100%", ROW_HEIGHT);
                let fill = ("fill", &"transparent" as _);
                svg.void("rect", &[("width", &width), ("height", &height), fill]);
            }
            for (value, _) in scale.ticks(self.unit) {
                let class = if value.abs() < 1e-12 { "zero" } else { "grid" };
                upright(svg, class, scale.place(value), 0, ROW_HEIGHT);
            }
            if let Some(value) = bar.value.filter(|value| value.is_finite()) {
                rectangle(svg, scale, value, bar.fill);
            }
            if let Some((low, high)) = bar.spread {
                whisker(svg, scale.place(low), scale.place(high));
            }
        });
    }
}

fn upright(svg: &mut Html, class: &str, at: f64, top: u32, bottom: u32) {
    let at = Across(at);
    svg.void("line", &[("class", &class), ("x1", &at), ("x2", &at), ("y1", &top), ("y2", &bottom)]);
}

fn rectangle(svg: &mut Html, scale: &Scale, value: f64, fill: Fill) {
    let (zero, end) = (scale.place(0.0), scale.place(value));
    let sign = if value < 0.0 { "loss" } else { "gain" };
    let pattern = if fill == Fill::Hatched { " hatched" } else { "" };
    svg.void(
        "rect",
        &[
            ("class", &format_args!("{sign}{pattern}")),
            ("x", &Across(zero.min(end))),
            ("y", &((ROW_HEIGHT - BAR_HEIGHT) / 2)),
            ("width", &Across((end - zero).abs())),
            ("height", &BAR_HEIGHT),
        ],
    );
}

/// Draws the line twice: a wide edge in the colour of the background separates it from the bar.
fn whisker(svg: &mut Html, low: f64, high: f64) {
    let (from, to, middle) = (Across(low), Across(high), ROW_HEIGHT / 2);
    for class in ["spread edge", "spread"] {
        svg.void(
            "line",
            &[("class", &class), ("x1", &from), ("x2", &to), ("y1", &middle), ("y2", &middle)],
        );
        for end in [low, high] {
            upright(svg, class, end, middle - 4, middle + 4);
        }
    }
}

fn axis(cell: &mut Html, ticks: &[(f64, String)], scale: &Scale) {
    cell.element("svg", &[("width", &"100%"), ("height", &ROW_HEIGHT)], |svg| {
        let step = ticks.get(1).map_or(1.0, |(next, _)| next - ticks[0].0);
        for (value, label) in ticks {
            let at = Across(scale.place(*value));
            // A narrow screen has room for every second tick, counted from zero.
            let between = (value / step).round() % 2.0 != 0.0;
            let class = if between { "between" } else { "" };
            let place: [(&str, &dyn std::fmt::Display); 4] =
                [("x", &at), ("y", &14), ("text-anchor", &"middle"), ("class", &class)];
            svg.leaf("text", &place, label);
        }
    });
}
