//! Logits to logarithms of probabilities, and the highest of them.

use crate::task::probabilities::log_softmax;

/// The logarithms of the probabilities of a row of logits.
pub(super) fn log_probabilities(logits: &[f32]) -> Vec<f32> {
    log_softmax(logits.into()).into_raw_vec_and_offset().0
}

/// The positions of the `count` highest values, highest first; the first of equals comes first.
/// Values that are not numbers come last.
pub(super) fn highest(values: &[f32], count: usize) -> Vec<usize> {
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
    fn probabilities_sum_to_one() {
        let total: f32 = log_probabilities(&[1000.0, 1001.0, 999.0]).iter().map(|l| l.exp()).sum();
        assert!((total - 1.0).abs() < 1e-5);
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
