//! Predicting inputs in many languages together, each with the version of its own language.

use super::{Model, PredictOptions, Prediction, encode_all};
use crate::error::Result;
use crate::evaluation::{self, AssignedInputs, TaskAdapter};
use crate::example::Input;
use crate::language::Language;

impl Model {
    /// Predicts several inputs, each in its own language, with the version that serves that
    /// language when the call begins. The predictions are those of one call of [`Model::predict`]
    /// per input, in the order of the inputs, in less time.
    ///
    /// # Errors
    /// As [`Model::predict`]; an error about an input names its position.
    pub fn predict_many(
        &self,
        task: &str,
        inputs: &[(Language, Input)],
        options: &PredictOptions,
    ) -> Result<Vec<Prediction>> {
        let languages = inputs.iter().map(|(language, _)| language);
        let (served, adapter_of) = self.serve_all(task, languages)?;
        let encoded = encode_all(inputs, |position, (_, input)| {
            served[adapter_of[position]].task.encode(self.bundle(), input)
        })?;
        let adapters: Vec<TaskAdapter<'_>> = served
            .iter()
            .map(|one| TaskAdapter { task: one.task, adapter: &one.adapter })
            .collect();
        let outputs = evaluation::predict_many(
            &self.predictor,
            AssignedInputs { inputs: &encoded, adapters: &adapters, adapter_of: &adapter_of },
            &options.run(),
            &|adapter, error| served[adapter].named(error),
        )?;
        let predicted = outputs.into_iter().zip(&encoded).zip(&adapter_of);
        let predictions = predicted.map(|((output, input), &position)| {
            served[position].prediction(options.shown(output), input)
        });
        Ok(predictions.collect())
    }
}
