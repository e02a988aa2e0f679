//! Greedy search: takes the most probable token at each step.

use super::options::{FinishReason, GeneratedText};
use super::processors::LogitsProcessors;
use super::search::{Hypothesis, Search, StoppingCriteria};
use super::text::Stream;
use crate::error::Result;
use std::ops::ControlFlow;

/// One hypothesis per source; a source that has ended is removed from the batch.
pub(super) struct Greedy<'a, 'h> {
    criteria: StoppingCriteria<'a>,
    processors: LogitsProcessors<'a>,
    alive: Vec<Hypothesis>,
    streams: Vec<Stream>,
    done: Vec<GeneratedText>,
    emit: &'a mut (dyn FnMut(usize, &str) -> ControlFlow<()> + 'h),
}

impl<'a, 'h> Greedy<'a, 'h> {
    pub fn new(
        criteria: StoppingCriteria<'a>,
        processors: LogitsProcessors<'a>,
        sources: usize,
        emit: &'a mut (dyn FnMut(usize, &str) -> ControlFlow<()> + 'h),
    ) -> Self {
        let alive = (0..sources).map(Hypothesis::new).collect();
        let (streams, done) =
            (vec![Stream::default(); sources], vec![GeneratedText::default(); sources]);
        Self { criteria, processors, alive, streams, done, emit }
    }

    /// Emits the new text of a hypothesis and returns why it has ended, if it has.
    fn judge(&mut self, one: &Hypothesis) -> Option<FinishReason> {
        let mut reason = self.criteria.reached(one);
        let (stream, emit) = (&mut self.streams[one.source], &mut self.emit);
        let mut emit = |chunk: &str| emit(one.source, chunk);
        let stops = &self.criteria.stop_strings;
        if stream.push(stops, &one.written, reason.is_some(), &mut emit).is_break() {
            reason.get_or_insert(FinishReason::Stopped);
        }
        reason
    }

    fn end(&mut self, one: &Hypothesis, finish_reason: FinishReason) -> Result<()> {
        self.done[one.source] = GeneratedText {
            text: self.criteria.stop_strings.text(&one.ids)?,
            ids: one.ids.clone(),
            log_probability: one.score,
            finish_reason,
        };
        Ok(())
    }
}

impl Search for Greedy<'_, '_> {
    fn alive(&self) -> &[Hypothesis] {
        &self.alive
    }

    fn step(&mut self, logits: &[&[f32]]) -> Result<Vec<usize>> {
        let (mut next, mut origins) = (Vec::new(), Vec::new());
        for (position, mut one) in std::mem::take(&mut self.alive).into_iter().enumerate() {
            let (best, log_probability) = self.processors.best(logits[position], &one.ids);
            one.ids.push(best);
            one.score += log_probability;
            self.criteria.stop_strings.extend(&mut one.written, best)?;
            match self.judge(&one) {
                Some(reason) => self.end(&one, reason)?,
                None => {
                    next.push(one);
                    origins.push(position);
                }
            }
        }
        self.alive = next;
        Ok(origins)
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<GeneratedText>> {
        for one in std::mem::take(&mut self.alive) {
            self.end(&one, FinishReason::Cancelled)?;
        }
        Ok(self.done)
    }
}
