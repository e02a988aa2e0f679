//! Inference: running the model of a bundle with any adapter.
//!
//! A [`Predictor`] holds the session that serves the bare backbone and every adapter, loads
//! adapters and keeps them ready, and generates text where the bundle has a decoder. A
//! [`TrialRun`] tries what a new bundle can do. This module knows no task: what a token or a row
//! of logits means is not its business. The only state in it that changes is which adapter inputs
//! a session has.
//!
//! Input: encodings and adapters. Output: raw rows, pooled vectors, generated texts.

pub mod batch;
pub(crate) mod finite;
pub mod generation;
pub mod heads;
mod loaded;
mod predictor;
pub(crate) mod probabilities;
mod proof;
mod request;
pub mod session;
mod trial;

pub use generation::{FinishReason, GenerateOptions, GeneratedText};
pub use loaded::LoadedAdapter;
pub use predictor::{Predictor, PredictorOptions};
pub use request::{RawOutputs, Request, RunOptions};
pub use trial::{TRIAL_TOKENS_MAX, TrialRun};
