//! How answers are shown: as lines for people, and as JSON.
//!
//! Input: questions and predictions. Output: text. Every number is the library's. Text from outside
//! may not drive the terminal, so control characters are left out of what people read; JSON escapes
//! them.

mod json;
mod marks;
mod text;

pub use json::to_json;
pub use text::{line, notes, sheet};

use polygraft::example::{Input, Target};
use polygraft::language::Language;
use polygraft::model::{LabelScore, TaskOutput};
use std::ops::Range;

/// What is asked, and what its source says about it.
pub struct Query {
    pub language: Language,
    pub input: Input,
    /// The right answer, where it is known.
    pub expected: Option<Target>,
    pub place: String,
}

/// Whether the output is exactly what was expected.
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

/// What stands at a place of a text.
fn piece(text: &str, place: Range<usize>) -> &str {
    text.get(place).unwrap_or_default()
}
