//! Sequence to sequence: a text is answered with a text.
//!
//! A [`Generator`] holds the sessions of encoder and decoder and makes text step by step.

mod beam;
mod cache;
mod generator;
mod greedy;
mod options;
mod scores;
mod search;
mod text;

pub use generator::{Generator, StageInputs};
pub use options::{
    BEAMS_MAX, Finish, GenerateOptions, Generated, STOP_SIZE_BYTES_MAX, STOPS_MAX,
};
