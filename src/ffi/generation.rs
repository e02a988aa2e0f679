//! Generated texts: emitted while they grow, and read from a prediction.

use super::boundary::give_object;
use super::error::{ErrorObject, Status};
use super::model::ModelHandle;
use super::object::find;
use super::predict::{Call, PredictOptions, read_options};
use super::prediction::PredictionObject;
use super::text::{StringView, Text, text};
use crate::model::{FinishReason, GeneratedText};
use std::ffi::{c_char, c_int, c_void};
use std::ops::ControlFlow;

/// The prediction is not a generated text.
pub const POLYGRAFT_FINISH_NONE: u32 = 0;
/// The model generated an end token.
pub const POLYGRAFT_FINISH_END: u32 = 1;
/// The text reached the maximum number of tokens.
pub const POLYGRAFT_FINISH_LENGTH: u32 = 2;
/// The text reached a stop string, or the callback ended it.
pub const POLYGRAFT_FINISH_STOPPED: u32 = 3;
/// The cancel token was triggered; the prediction has the text as far as it was generated.
pub const POLYGRAFT_FINISH_CANCELLED: u32 = 4;

/// A function that receives each new chunk of a generated text. A chunk consists of whole
/// characters. The function runs on the thread that called `polygraft_model_generate`, and the view
/// is valid until it returns. It returns 0 to continue and any other value to end the text there.
/// It must return normally: exceptions and longjmp may not leave it. It may call every function of
/// the library.
pub type ChunkCallback =
    Option<unsafe extern "C" fn(chunk: StringView, user: *mut c_void) -> c_int>;

/// Generates a text for one text, as `polygraft_model_predict` does, and passes it to a callback
/// while it grows. With several beams the whole text is passed at the end.
///
/// `options` may be NULL for the defaults. `on_chunk` may be NULL. `user` is passed to `on_chunk`
/// and is not read.
///
/// Ownership: the caller owns `*prediction` and frees it with `polygraft_prediction_free`.
/// Threads: may be called concurrently on one model. The callback runs on this thread.
/// Errors: as for `polygraft_model_predict`; task.kind for a task that does not generate texts.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_model_generate(
    model: *const ModelHandle,
    task: *const c_char,
    language: *const c_char,
    text_utf8: *const c_char,
    options: *const PredictOptions,
    prediction: *mut *mut PredictionObject,
    error: *mut *mut ErrorObject,
    on_chunk: ChunkCallback,
    user: *mut c_void,
) -> Status {
    let mut emit = |chunk: &str| {
        let Some(callback) = on_chunk else { return ControlFlow::Continue(()) };
        let chunk = Text::new(chunk);
        // SAFETY: the caller passes a function of this type that returns normally, and `user` is
        // whatever that function expects.
        match unsafe { callback(chunk.view(), user) } {
            0 => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        }
    };
    // SAFETY: pointers are NULL or valid, and texts are NUL-terminated and do not change meanwhile.
    unsafe {
        give_object(error, "prediction", prediction, || {
            let Call { model, task, language } = Call::new(model, task, language)?;
            let input = text("text", text_utf8)?;
            let options = read_options(options)?;
            let made = model.generate(task, &language, input, &options, &mut emit)?;
            Ok(PredictionObject::new(made))
        })
    }
}

/// Reads one value of the generated text of a prediction; `fallback` if there is none.
///
/// # Safety
/// `prediction` is NULL or a prediction of this library that is not freed.
unsafe fn of_generated<V: Copy>(
    prediction: *const PredictionObject,
    fallback: V,
    read: impl FnOnce(&Text, &GeneratedText) -> V,
) -> V {
    // SAFETY: the same promise.
    unsafe {
        find(prediction, fallback, |object| {
            object.generated.as_ref().map(|(text, made)| read(text, made))
        })
    }
}

/// Returns the generated text of a prediction, without its end token or stop string; an empty text
/// for NULL and for other kinds of tasks.
///
/// Ownership: the view is valid until `prediction` is freed.
/// Threads: may be called concurrently on one prediction.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_prediction_text(
    prediction: *const PredictionObject,
) -> StringView {
    // SAFETY: the caller passes NULL or a prediction of this library that is not freed.
    unsafe { of_generated(prediction, StringView::EMPTY, |text, _| text.view()) }
}

/// Returns the sum of the log probabilities of a generated text's tokens; NaN for NULL and for
/// other kinds of tasks.
///
/// Ownership: the caller keeps `prediction`.
/// Threads: may be called concurrently on one prediction.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_prediction_log_probability(
    prediction: *const PredictionObject,
) -> f32 {
    // SAFETY: the caller passes NULL or a prediction of this library that is not freed.
    unsafe { of_generated(prediction, f32::NAN, |_, made| made.log_probability) }
}

/// Returns the number of tokens of a generated text, including the end token; 0 for NULL and for
/// other kinds of tasks.
///
/// Ownership: the caller keeps `prediction`.
/// Threads: may be called concurrently on one prediction.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_prediction_tokens_count(
    prediction: *const PredictionObject,
) -> usize {
    // SAFETY: the caller passes NULL or a prediction of this library that is not freed.
    unsafe { of_generated(prediction, 0, |_, made| made.ids.len()) }
}

/// Returns why a generated text ended, one of `POLYGRAFT_FINISH_*`; `POLYGRAFT_FINISH_NONE` for
/// NULL and for other kinds of tasks.
///
/// Ownership: the caller keeps `prediction`.
/// Threads: may be called concurrently on one prediction.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_prediction_finish_reason(
    prediction: *const PredictionObject,
) -> u32 {
    // SAFETY: the caller passes NULL or a prediction of this library that is not freed.
    unsafe {
        of_generated(prediction, POLYGRAFT_FINISH_NONE, |_, made| match made.finish_reason {
            FinishReason::End => POLYGRAFT_FINISH_END,
            FinishReason::Length => POLYGRAFT_FINISH_LENGTH,
            FinishReason::Stopped => POLYGRAFT_FINISH_STOPPED,
            FinishReason::Cancelled => POLYGRAFT_FINISH_CANCELLED,
        })
    }
}
