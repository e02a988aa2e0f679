//! Lines over columns such as stages: one large drawing, or many small ones side by side.
//!
//! Lines differ by marker and dash as well as by colour, and every value is also in a table below
//! the large drawing. This module must never join two points across a missing one.

use super::super::markup::{Across, Attributes, Coordinate, Html};
use super::{Scale, Unit};

/// One value of a line.
#[derive(Clone, Debug, Default)]
pub struct Point {
    /// The value in the unit of the chart.
    pub value: f64,
    /// The lowest and the highest value, drawn as a whisker.
    pub spread: Option<(f64, f64)>,
    /// Whether the marker is only an outline.
    pub hollow: bool,
    /// Shown when the pointer is over the marker; may be empty.
    pub tooltip: String,
}

/// A named row of values.
#[derive(Clone, Debug, Default)]
pub struct Line {
    /// What the line is.
    pub name: String,
    /// One entry per column; a missing one leaves a gap.
    pub points: Vec<Option<Point>>,
}

/// One large drawing of a few lines; with more than six, markers and dashes repeat.
#[derive(Clone, Debug)]
pub struct Lines {
    /// What the chart shows: a sentence above it.
    pub caption: String,
    /// What the columns are: `stage`.
    pub across: String,
    /// The names of the columns, from left to right.
    pub columns: Vec<String>,
    /// The unit of the values.
    pub unit: Unit,
    /// The lines share one axis, which need not start at zero.
    pub lines: Vec<Line>,
}

/// One small drawing.
#[derive(Clone, Debug, Default)]
pub struct Panel {
    /// What the line belongs to, in a few characters.
    pub label: String,
    /// A few words beside the label; may be empty.
    pub about: String,
    /// One entry per column; a missing one leaves a gap.
    pub points: Vec<Option<Point>>,
}

/// Many small drawings with one line each, all with the same axis.
#[derive(Clone, Debug)]
pub struct Panels {
    /// What the charts show: a sentence above them.
    pub caption: String,
    /// The number of columns.
    pub columns: usize,
    /// The unit of the values.
    pub unit: Unit,
    /// The panels from left to right and from top to bottom.
    pub panels: Vec<Panel>,
}

/// The number of line styles in the style sheet.
const LOOKS: usize = 6;
/// The markers of the styles: circle, square, triangle, diamond, cross and triangle downwards.
const MARKERS: [&str; LOOKS] = [
    "M-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0 -9 0z",
    "M-4 -4h8v8h-8z",
    "M0 -5l5 9h-10z",
    "M0 -5.5l5.5 5.5l-5.5 5.5l-5.5 -5.5z",
    "M-1.5 -5h3v3.5h3.5v3h-3.5v3.5h-3v-3.5h-3.5v-3h3.5z",
    "M0 5l5 -9h-10z",
];

/// The positions of the columns and the scale in a drawing.
struct Frame<'a> {
    scale: &'a Scale,
    columns: usize,
    /// Pixels from the upper edge to the high end and the low end of the scale.
    top: f64,
    bottom: f64,
    /// The margin on both sides, in per cent of the width.
    inset: f64,
}

impl Frame<'_> {
    fn x(&self, column: usize) -> f64 {
        let last = self.columns.saturating_sub(1);
        if last == 0 {
            return 50.0;
        }
        self.inset + (100.0 - 2.0 * self.inset) * column as f64 / last as f64
    }

    fn y(&self, value: f64) -> f64 {
        self.bottom - (self.bottom - self.top) * self.scale.place(value) / 100.0
    }

    fn line(&self, svg: &mut Html, look: usize, points: &[Option<Point>]) {
        let drawn = |point: &Option<Point>| point.clone().filter(|point| point.value.is_finite());
        let points: Vec<_> = points.iter().take(self.columns).map(drawn).collect();
        for (column, pair) in points.windows(2).enumerate() {
            if let [Some(from), Some(to)] = pair {
                let (x1, x2) = (Across(self.x(column)), Across(self.x(column + 1)));
                let (y1, y2) = (Coordinate(self.y(from.value)), Coordinate(self.y(to.value)));
                svg.void("line", &[("x1", &x1), ("y1", &y1), ("x2", &x2), ("y2", &y2)]);
            }
        }
        for (column, point) in points.iter().enumerate() {
            if let Some(point) = point {
                self.point(svg, look, self.x(column), point);
            }
        }
    }

    fn point(&self, svg: &mut Html, look: usize, x: f64, point: &Point) {
        if let Some((low, high)) = point.spread {
            let (x, low, high) = (Across(x), Coordinate(self.y(low)), Coordinate(self.y(high)));
            let ends: Attributes =
                &[("class", &"spread"), ("x1", &x), ("x2", &x), ("y1", &low), ("y2", &high)];
            svg.void("line", ends);
        }
        let (x, y) = (Across(x), Coordinate(self.y(point.value)));
        let class = if point.hollow { "hollow" } else { "solid" };
        svg.element("svg", &[("x", &x), ("y", &y), ("class", &"marker")], |marker| {
            marker.element("path", &[("class", &class), ("d", &MARKERS[look % LOOKS])], |path| {
                if !point.tooltip.is_empty() {
                    path.leaf("title", &[], &point.tooltip);
                }
            });
        });
    }

    fn grid(&self, svg: &mut Html, unit: Unit) {
        for (value, _) in self.scale.ticks(unit) {
            let y = Coordinate(self.y(value));
            svg.void(
                "line",
                &[("class", &"grid"), ("x1", &"0"), ("x2", &"100%"), ("y1", &y), ("y2", &y)],
            );
        }
    }

    /// The labels of the scale, which end at the right edge of a column of `width` pixels.
    fn axis(&self, html: &mut Html, unit: Unit, width: u32, height: u32) {
        html.element("svg", &[("width", &width), ("height", &height)], |svg| {
            for (value, label) in self.scale.ticks(unit) {
                let (x, y) = (width - 6, Coordinate(self.y(value) + 4.0));
                svg.leaf("text", &[("x", &x), ("y", &y), ("text-anchor", &"end")], &label);
            }
        });
    }
}

fn scale_of<'a>(points: impl Iterator<Item = &'a Option<Point>>, steps_max: u32) -> Scale {
    let values = points.flatten().flat_map(|point| {
        let (low, high) = point.spread.unwrap_or((point.value, point.value));
        [point.value, low, high]
    });
    Scale::over(values, steps_max)
}

impl Lines {
    const HEIGHT: u32 = 240;
    const AXIS_WIDTH: u32 = 48;

    /// Renders the chart.
    pub fn html(&self) -> Html {
        let points = self.lines.iter().flat_map(|line| &line.points);
        let (columns, scale) = (self.columns.len(), &scale_of(points, 6));
        let frame = Frame { scale, columns, top: 12.0, bottom: 204.0, inset: 4.0 };
        Html::of("figure", &[("class", &"lines")], |figure| {
            figure.leaf("figcaption", &[], &self.caption);
            self.legend(figure);
            figure.element("div", &[("class", &"plot"), ("aria-hidden", &"true")], |plot| {
                frame.axis(plot, self.unit, Self::AXIS_WIDTH, Self::HEIGHT);
                plot.element("svg", &[("height", &Self::HEIGHT), ("class", &"area")], |svg| {
                    frame.grid(svg, self.unit);
                    self.names(svg, &frame);
                    for (index, line) in self.lines.iter().enumerate() {
                        let look = format!("look-{}", index % LOOKS);
                        let shift = format!("translate({} 0)", self.shift(index));
                        svg.element("g", &[("class", &look), ("transform", &shift)], |group| {
                            frame.line(group, index, &line.points);
                        });
                    }
                });
            });
            figure.leaf("p", &[("class", &"across")], &self.across);
            figure.element("details", &[], |details| self.numbers(details));
            figure.line();
        })
    }

    /// The offset of a line in pixels, so that whiskers do not cover each other.
    fn shift(&self, index: usize) -> i64 {
        let spreads =
            |line: &Line| line.points.iter().flatten().any(|point| point.spread.is_some());
        if self.lines.iter().filter(|line| spreads(line)).count() < 2 {
            return 0;
        }
        5 * index as i64 - 5 * (self.lines.len() as i64 - 1) / 2
    }

    fn legend(&self, figure: &mut Html) {
        figure.element("ul", &[("class", &"legend")], |list| {
            for (index, line) in self.lines.iter().enumerate() {
                list.element("li", &[], |item| {
                    let look = format!("look-{}", index % LOOKS);
                    let sample: Attributes = &[
                        ("width", &36),
                        ("height", &14),
                        ("class", &look),
                        ("aria-hidden", &"true"),
                    ];
                    item.element("svg", sample, |svg| {
                        svg.void("line", &[("x1", &0), ("x2", &36), ("y1", &7), ("y2", &7)]);
                        svg.element("svg", &[("x", &18), ("y", &7), ("class", &"marker")], |m| {
                            m.void("path", &[("class", &"solid"), ("d", &MARKERS[index % LOOKS])]);
                        });
                    });
                    item.isolated(&line.name);
                });
            }
        });
    }

    /// The names of the columns, as many as fit on a narrow screen.
    fn names(&self, svg: &mut Html, frame: &Frame) {
        const CHARS_MAX: usize = 44;
        let chars = |every: usize| -> usize {
            self.columns.iter().step_by(every).map(|name| name.chars().count() + 1).sum()
        };
        let last = self.columns.len().max(1);
        let every = (1..last).find(|every| chars(*every) <= CHARS_MAX).unwrap_or(last);
        for (column, name) in self.columns.iter().enumerate().step_by(every) {
            let (x, y) = (Across(frame.x(column)), Self::HEIGHT - 16);
            svg.leaf("text", &[("x", &x), ("y", &y), ("text-anchor", &"middle")], name);
        }
    }

    fn numbers(&self, details: &mut Html) {
        details.leaf("summary", &[], "The numbers");
        details.element("div", &[("class", &"wide"), ("tabindex", &0)], |wide| {
            wide.element("table", &[("class", &"numbers")], |table| {
                table.element("tr", &[], |row| {
                    row.leaf("th", &[("scope", &"col")], &self.across);
                    for line in &self.lines {
                        row.leaf("th", &[("scope", &"col"), ("class", &"number")], &line.name);
                    }
                });
                for (column, name) in self.columns.iter().enumerate() {
                    table.element("tr", &[], |row| {
                        row.leaf("th", &[("scope", &"row")], name);
                        for line in &self.lines {
                            let point = line.points.get(column).and_then(Option::as_ref);
                            let text = point.map_or_else(String::new, |point| self.number(point));
                            row.leaf("td", &[("class", &"number")], &text);
                        }
                    });
                }
            });
        });
    }

    fn number(&self, point: &Point) -> String {
        let value = self.unit.label(point.value);
        let Some((low, high)) = point.spread else { return value };
        format!("{value} ({} to {})", self.unit.label(low), self.unit.label(high))
    }
}

impl Panels {
    const HEIGHT: u32 = 74;
    const AXIS_WIDTH: u32 = 40;

    /// Renders the charts.
    pub fn html(&self) -> Html {
        let points = self.panels.iter().flat_map(|panel| &panel.points);
        let scale = scale_of(points, 3);
        let frame =
            Frame { scale: &scale, columns: self.columns, top: 8.0, bottom: 66.0, inset: 6.0 };
        Html::of("figure", &[("class", &"panels")], |figure| {
            figure.leaf("figcaption", &[], &self.caption);
            figure.element("ul", &[], |list| {
                for panel in &self.panels {
                    list.line();
                    list.element("li", &[], |item| self.panel(item, &frame, panel));
                }
            });
            figure.line();
        })
    }

    fn panel(&self, item: &mut Html, frame: &Frame, panel: &Panel) {
        item.element("p", &[], |heading| {
            heading.element("b", &[], |label| label.isolated(&panel.label));
            if !panel.about.is_empty() {
                heading.leaf("small", &[("dir", &"auto")], &panel.about);
            }
        });
        item.element("div", &[("class", &"plot"), ("aria-hidden", &"true")], |plot| {
            frame.axis(plot, self.unit, Self::AXIS_WIDTH, Self::HEIGHT);
            plot.element("svg", &[("height", &Self::HEIGHT), ("class", &"area")], |svg| {
                frame.grid(svg, self.unit);
                svg.element("g", &[("class", &"look-0")], |group| {
                    frame.line(group, 0, &panel.points);
                });
            });
        });
        let ends: Vec<&Point> = panel.points.iter().flatten().collect();
        if let [first, .., last] = ends.as_slice() {
            let text = format!(
                "{} → {} ({})",
                self.unit.label(first.value),
                self.unit.label(last.value),
                Unit::Points.label(last.value - first.value),
            );
            item.leaf("p", &[("class", &"ends")], &text);
        } else if let [only] = ends.as_slice() {
            item.leaf("p", &[("class", &"ends")], &self.unit.label(only.value));
        }
    }
}
