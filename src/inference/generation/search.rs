//! The interface between a search over targets and the loop that runs the decoder.

use super::options::{FinishReason, GeneratedText};
use super::text::{StopStrings, Written};
use crate::error::Result;

/// The beginning of a target.
#[derive(Clone, Debug)]
pub(super) struct Hypothesis {
    /// The position of its source in the batch.
    pub source: usize,
    /// The tokens so far, without the start token.
    pub ids: Vec<u32>,
    /// The sum of their log probabilities.
    pub score: f32,
    /// Their text; empty where it decides nothing.
    pub written: Written,
}

impl Hypothesis {
    /// The empty hypothesis of a source.
    pub fn new(source: usize) -> Self {
        Self { source, ids: Vec::new(), score: 0.0, written: Written::default() }
    }
}

/// A search receives the logits of the next token and decides how the hypotheses continue.
pub(super) trait Search {
    /// The hypotheses to continue; empty when all have ended. All have the same length.
    fn alive(&self) -> &[Hypothesis];

    /// Takes the logits of the next token of each hypothesis. Returns, for each hypothesis that
    /// continues, the position of its predecessor.
    fn step(&mut self, logits: &[&[f32]]) -> Result<Vec<usize>>;

    /// The best target of every source. Hypotheses that have not ended were cancelled.
    fn finish(self: Box<Self>) -> Result<Vec<GeneratedText>>;
}

/// The criteria that end a target.
#[derive(Clone, Copy)]
pub(super) struct StoppingCriteria<'a> {
    /// The end tokens.
    pub eos_token_ids: &'a [u32],
    /// The largest number of tokens.
    pub max_new_tokens: usize,
    /// The stop strings.
    pub stop_strings: StopStrings<'a>,
}

impl StoppingCriteria<'_> {
    /// Why a hypothesis ends here, if it does.
    pub fn reached(&self, one: &Hypothesis) -> Option<FinishReason> {
        if one.ids.last().is_some_and(|last| self.eos_token_ids.contains(last)) {
            return Some(FinishReason::End);
        }
        if one.written.has_stop() {
            return Some(FinishReason::Stopped);
        }
        (one.ids.len() >= self.max_new_tokens).then_some(FinishReason::Length)
    }
}
