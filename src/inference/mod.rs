//! Inference: running the model of a bundle with any adapter.
//!
//! A [`Predictor`] holds the session that serves the bare backbone and every adapter, loads and
//! caches adapters, and generates text if the bundle has a decoder. [`LowerStates`] keeps hidden
//! states that no adapter changes. A [`TrialRun`] tests a new bundle. This module must never know a
//! task, that is, what a token or a row of logits means. Its only mutable state is which adapter
//! inputs a session has, and which adapters are loaded.
//!
//! Input: encodings and adapters. Output: raw rows, pooled vectors, generated texts.

pub mod batch;
pub(crate) mod finite;
pub mod generation;
pub mod heads;
mod loaded;
mod lower;
mod pooling;
mod predictor;
pub(crate) mod probabilities;
mod proof;
mod request;
pub mod session;
mod side_by_side;
mod together;
mod trial;

pub use generation::{FinishReason, GenerateOptions, GeneratedText};
pub use loaded::LoadedAdapter;
pub use lower::{KeptStates, LowerStates};
pub use predictor::{Predictor, PredictorOptions};
pub use request::{RawOutputs, Request, RunOptions};
pub use trial::{TRIAL_TOKENS_MAX, TrialRun};
