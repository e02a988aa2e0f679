//! One tag per word.

use super::{PlacedWord, decode, encode};
use crate::adapter::{Adapter, HeadName};
use crate::bundle::Bundle;
use crate::error::{Code, Error, Result};
use crate::example::tags::OUTSIDE;
use crate::example::{Input, Target, TaskKind};
use crate::graph::{Builder, GraphProto};
use crate::runtime::Value;
use crate::task::heads::{self, TAG_LOGITS};
use crate::task::predictor::run_encoder;
use crate::task::{
    AnswerOptions, Encoded, EncodedTarget, Given, LoadedAdapter, Metric, Predictor, Sample, Task,
    Totals, position, wrong_answer,
};

/// The targets of a training graph, `[batch, sequence, tags]`.
const TAG_TARGETS: &str = "polygraft.tag_targets";

/// The task of answers of the kind tags.
pub struct Tags;

impl Task for Tags {
    fn kind(&self) -> TaskKind {
        TaskKind::TokenClassification
    }

    fn heads(&self) -> &'static [HeadName] {
        &[HeadName::Tags]
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
        input: &Encoded,
        answer: &Target,
    ) -> Result<EncodedTarget> {
        match answer {
            Target::TokenClassification(tags) => {
                Ok(EncodedTarget::TokenClassification(positions(adapter, input, tags)?))
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
        Ok(vec![tag_targets(adapter, samples, totals)?])
    }

    fn answer(
        &self,
        predictor: &Predictor,
        inputs: &[&Encoded],
        adapter: &LoadedAdapter,
        options: &AnswerOptions<'_>,
    ) -> Result<Vec<Given>> {
        let [logits] = run_encoder(predictor, inputs, adapter, [TAG_LOGITS], options.cancel)?;
        let names = &adapter.adapter().tags;
        let tagged = decode::read(names, inputs, &logits)?;
        let given = tagged.into_iter().zip(inputs).map(|(words, input)| Given {
            kind: self.kind(),
            spans: decode::spans(names, &words),
            truncated: decode::is_cut(&input.encoding, &words),
            words,
            ..Given::default()
        });
        Ok(given.collect())
    }

    fn score(&self, adapter: &Adapter, given: &Given, expected: &Target) -> f32 {
        decode::score(&adapter.tags, given, expected)
    }

    fn metrics(&self, adapter: &Adapter, given: &[Given], expected: &[Target]) -> Vec<Metric> {
        decode::metrics(&adapter.tags, given, expected)
    }
}

/// Adds the targets `[batch, sequence, tags]` and the cross entropy of the tags; gives its name.
pub(super) fn add_cross_entropy(graph: &mut GraphProto) -> String {
    heads::declare_targets(graph, TAG_TARGETS, &["batch", "sequence", "tags"]);
    let mut builder = Builder::new(graph, "polygraft/tags/");
    heads::cross_entropy(&mut builder, TAG_LOGITS, TAG_TARGETS)
}

/// The position of each word's tag among those of the adapter.
pub(super) fn positions(adapter: &Adapter, input: &Encoded, tags: &[String]) -> Result<Vec<usize>> {
    if tags.len() != input.words.len() {
        let (words, tags) = (input.words.len(), tags.len());
        let message = format!("{words} words have {tags} tags");
        return Err(Error::new(Code::ArgumentInvalid, message));
    }
    tags.iter().map(|tag| position("tag", &adapter.tags, tag)).collect()
}

/// The weighted one-hot targets at the first token of each word; all other tokens have none. A
/// token of several words has the first tag of theirs that is in a span, so that spans begin
/// somewhere.
pub(super) fn tag_targets(
    adapter: &Adapter,
    samples: &[&Sample],
    totals: &Totals,
) -> Result<(&'static str, Value)> {
    let longest = samples.iter().map(|sample| sample.input.encoding.ids.len()).max().unwrap_or(0);
    let tags_count = adapter.tags.len();
    let mut targets = vec![0.0; samples.len() * longest * tags_count];
    for (row, sample) in targets.chunks_exact_mut((longest * tags_count).max(1)).zip(samples) {
        let (EncodedTarget::TokenClassification(tags) | EncodedTarget::IntentAndSlots(_, tags)) =
            &sample.target
        else {
            continue;
        };
        let words: Vec<(&PlacedWord, usize)> =
            sample.input.words.iter().zip(tags.iter().copied()).collect();
        for same in words.chunk_by(|(before, _), (word, _)| word.shares_token(Some(before))) {
            let in_span = same.iter().find(|(_, tag)| adapter.tags[*tag] != OUTSIDE);
            if let (Some(token), Some((_, tag))) = (same[0].0.token, in_span.or(same.first())) {
                row[token * tags_count + tag] = totals.part_weight();
            }
        }
    }
    Ok((TAG_TARGETS, Value::f32(&[samples.len(), longest, tags_count], targets)?))
}
