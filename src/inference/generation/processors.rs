//! Logits processors: which tokens must not be repeated, must not end a target yet, or are forced.
//!
//! They change scores in the order and with the arithmetic of the logits processors of
//! `transformers`, so that the same options give the same tokens. Greedy search applies them to
//! logits, beam search to log probabilities. A processor must never make a generation longer than
//! its limit.

use super::options::GenerateOptions;
use crate::bundle::SpecialIds;
use crate::inference::probabilities::{highest, log_probabilities};

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
        let log_probabilities = log_probabilities(logits);
        let best = match self.is_free(target.len()) {
            true => highest(&log_probabilities, 1),
            false => {
                let mut scores = logits.to_vec();
                self.apply(&mut scores, target);
                highest(&scores, 1)
            }
        };
        let best = best.first().copied().unwrap_or(0);
        (best as u32, log_probabilities.get(best).copied().unwrap_or(0.0))
    }

    /// The value that each next token adds to the score of a hypothesis.
    pub fn scores(&self, logits: &[f32], target: &[u32]) -> Vec<f32> {
        if let Some(id) = self.forced(target.len()) {
            let mut certain = vec![f32::NEG_INFINITY; logits.len()];
            if let Some(slot) = certain.get_mut(id as usize) {
                *slot = 0.0;
            }
            return certain;
        }
        let mut scores = log_probabilities(logits);
        if !self.is_free(target.len()) {
            self.apply(&mut scores, target);
        }
        scores
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

    fn apply(&self, scores: &mut [f32], target: &[u32]) {
        // The start token counts as a token that occurred, as in `transformers`.
        let tokens: Vec<u32> = std::iter::once(self.ids.decoder_start_token_id)
            .chain(target.iter().copied())
            .collect();
        self.penalize(scores, &tokens);
        for id in repeating(&tokens, self.no_repeat_ngram_size) {
            forbid(scores, id);
        }
        if target.len() < self.min_new_tokens {
            self.ids.eos_token_ids.iter().for_each(|&id| forbid(scores, id));
        }
    }

    /// Makes tokens that occurred before less probable, each once (Keskar et al., CTRL, arXiv
    /// 1909.05858, section 4.1).
    fn penalize(&self, scores: &mut [f32], tokens: &[u32]) {
        let mut seen = tokens.to_vec();
        seen.sort_unstable();
        seen.dedup();
        for id in seen {
            if let Some(score) = scores.get_mut(id as usize) {
                let penalty = self.repetition_penalty;
                *score = if *score < 0.0 { *score * penalty } else { *score / penalty };
            }
        }
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

fn forbid(scores: &mut [f32], id: u32) {
    if let Some(score) = scores.get_mut(id as usize) {
        *score = f32::NEG_INFINITY;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
        assert_eq!((best, log_probability), (2, log_probabilities(&logits)[2]));
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
