//! Text generation: from token ids and an adapter to token ids, text and a finish reason.
//!
//! A [`Generator`] holds the sessions of encoder and decoder and runs them step by step; a search
//! (greedy or beam) follows hypotheses under the logits processors and stopping criteria of a call.
//! Names and arithmetic are those of `generate` of `transformers`. This module must never run
//! without a bound on tokens, rows and memory.
//!
//! Input: tokenized sources, an adapter's tensors, options. Output: [`GeneratedText`]s.

mod beam;
mod cache;
mod generate;
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
