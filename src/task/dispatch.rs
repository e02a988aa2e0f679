//! A task of any kind: calls the functions of its family.

use super::sample::position;
use super::sentence::{self, classification, multi_label, regression};
use super::{
    Encoded, EncodedTarget, Sample, Tagging, TargetValues, TaskOutput, Totals, loss, sequence,
    token,
};
use crate::adapter::{Adapter, HeadName};
use crate::bundle::Bundle;
use crate::error::{Code, Error, Result};
use crate::example::{Input, Number, Target, TaskKind};
use crate::graph::{GraphProto, Model};
use crate::inference::heads::{LOGITS, TAG_LOGITS};
use crate::inference::{RawOutputs, Request};

/// The contents of values that must all be of one variant; an error when one is of another.
macro_rules! every {
    ($values:expr, $pattern:pat => $found:expr) => {
        $values
            .map(|one| match one {
                $pattern => Ok($found),
                _ => Err(another_kind()),
            })
            .collect::<Result<Vec<_>>>()
    };
}

// After the macro, which it uses.
mod scores;

/// A task of one kind: how its examples are encoded, trained, decoded and scored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task {
    kind: TaskKind,
}

impl Task {
    /// The task of this kind.
    pub fn of(kind: TaskKind) -> Self {
        Self { kind }
    }

    /// Its kind.
    pub fn kind(self) -> TaskKind {
        self.kind
    }

    /// The graph that the task is trained on: an encoder, or encoder and decoder joined.
    pub fn backbone(self, bundle: &Bundle) -> &Model {
        match self.kind.generates_text() {
            true => bundle.model(),
            false => bundle.encoder(),
        }
    }

    /// The heads of an adapter for this task. A task that generates text has none, because the
    /// backbone's own output layer gives the tokens.
    pub fn heads(self) -> &'static [HeadName] {
        match self.kind {
            TaskKind::Classification | TaskKind::MultiLabel | TaskKind::Regression => {
                &[HeadName::Labels]
            }
            TaskKind::TokenClassification => &[HeadName::Tags],
            TaskKind::IntentAndSlots => &HeadName::ALL,
            TaskKind::SequenceToSequence => &[],
        }
    }

    /// Tokenizes an input with the bundle's prefix, cut to the length that the backbone reads.
    ///
    /// # Errors
    /// As [`Input::check`]; [`Code::TaskKind`] for a kind of input that the task does not take.
    pub fn encode(self, bundle: &Bundle, input: &Input) -> Result<Encoded> {
        match self.kind {
            TaskKind::Classification | TaskKind::MultiLabel | TaskKind::Regression => {
                sentence::encode(bundle, input)
            }
            TaskKind::TokenClassification | TaskKind::IntentAndSlots => {
                token::encode(bundle, input)
            }
            TaskKind::SequenceToSequence => sequence::encode(bundle, input),
        }
    }

    /// Adds inputs for targets and the scalar [`loss::LOSS`] to a graph that has the heads.
    ///
    /// # Errors
    /// [`Code::GraphUnsupported`] for a decoder that takes no target ids.
    pub fn add_loss(self, graph: &mut GraphProto, bundle: &Bundle) -> Result<()> {
        let value = match self.kind {
            TaskKind::Classification => classification::add_loss(graph),
            TaskKind::MultiLabel => multi_label::add_loss(graph),
            TaskKind::Regression => regression::add_loss(graph),
            TaskKind::TokenClassification => token::add_loss(graph),
            TaskKind::IntentAndSlots => token::add_joint_loss(graph),
            TaskKind::SequenceToSequence => sequence::add_loss(graph, bundle)?,
        };
        loss::set(graph, &value);
        Ok(())
    }

    /// Encodes a target.
    ///
    /// # Errors
    /// [`Code::TaskKind`] for a target of another kind, [`Code::TaskUnknownLabel`] for a label or
    /// tag that the adapter does not have; those of [`sequence::encode_target`].
    pub fn target(
        self,
        bundle: &Bundle,
        adapter: &Adapter,
        input: &Encoded,
        target: &Target,
    ) -> Result<EncodedTarget> {
        self.check("a target", target.kind())?;
        let label = |name: &String| position("label", &adapter.labels, name);
        Ok(match target {
            Target::Classification(name) => EncodedTarget::Classification(label(name)?),
            Target::MultiLabel(names) => {
                EncodedTarget::MultiLabel(names.iter().map(label).collect::<Result<_>>()?)
            }
            Target::Regression(Number(number)) => {
                EncodedTarget::Regression(regression::encode_target(adapter, *number))
            }
            Target::TokenClassification(tags) => {
                EncodedTarget::TokenClassification(token::encode_tags(adapter, input, tags)?)
            }
            Target::IntentAndSlots { label: name, tags } => EncodedTarget::IntentAndSlots(
                label(name)?,
                token::encode_tags(adapter, input, tags)?,
            ),
            Target::SequenceToSequence(text) => {
                EncodedTarget::SequenceToSequence(sequence::encode_target(bundle, text)?)
            }
        })
    }

    /// The values of the inputs that [`Task::add_loss`] added, for the samples of one run.
    ///
    /// # Errors
    /// [`Code::Internal`] for samples of another kind of task.
    pub fn target_values(
        self,
        adapter: &Adapter,
        samples: &[&Sample],
        totals: &Totals,
    ) -> Result<TargetValues> {
        let targets = samples.iter().map(|sample| &sample.target);
        let inputs: Vec<&Encoded> = samples.iter().map(|sample| &sample.input).collect();
        let tag_values =
            |tags: Vec<&[usize]>| token::target_values(&adapter.tags, &inputs, &tags, totals);
        let outputs_count = adapter.labels.len();
        match self.kind {
            TaskKind::Classification => {
                let labels = every!(targets, EncodedTarget::Classification(label) => *label)?;
                Ok(vec![classification::target_values(outputs_count, &labels, totals)?])
            }
            TaskKind::MultiLabel => {
                let labels = every!(targets, EncodedTarget::MultiLabel(labels) => &labels[..])?;
                multi_label::target_values(outputs_count, &labels, totals)
            }
            TaskKind::Regression => {
                let numbers = every!(targets, EncodedTarget::Regression(number) => *number)?;
                regression::target_values(numbers, totals)
            }
            TaskKind::TokenClassification => {
                let tags = every!(targets, EncodedTarget::TokenClassification(tags) => &tags[..])?;
                Ok(vec![tag_values(tags)?])
            }
            TaskKind::IntentAndSlots => {
                let both = every!(targets, EncodedTarget::IntentAndSlots(l, t) => (*l, &t[..]))?;
                let (labels, tags): (Vec<usize>, Vec<&[usize]>) = both.into_iter().unzip();
                let labels = classification::target_values(outputs_count, &labels, totals)?;
                Ok(vec![labels, tag_values(tags)?])
            }
            TaskKind::SequenceToSequence => {
                let texts = every!(targets, EncodedTarget::SequenceToSequence(ids) => &ids[..])?;
                sequence::target_values(&texts, totals)
            }
        }
    }

    /// The outputs that the task needs from a run.
    pub fn request(self) -> Request {
        match self.kind {
            TaskKind::Classification | TaskKind::MultiLabel | TaskKind::Regression => {
                Request::Outputs(&[LOGITS])
            }
            TaskKind::TokenClassification => Request::Outputs(&[TAG_LOGITS]),
            TaskKind::IntentAndSlots => Request::Outputs(&[LOGITS, TAG_LOGITS]),
            TaskKind::SequenceToSequence => Request::Text,
        }
    }

    /// Decodes the raw outputs of a run into one output per input, in their order.
    ///
    /// # Errors
    /// [`Code::RuntimeNotFinite`] for numbers that are not finite, [`Code::Internal`] for outputs
    /// of another shape.
    pub fn decode(
        self,
        adapter: &Adapter,
        inputs: &[&Encoded],
        raw: RawOutputs,
    ) -> Result<Vec<TaskOutput>> {
        let (labels, count) = (&adapter.labels, inputs.len());
        match self.kind {
            TaskKind::Classification | TaskKind::MultiLabel | TaskKind::Regression => {
                let [logits] = raw.tensors()?;
                let output = |row: &[f32]| match self.kind {
                    TaskKind::Regression => {
                        regression::decode(adapter, row).map(TaskOutput::Regression)
                    }
                    TaskKind::MultiLabel => {
                        Ok(TaskOutput::MultiLabel(multi_label::decode(labels, row)))
                    }
                    _ => Ok(TaskOutput::Classification(classification::decode(labels, row))),
                };
                sentence::rows(labels, count, &logits)?.map(output).collect()
            }
            TaskKind::TokenClassification => {
                let [logits] = raw.tensors()?;
                let tagged = token::decode(&adapter.tags, inputs, &logits)?;
                Ok(tagged.into_iter().map(TaskOutput::TokenClassification).collect())
            }
            TaskKind::IntentAndSlots => {
                let [logits, tag_logits] = raw.tensors()?;
                let rows = sentence::rows(labels, count, &logits)?;
                let tagged = token::decode(&adapter.tags, inputs, &tag_logits)?;
                let output = |(row, tagging): (&[f32], Tagging)| {
                    TaskOutput::IntentAndSlots(classification::decode(labels, row), tagging)
                };
                Ok(rows.zip(tagged).map(output).collect())
            }
            TaskKind::SequenceToSequence => {
                Ok(raw.texts()?.into_iter().map(TaskOutput::SequenceToSequence).collect())
            }
        }
    }

    /// Refuses a value of another kind of task.
    ///
    /// # Errors
    /// [`Code::TaskKind`] naming both kinds.
    pub fn check(self, what: &str, found: TaskKind) -> Result<()> {
        if found == self.kind {
            return Ok(());
        }
        let message = format!("expected {what} of {}, found one of {found}", self.kind);
        Err(Error::new(Code::TaskKind, message))
    }
}

fn another_kind() -> Error {
    Error::new(Code::Internal, "found an example of another kind of task")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_combination_is_an_error() {
        let adapter = Adapter::headless(String::new(), Vec::new(), Default::default());
        let task = Task::of(TaskKind::Regression);
        let (number, label) = (Target::Regression(Number(1.0)), Target::Classification("a".into()));
        let output = TaskOutput::Regression(1.0);
        assert_eq!(task.score(&adapter, &output, &number).unwrap(), 1.0);
        let error = task.score(&adapter, &output, &label).unwrap_err();
        assert_eq!(error.code(), Code::TaskKind);
        let expected = "expected a target of regression, found one of classification";
        assert_eq!(error.message(), expected);
        let other = TaskOutput::Classification(Vec::new());
        assert_eq!(task.score(&adapter, &other, &number).unwrap_err().code(), Code::TaskKind);
        assert_eq!(task.metrics(&adapter, &[output], &[number]).unwrap().len(), 1);
        assert!(task.metrics(&adapter, &[other], &[label]).is_err());
        assert!(task.decode(&adapter, &[], RawOutputs::Texts(Vec::new())).is_err());
    }
}
