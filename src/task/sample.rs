//! Encoded examples: tokenized inputs, encoded targets, and their weights in a batch.

use super::soft::SoftTarget;
use crate::bundle::Encoding;
use crate::error::{Code, Error, Result};

/// The position of a word among the tokens and in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedWord {
    /// Its first token, which the words before it may share; `None` for a word that was cut off or
    /// that has no token.
    pub token: Option<usize>,
    /// Its first byte in the text.
    pub byte_start: usize,
    /// The byte after its last one.
    pub byte_end: usize,
    /// Its first character (Unicode scalar value) in the text.
    pub char_start: usize,
    /// The character after its last one.
    pub char_end: usize,
}

impl PlacedWord {
    /// Whether this word and `before` have the same token.
    pub(super) fn shares_token(&self, before: Option<&Self>) -> bool {
        self.token.is_some() && before.is_some_and(|before| before.token == self.token)
    }
}

/// The tokens that carry a tag, each once.
pub(super) fn tagged_tokens(words: &[PlacedWord]) -> Vec<usize> {
    let mut tokens: Vec<usize> = words.iter().filter_map(|word| word.token).collect();
    tokens.dedup();
    tokens
}

/// A tokenized input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// The tokens.
    pub encoding: Encoding,
    /// The words with their positions, for tasks with tags.
    pub words: Vec<PlacedWord>,
}

impl Encoded {
    /// Whether the input is longer than the model reads, or a word has no token.
    pub fn is_cut(&self) -> bool {
        self.encoding.truncated || self.words.iter().any(|word| word.token.is_none())
    }
}

/// An encoded target.
#[derive(Clone, Debug, PartialEq)]
pub enum EncodedTarget {
    /// The position of a label.
    Classification(usize),
    /// The positions of labels.
    MultiLabel(Vec<usize>),
    /// A number on the scale of the head.
    Regression(f32),
    /// The position of each word's tag.
    TokenClassification(Vec<usize>),
    /// The position of a label, and of each word's tag.
    IntentAndSlots(usize, Vec<usize>),
    /// The tokens of a text, after the start token that every target has.
    SequenceToSequence(Vec<u32>),
}

/// An encoded training example.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The input.
    pub input: Encoded,
    /// The target.
    pub target: EncodedTarget,
    /// What an earlier adapter put out, as a part of the target.
    pub soft: Option<SoftTarget>,
}

impl Sample {
    /// The number of tokens that a run needs for it.
    pub fn tokens_count(&self) -> usize {
        let target = match &self.target {
            EncodedTarget::SequenceToSequence(tokens) => tokens.len(),
            _ => 0,
        };
        self.input.encoding.ids.len() + target
    }

    /// The number of separately weighted parts of its target: words, or tokens of a text.
    pub fn parts_count(&self) -> usize {
        match &self.target {
            EncodedTarget::TokenClassification(_) | EncodedTarget::IntentAndSlots(..) => {
                tagged_tokens(&self.input.words).len()
            }
            EncodedTarget::SequenceToSequence(tokens) => tokens.len().saturating_sub(1),
            _ => 1,
        }
    }
}

/// The totals of a batch over all its micro-batches, from which each computes its share of the
/// mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Totals {
    /// The number of examples.
    pub samples: usize,
    /// The sum of [`Sample::parts_count`].
    pub parts: usize,
    /// The share of a part's weight that is spread over all tokens; for generated texts only.
    pub smoothing: f32,
}

impl Totals {
    /// The totals of a batch.
    pub fn of(samples: &[&Sample]) -> Self {
        let parts = samples.iter().map(|sample| sample.parts_count()).sum();
        Self { samples: samples.len(), parts, smoothing: 0.0 }
    }

    /// The weight of one example in the mean over examples.
    pub fn sample_weight(&self) -> f32 {
        1.0 / self.samples.max(1) as f32
    }

    /// The weight of one part in the mean over parts.
    pub fn part_weight(&self) -> f32 {
        1.0 / self.parts.max(1) as f32
    }
}

/// The position of a label or tag among those of an adapter.
pub(super) fn position(what: &str, names: &[String], name: &str) -> Result<usize> {
    names.iter().position(|known| known == name).ok_or_else(|| {
        let message =
            format!("the {what} {name:?} is not one of the {} of the adapter", names.len());
        Error::new(Code::TaskUnknownLabel, message)
    })
}
