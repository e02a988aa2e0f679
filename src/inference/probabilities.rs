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

/// The logistic function.
pub(crate) fn sigmoid(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}

/// The log probabilities of a row.
pub(crate) fn log_softmax(logits: ArrayView1<'_, f32>) -> Array1<f32> {
    let row = LogSoftmax::of(logits);
    logits.mapv(|logit| row.at(logit))
}

/// What turns the logits of a row into log probabilities, one by one.
#[derive(Clone, Copy)]
pub(crate) struct LogSoftmax {
    highest: f32,
    log_total: f32,
}

impl LogSoftmax {
    /// For this row.
    pub fn of(logits: ArrayView1<'_, f32>) -> Self {
        let highest = maximum(logits);
        let total: f32 = logits.iter().map(|logit| (logit - highest).exp()).sum();
        Self { highest, log_total: total.ln() }
    }

    /// The log probability of a logit of the row.
    pub fn at(self, logit: f32) -> f32 {
        logit - self.highest - self.log_total
    }
}

fn maximum(logits: ArrayView1<'_, f32>) -> f32 {
    logits.iter().copied().fold(f32::NEG_INFINITY, f32::max)
}

/// The highest of the values that are offered, with their positions; of equal values that at the
/// first position comes first. NaN comes last.
pub(crate) struct Highest {
    count: usize,
    /// At most `count`, best first.
    kept: Vec<(usize, f32)>,
}

impl Highest {
    /// For the `count` highest values.
    pub fn new(count: usize) -> Self {
        Self { count, kept: Vec::new() }
    }

    /// Considers the value at a position.
    pub fn offer(&mut self, position: usize, value: f32) {
        let one = (position, value);
        if self.kept.len() == self.count {
            match self.kept.last() {
                Some(worst) if goes_before(&one, worst) => self.kept.pop(),
                _ => return,
            };
        }
        let place = self.kept.partition_point(|other| goes_before(other, &one));
        self.kept.insert(place, one);
    }

    /// The positions and values, highest first.
    pub fn into_pairs(self) -> impl Iterator<Item = (usize, f32)> {
        self.kept.into_iter()
    }
}

fn goes_before(left: &(usize, f32), right: &(usize, f32)) -> bool {
    let key = |value: f32| if value.is_nan() { f32::NEG_INFINITY } else { value };
    key(right.1).total_cmp(&key(left.1)).then_with(|| left.0.cmp(&right.0)).is_lt()
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
        fn the_highest_are_the_first_of_a_sorted_list(
            values in prop::collection::vec(0usize..9, 0..80), count in 0usize..90,
        ) {
            let special = [f32::NEG_INFINITY, f32::NAN, -0.0, 0.0, 1.0, -1.0, 2.5, f32::INFINITY];
            let value = |&one: &usize| special.get(one).copied().unwrap_or(one as f32);
            let values: Vec<f32> = values.iter().map(value).collect();
            let key = |at: usize| if values[at].is_nan() { f32::NEG_INFINITY } else { values[at] };
            let mut expected: Vec<usize> = (0..values.len()).collect();
            expected.sort_by(|&left, &right| key(right).total_cmp(&key(left)));
            expected.truncate(count);
            let mut highest = Highest::new(count);
            values.iter().enumerate().for_each(|(at, &value)| highest.offer(at, value));
            let found: Vec<(usize, f32)> = highest.into_pairs().collect();
            prop_assert_eq!(found.iter().map(|one| one.0).collect::<Vec<_>>(), expected);
            let same = |&(at, value): &(usize, f32)| value.to_bits() == values[at].to_bits();
            prop_assert!(found.iter().all(same));
        }
    }
}
