//! The prediction objects and what every kind of task puts into them.
//!
//! What a task of the prediction's kind does not give is empty.

use super::object::{find, free, read};
use super::text::{StringView, Text};
use crate::example::TaskKind;
use crate::model::{
    GeneratedText, LabelScore, Prediction, TaggedSpan, TaggedWord, Tagging, TaskOutput,
};

/// The output of a task for one input: labels, a number, tags or a text, depending on
/// `polygraft_prediction_kind`. Accessors of what the kind does not have return nothing.
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
        let mut object = Self {
            kind: kind_to_c(prediction.output.kind()),
            labels: Vec::new(),
            number: f64::NAN,
            words: Vec::new(),
            spans: Vec::new(),
            generated: None,
            language: Text::new(prediction.language.as_str()),
            version: prediction.version,
            truncated: prediction.truncated,
        };
        match prediction.output {
            TaskOutput::Classification(labels) | TaskOutput::MultiLabel(labels) => {
                object.set_labels(labels);
            }
            TaskOutput::Regression(number) => object.number = number,
            TaskOutput::TokenClassification(tagging) => object.set_tagging(tagging),
            TaskOutput::IntentAndSlots(labels, tagging) => {
                object.set_labels(labels);
                object.set_tagging(tagging);
            }
            TaskOutput::SequenceToSequence(made) => {
                object.generated = Some((Text::new(made.text.as_str()), made));
            }
        }
        object
    }

    fn set_labels(&mut self, labels: Vec<LabelScore>) {
        let labels = labels.into_iter();
        self.labels = labels.map(|one| (Text::new(one.label), one.probability)).collect();
    }

    fn set_tagging(&mut self, Tagging { words, spans }: Tagging) {
        let words = words.into_iter();
        self.words = words.map(|word| (Text::new(word.tag.as_str()), word)).collect();
        let spans = spans.into_iter();
        self.spans = spans.map(|span| (Text::new(span.kind.as_str()), span)).collect();
    }
}

/// Classification: exactly one of several labels applies.
pub const POLYGRAFT_TASK_CLASSIFICATION: u32 = 1;
/// Multi-label classification: any number of labels applies.
pub const POLYGRAFT_TASK_MULTI_LABEL: u32 = 2;
/// Regression: a number.
pub const POLYGRAFT_TASK_REGRESSION: u32 = 3;
/// Token classification: a tag for each word.
pub const POLYGRAFT_TASK_TOKEN_CLASSIFICATION: u32 = 4;
/// Joint intent and slots: a label of the whole input and a tag for each word.
pub const POLYGRAFT_TASK_INTENT_AND_SLOTS: u32 = 5;
/// Sequence to sequence: a generated text.
pub const POLYGRAFT_TASK_SEQUENCE_TO_SEQUENCE: u32 = 6;

/// The number of a kind of task in C.
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

/// Returns the kind of task that a prediction comes from, one of `POLYGRAFT_TASK_*`; 0 for NULL.
///
/// Ownership: the caller keeps `prediction`.
/// Threads: may be called concurrently on one prediction.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_prediction_kind(prediction: *const PredictionObject) -> u32 {
    // SAFETY: the caller passes NULL or a prediction of this library that is not freed.
    unsafe { read(prediction, 0, |object| object.kind) }
}

/// Returns the number of labels of a prediction; 0 for NULL.
///
/// Ownership: the caller keeps `prediction`.
/// Threads: may be called concurrently on one prediction.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_prediction_labels_count(
    prediction: *const PredictionObject,
) -> usize {
    // SAFETY: the caller passes NULL or a prediction of this library that is not freed.
    unsafe { read(prediction, 0, |object| object.labels.len()) }
}

/// Returns one label. Label 0 is the most probable one. NULL and an `index` past the end give an
/// empty text.
///
/// Ownership: the view is valid until `prediction` is freed.
/// Threads: may be called concurrently on one prediction.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_prediction_label(
    prediction: *const PredictionObject,
    index: usize,
) -> StringView {
    // SAFETY: the caller passes NULL or a prediction of this library that is not freed.
    unsafe {
        find(prediction, StringView::EMPTY, |object| Some(object.labels.get(index)?.0.view()))
    }
}

/// Returns the probability of one label, from 0 to 1; 0 for NULL and for an `index` past the end.
///
/// In classification label 0 applies, and the probabilities of all labels sum to 1. In multi-label
/// classification (`POLYGRAFT_TASK_MULTI_LABEL`) each label has a probability of its own, and
/// labels with a probability of at least 0.5 apply.
///
/// Ownership: the caller keeps `prediction`.
/// Threads: may be called concurrently on one prediction.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_prediction_probability(
    prediction: *const PredictionObject,
    index: usize,
) -> f32 {
    // SAFETY: the caller passes NULL or a prediction of this library that is not freed.
    unsafe { find(prediction, 0.0, |object| Some(object.labels.get(index)?.1)) }
}

/// Returns the number of a prediction; NaN for NULL and for other kinds of tasks.
///
/// Ownership: the caller keeps `prediction`.
/// Threads: may be called concurrently on one prediction.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_prediction_number(prediction: *const PredictionObject) -> f64 {
    // SAFETY: the caller passes NULL or a prediction of this library that is not freed.
    unsafe { read(prediction, f64::NAN, |object| object.number) }
}

/// Returns the language whose version was used: the requested language, or the one that it fell
/// back to; an empty text for NULL.
///
/// Ownership: the view is valid until `prediction` is freed.
/// Threads: may be called concurrently on one prediction.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_prediction_language(
    prediction: *const PredictionObject,
) -> StringView {
    // SAFETY: the caller passes NULL or a prediction of this library that is not freed.
    unsafe { read(prediction, StringView::EMPTY, |object| object.language.view()) }
}

/// Returns the number of the version that was used; 0 for NULL.
///
/// Ownership: the caller keeps `prediction`.
/// Threads: may be called concurrently on one prediction.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_prediction_version(prediction: *const PredictionObject) -> u32 {
    // SAFETY: the caller passes NULL or a prediction of this library that is not freed.
    unsafe { read(prediction, 0, |object| object.version) }
}

/// Returns 1 if the input was longer than the model reads and was therefore truncated, else 0; 0
/// for NULL.
///
/// Ownership: the caller keeps `prediction`.
/// Threads: may be called concurrently on one prediction.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_prediction_truncated(prediction: *const PredictionObject) -> u8 {
    // SAFETY: the caller passes NULL or a prediction of this library that is not freed.
    unsafe { read(prediction, 0, |object| u8::from(object.truncated)) }
}

/// Frees a prediction and sets `*prediction` to NULL. NULL and a pointer to NULL do nothing.
/// Predictions of a batch are freed with the batch and never with this function.
///
/// Ownership: the function consumes `*prediction`; views into it become invalid.
/// Threads: exclusive: no other thread may be using this prediction.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_prediction_free(prediction: *mut *mut PredictionObject) {
    // SAFETY: the caller passes NULL or a pointer to NULL or to a prediction it owns.
    unsafe { free(prediction) }
}

/// Returns the number of predictions in a batch; 0 for NULL.
///
/// Ownership: the caller keeps `predictions`.
/// Threads: may be called concurrently on one batch.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_predictions_count(
    predictions: *const PredictionsObject,
) -> usize {
    // SAFETY: the caller passes NULL or a batch of this library that is not freed.
    unsafe { read(predictions, 0, |object| object.0.len()) }
}

/// Returns one prediction of a batch; NULL for NULL and for an `index` past the end.
///
/// Ownership: the prediction belongs to the batch and is valid until the batch is freed; the caller
/// does not free it.
/// Threads: may be called concurrently on one batch.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_predictions_get(
    predictions: *const PredictionsObject,
    index: usize,
) -> *const PredictionObject {
    // SAFETY: the caller passes NULL or a batch of this library that is not freed.
    unsafe {
        find(predictions, std::ptr::null(), |object| object.0.get(index).map(std::ptr::from_ref))
    }
}

/// Frees a batch and sets `*predictions` to NULL. NULL and a pointer to NULL do nothing.
///
/// Ownership: the function consumes `*predictions`; its predictions and views into them become
/// invalid.
/// Threads: exclusive: no other thread may be using this batch.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_predictions_free(predictions: *mut *mut PredictionsObject) {
    // SAFETY: the caller passes NULL or a pointer to NULL or to a batch it owns.
    unsafe { free(predictions) }
}
