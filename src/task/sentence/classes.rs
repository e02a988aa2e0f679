//! One label out of several.

use super::{TARGETS, encode, logits, score};
use crate::adapter::{Adapter, HeadName};
use crate::bundle::Bundle;
use crate::error::Result;
use crate::example::{Input, Target, TaskKind};
use crate::graph::{Builder, GraphProto};
use crate::runtime::Value;
use crate::task::heads::{self, LOGITS};
use crate::task::probabilities::softmax;
use crate::task::{
    AnswerOptions, Encoded, EncodedTarget, Given, LabelScore, LoadedAdapter, Metric, Predictor,
    Sample, Task, Totals, position, wrong_answer,
};

/// The task of answers of the kind label.
pub struct Classes;

impl Task for Classes {
    fn kind(&self) -> TaskKind {
        TaskKind::Classification
    }

    fn heads(&self) -> &'static [HeadName] {
        &[HeadName::Labels]
    }

    fn encode(&self, bundle: &Bundle, input: &Input) -> Result<Encoded> {
        encode(bundle, input)
    }

    fn add_loss(&self, graph: &mut GraphProto, _bundle: &Bundle) -> Result<()> {
        let loss = add_cross_entropy(graph);
        heads::set_loss(graph, &loss);
        Ok(())
    }

    fn target(
        &self,
        _bundle: &Bundle,
        adapter: &Adapter,
        _input: &Encoded,
        answer: &Target,
    ) -> Result<EncodedTarget> {
        match answer {
            Target::Classification(label) => {
                Ok(EncodedTarget::Classification(position("label", &adapter.labels, label)?))
            }
            other => Err(wrong_answer(self.kind(), other)),
        }
    }

    fn target_values(
        &self,
        adapter: &Adapter,
        samples: &[&Sample],
        totals: &Totals,
    ) -> Result<Vec<(&'static str, Value)>> {
        Ok(vec![label_targets(adapter, samples, totals)?])
    }

    fn answer(
        &self,
        predictor: &Predictor,
        inputs: &[&Encoded],
        adapter: &LoadedAdapter,
        options: &AnswerOptions<'_>,
    ) -> Result<Vec<Given>> {
        let rows = logits(predictor, inputs, adapter, options)?;
        let given = rows.iter().zip(inputs).map(|(row, input)| Given {
            kind: self.kind(),
            labels: rank_labels(&adapter.adapter().labels, row),
            truncated: input.encoding.truncated,
            ..Given::default()
        });
        Ok(given.collect())
    }

    fn score(&self, _adapter: &Adapter, given: &Given, expected: &Target) -> f32 {
        label_score(given, expected)
    }

    fn metrics(&self, _adapter: &Adapter, given: &[Given], expected: &[Target]) -> Vec<Metric> {
        let pairs = label_pairs(given, expected);
        Metric::known([
            ("accuracy", score::accuracy(&pairs)),
            ("macro_f1", score::macro_f1(&pairs)),
        ])
    }
}

/// 1 where the most probable label is the expected one, else 0.
pub(in crate::task) fn label_score(given: &Given, expected: &Target) -> f32 {
    let best = given.labels.first().map(|score| &score.label);
    f32::from(u8::from(best.is_some() && best == expected.labels().first()))
}

/// The expected label and the most probable one of each.
pub(in crate::task) fn label_pairs<'a>(
    given: &'a [Given],
    expected: &'a [Target],
) -> Vec<(&'a str, &'a str)> {
    let pair = |(expected, given): (&'a Target, &'a Given)| {
        let expected = expected.labels().first().map_or("", String::as_str);
        (expected, given.labels.first().map_or("", |score| score.label.as_str()))
    };
    expected.iter().zip(given).map(pair).collect()
}

/// Adds the targets `[batch, labels]` and the cross entropy of the labels; gives its name.
pub(in crate::task) fn add_cross_entropy(graph: &mut GraphProto) -> String {
    heads::declare_targets(graph, TARGETS, &["batch", "labels"]);
    let mut builder = Builder::new(graph, "polygraft/labels/");
    heads::cross_entropy(&mut builder, LOGITS, TARGETS)
}

/// The weighted one-hot targets of samples that have a label.
pub(in crate::task) fn label_targets(
    adapter: &Adapter,
    samples: &[&Sample],
    totals: &Totals,
) -> Result<(&'static str, Value)> {
    let labels_count = adapter.labels.len();
    let mut targets = vec![0.0; samples.len() * labels_count];
    for (row, sample) in targets.chunks_exact_mut(labels_count.max(1)).zip(samples) {
        if let EncodedTarget::Classification(label) | EncodedTarget::IntentAndSlots(label, _) =
            sample.target
        {
            row[label] = totals.sample_weight();
        }
    }
    Ok((TARGETS, Value::f32(&[samples.len(), labels_count], targets)?))
}

/// Turns one row of logits into probabilities, highest first; equal ones keep the labels' order.
pub fn rank_labels(labels: &[String], logits: &[f32]) -> Vec<LabelScore> {
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
    fn probabilities_sum_to_one_and_are_sorted() {
        let labels: Vec<String> = ["a", "b", "c"].map(str::to_owned).to_vec();
        let ranked = rank_labels(&labels, &[1000.0, 1002.0, 1001.0]);
        let order: Vec<&str> = ranked.iter().map(|score| score.label.as_str()).collect();
        assert_eq!(order, ["b", "c", "a"]);
        let total: f32 = ranked.iter().map(|score| score.probability).sum();
        assert!((total - 1.0).abs() < 1e-6);
        assert!((ranked[0].probability / ranked[1].probability - 1f32.exp()).abs() < 1e-4);
    }

    #[test]
    fn the_best_of_equals_is_the_first() {
        let labels: Vec<String> = ["a", "b", "c"].map(str::to_owned).to_vec();
        assert_eq!(rank_labels(&labels, &[1.0, 3.0, 3.0])[0].label, "b");
        assert!(rank_labels(&[], &[]).is_empty());
    }
}
