//! How good the outputs of a task are.

use super::{Task, another_kind};
use crate::adapter::Adapter;
use crate::error::Result;
use crate::example::{Target, TaskKind};
use crate::inference::RawOutputs;
use crate::task::sentence::{self, classification, multi_label, regression};
use crate::task::{Encoded, Metric, TaskOutput, sequence, token};

impl Task {
    /// The score of an output: 0 for wrong, 1 for right. The gate compares means over examples.
    ///
    /// # Errors
    /// [`Code::TaskKind`](crate::Code::TaskKind) for an output or a target of another kind.
    pub fn score(self, adapter: &Adapter, output: &TaskOutput, target: &Target) -> Result<f32> {
        self.check("an output", output.kind())?;
        self.check("a target", target.kind())?;
        let tags = &adapter.tags;
        Ok(match (output, target) {
            (TaskOutput::Classification(labels), Target::Classification(label)) => {
                classification::score(labels, label)
            }
            (TaskOutput::MultiLabel(scores), Target::MultiLabel(labels)) => {
                multi_label::score(scores, labels)
            }
            (TaskOutput::Regression(given), Target::Regression(number)) => {
                regression::score(adapter, *given, number.0)
            }
            (TaskOutput::TokenClassification(given), Target::TokenClassification(expected)) => {
                token::score(tags, given, expected)
            }
            (
                TaskOutput::IntentAndSlots(labels, given),
                Target::IntentAndSlots { label, tags: expected },
            ) => {
                let label = classification::score(labels, label);
                (label + token::score(tags, given, expected)) / 2.0
            }
            (TaskOutput::SequenceToSequence(given), Target::SequenceToSequence(expected)) => {
                sequence::score(&given.text, expected)
            }
            _ => return Err(another_kind()),
        })
    }

    /// The probability that a run gave to each target, 0 to 1: of the label, the mean over all
    /// labels of multi-label classification, the mean over words of tags, and the mean of label and
    /// tags where a target has both. `None` for a number and a text, whose score is graded already.
    /// A label or tag that the adapter does not have has the probability 0.
    ///
    /// # Errors
    /// [`Code::Internal`](crate::Code::Internal) for targets of another kind or outputs of another
    /// shape.
    pub fn target_probabilities(
        self,
        adapter: &Adapter,
        inputs: &[&Encoded],
        targets: &[&Target],
        raw: &RawOutputs,
    ) -> Result<Option<Vec<f32>>> {
        let (labels, tags) = (&adapter.labels, &adapter.tags);
        let rows = || sentence::rows(labels, inputs.len(), raw.values(0));
        let targets = targets.iter();
        Ok(Some(match self.kind {
            TaskKind::Classification => {
                let names = every!(targets, Target::Classification(label) => label)?;
                let pairs = rows()?.zip(names);
                pairs.map(|(row, name)| classification::probability(labels, row, name)).collect()
            }
            TaskKind::MultiLabel => {
                let sets = every!(targets, Target::MultiLabel(names) => names)?;
                rows()?
                    .zip(sets)
                    .map(|(row, set)| multi_label::probability(labels, row, set))
                    .collect()
            }
            TaskKind::TokenClassification => {
                let lists = every!(targets, Target::TokenClassification(tags) => &tags[..])?;
                token::probabilities(tags, inputs, &lists, raw.values(0))?
            }
            TaskKind::IntentAndSlots => {
                let (names, lists): (Vec<&String>, Vec<&[String]>) = every!(targets,
                    Target::IntentAndSlots { label, tags } => (label, &tags[..]))?
                .into_iter()
                .unzip();
                let of_tags = token::probabilities(tags, inputs, &lists, raw.values(1))?;
                let of_labels = rows()?
                    .zip(names)
                    .map(|(row, name)| classification::probability(labels, row, name));
                of_labels.zip(of_tags).map(|(label, tags)| (label + tags) / 2.0).collect()
            }
            TaskKind::Regression | TaskKind::SequenceToSequence => return Ok(None),
        }))
    }

    /// The usual metrics of the outputs of many inputs, the most informative first. A metric that
    /// is undefined for them is omitted.
    ///
    /// # Errors
    /// [`Code::Internal`](crate::Code::Internal) for outputs or targets of another kind.
    pub fn metrics(
        self,
        adapter: &Adapter,
        outputs: &[TaskOutput],
        targets: &[Target],
    ) -> Result<Vec<Metric>> {
        let pairs = targets.iter().zip(outputs);
        Ok(match self.kind {
            TaskKind::Classification => classification::metrics(&every!(pairs,
                (Target::Classification(label), TaskOutput::Classification(labels)) =>
                    (label.as_str(), classification::best(labels)))?),
            TaskKind::MultiLabel => multi_label::metrics(&every!(pairs,
                (Target::MultiLabel(labels), TaskOutput::MultiLabel(scores)) =>
                    (&labels[..], &scores[..]))?),
            TaskKind::Regression => regression::metrics(&every!(pairs,
                (Target::Regression(number), TaskOutput::Regression(given)) =>
                    (number.0, *given))?),
            TaskKind::TokenClassification => token::metrics(
                &adapter.tags,
                &every!(pairs,
                (Target::TokenClassification(tags), TaskOutput::TokenClassification(given)) =>
                    (&tags[..], given))?,
            ),
            TaskKind::IntentAndSlots => {
                let (labels, tags): (Vec<_>, Vec<_>) = every!(pairs,
                    (Target::IntentAndSlots { label, tags },
                     TaskOutput::IntentAndSlots(labels, given)) =>
                        ((label.as_str(), classification::best(labels)), (&tags[..], given)))?
                .into_iter()
                .unzip();
                let accuracy = sentence::score::accuracy(&labels);
                let mut metrics = Metric::known([("label_accuracy", accuracy)]);
                metrics.extend(token::metrics(&adapter.tags, &tags));
                metrics
            }
            TaskKind::SequenceToSequence => sequence::metrics(&every!(pairs,
                (Target::SequenceToSequence(text), TaskOutput::SequenceToSequence(given)) =>
                    (text.as_str(), given.text.as_str()))?),
        })
    }
}
