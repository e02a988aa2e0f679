//! Reports as one self-contained HTML file with charts.
//!
//! Plain data flows in, the text of a page comes out: no script, nothing loaded from elsewhere,
//! readable without colour, in light and dark, on a telephone and on paper. Everything from outside
//! is escaped by the only type that pages are made of ([`Html`]). It must never write a file and
//! never decide or count anything that the data does not say already.

pub mod chart;
mod markup;
mod page;

pub use markup::Html;
pub use page::Page;
