//! Beam search: follows the most probable hypotheses at each step.
//!
//! The rules are those of `transformers` 4.50 and later, in single precision as there, so that the
//! same model gives the same text. Of `beams x vocabulary` continuations the best `beams x max(2,
//! ends + 1)` are considered. Those among the first `beams` that end compete, by `score /
//! tokens^penalty`, for the `beams` places of finished hypotheses; the best that do not end
//! continue. A source is done when its best hypothesis, scored at its current length, cannot beat
//! the worst finished one.

use super::options::{FinishReason, GeneratedText};
use super::processors::LogitsProcessors;
use super::search::{Hypothesis, Search, StoppingCriteria};
use crate::error::Result;
use crate::inference::probabilities::Highest;
use std::ops::ControlFlow;

/// The score of an excluded token. Sums with it are rounded as in `transformers`.
const IMPOSSIBLE: f32 = -1.0e9;

/// A finished hypothesis, or an empty place for one.
#[derive(Clone)]
struct Finished {
    ids: Vec<u32>,
    log_probability: f32,
    /// The score with the length penalty.
    score: f32,
    finish_reason: Option<FinishReason>,
}

/// The state of one source.
struct SourceState {
    finished: Vec<Finished>,
    /// Whether an unfinished hypothesis can still become the best one.
    improvable: bool,
    is_done: bool,
}

/// A continuation of a hypothesis by one token.
struct Continuation {
    /// The position of the hypothesis within its source.
    from: usize,
    next: Hypothesis,
    finish_reason: Option<FinishReason>,
}

/// The beams of a batch, several per source.
pub(super) struct Beams<'a, 'h> {
    criteria: StoppingCriteria<'a>,
    processors: LogitsProcessors<'a>,
    num_beams: usize,
    length_penalty: f32,
    /// The unfinished hypotheses, `beams` for each source that is not done, grouped by source.
    alive: Vec<Hypothesis>,
    sources: Vec<SourceState>,
    emit: &'a mut (dyn FnMut(usize, &str) -> ControlFlow<()> + 'h),
}

impl<'a, 'h> Beams<'a, 'h> {
    pub fn new(
        criteria: StoppingCriteria<'a>,
        processors: LogitsProcessors<'a>,
        (num_beams, length_penalty): (usize, f32),
        sources: usize,
        emit: &'a mut (dyn FnMut(usize, &str) -> ControlFlow<()> + 'h),
    ) -> Self {
        let empty = Finished {
            ids: Vec::new(),
            log_probability: 0.0,
            score: IMPOSSIBLE,
            finish_reason: None,
        };
        let source = |_| SourceState {
            finished: vec![empty.clone(); num_beams],
            improvable: true,
            is_done: false,
        };
        // All beams of a source start equal, so only the first one is continued in the first step.
        let begin = |source: usize| {
            let score = |beam: usize| if beam == 0 { 0.0 } else { IMPOSSIBLE };
            (0..num_beams)
                .map(move |beam| Hypothesis { score: score(beam), ..Hypothesis::new(source) })
        };
        Self {
            criteria,
            processors,
            num_beams,
            length_penalty,
            alive: (0..sources).flat_map(begin).collect(),
            sources: (0..sources).map(source).collect(),
            emit,
        }
    }

    /// The best continuations of the hypotheses of one source, best first.
    fn continuations(&self, group: &[Hypothesis], logits: &[&[f32]]) -> Result<Vec<Continuation>> {
        let vocabulary = logits.first().map_or(1, |row| row.len().max(1));
        let looked_at = self.num_beams * (1 + self.criteria.eos_token_ids.len()).max(2);
        let mut best = Highest::new(looked_at);
        for (from, (one, row)) in group.iter().zip(logits).enumerate() {
            self.processors.scores(row, &one.ids, |token, more| {
                best.offer(from * vocabulary + token, more + one.score);
            });
        }
        let mut found = Vec::with_capacity(looked_at);
        for (position, score) in best.into_pairs() {
            let (from, token) = (position / vocabulary, (position % vocabulary) as u32);
            let mut next = Hypothesis { score, ..group[from].clone() };
            next.ids.push(token);
            if !self.criteria.stop_strings.is_empty() {
                self.criteria.stop_strings.extend(&mut next.written, token)?;
            }
            let finish_reason = self.criteria.reached(&next);
            found.push(Continuation { from, next, finish_reason });
        }
        Ok(found)
    }

    /// `tokens ^ penalty`.
    fn penalty(&self, tokens: usize) -> f32 {
        (tokens as f64).powf(f64::from(self.length_penalty)) as f32
    }

    /// The hypotheses that continue, each with the position of its predecessor.
    fn go_on(&self, found: &[Continuation]) -> Vec<(usize, Hypothesis)> {
        let score = |one: &Continuation| match one.finish_reason {
            Some(_) => one.next.score + IMPOSSIBLE,
            None => one.next.score + 0.0,
        };
        let mut best = Highest::new(self.num_beams);
        found.iter().enumerate().for_each(|(position, one)| best.offer(position, score(one)));
        let hypothesis = |(position, score): (usize, f32)| {
            let one = &found[position];
            (one.from, Hypothesis { score, ..one.next.clone() })
        };
        best.into_pairs().map(hypothesis).collect()
    }

    /// Lets ended hypotheses compete for the finished places.
    fn settle(&mut self, source: usize, found: &[Continuation]) {
        let length = found.first().map_or(1, |one| one.next.ids.len());
        let penalty = self.penalty(length);
        let (num_beams, state) = (self.num_beams, &mut self.sources[source]);
        let mut all = std::mem::take(&mut state.finished);
        for (position, one) in found.iter().enumerate() {
            let ended = one.finish_reason.filter(|_| position < num_beams);
            let mut score = one.next.score / penalty;
            if !state.improvable {
                score += IMPOSSIBLE;
            }
            if ended.is_none() {
                score += IMPOSSIBLE;
            }
            let (ids, log_probability) = (one.next.ids.clone(), one.next.score);
            all.push(Finished { ids, log_probability, score, finish_reason: ended });
        }
        let mut best = Highest::new(num_beams);
        all.iter().enumerate().for_each(|(position, one)| best.offer(position, one.score));
        state.finished = best.into_pairs().map(|(position, _)| all[position].clone()).collect();
    }

    /// Whether the best unfinished hypothesis can still beat a finished one.
    fn may_improve(&self, source: usize, next: &[(usize, Hypothesis)]) -> bool {
        let Some((_, best)) = next.first() else { return false };
        let possible = best.score / self.penalty(best.ids.len());
        let finished = &self.sources[source].finished;
        let worst = finished.iter().map(|one| one.score).fold(f32::INFINITY, f32::min);
        let bound = |one: &Finished| if one.finish_reason.is_some() { worst } else { IMPOSSIBLE };
        finished.iter().any(|one| possible > bound(one))
    }

    fn generated(&mut self, source: usize) -> Result<GeneratedText> {
        let best = self.sources[source].finished.first().filter(|one| one.finish_reason.is_some());
        let (ids, log_probability, reason) = match best {
            Some(best) => (best.ids.clone(), best.log_probability, best.finish_reason),
            // Nothing has ended, so the run was cancelled; the best unfinished hypothesis is
            // returned.
            None => match self.alive.iter().find(|one| one.source == source) {
                Some(one) => (one.ids.clone(), one.score, None),
                None => (Vec::new(), 0.0, None),
            },
        };
        let was_cut = self.alive.iter().any(|one| one.source == source);
        let finish_reason = reason.filter(|_| !was_cut).unwrap_or(FinishReason::Cancelled);
        let text = self.criteria.stop_strings.text(&ids)?;
        // The best hypothesis is known only at the end, so there is one chunk.
        if !text.is_empty() && finish_reason != FinishReason::Cancelled {
            let _ = (self.emit)(source, &text);
        }
        Ok(GeneratedText { ids, text, log_probability, finish_reason })
    }
}

impl Search for Beams<'_, '_> {
    fn alive(&self) -> &[Hypothesis] {
        &self.alive
    }

    fn step(&mut self, logits: &[&[f32]]) -> Result<Vec<usize>> {
        let (mut next, mut origins) = (Vec::new(), Vec::new());
        let alive = std::mem::take(&mut self.alive);
        for (index, group) in alive.chunks(self.num_beams).enumerate() {
            let begin = index * self.num_beams;
            let Some(source) = group.first().map(|one| one.source) else { continue };
            let found = self.continuations(group, &logits[begin..begin + group.len()])?;
            let going_on = self.go_on(&found);
            self.settle(source, &found);
            let may_improve = self.may_improve(source, &going_on);
            let state = &mut self.sources[source];
            state.improvable &= may_improve;
            state.is_done =
                !state.improvable || found.iter().all(|one| one.finish_reason.is_some());
            if !state.is_done {
                for (from, hypothesis) in going_on {
                    origins.push(begin + from);
                    next.push(hypothesis);
                }
            }
        }
        self.alive = next;
        Ok(origins)
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<GeneratedText>> {
        (0..self.sources.len()).map(|source| self.generated(source)).collect()
    }
}
