//! How answers are shown: as lines for people, and as JSON.
//!
//! Questions and predictions flow in, text flows out. Every number is the library's. Text from
//! outside may not drive the terminal, so control characters are left out of what people read; JSON
//! escapes them.

mod json;
mod marks;
mod text;

pub use json::to_json;
pub use text::{line, notes, sheet};

use polygraft::example::{Input, Target};
use polygraft::language::Language;
use polygraft::model::Given;
use std::ops::Range;

/// What is asked, and what its source says about it.
pub struct Query {
    pub language: Language,
    pub input: Input,
    /// The right answer, where it is known.
    pub expected: Option<Target>,
    pub place: String,
}

/// Whether the answer is exactly the expected one.
pub fn is_expected(expected: &Target, given: &Given) -> bool {
    let is_label = |wanted| given.labels.first().map(|score| &score.label) == Some(wanted);
    let are_tags = |wanted: &[String]| given.words.iter().map(|word| &word.tag).eq(wanted);
    match expected {
        Target::Classification(label) => is_label(label),
        Target::MultiLabel(labels) => {
            let mut applying = given.applying();
            applying.sort_unstable();
            applying.iter().eq(labels)
        }
        Target::Regression(number) => given.number == Some(number.0),
        Target::TokenClassification(tags) => are_tags(tags),
        Target::IntentAndSlots { label, tags } => is_label(label) && are_tags(tags),
        Target::SequenceToSequence(text) => generated(given) == text,
    }
}

/// The generated text; empty where there is none.
fn generated(given: &Given) -> &str {
    given.text.as_ref().map_or("", |generated| generated.text.as_str())
}

/// What stands at a place of a text.
fn piece(text: &str, place: Range<usize>) -> &str {
    text.get(place).unwrap_or_default()
}
