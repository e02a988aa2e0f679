//! Encodes inputs of more than one text: pairs, and words with known token positions.

use super::run::RunIds;
use super::{Encoding, Model, Tokenizer, guarded, room_in};
use crate::error::Result;

/// The tokens of words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WordsEncoding {
    /// All tokens, including special ones.
    pub encoding: Encoding,
    /// The position of each word's first token, which words of one run may share; absent for a word
    /// that did not fit or has no token.
    pub first: Vec<Option<usize>>,
}

impl Tokenizer {
    /// The ids of a pair of texts in the tokenizer's template for pairs; with more than
    /// `tokens_max` in all, the longer text is cut first.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn encode_pair(&self, first: &str, second: &str, tokens_max: usize) -> Result<Encoding> {
        let template = &self.stages.templates().pair;
        let room = room_in(template, tokens_max, 2)?;
        let (first, second) = (self.pieces(first, room)?, self.pieces(second, room)?);
        let truncated = first.len() + second.len() > room;
        let (a, b) = fair_lengths(first.len(), second.len(), room);
        let mut ids = Vec::with_capacity(a + b + template.n_special());
        let mut type_ids = Vec::with_capacity(ids.capacity());
        let special = |run: &[(tokenizers::pipeline::PipelineToken, u8)]| -> Vec<(u32, u8)> {
            run.iter().map(|(token, kind)| (token.id(), *kind)).collect()
        };
        let second_type = template.b_type_id.unwrap_or_default();
        let parts = [
            special(&template.prefix),
            first[..a].iter().map(|&id| (id, template.a_type_id)).collect(),
            special(&template.infix),
            second[..b].iter().map(|&id| (id, second_type)).collect(),
            special(&template.suffix),
        ];
        for (id, kind) in parts.into_iter().flatten() {
            ids.push(id);
            type_ids.push(kind);
        }
        self.check_ids(&ids)?;
        if type_ids.iter().all(|&kind| kind == 0) {
            type_ids.clear();
        }
        Ok(Encoding { ids, truncated, type_ids })
    }

    /// The ids of `prefix` and of the words after it. Each run of words is tokenized by itself, so
    /// that the tokens of a word are known in any script; words of one run are joined without
    /// anything between them, and one token may cover several. There are at most `tokens_max` in
    /// all: a run that does not fit is cut, and words that are cut off have no tokens.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn encode_words(
        &self,
        prefix: &str,
        runs: &[Vec<&str>],
        tokens_max: usize,
    ) -> Result<WordsEncoding> {
        let template = &self.stages.templates().single;
        let room = room_in(template, tokens_max, 1)?;
        let mut inner = if prefix.is_empty() { Vec::new() } else { self.pieces(prefix, room)? };
        inner.truncate(room);
        let mut truncated = false;
        let mut first = Vec::with_capacity(runs.len());
        for run in runs {
            let left = room - inner.len();
            if left == 0 {
                truncated = true;
                first.resize(first.len() + run.len(), None);
                continue;
            }
            let RunIds { ids, first: places } = self.run_ids(run, left)?;
            truncated |= ids.len() > left;
            let begin = template.prefix.len() + inner.len();
            let kept = |place: Option<usize>| Some(begin + place.filter(|&place| place < left)?);
            first.extend(places.into_iter().map(kept));
            inner.extend(ids.into_iter().take(left));
        }
        Ok(WordsEncoding { encoding: self.framed(&inner, truncated)?, first })
    }

    /// The tokens of a run; may stop once there are more than `room`.
    fn run_ids(&self, run: &[&str], room: usize) -> Result<RunIds> {
        if let (Model::Compiled { vocabulary, .. }, [_, _, ..]) = (&self.model, run) {
            let together = || self.stages.encode_run(vocabulary, run, room);
            if let Some(found) = guarded("encoding words", together)?? {
                return Ok(found);
            }
        }
        let mut found = RunIds::default();
        for word in run {
            let pieces = match room.checked_sub(found.ids.len()) {
                Some(left) => self.pieces(word, left)?,
                None => Vec::new(),
            };
            found.first.push((!pieces.is_empty()).then_some(found.ids.len()));
            found.ids.extend(pieces);
        }
        Ok(found)
    }
}

/// The parts of two lengths that fit into `room` when the longer one is cut first.
fn fair_lengths(first: usize, second: usize, room: usize) -> (usize, usize) {
    let half = room / 2;
    let a = first.min(half.max(room.saturating_sub(second)));
    (a, second.min(room - a))
}

#[cfg(test)]
mod tests {
    use super::fair_lengths;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_longer_text_is_cut_first(
            first in 0usize..40, second in 0usize..40, room in 2usize..40,
        ) {
            let (a, b) = fair_lengths(first, second, room);
            prop_assert!(a <= first && b <= second);
            prop_assert_eq!(a + b, room.min(first + second));
            prop_assert!(a == first || b <= a + 1);
            prop_assert!(b == second || a <= b);
        }
    }
}
