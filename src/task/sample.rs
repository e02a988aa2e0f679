//! Examples in numbers: tokenized inputs, encoded targets, and what they weigh in a batch.
//!
//! Input: what a task made of an example. Output: counts and weights for training.

use crate::bundle::Encoding;
use crate::error::{Code, Error, Result};

/// Where a word is: among the tokens, and in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedWord {
    /// Its first token, which may be that of the words before it, too; absent for a word that did
    /// not fit or that the tokenizer has no token for.
    pub token: Option<usize>,
    /// Where it begins in the text, in bytes.
    pub byte_start: usize,
    /// Where it ends, in bytes.
    pub byte_end: usize,
    /// Where it begins, in characters (Unicode scalar values).
    pub char_start: usize,
    /// Where it ends, in characters.
    pub char_end: usize,
}

impl PlacedWord {
    /// Whether one token covers both this word and `before`.
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
    /// The words and where they are, for tasks that give tags.
    pub words: Vec<PlacedWord>,
}

impl Encoded {
    /// Whether the input is longer than the model reads; a word without a token did not fit.
    pub fn is_cut(&self) -> bool {
        self.encoding.truncated || self.words.iter().any(|word| word.token.is_none())
    }
}

/// A target in numbers.
#[derive(Clone, Debug, PartialEq)]
pub enum EncodedTarget {
    /// The position of a label.
    Classification(usize),
    /// The positions of labels.
    MultiLabel(Vec<usize>),
    /// A number in the scale of the head.
    Regression(f32),
    /// The position of each word's tag.
    TokenClassification(Vec<usize>),
    /// The position of a label, and of each word's tag.
    IntentAndSlots(usize, Vec<usize>),
    /// Tokens of a text, behind the one that every target starts with.
    SequenceToSequence(Vec<u32>),
}

/// A training example in numbers.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The input.
    pub input: Encoded,
    /// The target.
    pub target: EncodedTarget,
}

impl Sample {
    /// How many tokens a run has to hold for it.
    pub fn tokens_count(&self) -> usize {
        let target = match &self.target {
            EncodedTarget::SequenceToSequence(tokens) => tokens.len(),
            _ => 0,
        };
        self.input.encoding.ids.len() + target
    }

    /// How many parts of its target are learnt one by one: words, or tokens of a text.
    pub fn parts_count(&self) -> usize {
        match &self.target {
            EncodedTarget::TokenClassification(_) | EncodedTarget::IntentAndSlots(..) => {
                tagged_tokens(&self.input.words).len()
            }
            EncodedTarget::SequenceToSequence(tokens) => tokens.len().saturating_sub(1),
            EncodedTarget::Classification(_)
            | EncodedTarget::MultiLabel(_)
            | EncodedTarget::Regression(_) => 1,
        }
    }
}

/// What a batch holds in all its micro-batches, so that each can carry its share of the mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Totals {
    /// Examples.
    pub samples: usize,
    /// The sum of [`Sample::parts_count`].
    pub parts: usize,
    /// The share of a part's weight that all tokens get alike; only generated texts have it.
    pub smoothing: f32,
}

impl Totals {
    /// Counts a batch.
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

/// Where a label or tag stands among those of an adapter.
pub(super) fn position(what: &str, names: &[String], name: &str) -> Result<usize> {
    names.iter().position(|known| known == name).ok_or_else(|| {
        let message =
            format!("the {what} {name:?} is not one of the {} of the adapter", names.len());
        Error::new(Code::TaskUnknownLabel, message)
    })
}
