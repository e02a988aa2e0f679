//! Logits to logarithms of probabilities, and tokens that leave no choice.

use crate::bundle::SpecialIds;

/// Which tokens are forced, and where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Forced {
    begin: Option<u32>,
    end: Option<u32>,
    tokens_max: usize,
}

impl Forced {
    pub fn new(ids: &SpecialIds, begin: Option<u32>, tokens_max: usize) -> Self {
        Self { begin: begin.or(ids.forced_begin), end: ids.forced_end, tokens_max }
    }

    /// The token that has to come at this position of a target.
    pub fn at(&self, position: usize) -> Option<u32> {
        let first = self.begin.filter(|_| position == 0);
        let last = self.end.filter(|_| position + 1 == self.tokens_max);
        last.or(first)
    }
}

/// `log softmax` of a row of logits, less the highest one so that exponentials stay in range.
pub(super) fn log_probabilities(logits: &[f32]) -> Vec<f32> {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let total: f32 = logits.iter().map(|logit| (logit - highest).exp()).sum();
    let log_total = total.ln();
    logits.iter().map(|logit| logit - highest - log_total).collect()
}

/// As [`log_probabilities`], but with a forced token nothing else is possible.
pub(super) fn choices(logits: &[f32], forced: Option<u32>) -> Vec<f32> {
    match forced {
        None => log_probabilities(logits),
        Some(id) => {
            let mut certain = vec![f32::NEG_INFINITY; logits.len()];
            if let Some(slot) = certain.get_mut(id as usize) {
                *slot = 0.0;
            }
            certain
        }
    }
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

    #[test]
    fn a_forced_end_goes_before_a_forced_begin() {
        let ids = SpecialIds {
            start: 0,
            ends: vec![1],
            pad: 0,
            forced_begin: Some(5),
            forced_end: Some(1),
        };
        let forced = Forced::new(&ids, None, 3);
        assert_eq!([0, 1, 2].map(|position| forced.at(position)), [Some(5), None, Some(1)]);
        assert_eq!(Forced::new(&ids, Some(7), 3).at(0), Some(7));
        assert_eq!(Forced::new(&ids, None, 1).at(0), Some(1));
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
