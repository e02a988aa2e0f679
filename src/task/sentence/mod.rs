//! Sentence classification: one label per text.
//!
//! [`Classifier`] owns the one inference session of a model: texts go in together with the tensors
//! of an adapter, probabilities come out. It never chooses the adapter; `model/` and `update/` do.

mod cache;
mod classifier;
pub mod graph;
pub mod score;

pub use classifier::{Classifier, ClassifierOptions, LoadedAdapter, encode_batch};

/// A label and its probability.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelScore {
    /// The label, as it stood in the training examples.
    pub label: String,
    /// Between 0 and 1; the probabilities of all labels sum to 1.
    pub probability: f32,
}

/// Turns one row of logits into probabilities, highest first; equal ones keep the labels' order.
/// `top_k` of 0 gives all.
pub fn rank_labels(labels: &[String], logits: &[f32], top_k: usize) -> Vec<LabelScore> {
    // Subtracting the maximum keeps the exponentials in range.
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weights: Vec<f32> = logits.iter().map(|logit| (logit - highest).exp()).collect();
    let total: f32 = weights.iter().sum();
    let mut order: Vec<usize> = (0..labels.len().min(weights.len())).collect();
    order.sort_by(|&left, &right| weights[right].total_cmp(&weights[left]));
    order.truncate(if top_k == 0 { order.len() } else { top_k });
    let score = |index: usize| LabelScore {
        label: labels[index].clone(),
        probability: weights[index] / total,
    };
    order.into_iter().map(score).collect()
}

/// The position of the highest logit; the first one of equals.
pub fn best(logits: &[f32]) -> Option<usize> {
    let mut best: Option<usize> = None;
    for (index, logit) in logits.iter().enumerate() {
        if best.is_none_or(|current| *logit > logits[current]) {
            best = Some(index);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_sum_to_one_and_are_sorted() {
        let labels: Vec<String> = ["a", "b", "c"].map(str::to_owned).to_vec();
        let ranked = rank_labels(&labels, &[1000.0, 1002.0, 1001.0], 0);
        let order: Vec<&str> = ranked.iter().map(|score| score.label.as_str()).collect();
        assert_eq!(order, ["b", "c", "a"]);
        let total: f32 = ranked.iter().map(|score| score.probability).sum();
        assert!((total - 1.0).abs() < 1e-6);
        assert!((ranked[0].probability / ranked[1].probability - 1f32.exp()).abs() < 1e-4);
        assert_eq!(rank_labels(&labels, &[0.0, 0.0, 0.0], 2).len(), 2);
    }

    #[test]
    fn the_best_of_equals_is_the_first() {
        assert_eq!(best(&[1.0, 3.0, 3.0]), Some(1));
        assert_eq!(best(&[]), None);
    }
}
