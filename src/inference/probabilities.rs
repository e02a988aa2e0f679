//! Probabilities of a row of logits, and the highest values.
//!
//! The highest logit is subtracted first, so that the exponentials never overflow. A row without
//! logits has no probabilities.

use ndarray::{Array1, ArrayView1};

/// The probabilities of a row; their sum is 1.
pub(crate) fn softmax(logits: ArrayView1<'_, f32>) -> Array1<f32> {
    let highest = maximum(logits);
    let weights = logits.mapv(|logit| (logit - highest).exp());
    let total: f32 = weights.iter().sum();
    weights / total
}

/// The probability of a logit of its own.
pub(crate) fn sigmoid(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}

/// The log probabilities of a row.
pub(crate) fn log_softmax(logits: ArrayView1<'_, f32>) -> Array1<f32> {
    let highest = maximum(logits);
    let total: f32 = logits.iter().map(|logit| (logit - highest).exp()).sum();
    let log_total = total.ln();
    logits.mapv(|logit| logit - highest - log_total)
}

fn maximum(logits: ArrayView1<'_, f32>) -> f32 {
    logits.iter().copied().fold(f32::NEG_INFINITY, f32::max)
}

/// The log probabilities of a row of logits.
pub(crate) fn log_probabilities(logits: &[f32]) -> Vec<f32> {
    log_softmax(logits.into()).into_raw_vec_and_offset().0
}

/// The positions of the `count` highest values, highest first; of equal values the first one comes
/// first. NaN comes last.
pub(crate) fn highest(values: &[f32], count: usize) -> Vec<usize> {
    let key = |&position: &usize| {
        let value = values[position];
        if value.is_nan() { f32::NEG_INFINITY } else { value }
    };
    let order = |left: &usize, right: &usize| {
        key(right).total_cmp(&key(left)).then_with(|| left.cmp(right))
    };
    let mut positions: Vec<usize> = (0..values.len()).collect();
    if count < positions.len() && count > 0 {
        positions.select_nth_unstable_by(count - 1, order);
    }
    positions.truncate(count);
    positions.sort_unstable_by(order);
    positions
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn probabilities_add_up_to_one_and_keep_the_ratios_of_the_logits() {
        let logits = ndarray::arr1(&[1000.0, 1001.0, 999.0]);
        let found = softmax(logits.view());
        assert!((found.sum() - 1.0).abs() < 1e-6);
        assert!((found[1] / found[0] - 1f32.exp()).abs() < 1e-4);
        let logarithms = log_softmax(logits.view());
        assert!((logarithms.mapv(f32::exp) - found).iter().all(|apart| apart.abs() < 1e-6));
        assert_eq!(softmax(ndarray::arr1(&[]).view()).len(), 0);
    }

    proptest! {
        #[test]
        fn the_highest_come_first(
            values in prop::collection::vec(-4i8..4, 1..40), count in 1usize..50,
        ) {
            let values: Vec<f32> = values.into_iter().map(f32::from).collect();
            let mut expected: Vec<usize> = (0..values.len()).collect();
            expected.sort_by(|&left, &right| values[right].total_cmp(&values[left]));
            expected.truncate(count);
            prop_assert_eq!(highest(&values, count), expected);
        }
    }
}
