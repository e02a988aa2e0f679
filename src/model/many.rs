//! Predicting inputs in many languages together, each with the version of its own language.

use super::{Model, PredictOptions, Prediction, encode_all};
use crate::error::Result;
use crate::evaluation::{self, Answering};
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
        let (served, which) = self.serve_all(task, languages)?;
        let encoded = encode_all(inputs, |position, (_, input)| {
            served[which[position]].task.encode(self.bundle(), input)
        })?;
        let answering: Vec<Answering<'_>> =
            served.iter().map(|one| Answering { task: one.task, adapter: &one.adapter }).collect();
        let outputs = evaluation::predict_many(
            &self.predictor,
            &answering,
            (&encoded, &which),
            &options.run(),
            &|position, error| served[position].named(error),
        )?;
        let predicted = outputs.into_iter().zip(&encoded).zip(&which);
        let predictions = predicted.map(|((output, input), &position)| {
            served[position].prediction(options.shown(output), input)
        });
        Ok(predictions.collect())
    }
}
