//! What a prediction gives back.

use super::gate::{free, gate_value, object};
use super::text::{StringView, Text};
use crate::model::Prediction;

/// The labels of one text with their probabilities, the most probable first.
pub struct PredictionObject {
    labels: Vec<(Text, f32)>,
    language: Text,
    version: u32,
    truncated: bool,
}

impl PredictionObject {
    pub(super) fn new(prediction: Prediction) -> Self {
        let labels = prediction.given.labels.into_iter();
        Self {
            labels: labels.map(|score| (Text::new(score.label), score.probability)).collect(),
            language: Text::new(prediction.language.as_str()),
            version: prediction.version,
            truncated: prediction.given.truncated,
        }
    }
}

/// The predictions of a batch, in the order of its texts.
pub struct PredictionsObject(Vec<PredictionObject>);

impl PredictionsObject {
    pub(super) fn new(predictions: Vec<Prediction>) -> Self {
        Self(predictions.into_iter().map(PredictionObject::new).collect())
    }
}

/// How many labels a prediction has; 0 for NULL.
///
/// Ownership: borrows `prediction`.
/// Threads: may be called concurrently on one prediction.
/// Errors: none.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_prediction_labels_count(
    prediction: *const PredictionObject,
) -> usize {
    // SAFETY: the caller passes NULL or a prediction of this library that is not freed.
    gate_value(0, || unsafe { object(prediction) }.map_or(0, |object| object.labels.len()))
}

/// One label, 0 being the most probable; empty for NULL and past the end.
///
/// Ownership: the view is valid until `prediction` is freed.
/// Threads: may be called concurrently on one prediction.
/// Errors: none.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_prediction_label(
    prediction: *const PredictionObject,
    index: usize,
) -> StringView {
    gate_value(StringView::EMPTY, || {
        // SAFETY: the caller passes NULL or a prediction of this library that is not freed.
        let entry = unsafe { object(prediction) }.and_then(|object| object.labels.get(index));
        entry.map_or(StringView::EMPTY, |(label, _)| label.view())
    })
}

/// The probability of one label, 0 to 1; 0 for NULL and past the end.
///
/// Ownership: borrows `prediction`.
/// Threads: may be called concurrently on one prediction.
/// Errors: none.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_prediction_probability(
    prediction: *const PredictionObject,
    index: usize,
) -> f32 {
    gate_value(0.0, || {
        // SAFETY: the caller passes NULL or a prediction of this library that is not freed.
        let entry = unsafe { object(prediction) }.and_then(|object| object.labels.get(index));
        entry.map_or(0.0, |&(_, probability)| probability)
    })
}

/// The language whose version answered: the one asked for, or the one it fell back to; empty for
/// NULL.
///
/// Ownership: the view is valid until `prediction` is freed.
/// Threads: may be called concurrently on one prediction.
/// Errors: none.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_prediction_language(
    prediction: *const PredictionObject,
) -> StringView {
    gate_value(StringView::EMPTY, || {
        // SAFETY: the caller passes NULL or a prediction of this library that is not freed.
        unsafe { object(prediction) }.map_or(StringView::EMPTY, |object| object.language.view())
    })
}

/// The number of the version that answered; 0 for NULL.
///
/// Ownership: borrows `prediction`.
/// Threads: may be called concurrently on one prediction.
/// Errors: none.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_prediction_version(prediction: *const PredictionObject) -> u32 {
    // SAFETY: the caller passes NULL or a prediction of this library that is not freed.
    gate_value(0, || unsafe { object(prediction) }.map_or(0, |object| object.version))
}

/// 1 if the text was longer than the model reads and was cut, else 0; 0 for NULL.
///
/// Ownership: borrows `prediction`.
/// Threads: may be called concurrently on one prediction.
/// Errors: none.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_prediction_truncated(prediction: *const PredictionObject) -> u8 {
    gate_value(0, || {
        // SAFETY: the caller passes NULL or a prediction of this library that is not freed.
        unsafe { object(prediction) }.map_or(0, |object| u8::from(object.truncated))
    })
}

/// Frees a prediction and sets `*prediction` to NULL. NULL and a pointer to NULL do nothing.
/// Predictions of a batch are freed with it, never here.
///
/// Ownership: takes `*prediction`; every view into it ends.
/// Threads: exclusive: no other thread may be using this prediction.
/// Errors: none.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_prediction_free(prediction: *mut *mut PredictionObject) {
    // SAFETY: the caller passes NULL or a pointer to NULL or to a prediction it owns.
    unsafe { free(prediction) }
}

/// How many predictions a batch has; 0 for NULL.
///
/// Ownership: borrows `predictions`.
/// Threads: may be called concurrently on one batch.
/// Errors: none.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_predictions_count(
    predictions: *const PredictionsObject,
) -> usize {
    // SAFETY: the caller passes NULL or a batch of this library that is not freed.
    gate_value(0, || unsafe { object(predictions) }.map_or(0, |object| object.0.len()))
}

/// One prediction of a batch; NULL for NULL and past the end.
///
/// Ownership: the prediction is borrowed from the batch and ends with it; do not free it.
/// Threads: may be called concurrently on one batch.
/// Errors: none.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_predictions_get(
    predictions: *const PredictionsObject,
    index: usize,
) -> *const PredictionObject {
    gate_value(std::ptr::null(), || {
        // SAFETY: the caller passes NULL or a batch of this library that is not freed.
        let prediction = unsafe { object(predictions) }.and_then(|object| object.0.get(index));
        prediction.map_or(std::ptr::null(), std::ptr::from_ref)
    })
}

/// Frees a batch and sets `*predictions` to NULL. NULL and a pointer to NULL do nothing.
///
/// Ownership: takes `*predictions`; its predictions and every view into them end.
/// Threads: exclusive: no other thread may be using this batch.
/// Errors: none.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_predictions_free(predictions: *mut *mut PredictionsObject) {
    // SAFETY: the caller passes NULL or a pointer to NULL or to a batch it owns.
    unsafe { free(predictions) }
}
