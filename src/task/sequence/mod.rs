//! Sequence to sequence: a text is answered with a text.
//!
//! [`Texts`] learns by teacher forcing on the joined graph of encoder and decoder; the backbone's
//! own output layer is the head. A [`Generator`] holds the sessions of encoder and decoder and
//! makes text step by step. In flow tokenized texts and an adapter; out flow token ids, text and
//! why it ended. This part must never run without a bound: on tokens, on rows, on memory.

mod beam;
mod cache;
mod generator;
mod greedy;
mod loss;
mod options;
mod rules;
pub mod score;
mod scores;
mod search;
mod text;
mod texts;
mod trial;

pub use generator::{Generator, StageInputs};
pub use loss::{SMOOTHING, TARGET_IDS, TARGET_WEIGHTS};
pub use options::{BEAMS_MAX, Finish, GenerateOptions, Generated, STOP_SIZE_BYTES_MAX, STOPS_MAX};
pub use texts::{Texts, given};

/// A text as an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct GeneratedText {
    /// The text, without what ended it.
    pub text: String,
    /// The sum of the logarithms of its tokens' probabilities.
    pub log_probability: f32,
    /// Why it ended.
    pub finish: Finish,
    /// How many tokens it is, the end included.
    pub tokens: usize,
}
