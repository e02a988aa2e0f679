//! All labels that apply: each is a question of its own.

use super::{TARGETS, WEIGHT, encode, logits, score};
use crate::adapter::{Adapter, HeadName};
use crate::bundle::Bundle;
use crate::error::Result;
use crate::example::{Input, Target, TaskKind};
use crate::graph::{Builder, GraphProto};
use crate::runtime::Value;
use crate::task::heads::{self, LOGITS};
use crate::task::{
    AnswerOptions, Encoded, EncodedTarget, Given, LabelScore, LoadedAdapter, Metric, Predictor,
    Sample, Task, Totals, position, wrong_answer,
};

/// The task of answers of the kind labels.
pub struct LabelSets;

impl Task for LabelSets {
    fn kind(&self) -> TaskKind {
        TaskKind::MultiLabel
    }

    fn heads(&self) -> &'static [HeadName] {
        &[HeadName::Labels]
    }

    fn encode(&self, bundle: &Bundle, input: &Input) -> Result<Encoded> {
        encode(bundle, input)
    }

    /// `weight * sum(softplus(logits) - targets * logits)`: binary cross entropy.
    fn add_loss(&self, graph: &mut GraphProto, _bundle: &Bundle) -> Result<()> {
        heads::declare_targets(graph, TARGETS, &["batch", "labels"]);
        heads::declare_targets(graph, WEIGHT, &[]);
        let mut builder = Builder::new(graph, "polygraft/labels/");
        let soft = builder.node("Softplus", &[LOGITS], vec![]);
        let expected = builder.node("Mul", &[TARGETS, LOGITS], vec![]);
        let entropy = builder.node("Sub", &[&soft, &expected], vec![]);
        let total = heads::sum(&mut builder, &entropy);
        let loss = builder.node("Mul", &[&total, WEIGHT], vec![]);
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
        let Target::MultiLabel(labels) = answer else {
            return Err(wrong_answer(self.kind(), answer));
        };
        let positions = labels.iter().map(|label| position("label", &adapter.labels, label));
        Ok(EncodedTarget::MultiLabel(positions.collect::<Result<_>>()?))
    }

    fn target_values(
        &self,
        adapter: &Adapter,
        samples: &[&Sample],
        totals: &Totals,
    ) -> Result<Vec<(&'static str, Value)>> {
        let labels_count = adapter.labels.len();
        let mut targets = vec![0.0; samples.len() * labels_count];
        for (row, sample) in targets.chunks_exact_mut(labels_count.max(1)).zip(samples) {
            if let EncodedTarget::MultiLabel(positions) = &sample.target {
                positions.iter().for_each(|&position| row[position] = 1.0);
            }
        }
        let weight = totals.sample_weight() / labels_count.max(1) as f32;
        Ok(vec![
            (TARGETS, Value::f32(&[samples.len(), labels_count], targets)?),
            (WEIGHT, Value::f32(&[], vec![weight])?),
        ])
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
            labels: independent(&adapter.adapter().labels, row),
            truncated: input.encoding.truncated,
            ..Given::default()
        });
        Ok(given.collect())
    }

    /// The share of labels that are both given and expected among those that are either (Jaccard);
    /// 1 where there are none of both.
    fn score(&self, _adapter: &Adapter, given: &Given, expected: &Target) -> f32 {
        score::jaccard(expected.labels(), &applying(given)) as f32
    }

    fn metrics(&self, _adapter: &Adapter, given: &[Given], expected: &[Target]) -> Vec<Metric> {
        let given: Vec<Vec<String>> = given.iter().map(applying).collect();
        let expected = expected.iter().map(Target::labels);
        let pairs: Vec<_> = expected.zip(given.iter().map(Vec::as_slice)).collect();
        Metric::known([
            ("jaccard", score::jaccard_mean(&pairs)),
            ("macro_f1", score::macro_f1_of_sets(&pairs)),
        ])
    }
}

/// The labels that apply, sorted.
fn applying(given: &Given) -> Vec<String> {
    let mut labels: Vec<String> = given.applying().into_iter().map(str::to_owned).collect();
    labels.sort();
    labels
}

/// The probability of each label by itself, highest first; equal ones keep the labels' order.
fn independent(labels: &[String], logits: &[f32]) -> Vec<LabelScore> {
    let mut scores: Vec<LabelScore> = labels
        .iter()
        .zip(logits)
        .map(|(label, logit)| LabelScore {
            label: label.clone(),
            probability: 1.0 / (1.0 + (-logit).exp()),
        })
        .collect();
    scores.sort_by(|left, right| right.probability.total_cmp(&left.probability));
    scores
}
