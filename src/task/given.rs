//! What a task gives for an input.

use super::sequence::GeneratedText;
use crate::example::TaskKind;

/// A label and its probability.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelScore {
    /// The label, as it stood in the training examples.
    pub label: String,
    /// Between 0 and 1.
    pub probability: f32,
}

/// A word and its tag.
#[derive(Clone, Debug, PartialEq)]
pub struct TaggedWord {
    /// The tag; empty for a word behind what the model reads.
    pub tag: String,
    /// Of the tag, between 0 and 1; 0 for a word behind what the model reads.
    pub probability: f32,
    /// Where the word begins in the text, in bytes. Words of the caller count as joined by spaces.
    pub byte_start: usize,
    /// Where it ends, in bytes.
    pub byte_end: usize,
    /// Where it begins, in characters (Unicode scalar values).
    pub char_start: usize,
    /// Where it ends, in characters.
    pub char_end: usize,
}

/// Neighbouring words that the tags mark as one thing.
#[derive(Clone, Debug, PartialEq)]
pub struct TaggedSpan {
    /// What it is: the tag without `B-` and `I-`.
    pub kind: String,
    /// Of its least certain word.
    pub probability: f32,
    /// The position of its first word.
    pub first_word: usize,
    /// The position of its last word.
    pub last_word: usize,
    /// Where it begins in the text, in bytes.
    pub byte_start: usize,
    /// Where it ends, in bytes.
    pub byte_end: usize,
    /// Where it begins, in characters (Unicode scalar values).
    pub char_start: usize,
    /// Where it ends, in characters.
    pub char_end: usize,
}

/// The answer to one input. What a kind of answer does not have is empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Given {
    /// The kind of answer.
    pub kind: TaskKind,
    /// Labels, the most probable first. One label applies: the probabilities sum to 1. Any number
    /// applies: each has its own probability, and from 0.5 it counts as given.
    pub labels: Vec<LabelScore>,
    /// The number.
    pub number: Option<f64>,
    /// Every word with its tag.
    pub words: Vec<TaggedWord>,
    /// What the tags mark, where they are of the scheme BIO.
    pub spans: Vec<TaggedSpan>,
    /// The text.
    pub text: Option<GeneratedText>,
    /// The input was longer than the backbone reads and was cut.
    pub truncated: bool,
}

impl Given {
    /// The labels that apply.
    pub fn applying(&self) -> Vec<&str> {
        let count = match self.kind {
            TaskKind::MultiLabel => {
                self.labels.iter().take_while(|score| score.probability >= 0.5).count()
            }
            _ => 1,
        };
        self.labels.iter().take(count).map(|score| score.label.as_str()).collect()
    }
}
