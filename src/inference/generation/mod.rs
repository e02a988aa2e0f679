//! Text generation: token ids and an adapter become token ids, text and the reason why it ended.
//!
//! A [`Generator`] holds the sessions of encoder and decoder and runs them step by step; a search
//! (greedy or beams) follows hypotheses under the logits processors and stopping criteria of a
//! call. Names and arithmetic are those of the `generate` of `transformers`. This module must never
//! run without a bound: on tokens, on rows, on memory.
//!
//! Input: tokenized sources, an adapter's tensors, options. Output: [`GeneratedText`]s.

mod beam;
mod cache;
mod generator;
mod greedy;
mod options;
mod processors;
mod search;
mod text;
mod trial;

pub use generator::{Generator, StageInputs};
pub use options::{
    FinishReason, GenerateOptions, GeneratedText, NUM_BEAMS_MAX, STOP_STRING_BYTES_MAX,
    STOP_STRINGS_MAX,
};
