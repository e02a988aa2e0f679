//! Multi-label classification: every label applies or not, independent of the others.

use super::{TARGETS, WEIGHT, score};
use crate::error::Result;
use crate::graph::{Builder, GraphProto};
use crate::inference::heads::LOGITS;
use crate::inference::probabilities::sigmoid;
use crate::runtime::Value;
use crate::task::output::count_applying;
use crate::task::{LabelScore, Metric, TargetValues, Totals, loss, mean};

/// Adds `weight * sum(softplus(logits) - targets * logits)`, binary cross entropy; returns its
/// name.
pub(in crate::task) fn add_loss(graph: &mut GraphProto) -> String {
    loss::declare_targets(graph, TARGETS, &["batch", "labels"]);
    loss::declare_targets(graph, WEIGHT, &[]);
    let mut builder = Builder::new(graph, "polygraft/labels/");
    let soft = builder.node("Softplus", &[LOGITS], vec![]);
    let expected = builder.node("Mul", &[TARGETS, LOGITS], vec![]);
    let entropy = builder.node("Sub", &[&soft, &expected], vec![]);
    let total = loss::sum(&mut builder, &entropy);
    builder.node("Mul", &[&total, WEIGHT], vec![])
}

/// The targets of samples with these sets of labels, and the weight of an output.
pub(in crate::task) fn target_values(
    labels_count: usize,
    sets: &[&[usize]],
    totals: &Totals,
) -> Result<TargetValues> {
    let mut targets = vec![0.0; sets.len() * labels_count];
    for (row, labels) in targets.chunks_exact_mut(labels_count.max(1)).zip(sets) {
        labels.iter().for_each(|&label| row[label] = 1.0);
    }
    let weight = totals.sample_weight() / labels_count.max(1) as f32;
    Ok(vec![
        (TARGETS, Value::f32(&[sets.len(), labels_count], targets)?),
        (WEIGHT, Value::f32(&[], vec![weight])?),
    ])
}

/// The Jaccard index of the labels that apply and the expected ones; 1 if both sets are empty.
pub(in crate::task) fn score(scores: &[LabelScore], expected: &[String]) -> f32 {
    score::jaccard(expected, &applying(scores)) as f32
}

/// The mean over labels of the probability that the label is as expected: that it applies, or that
/// it does not; 1 without labels.
pub(in crate::task) fn probability(labels: &[String], logits: &[f32], expected: &[String]) -> f32 {
    let of = |(label, logit): (&String, &f32)| {
        let applies = sigmoid(*logit);
        f64::from(if expected.contains(label) { applies } else { 1.0 - applies })
    };
    mean(labels.iter().zip(logits).map(of)).map_or(1.0, |mean| mean as f32)
}

/// The metrics of pairs of expected labels and the scores of all.
pub(in crate::task) fn metrics(pairs: &[(&[String], &[LabelScore])]) -> Vec<Metric> {
    let given: Vec<Vec<String>> = pairs.iter().map(|(_, scores)| applying(scores)).collect();
    let expected = pairs.iter().map(|(expected, _)| *expected);
    let pairs: Vec<_> = expected.zip(given.iter().map(Vec::as_slice)).collect();
    Metric::known([
        ("jaccard", score::jaccard_mean(&pairs)),
        ("macro_f1", score::macro_f1_of_sets(&pairs)),
    ])
}

/// The labels that apply, sorted.
fn applying(scores: &[LabelScore]) -> Vec<String> {
    let applying = scores.iter().take(count_applying(scores));
    let mut labels: Vec<String> = applying.map(|score| score.label.clone()).collect();
    labels.sort();
    labels
}

/// The independent probability of each label, highest first; equal ones keep the labels' order.
pub(in crate::task) fn decode(labels: &[String], logits: &[f32]) -> Vec<LabelScore> {
    let mut scores: Vec<LabelScore> = labels
        .iter()
        .zip(logits)
        .map(|(label, logit)| LabelScore { label: label.clone(), probability: sigmoid(*logit) })
        .collect();
    scores.sort_by(|left, right| right.probability.total_cmp(&left.probability));
    scores
}
