//! The task of answers that are texts.

use super::options::{GenerateOptions, Generated};
use super::score::{Chrf, Counts};
use super::{GeneratedText, loss};
use crate::adapter::{Adapter, HeadName};
use crate::bundle::Bundle;
use crate::error::{Code, Error, Result};
use crate::example::{Input, Target, TaskKind};
use crate::graph::{GraphProto, Model};
use crate::runtime::Value;
use crate::task::{
    AnswerOptions, Encoded, EncodedTarget, Given, LoadedAdapter, Metric, Predictor, Sample, Task,
    Totals, sentence, wrong_answer,
};
use std::ops::ControlFlow;

/// The task of answers of the kind text.
pub struct Texts;

impl Task for Texts {
    fn kind(&self) -> TaskKind {
        TaskKind::SequenceToSequence
    }

    /// None: the backbone's own output layer gives the tokens.
    fn heads(&self) -> &'static [HeadName] {
        &[]
    }

    /// Encoder and decoder, joined.
    fn backbone<'a>(&self, bundle: &'a Bundle) -> &'a Model {
        bundle.model()
    }

    fn encode(&self, bundle: &Bundle, input: &Input) -> Result<Encoded> {
        bundle.decoder()?;
        if !matches!(input, Input::Text(_)) {
            return Err(Error::new(Code::TaskKind, "expected one text to answer with a text"));
        }
        sentence::encode(bundle, input)
    }

    fn add_loss(&self, graph: &mut GraphProto, bundle: &Bundle) -> Result<()> {
        loss::add(graph, bundle)
    }

    /// The start, then the tokens of the text, then the end.
    ///
    /// # Errors
    /// [`Code::TaskEmptyText`] for a text without tokens, [`Code::TaskTooLong`] for one with more
    /// than the decoder writes: cut off, it would teach never to end.
    fn target(
        &self,
        bundle: &Bundle,
        _adapter: &Adapter,
        _input: &Encoded,
        answer: &Target,
    ) -> Result<EncodedTarget> {
        let Target::SequenceToSequence(text) = answer else {
            return Err(wrong_answer(self.kind(), answer));
        };
        let decoder = bundle.decoder()?;
        let ids = &decoder.ids;
        let framing = usize::from(ids.forced_begin.is_some()) + 1;
        let room = decoder.tokens_max.saturating_sub(framing);
        let encoding = bundle.tokenizer().encode_plain(text, room)?;
        if encoding.ids.is_empty() {
            let message = format!("the target {text:?} has no tokens");
            return Err(Error::new(Code::TaskEmptyText, message));
        }
        if encoding.truncated {
            return Err(Error::new(
                Code::TaskTooLong,
                format!(
                    "the target {text:?} has more tokens than the decoder writes: expected at most \
                     {room} beside {framing} special ones"
                ),
            ));
        }
        let mut tokens = vec![ids.start];
        tokens.extend(ids.forced_begin);
        tokens.extend(encoding.ids);
        tokens.extend(ids.ends.first());
        Ok(EncodedTarget::SequenceToSequence(tokens))
    }

    fn target_values(
        &self,
        _adapter: &Adapter,
        samples: &[&Sample],
        totals: &Totals,
    ) -> Result<Vec<(&'static str, Value)>> {
        let target = |sample: &&'_ Sample| match &sample.target {
            EncodedTarget::SequenceToSequence(tokens) => tokens.clone(),
            _ => Vec::new(),
        };
        let targets: Vec<Vec<u32>> = samples.iter().map(target).collect();
        let targets: Vec<&[u32]> = targets.iter().map(Vec::as_slice).collect();
        loss::values(&targets, totals.part_weight(), totals.smoothing)
    }

    fn answer(
        &self,
        predictor: &Predictor,
        inputs: &[&Encoded],
        adapter: &LoadedAdapter,
        options: &AnswerOptions<'_>,
    ) -> Result<Vec<Given>> {
        let usual = GenerateOptions::default();
        let generate = options.generate.unwrap_or(&usual);
        let proceed = &mut |_: usize, _: &str| ControlFlow::Continue(());
        let found = predictor.generate(inputs, adapter, generate, options.cancel, proceed)?;
        Ok(inputs.iter().zip(found).map(|(input, one)| given(input, one)).collect())
    }

    /// chrF of the text.
    fn score(&self, _adapter: &Adapter, given: &Given, expected: &Target) -> f32 {
        match (&given.text, expected) {
            (Some(given), Target::SequenceToSequence(expected)) => {
                Chrf::of(expected, &given.text).score() as f32
            }
            _ => 0.0,
        }
    }

    fn metrics(&self, _adapter: &Adapter, given: &[Given], expected: &[Target]) -> Vec<Metric> {
        let (mut chrf, mut counts) = (Chrf::default(), Counts::default());
        for (given, expected) in given.iter().zip(expected) {
            if let Target::SequenceToSequence(expected) = expected {
                let text = given.text.as_ref().map_or("", |given| given.text.as_str());
                chrf.add(expected, text);
                counts.add(expected, text);
            }
        }
        Metric::known([
            ("chrf", (counts.texts > 0).then(|| chrf.score())),
            ("exact_match", counts.exact_match()),
            ("character_error_rate", counts.character_error_rate()),
        ])
    }
}

/// An answer of what was generated.
pub fn given(input: &Encoded, one: Generated) -> Given {
    Given {
        kind: TaskKind::SequenceToSequence,
        text: Some(GeneratedText {
            text: one.text,
            log_probability: one.log_probability,
            finish: one.finish,
            tokens: one.ids.len(),
        }),
        truncated: input.encoding.truncated,
        ..Given::default()
    }
}
