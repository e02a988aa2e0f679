//! A label of the whole and one tag per word, in one pass: two heads on one adapter.

use super::tagging::{self, add_cross_entropy};
use super::{decode, encode};
use crate::adapter::{Adapter, HeadName};
use crate::bundle::Bundle;
use crate::error::{Code, Error, Result};
use crate::example::{Input, Target, TaskKind};
use crate::graph::{Builder, GraphProto};
use crate::runtime::Value;
use crate::task::heads::{self, LOGITS, TAG_LOGITS};
use crate::task::predictor::run_encoder;
use crate::task::sentence::{
    self, add_label_cross_entropy, label_pairs, label_score, label_targets, rank_labels,
};
use crate::task::{
    AnswerOptions, Encoded, EncodedTarget, Given, LoadedAdapter, Metric, Predictor, Sample, Task,
    Totals, finite, position, wrong_answer,
};

/// The task of answers of the kind label+tags.
pub struct LabelAndTags;

impl Task for LabelAndTags {
    fn kind(&self) -> TaskKind {
        TaskKind::IntentAndSlots
    }

    fn heads(&self) -> &'static [HeadName] {
        &HeadName::ALL
    }

    fn encode(&self, bundle: &Bundle, input: &Input) -> Result<Encoded> {
        encode(bundle, input)
    }

    /// The sum of the losses of label and tags (Chen, Zhuo and Wang, arXiv 1902.10909).
    fn add_loss(&self, graph: &mut GraphProto, _bundle: &Bundle) -> Result<()> {
        let label = add_label_cross_entropy(graph);
        let tags = add_cross_entropy(graph);
        let mut builder = Builder::new(graph, "polygraft/joint/");
        let loss = builder.node("Add", &[&label, &tags], vec![]);
        heads::set_loss(graph, &loss);
        Ok(())
    }

    fn target(
        &self,
        _bundle: &Bundle,
        adapter: &Adapter,
        input: &Encoded,
        answer: &Target,
    ) -> Result<EncodedTarget> {
        let Target::IntentAndSlots { label, tags } = answer else {
            return Err(wrong_answer(self.kind(), answer));
        };
        let label = position("label", &adapter.labels, label)?;
        Ok(EncodedTarget::IntentAndSlots(label, tagging::positions(adapter, input, tags)?))
    }

    fn target_values(
        &self,
        adapter: &Adapter,
        samples: &[&Sample],
        totals: &Totals,
    ) -> Result<Vec<(&'static str, Value)>> {
        let labels = label_targets(adapter, samples, totals)?;
        Ok(vec![labels, tagging::tag_targets(adapter, samples, totals)?])
    }

    fn answer(
        &self,
        predictor: &Predictor,
        inputs: &[&Encoded],
        adapter: &LoadedAdapter,
        options: &AnswerOptions<'_>,
    ) -> Result<Vec<Given>> {
        let outputs = [LOGITS, TAG_LOGITS];
        let [logits, tag_logits] =
            run_encoder(predictor, inputs, adapter, outputs, options.cancel)?;
        let Adapter { labels, tags, .. } = adapter.adapter();
        if logits.len() != inputs.len() * labels.len() {
            let (found, expected) = (logits.len(), inputs.len() * labels.len());
            let message = format!("the session gave {found} logits, expected {expected}");
            return Err(Error::new(Code::Internal, message));
        }
        finite::check("logits of labels", &logits)?;
        let tagged = decode::read(tags, inputs, &tag_logits)?;
        let rows = logits.chunks_exact(labels.len().max(1));
        let given = tagged.into_iter().zip(rows).zip(inputs).map(|((words, row), input)| Given {
            kind: self.kind(),
            labels: rank_labels(labels, row),
            spans: decode::spans(tags, &words),
            truncated: decode::is_cut(&input.encoding, &words),
            words,
            ..Given::default()
        });
        Ok(given.collect())
    }

    /// The mean of the scores of label and tags.
    fn score(&self, adapter: &Adapter, given: &Given, expected: &Target) -> f32 {
        (label_score(given, expected) + decode::score(&adapter.tags, given, expected)) / 2.0
    }

    fn metrics(&self, adapter: &Adapter, given: &[Given], expected: &[Target]) -> Vec<Metric> {
        let accuracy = sentence::score::accuracy(&label_pairs(given, expected));
        let mut metrics = Metric::known([("label_accuracy", accuracy)]);
        metrics.extend(decode::metrics(&adapter.tags, given, expected));
        metrics
    }
}
