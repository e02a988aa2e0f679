//! What a search over targets is to the loop that runs the decoder.

use super::options::{FinishReason, GeneratedText};
use super::text::StopStrings;
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
    fn finish(self: Box<Self>) -> Result<Vec<GeneratedText>>;
}

/// What ends a target.
#[derive(Clone, Copy)]
pub(super) struct StoppingCriteria<'a> {
    /// The tokens that end it.
    pub eos_token_ids: &'a [u32],
    /// The most tokens.
    pub max_new_tokens: usize,
    /// The texts that end it.
    pub stop_strings: StopStrings<'a>,
}

impl StoppingCriteria<'_> {
    /// Why a target ends here, if it does.
    pub fn reached(&self, ids: &[u32]) -> Result<Option<FinishReason>> {
        if ids.last().is_some_and(|last| self.eos_token_ids.contains(last)) {
            return Ok(Some(FinishReason::End));
        }
        if self.stop_strings.hit(ids)? {
            return Ok(Some(FinishReason::Stopped));
        }
        Ok((ids.len() >= self.max_new_tokens).then_some(FinishReason::Length))
    }
}
