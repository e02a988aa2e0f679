//! Batches: selects the texts that run together, and makes the padded inputs of a run.
//!
//! Texts of similar length run together, because padding is wasted work. The memory of a run grows
//! with its tokens (rows times the longest row), so a batch has a bounded number of them.

use crate::bundle::{Bundle, Encoding};
use crate::error::Result;
use crate::runtime::Value;

/// Groups examples of the given token counts into batches of at most `rows_max` rows and, unless a
/// single row is longer, at most `tokens_max` tokens including padding.
///
/// Every index occurs exactly once. Equal input gives equal output.
pub fn by_length(lengths: &[usize], rows_max: usize, tokens_max: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&index| (lengths[index], index));
    let mut batches: Vec<Vec<usize>> = Vec::new();
    for index in order {
        let fits = |batch: &Vec<usize>| {
            batch.len() < rows_max.max(1) && (batch.len() + 1) * lengths[index] <= tokens_max
        };
        match batches.last_mut() {
            Some(batch) if fits(batch) => batch.push(index),
            _ => batches.push(vec![index]),
        }
    }
    batches
}

/// The padded int64 inputs `[texts, longest]` that the backbone declares.
pub fn encode<'a>(bundle: &'a Bundle, texts: &[&Encoding]) -> Result<Vec<(&'a str, Value)>> {
    let longest = texts.iter().map(|text| text.ids.len()).max().unwrap_or(0);
    let size = texts.len() * longest;
    let mut ids = Vec::with_capacity(size);
    let mut mask = Vec::with_capacity(size);
    for text in texts {
        let padding = longest - text.ids.len();
        ids.extend(text.ids.iter().map(|&id| i64::from(id)));
        ids.extend(std::iter::repeat_n(i64::from(bundle.tokenizer().pad_id()), padding));
        mask.extend(std::iter::repeat_n(1, text.ids.len()));
        mask.extend(std::iter::repeat_n(0, padding));
    }
    let shape = [texts.len(), longest];
    let names = &bundle.interface().inputs;
    let mut inputs = vec![
        (names.input_ids.as_str(), Value::i64(&shape, ids)?),
        (names.attention_mask.as_str(), Value::i64(&shape, mask)?),
    ];
    if let Some(name) = &names.token_type_ids {
        inputs.push((name, Value::i64(&shape, type_ids(texts, longest))?));
    }
    Ok(inputs)
}

/// The segment of a pair that each token belongs to; 0 for padding.
fn type_ids(texts: &[&Encoding], longest: usize) -> Vec<i64> {
    let mut kinds = vec![0; texts.len() * longest];
    for (row, text) in kinds.chunks_exact_mut(longest.max(1)).zip(texts) {
        row.iter_mut().zip(&text.type_ids).for_each(|(slot, kind)| *slot = i64::from(*kind));
    }
    kinds
}

#[cfg(test)]
mod tests {
    use super::by_length;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_example_runs_once_within_the_bounds(
            lengths in prop::collection::vec(1usize..64, 0..80),
            rows_max in 1usize..9,
            tokens_max in 1usize..256,
        ) {
            let batches = by_length(&lengths, rows_max, tokens_max);
            let mut seen: Vec<usize> = batches.iter().flatten().copied().collect();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..lengths.len()).collect::<Vec<_>>());
            for batch in &batches {
                let longest = batch.iter().map(|&index| lengths[index]).max().unwrap_or(0);
                prop_assert!(batch.len() <= rows_max);
                prop_assert!(batch.len() == 1 || batch.len() * longest <= tokens_max);
            }
        }
    }
}
