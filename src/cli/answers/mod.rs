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
use polygraft::model::{LabelScore, TaskOutput};
use std::ops::Range;

/// An input, and what its file says about it.
pub struct Query {
    pub language: Language,
    pub input: Input,
    /// The expected target, if it is known.
    pub expected: Option<Target>,
    pub place: String,
}

/// Whether the output is exactly the expected target.
pub fn is_expected(expected: &Target, output: &TaskOutput) -> bool {
    match (expected, output) {
        (Target::Classification(label), TaskOutput::Classification(labels)) => {
            best(labels) == label
        }
        (Target::MultiLabel(labels), TaskOutput::MultiLabel(_)) => {
            let mut applying = output.applying();
            applying.sort_unstable();
            applying.iter().eq(labels)
        }
        (Target::Regression(number), TaskOutput::Regression(given)) => *given == number.0,
        (Target::TokenClassification(tags), TaskOutput::TokenClassification(given)) => {
            given.tags().eq(tags)
        }
        (Target::IntentAndSlots { label, tags }, TaskOutput::IntentAndSlots(labels, given)) => {
            best(labels) == label && given.tags().eq(tags)
        }
        (Target::SequenceToSequence(text), TaskOutput::SequenceToSequence(given)) => {
            given.text == *text
        }
        _ => false,
    }
}

/// The most probable label; empty without labels.
fn best(labels: &[LabelScore]) -> &str {
    labels.first().map_or("", |score| score.label.as_str())
}

/// The text at a position, or an empty text.
fn piece(text: &str, place: Range<usize>) -> &str {
    text.get(place).unwrap_or_default()
}
