//! Labelled examples that adapters are scored on, tokenized once for all of them.
//!
//! This module must never tokenize an example twice.

use super::{all, run_all};
use crate::bundle::Bundle;
use crate::error::Result;
use crate::example::{Example, Target};
use crate::inference::{LoadedAdapter, LowerStates, Predictor, RunOptions};
use crate::language::Language;
use crate::task::{Encoded, Metric, Task, TaskOutput, mean};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

/// The examples of every language. Their order is the same for all adapters.
pub struct EvaluationSet {
    task: Task,
    languages: BTreeMap<Language, Examples>,
    lower: Option<Arc<LowerStates>>,
}

/// The examples of one language.
#[derive(Default)]
struct Examples {
    inputs: Vec<Encoded>,
    targets: Vec<Target>,
    in_report_split: Vec<bool>,
}

/// How well an adapter does on one example.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ExampleScore {
    /// The score of the output, 0 for wrong to 1 for right.
    pub score: f32,
    /// The probability that the model gave to the target; absent for a task that has none, see
    /// [`Task::target_probabilities`].
    pub probability: Option<f32>,
}

impl ExampleScore {
    /// The score of an example when an output of the adapter was not finite.
    pub const NOT_FINITE: Self = Self { score: f32::NAN, probability: None };

    /// Whether the outputs of the adapter were finite.
    pub fn is_finite(&self) -> bool {
        self.score.is_finite() && self.probability.is_none_or(f32::is_finite)
    }
}

/// The result of an adapter on the examples of a language.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// The mean score, 0 to 1; 0 without examples.
    pub score: f64,
    /// The usual metrics of the task, the most informative first.
    pub metrics: Vec<Metric>,
}

impl Evaluation {
    /// The value of a metric; `None` where nothing can be said about it.
    pub fn metric(&self, name: &str) -> Option<f64> {
        self.metrics.iter().find(|metric| metric.name == name).map(|metric| metric.value)
    }

    /// The mean over languages, which count the same however many examples they have: the score,
    /// and each metric over the languages that have it, in the order in which they come.
    pub fn mean<'a>(languages: impl Iterator<Item = &'a Self> + Clone) -> Self {
        let mut metrics: Vec<Metric> = Vec::new();
        for Metric { name, .. } in languages.clone().flat_map(|one| &one.metrics) {
            let values = languages.clone().filter_map(|one| one.metric(name));
            if metrics.iter().all(|known| known.name != *name) {
                metrics.extend(mean(values).map(|value| Metric { name, value }));
            }
        }
        let score = mean(languages.map(|one| one.score)).unwrap_or(0.0);
        Self { score, metrics }
    }
}

impl EvaluationSet {
    /// An empty set for a task.
    pub fn new(task: Task) -> Self {
        Self { task, languages: BTreeMap::new(), lower: None }
    }

    /// Adds an example of the report split, or else of the selection split; returns its encoded
    /// input.
    ///
    /// # Errors
    /// As [`Task::encode`].
    pub fn add(
        &mut self,
        bundle: &Bundle,
        example: &Example,
        in_report_split: bool,
    ) -> Result<&Encoded> {
        let input = self.task.encode(bundle, &example.input)?;
        let examples = self.languages.entry(example.language.clone()).or_default();
        examples.targets.push(example.target.clone());
        examples.in_report_split.push(in_report_split);
        let position = examples.inputs.len();
        examples.inputs.push(input);
        Ok(&examples.inputs[position])
    }

    /// Runs adapters that fit from kept hidden states of the examples on.
    pub fn start_from(&mut self, lower: Option<Arc<LowerStates>>) {
        self.lower = lower;
    }

    /// The languages that have examples.
    pub fn languages(&self) -> impl Iterator<Item = &Language> {
        self.languages.keys()
    }

    /// Which of a language's examples are of the report split.
    pub fn is_in_report_split(&self, language: &Language) -> &[bool] {
        self.languages.get(language).map_or(&[], |examples| &examples.in_report_split)
    }

    /// How many examples a language has.
    pub fn examples_count(&self, language: &Language) -> usize {
        self.is_in_report_split(language).len()
    }

    /// The score of an adapter on each example of a language. `progress` receives the number of
    /// finished examples and may break.
    ///
    /// # Errors
    /// As [`predict`](super::predict).
    pub fn scores(
        &self,
        predictor: &Predictor,
        adapter: &LoadedAdapter,
        language: &Language,
        progress: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<Vec<ExampleScore>> {
        let outputs = self.outputs(predictor, adapter, language, progress)?;
        Ok(outputs.into_iter().map(|(_, score)| score).collect())
    }

    /// The mean score of an adapter on the examples of a language, and the metrics.
    ///
    /// # Errors
    /// As [`predict`](super::predict).
    pub fn evaluate(
        &self,
        predictor: &Predictor,
        adapter: &LoadedAdapter,
        language: &Language,
        progress: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<Evaluation> {
        let outputs = self.outputs(predictor, adapter, language, progress)?;
        let (outputs, scores): (Vec<TaskOutput>, Vec<ExampleScore>) = outputs.into_iter().unzip();
        let targets = self.languages.get(language).map_or(&[][..], |examples| &examples.targets);
        let metrics = self.task.metrics(adapter.adapter(), &outputs, targets)?;
        let score = mean(scores.into_iter().map(|one| f64::from(one.score))).unwrap_or(0.0);
        Ok(Evaluation { score, metrics })
    }

    /// The output for each example of a language, with its score.
    fn outputs(
        &self,
        predictor: &Predictor,
        adapter: &LoadedAdapter,
        language: &Language,
        progress: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<Vec<(TaskOutput, ExampleScore)>> {
        let Some(Examples { inputs, targets, .. }) = self.languages.get(language) else {
            return Ok(Vec::new());
        };
        let (task, made) = (self.task, adapter.adapter());
        let inputs: Vec<&Encoded> = inputs.iter().collect();
        let mut outputs = vec![None; inputs.len()];
        let options = RunOptions { lower: self.lower.as_deref(), ..RunOptions::default() };
        run_all(
            predictor,
            task,
            adapter,
            &inputs,
            &options,
            progress,
            &mut |indices, chosen, raw| {
                let targets: Vec<&Target> = indices.iter().map(|&index| &targets[index]).collect();
                let probabilities = task.target_probabilities(made, chosen, &targets, &raw)?;
                let decoded = task.decode(made, chosen, raw)?;
                for (row, (output, &index)) in decoded.into_iter().zip(indices).enumerate() {
                    let score = task.score(made, &output, targets[row])?;
                    let probability = probabilities.as_ref().map(|found| found[row]);
                    outputs[index] = Some((output, ExampleScore { score, probability }));
                }
                Ok(())
            },
        )?;
        all(outputs)
    }
}
