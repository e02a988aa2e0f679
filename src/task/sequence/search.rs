//! What a search over targets is to the loop that runs the decoder.

use super::options::{Finish, Generated};
use super::text::Stops;
use crate::error::Result;

/// The beginning of a target.
#[derive(Clone, Debug)]
pub(super) struct Hypothesis {
    /// The position of its source in the batch.
    pub source: usize,
    /// The tokens so far, without the start.
    pub ids: Vec<u32>,
    /// The sum of the logarithms of their probabilities.
    pub score: f32,
}

impl Hypothesis {
    /// The empty one of a source.
    pub fn new(source: usize) -> Self {
        Self { source, ids: Vec::new(), score: 0.0 }
    }
}

/// Follows hypotheses: told the logits of the next token, it decides how they go on.
pub(super) trait Search {
    /// The hypotheses to go on with; none when everything has ended. All have the same length.
    fn alive(&self) -> &[Hypothesis];

    /// Takes the logits of the next token of each. Gives, for each that is alive afterwards, the
    /// position of the one before that it goes on from.
    fn step(&mut self, logits: &[&[f32]]) -> Result<Vec<usize>>;

    /// The best target of every source. What is still alive was cancelled.
    fn finish(self: Box<Self>) -> Result<Vec<Generated>>;
}

/// What ends a target.
#[derive(Clone, Copy)]
pub(super) struct Limits<'a> {
    /// The tokens that end it.
    pub ends: &'a [u32],
    /// The most tokens.
    pub tokens_max: usize,
    /// The texts that end it.
    pub stops: Stops<'a>,
}

impl Limits<'_> {
    /// Why a target ends here, if it does.
    pub fn finish(&self, ids: &[u32]) -> Result<Option<Finish>> {
        if ids.last().is_some_and(|last| self.ends.contains(last)) {
            return Ok(Some(Finish::End));
        }
        if self.stops.hit(ids)? {
            return Ok(Some(Finish::Stopped));
        }
        Ok((ids.len() >= self.tokens_max).then_some(Finish::Length))
    }
}
