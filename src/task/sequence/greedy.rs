//! The most probable token at each step.

use super::options::{Finish, Generated};
use super::rules::Rules;
use super::search::{Hypothesis, Limits, Search};
use super::text::Stream;
use crate::error::Result;
use std::ops::ControlFlow;

/// One hypothesis per source; a source that has ended leaves the batch.
pub(super) struct Greedy<'a, 'h> {
    limits: Limits<'a>,
    rules: Rules<'a>,
    alive: Vec<Hypothesis>,
    streams: Vec<Stream>,
    done: Vec<Generated>,
    hand: &'a mut (dyn FnMut(usize, &str) -> ControlFlow<()> + 'h),
}

impl<'a, 'h> Greedy<'a, 'h> {
    pub fn new(
        limits: Limits<'a>,
        rules: Rules<'a>,
        sources: usize,
        hand: &'a mut (dyn FnMut(usize, &str) -> ControlFlow<()> + 'h),
    ) -> Self {
        let alive = (0..sources).map(Hypothesis::new).collect();
        let (streams, done) =
            (vec![Stream::default(); sources], vec![Generated::default(); sources]);
        Self { limits, rules, alive, streams, done, hand }
    }

    /// Hands out new text and says whether the hypothesis has ended.
    fn judge(&mut self, one: &Hypothesis) -> Result<Option<Finish>> {
        let mut finish = self.limits.finish(&one.ids)?;
        let (stream, hand) = (&mut self.streams[one.source], &mut self.hand);
        let mut hand = |piece: &str| hand(one.source, piece);
        let flow = stream.push(&self.limits.stops, &one.ids, finish.is_some(), &mut hand)?;
        if flow.is_break() {
            finish.get_or_insert(Finish::Stopped);
        }
        Ok(finish)
    }

    fn end(&mut self, one: &Hypothesis, finish: Finish) -> Result<()> {
        self.done[one.source] = Generated {
            text: self.limits.stops.text(&one.ids)?,
            ids: one.ids.clone(),
            log_probability: one.score,
            finish,
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
            let (best, log_probability) = self.rules.best(logits[position], &one.ids);
            one.ids.push(best);
            one.score += log_probability;
            match self.judge(&one)? {
                Some(finish) => self.end(&one, finish)?,
                None => {
                    next.push(one);
                    origins.push(position);
                }
            }
        }
        self.alive = next;
        Ok(origins)
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<Generated>> {
        for one in std::mem::take(&mut self.alive) {
            self.end(&one, Finish::Cancelled)?;
        }
        Ok(self.done)
    }
}
