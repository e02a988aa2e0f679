//! The frame of a page: head, style sheet, patterns and sections.
//!
//! Its content security policy forbids the browser to load or run anything, so a page is as
//! harmless as a text file. This module must never take a style or a script from outside.

use super::markup::{Attributes, Html};

/// A page under construction.
#[derive(Clone, Debug)]
pub struct Page {
    title: String,
    body: Html,
}

const STYLE: &str = include_str!("style.css");
/// Allows inline styles and nothing else.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

impl Page {
    /// An empty page with this title.
    pub fn new(title: &str) -> Self {
        Self { title: title.to_owned(), body: Html::default() }
    }

    /// Adds a piece without a heading.
    pub fn push(&mut self, piece: &Html) {
        self.body.push(piece);
        self.body.line();
    }

    /// Adds a heading with pieces below it.
    pub fn section(&mut self, heading: &str, pieces: &[Html]) {
        self.body.element("section", &[], |section| {
            section.line();
            section.leaf("h2", &[], heading);
            section.line();
            for piece in pieces {
                section.push(piece);
                section.line();
            }
        });
        self.body.line();
    }

    /// Renders the page as one file, to be written as UTF-8.
    pub fn finish(&self) -> String {
        let page = Html::of("html", &[("lang", &"en")], |html| {
            html.line();
            html.element("head", &[], |head| self.head(head));
            html.line();
            html.element("body", &[], |body| {
                body.line();
                patterns(body);
                body.element("main", &[], |main| {
                    main.element("h1", &[], |heading| heading.isolated(&self.title));
                    main.line();
                    main.push(&self.body);
                });
                body.line();
            });
            html.line();
        });
        format!("<!DOCTYPE html>\n{page}\n")
    }

    fn head(&self, head: &mut Html) {
        let metas: [Attributes; 4] = [
            &[("charset", &"utf-8")],
            &[("http-equiv", &"Content-Security-Policy"), ("content", &POLICY)],
            &[("name", &"viewport"), ("content", &"width=device-width, initial-scale=1")],
            &[("name", &"color-scheme"), ("content", &"light dark")],
        ];
        for meta in metas {
            head.line();
            head.void("meta", meta);
        }
        head.line();
        head.leaf("title", &[], &self.title);
        head.line();
        head.style(STYLE);
    }
}

/// The hatch patterns that bars refer to.
fn patterns(body: &mut Html) {
    let hidden: Attributes =
        &[("width", &0), ("height", &0), ("class", &"patterns"), ("aria-hidden", &"true")];
    body.element("svg", hidden, |svg| {
        svg.element("defs", &[], |defs| {
            for (id, class, angle) in [("hatch-gain", "gain", 45), ("hatch-loss", "loss", -45)] {
                let turn = format!("rotate({angle})");
                let pattern: Attributes = &[
                    ("id", &id),
                    ("width", &5),
                    ("height", &5),
                    ("patternUnits", &"userSpaceOnUse"),
                    ("patternTransform", &turn),
                ];
                defs.element("pattern", pattern, |pattern| {
                    pattern.void("rect", &[("width", &2), ("height", &5), ("class", &class)]);
                });
            }
        });
    });
    body.line();
}
