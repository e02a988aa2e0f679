//! Logits processors: which tokens must not be repeated, must not end a target yet, or are forced.
//!
//! They change scores in the order and with the arithmetic of the logits processors of
//! `transformers`, so that the same options give the same tokens. Greedy search applies them to
//! logits, beam search to log probabilities. A processor must never make a generation longer than
//! its limit.

use super::options::GenerateOptions;
use crate::bundle::SpecialIds;
use crate::inference::probabilities::{Highest, LogSoftmax};
use std::collections::BTreeMap;

/// The processors of one call.
#[derive(Clone, Debug)]
pub(super) struct LogitsProcessors<'a> {
    ids: &'a SpecialIds,
    forced_bos_token_id: Option<u32>,
    min_new_tokens: usize,
    max_new_tokens: usize,
    repetition_penalty: f32,
    no_repeat_ngram_size: usize,
}

impl<'a> LogitsProcessors<'a> {
    /// The processors for `options` and the bundle's special tokens.
    pub fn new(ids: &'a SpecialIds, options: &GenerateOptions, max_new_tokens: usize) -> Self {
        Self {
            ids,
            forced_bos_token_id: options.forced_bos_token_id.or(ids.forced_bos_token_id),
            min_new_tokens: options.min_new_tokens,
            max_new_tokens,
            repetition_penalty: options.repetition_penalty,
            no_repeat_ngram_size: options.no_repeat_ngram_size,
        }
    }

    /// The best next token and its log probability, which is the model's own; that of a forced
    /// token is 0.
    pub fn best(&self, logits: &[f32], target: &[u32]) -> (u32, f32) {
        if let Some(id) = self.forced(target.len()) {
            return (id, 0.0);
        }
        let row = LogSoftmax::of(logits.into());
        let mut best = Highest::new(1);
        match self.is_free(target.len()) {
            true => logits.iter().enumerate().for_each(|(id, &one)| best.offer(id, row.at(one))),
            false => {
                let changed = self.changed(target, |id| logits.get(id).copied());
                each(logits.iter().copied(), &changed, |id, score| best.offer(id, score));
            }
        }
        let best = best.into_pairs().next().map_or(0, |(id, _)| id);
        (best as u32, logits.get(best).map_or(0.0, |&logit| row.at(logit)))
    }

    /// Calls `see` with each next token, in order, and the value that it adds to the score of a
    /// hypothesis.
    pub fn scores(&self, logits: &[f32], target: &[u32], see: impl FnMut(usize, f32)) {
        if let Some(id) = self.forced(target.len()) {
            let certain = BTreeMap::from([(id as usize, 0.0)]);
            return each(logits.iter().map(|_| f32::NEG_INFINITY), &certain, see);
        }
        let row = LogSoftmax::of(logits.into());
        let scores = logits.iter().map(|&logit| row.at(logit));
        let changed = match self.is_free(target.len()) {
            true => BTreeMap::new(),
            false => self.changed(target, |id| logits.get(id).map(|&logit| row.at(logit))),
        };
        each(scores, &changed, see);
    }

    /// The forced token at this position of a target, if any.
    fn forced(&self, position: usize) -> Option<u32> {
        let first = self.forced_bos_token_id.filter(|_| position == 0);
        let last = self.ids.forced_eos_token_id.filter(|_| position + 1 == self.max_new_tokens);
        last.or(first)
    }

    /// Whether no processor changes anything at this position.
    fn is_free(&self, position: usize) -> bool {
        self.repetition_penalty == 1.0
            && self.no_repeat_ngram_size == 0
            && position >= self.min_new_tokens
    }

    /// The scores that the processors change, by token; `score` gives those of the model.
    fn changed(
        &self,
        target: &[u32],
        score: impl Fn(usize) -> Option<f32>,
    ) -> BTreeMap<usize, f32> {
        // The start token counts as a token that occurred, as in `transformers`.
        let tokens: Vec<u32> = std::iter::once(self.ids.decoder_start_token_id)
            .chain(target.iter().copied())
            .collect();
        let mut changed = BTreeMap::new();
        if self.repetition_penalty != 1.0 {
            let penalized = |&id: &u32| Some((id as usize, self.penalize(score(id as usize)?)));
            changed.extend(tokens.iter().filter_map(penalized));
        }
        let forbid = |id: u32| (id as usize, f32::NEG_INFINITY);
        changed.extend(repeating(&tokens, self.no_repeat_ngram_size).map(forbid));
        if target.len() < self.min_new_tokens {
            changed.extend(self.ids.eos_token_ids.iter().copied().map(forbid));
        }
        changed
    }

    /// The score of a token that occurred before (Keskar et al., CTRL, arXiv 1909.05858, section
    /// 4.1).
    fn penalize(&self, score: f32) -> f32 {
        let penalty = self.repetition_penalty;
        if score < 0.0 { score * penalty } else { score / penalty }
    }
}

/// Calls `see` with every score in order, with those in `changed` instead of the given ones.
fn each(
    scores: impl Iterator<Item = f32>,
    changed: &BTreeMap<usize, f32>,
    mut see: impl FnMut(usize, f32),
) {
    let mut changes = changed.iter().peekable();
    for (id, score) in scores.enumerate() {
        let change = changes.next_if(|&(&changed, _)| changed == id);
        see(id, change.map_or(score, |(_, &changed)| changed));
    }
}

/// The tokens with which the last `length` tokens would repeat an earlier sequence.
fn repeating(tokens: &[u32], length: usize) -> impl Iterator<Item = u32> + '_ {
    let end = (tokens.len() + 1).checked_sub(length).filter(|_| length > 0);
    let last = end.map_or(&[][..], |end| &tokens[end..]);
    let windows = tokens.windows(length.max(1)).filter(move |_| end.is_some());
    windows
        .filter(move |window| window.starts_with(last))
        .filter_map(|window| window.last().copied())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::probabilities::log_softmax;
    use proptest::prelude::*;

    fn ids(forced_bos_token_id: Option<u32>, forced_eos_token_id: Option<u32>) -> SpecialIds {
        SpecialIds {
            decoder_start_token_id: 0,
            eos_token_ids: vec![1],
            pad_token_id: 0,
            forced_bos_token_id,
            forced_eos_token_id,
        }
    }

    #[test]
    fn a_forced_end_goes_before_a_forced_begin() {
        let ids = ids(Some(5), Some(1));
        let options = GenerateOptions::default();
        let processors = LogitsProcessors::new(&ids, &options, 3);
        assert_eq!([0, 1, 2].map(|position| processors.forced(position)), [Some(5), None, Some(1)]);
        let own = GenerateOptions { forced_bos_token_id: Some(7), ..options.clone() };
        assert_eq!(LogitsProcessors::new(&ids, &own, 3).forced(0), Some(7));
        assert_eq!(LogitsProcessors::new(&ids, &options, 1).forced(0), Some(1));
    }

    #[test]
    fn the_probability_of_a_token_is_the_model_s_own() {
        let ids = ids(None, None);
        let options = GenerateOptions { min_new_tokens: 2, ..GenerateOptions::default() };
        let processors = LogitsProcessors::new(&ids, &options, 9);
        let logits = [0.0, 4.0, 1.0];
        let (best, log_probability) = processors.best(&logits, &[2]);
        assert_eq!((best, log_probability), (2, log_softmax((&logits).into())[2]));
        assert_eq!(processors.best(&logits, &[2, 2]).0, 1, "may end now");
    }

    proptest! {
        #[test]
        fn nothing_is_repeated_and_only_that_is_forbidden(
            tokens in prop::collection::vec(0u32..4, 1..20), length in 0usize..5,
        ) {
            let found: Vec<u32> = repeating(&tokens, length).collect();
            for next in 0..4 {
                let more = [&tokens[..], &[next]].concat();
                let last = more.len().checked_sub(length).map(|begin| &more[begin..]);
                let repeats = length > 0
                    && last.is_some_and(|last| tokens.windows(length).any(|window| window == last));
                prop_assert_eq!(found.contains(&next), repeats, "{} after {:?}", next, tokens);
            }
        }
    }
}
