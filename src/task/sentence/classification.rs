//! Classification: one label out of several.

use super::{TARGETS, score};
use crate::error::Result;
use crate::graph::{Builder, GraphProto};
use crate::inference::heads::LOGITS;
use crate::inference::probabilities::softmax;
use crate::runtime::Value;
use crate::task::{LabelScore, Metric, Totals, loss};

/// Adds the targets `[batch, labels]` and the cross entropy of the labels; returns its name.
pub(in crate::task) fn add_loss(graph: &mut GraphProto) -> String {
    loss::declare_targets(graph, TARGETS, &["batch", "labels"]);
    let mut builder = Builder::new(graph, "polygraft/labels/");
    loss::cross_entropy(&mut builder, LOGITS, TARGETS)
}

/// The weighted one-hot targets of samples with these labels.
pub(in crate::task) fn target_values(
    labels_count: usize,
    labels: &[usize],
    totals: &Totals,
) -> Result<(&'static str, Value)> {
    let mut targets = vec![0.0; labels.len() * labels_count];
    for (row, label) in targets.chunks_exact_mut(labels_count.max(1)).zip(labels) {
        row[*label] = totals.sample_weight();
    }
    Ok((TARGETS, Value::f32(&[labels.len(), labels_count], targets)?))
}

/// The most probable label; empty without labels.
pub(in crate::task) fn best(labels: &[LabelScore]) -> &str {
    labels.first().map_or("", |score| score.label.as_str())
}

/// The probability of the expected label; 0 for one that is not among `labels`.
pub(in crate::task) fn probability(labels: &[String], logits: &[f32], expected: &str) -> f32 {
    let position = labels.iter().position(|label| label == expected);
    position.map_or(0.0, |position| softmax(logits.into())[position])
}

/// 1 if the most probable label is the expected one, otherwise 0.
pub(in crate::task) fn score(labels: &[LabelScore], expected: &str) -> f32 {
    f32::from(u8::from(labels.first().is_some_and(|score| score.label == expected)))
}

/// The metrics of pairs of an expected label and the most probable one.
pub(in crate::task) fn metrics(pairs: &[(&str, &str)]) -> Vec<Metric> {
    Metric::known([("accuracy", score::accuracy(pairs)), ("macro_f1", score::macro_f1(pairs))])
}

/// The probability of each label, highest first; equal ones keep the labels' order.
pub fn decode(labels: &[String], logits: &[f32]) -> Vec<LabelScore> {
    let probabilities = softmax(logits.into());
    let mut order: Vec<usize> = (0..labels.len().min(probabilities.len())).collect();
    order.sort_by(|&left, &right| probabilities[right].total_cmp(&probabilities[left]));
    let score = |index: usize| LabelScore {
        label: labels[index].clone(),
        probability: probabilities[index],
    };
    order.into_iter().map(score).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_sorted_by_probability_and_the_first_of_equals_comes_first() {
        let labels: Vec<String> = ["a", "b", "c"].map(str::to_owned).to_vec();
        let ranked = decode(&labels, &[1000.0, 1002.0, 1001.0]);
        let order: Vec<&str> = ranked.iter().map(|score| score.label.as_str()).collect();
        assert_eq!(order, ["b", "c", "a"]);
        assert!((ranked[0].probability / ranked[1].probability - 1f32.exp()).abs() < 1e-4);
        assert_eq!(decode(&labels, &[1.0, 3.0, 3.0])[0].label, "b");
        assert!(decode(&[], &[]).is_empty());
    }
}
