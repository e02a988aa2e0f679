//! Batches: which examples run together.
//!
//! Padding is wasted work, so examples of similar length go together, and the memory of a run grows
//! with its tokens, so a batch holds a bounded number of them (rows times the longest row).

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
