//! What a prediction gives back.

use super::gate::{free, gate_value, object};
use super::text::{StringView, Text};
use crate::example::TaskKind;
use crate::model::{GeneratedText, Prediction, TaggedSpan, TaggedWord};

/// The answer to one input: labels, a number, tags or a text, as `polygraft_prediction_kind` says.
/// What a kind of answer does not have is empty.
pub struct PredictionObject {
    kind: u32,
    labels: Vec<(Text, f32)>,
    number: f64,
    pub(super) words: Vec<(Text, TaggedWord)>,
    pub(super) spans: Vec<(Text, TaggedSpan)>,
    pub(super) generated: Option<(Text, GeneratedText)>,
    language: Text,
    version: u32,
    truncated: bool,
}

impl PredictionObject {
    pub(super) fn new(prediction: Prediction) -> Self {
        let given = prediction.given;
        let labels = given.labels.into_iter();
        let words = given.words.into_iter();
        let spans = given.spans.into_iter();
        Self {
            kind: kind_to_c(given.kind),
            labels: labels.map(|score| (Text::new(score.label), score.probability)).collect(),
            number: given.number.unwrap_or(f64::NAN),
            words: words.map(|word| (Text::new(word.tag.as_str()), word)).collect(),
            spans: spans.map(|span| (Text::new(span.kind.as_str()), span)).collect(),
            generated: given.text.map(|made| (Text::new(made.text.as_str()), made)),
            language: Text::new(prediction.language.as_str()),
            version: prediction.version,
            truncated: given.truncated,
        }
    }
}

/// Classification: one of several labels.
pub const POLYGRAFT_TASK_CLASSIFICATION: u32 = 1;
/// Multi-label classification: any number of labels.
pub const POLYGRAFT_TASK_MULTI_LABEL: u32 = 2;
/// Regression: a number.
pub const POLYGRAFT_TASK_REGRESSION: u32 = 3;
/// Token classification: a tag for each word.
pub const POLYGRAFT_TASK_TOKEN_CLASSIFICATION: u32 = 4;
/// Intent and slots: a label of the whole and a tag for each word.
pub const POLYGRAFT_TASK_INTENT_AND_SLOTS: u32 = 5;
/// Sequence to sequence: a text.
pub const POLYGRAFT_TASK_SEQUENCE_TO_SEQUENCE: u32 = 6;

/// The kind of a task as C names it.
fn kind_to_c(kind: TaskKind) -> u32 {
    match kind {
        TaskKind::Classification => POLYGRAFT_TASK_CLASSIFICATION,
        TaskKind::MultiLabel => POLYGRAFT_TASK_MULTI_LABEL,
        TaskKind::Regression => POLYGRAFT_TASK_REGRESSION,
        TaskKind::TokenClassification => POLYGRAFT_TASK_TOKEN_CLASSIFICATION,
        TaskKind::IntentAndSlots => POLYGRAFT_TASK_INTENT_AND_SLOTS,
        TaskKind::SequenceToSequence => POLYGRAFT_TASK_SEQUENCE_TO_SEQUENCE,
    }
}

/// The predictions of a batch, in the order of its inputs.
pub struct PredictionsObject(Vec<PredictionObject>);

impl PredictionsObject {
    pub(super) fn new(predictions: Vec<Prediction>) -> Self {
        Self(predictions.into_iter().map(PredictionObject::new).collect())
    }
}

/// The kind of task that a prediction is of, one of `POLYGRAFT_TASK_*`; 0 for NULL.
///
/// Ownership: borrows `prediction`.
/// Threads: may be called concurrently on one prediction.
/// Errors: none.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_prediction_kind(prediction: *const PredictionObject) -> u32 {
    // SAFETY: the caller passes NULL or a prediction of this library that is not freed.
    gate_value(0, || unsafe { object(prediction) }.map_or(0, |object| object.kind))
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
/// Where one label applies, the first one does and the probabilities of all sum to 1. Where any
/// number applies (`POLYGRAFT_TASK_MULTI_LABEL`), each label has a probability of its own, and those
/// of at least 0.5 apply.
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

/// The number of a prediction; NaN for NULL and for another kind of task.
///
/// Ownership: borrows `prediction`.
/// Threads: may be called concurrently on one prediction.
/// Errors: none.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_prediction_number(prediction: *const PredictionObject) -> f64 {
    gate_value(f64::NAN, || {
        // SAFETY: the caller passes NULL or a prediction of this library that is not freed.
        unsafe { object(prediction) }.map_or(f64::NAN, |object| object.number)
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

/// 1 if the input was longer than the model reads and was cut, else 0; 0 for NULL.
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
