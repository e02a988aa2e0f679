//! What a bundle goes through before it is published.
//!
//! This part runs no model. Who can run one gives a [`Trial`]; what it finds goes into the
//! manifest, or refuses the bundle while nothing of it is in its place yet.

use std::sync::Arc;

use super::Bundle;
use crate::error::Result;

/// Runs the model of a bundle.
pub trait Trial {
    /// Runs the model of a bundle that is whole but not in its place yet.
    ///
    /// # Errors
    /// [`Code::BundleUnusable`](crate::Code::BundleUnusable) saying what does not run, where, and
    /// how to export.
    fn run(&self, bundle: &Arc<Bundle>) -> Result<Findings>;
}

/// What a trial found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// The most tokens of one text that run, up to what the bundle stated.
    pub tokens_max: usize,
    /// The most tokens of one target that run, up to what the bundle stated; absent without a
    /// decoder.
    pub target_tokens_max: Option<usize>,
    /// Whether what a text gives depends on what it runs together with.
    pub runs_alone: bool,
    /// What whoever made the bundle should know, in sentences.
    pub notes: Vec<String>,
}

/// A bundle that was made, and what there is to say about it.
#[derive(Debug)]
pub struct Created {
    /// The bundle, open.
    pub bundle: Bundle,
    /// What the trial noted, in sentences.
    pub notes: Vec<String>,
}
