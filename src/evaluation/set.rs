//! Labelled examples that adapters are scored on, tokenized once for all of them.
//!
//! This module must never tokenize an example twice.

use super::predict;
use crate::bundle::Bundle;
use crate::error::Result;
use crate::example::{Example, Target};
use crate::inference::{LoadedAdapter, Predictor, RunOptions};
use crate::language::Language;
use crate::task::{Encoded, Metric, Task, TaskOutput, mean};
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// The examples of every language. Their order is the same for all adapters.
pub struct EvaluationSet {
    task: Task,
    languages: BTreeMap<Language, Examples>,
}

/// The examples of one language.
#[derive(Default)]
struct Examples {
    inputs: Vec<Encoded>,
    targets: Vec<Target>,
    in_report_split: Vec<bool>,
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
        Self { task, languages: BTreeMap::new() }
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
    /// As [`predict`].
    pub fn scores(
        &self,
        predictor: &Predictor,
        adapter: &LoadedAdapter,
        language: &Language,
        progress: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<Vec<f32>> {
        self.score(predictor, adapter, language, progress, |scores, _, _| Ok(scores))
    }

    /// The mean score of an adapter on the examples of a language, and the metrics.
    ///
    /// # Errors
    /// As [`predict`].
    pub fn evaluate(
        &self,
        predictor: &Predictor,
        adapter: &LoadedAdapter,
        language: &Language,
        progress: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<Evaluation> {
        self.score(predictor, adapter, language, progress, |scores, outputs, targets| {
            let metrics = self.task.metrics(adapter.adapter(), outputs, targets)?;
            let score = mean(scores.into_iter().map(f64::from)).unwrap_or(0.0);
            Ok(Evaluation { score, metrics })
        })
    }

    /// Predicts and scores the examples of a language; `finish` receives the scores, outputs and
    /// targets.
    fn score<T>(
        &self,
        predictor: &Predictor,
        adapter: &LoadedAdapter,
        language: &Language,
        progress: &mut dyn FnMut(usize) -> ControlFlow<()>,
        finish: impl FnOnce(Vec<f32>, &[TaskOutput], &[Target]) -> Result<T>,
    ) -> Result<T> {
        let (inputs, targets): (&[Encoded], &[Target]) = match self.languages.get(language) {
            Some(examples) => (&examples.inputs, &examples.targets),
            None => (&[], &[]),
        };
        let options = RunOptions::default();
        let outputs = predict(predictor, self.task, adapter, inputs, &options, progress)?;
        let pairs = outputs.iter().zip(targets);
        let scores =
            pairs.map(|(output, target)| self.task.score(adapter.adapter(), output, target));
        finish(scores.collect::<Result<_>>()?, &outputs, targets)
    }
}
