//! Answers as lines for people and as JSON.
//!
//! Input: queries and predictions. Output: text. Every number is the library's. Text from outside
//! must not control the terminal, so control characters are removed from text for people; JSON
//! escapes them.

mod json;
mod marks;
mod text;

pub use json::to_json;
pub use text::{line, notes, sheet};

use polygraft::example::{Input, Target};
use polygraft::language::Language;
use std::ops::Range;

/// An input, and what its file says about it.
pub struct Query {
    pub language: Language,
    pub input: Input,
    /// The expected target, if it is known.
    pub expected: Option<Target>,
    pub place: String,
}

/// The text at a position, or an empty text.
fn piece(text: &str, place: Range<usize>) -> &str {
    text.get(place).unwrap_or_default()
}
