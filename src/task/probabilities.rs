//! Logits to probabilities, a row at a time.
//!
//! The highest logit is taken off first, so that the exponentials stay in range whatever the logits
//! are. A row without logits has no probabilities.

use ndarray::{Array1, ArrayView1};

/// The probabilities of a row; they add up to 1.
pub(super) fn softmax(logits: ArrayView1<'_, f32>) -> Array1<f32> {
    let highest = highest(logits);
    let weights = logits.mapv(|logit| (logit - highest).exp());
    let total: f32 = weights.iter().sum();
    weights / total
}

/// The logarithms of the probabilities of a row.
pub(super) fn log_softmax(logits: ArrayView1<'_, f32>) -> Array1<f32> {
    let highest = highest(logits);
    let total: f32 = logits.iter().map(|logit| (logit - highest).exp()).sum();
    let log_total = total.ln();
    logits.mapv(|logit| logit - highest - log_total)
}

fn highest(logits: ArrayView1<'_, f32>) -> f32 {
    logits.iter().copied().fold(f32::NEG_INFINITY, f32::max)
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
