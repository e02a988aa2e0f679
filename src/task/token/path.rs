//! The best valid sequence of tags.

use crate::example::tags::{Bio, is_bio};

/// Which tag of a head may follow which.
pub struct Transitions {
    tags: usize,
    /// `tags x tags`: whether the second tag may follow the first.
    allowed: Vec<bool>,
    /// Whether a tag may be the first one.
    first: Vec<bool>,
}

impl Transitions {
    /// The rules for these tags.
    pub fn new(tags: &[String]) -> Self {
        let bio = is_bio(tags.iter().map(String::as_str));
        let parsed: Vec<_> = tags.iter().map(|tag| Bio::parse(tag)).collect();
        let may = |before: Option<Bio<'_>>, tag: &Option<Bio<'_>>| {
            !bio || tag.is_some_and(|tag| tag.may_follow(before))
        };
        let allowed = parsed
            .iter()
            .flat_map(|before| parsed.iter().map(move |tag| may(*before, tag)))
            .collect();
        let first = parsed.iter().map(|tag| may(None, tag)).collect();
        Self { tags: tags.len(), allowed, first }
    }

    /// The valid sequence of tags with the highest sum of scores (Viterbi). `scores` has one row of
    /// log probabilities per word. Of equal sequences, the one with earlier tags is taken.
    ///
    /// If no sequence is valid, which happens only for tags without `O` and `B-`, the best tag of
    /// each word is taken.
    pub fn best(&self, scores: &[f32]) -> Vec<usize> {
        let count = self.tags;
        let mut rows = scores.chunks_exact(count.max(1));
        let Some(start) = rows.next() else { return Vec::new() };
        let closed = |open: bool, score: f32| if open { score } else { f32::NEG_INFINITY };
        let mut totals: Vec<f32> =
            start.iter().zip(&self.first).map(|(score, open)| closed(*open, *score)).collect();
        let mut came_from: Vec<Vec<usize>> = Vec::new();
        for row in rows {
            let best = |tag: usize| {
                let reach =
                    |before: usize| closed(self.allowed[before * count + tag], totals[before]);
                (0..count).fold((0, f32::NEG_INFINITY), |best, before| {
                    let total = reach(before);
                    if total > best.1 { (before, total) } else { best }
                })
            };
            let reached: Vec<(usize, f32)> = (0..count).map(best).collect();
            totals = reached.iter().zip(row).map(|((_, total), score)| total + score).collect();
            came_from.push(reached.into_iter().map(|(before, _)| before).collect());
        }
        let Some(mut tag) = highest(&totals).filter(|&tag| totals[tag] > f32::NEG_INFINITY) else {
            return scores.chunks_exact(count).filter_map(highest).collect();
        };
        let mut path = vec![tag];
        for step in came_from.iter().rev() {
            tag = step[tag];
            path.push(tag);
        }
        path.reverse();
        path
    }
}

/// The position of the highest value; the first of equals.
fn highest(values: &[f32]) -> Option<usize> {
    let better = |best: Option<usize>, (index, value): (usize, &f32)| match best {
        Some(best) if *value <= values[best] => Some(best),
        _ => Some(index),
    };
    values.iter().enumerate().fold(None, better)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example::tags::{check, spans};
    use proptest::prelude::*;

    fn owned(tags: &[&str]) -> Vec<String> {
        tags.iter().map(|tag| (*tag).to_owned()).collect()
    }

    const TAGS: [&str; 5] = ["O", "B-a", "I-a", "B-b", "I-b"];

    fn sequence(numbers: &[usize]) -> Vec<&'static str> {
        numbers.iter().map(|&number| TAGS[number]).collect()
    }

    proptest! {
        /// Compares with trying all sequences.
        #[test]
        fn the_best_valid_sequence_is_found(
            scores in prop::collection::vec(-3.0f32..3.0, 5 * 4..=5 * 4),
        ) {
            let transitions = Transitions::new(&owned(&TAGS));
            let total = |path: &[usize]| -> f32 {
                path.iter().enumerate().map(|(word, tag)| scores[word * 5 + tag]).sum()
            };
            let all = (0..5usize.pow(4)).map(|mut code| {
                let digits = std::iter::repeat_with(|| { let d = code % 5; code /= 5; d });
                digits.take(4).collect::<Vec<usize>>()
            });
            let valid = all.filter(|path| check(&owned(&sequence(path))).is_ok());
            let best = valid.map(|path| total(&path)).fold(f32::NEG_INFINITY, f32::max);
            let found = transitions.best(&scores);
            prop_assert!(check(&owned(&sequence(&found))).is_ok());
            prop_assert!((total(&found) - best).abs() < 1e-4);
        }

        #[test]
        fn spans_of_valid_tags_give_the_tags_again(
            scores in prop::collection::vec(-3.0f32..3.0, 5 * 8..=5 * 8),
        ) {
            let path = Transitions::new(&owned(&TAGS)).best(&scores);
            let tags = sequence(&path);
            let mut again = vec!["O".to_owned(); tags.len()];
            for span in spans(tags.iter().copied()) {
                for (word, tag) in again.iter_mut().enumerate().take(span.last + 1) {
                    if word >= span.first {
                        let begins = if word == span.first { "B" } else { "I" };
                        *tag = format!("{begins}-{}", span.kind);
                    }
                }
            }
            prop_assert_eq!(again, owned(&tags));
        }
    }
}
