//! HTML that is well-formed and escaped by construction.
//!
//! Names of elements and attributes are literals of this crate. This module must never take markup
//! as text from a caller.

use std::fmt::{self, Display, Write};

/// A piece of a page. It can only be made by escaping, so it can be inserted into any page.
///
/// It is also well-formed XML.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Html(String);

/// Names and values of an element's attributes.
pub(super) type Attributes<'a> = &'a [(&'static str, &'a dyn Display)];

impl Html {
    /// A paragraph of text.
    pub fn paragraph(text: &str) -> Self {
        Self::of("p", &[], |p| p.text(text))
    }

    /// An element with the content that `content` writes.
    pub(super) fn of(
        name: &'static str,
        attributes: Attributes,
        content: impl FnOnce(&mut Self),
    ) -> Self {
        let mut html = Self::default();
        html.element(name, attributes, content);
        html
    }

    /// Adds a piece.
    pub fn push(&mut self, piece: &Self) {
        self.0.push_str(&piece.0);
    }

    /// Adds text.
    pub fn text(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                '\n' | '\t' => self.0.push(c),
                // Neither HTML nor XML can represent these, escaped or not.
                c if c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}') => {
                    self.0.push(char::REPLACEMENT_CHARACTER);
                }
                c => self.0.push(c),
            }
        }
    }

    /// Adds text whose writing direction must not affect its surroundings.
    pub(super) fn isolated(&mut self, text: &str) {
        self.element("bdi", &[], |bdi| bdi.text(text));
    }

    /// Adds an element with the content that `content` writes.
    pub(super) fn element(
        &mut self,
        name: &'static str,
        attributes: Attributes,
        content: impl FnOnce(&mut Self),
    ) {
        self.opening(name, attributes);
        self.0.push('>');
        content(self);
        self.0.push_str("</");
        self.0.push_str(name);
        self.0.push('>');
    }

    /// Adds the heading of a group of rows, across `columns` columns.
    pub(super) fn group_heading(&mut self, columns: usize, heading: &str) {
        self.element("tr", &[("class", &"heading")], |row| {
            row.element("th", &[("scope", &"rowgroup"), ("colspan", &columns)], |cell| {
                cell.isolated(heading);
            });
        });
    }

    /// Adds the heading of a row, with more about it in small letters unless that is empty.
    pub(super) fn row_heading(&mut self, label: &str, about: &str) {
        self.element("th", &[("scope", &"row")], |cell| {
            cell.isolated(label);
            if !about.is_empty() {
                cell.leaf("small", &[("dir", &"auto")], about);
            }
        });
    }

    /// Adds an element that contains only text.
    pub(super) fn leaf(&mut self, name: &'static str, attributes: Attributes, text: &str) {
        self.element(name, attributes, |leaf| leaf.text(text));
    }

    /// Adds an element without content: a mark of a drawing, or `meta`.
    pub(super) fn void(&mut self, name: &'static str, attributes: Attributes) {
        self.opening(name, attributes);
        self.0.push_str("/>");
    }

    fn opening(&mut self, name: &'static str, attributes: Attributes) {
        self.0.push('<');
        self.0.push_str(name);
        for (name, value) in attributes {
            self.0.push(' ');
            self.0.push_str(name);
            self.0.push_str("=\"");
            self.text(&value.to_string());
            self.0.push('"');
        }
    }

    /// Adds the style sheet, which is part of this crate and needs no escaping.
    pub(super) fn style(&mut self, sheet: &'static str) {
        self.0.push_str("<style>\n");
        self.0.push_str(sheet);
        self.0.push_str("</style>\n");
    }

    /// Ends a line, to keep the source of a page readable.
    pub(super) fn line(&mut self) {
        self.0.push('\n');
    }
}

impl From<&str> for Html {
    fn from(text: &str) -> Self {
        let mut html = Self::default();
        html.text(text);
        html
    }
}

impl Display for Html {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A coordinate, rounded to what a screen can show.
pub(super) struct Coordinate(pub f64);

impl Display for Coordinate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2}", self.0)
    }
}

/// A coordinate along the width of a drawing, in per cent.
pub(super) struct Across(pub f64);

impl Display for Across {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Coordinate(self.0).fmt(f)?;
        f.write_char('%')
    }
}
