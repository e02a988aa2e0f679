//! The trial of a bundle before it is published.
//!
//! This part runs no model; a caller that can run one passes a [`Trial`].

use std::sync::Arc;

use super::Bundle;
use crate::error::Result;

/// Runs the model of a bundle.
pub trait Trial {
    /// Runs the model of a complete bundle that is not in its place yet.
    ///
    /// # Errors
    /// [`Code::BundleUnusable`](crate::Code::BundleUnusable) saying what does not run, where, and
    /// how to export.
    fn run(&self, bundle: &Arc<Bundle>) -> Result<Findings>;
}

/// The findings of a trial.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// The most tokens of one text that run, at most the number that the bundle states.
    pub tokens_max: usize,
    /// The most tokens of one target that run, at most the number that the bundle states; absent
    /// without a decoder.
    pub target_tokens_max: Option<usize>,
    /// Whether the result of a text depends on the batch it runs in.
    pub runs_alone: bool,
    /// Notes for the bundle's author, in sentences.
    pub notes: Vec<String>,
}

/// A new bundle and the notes of its trial.
#[derive(Debug)]
pub struct Created {
    /// The opened bundle.
    pub bundle: Bundle,
    /// The notes of the trial, in sentences.
    pub notes: Vec<String>,
}
