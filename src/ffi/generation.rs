//! Texts that a model writes: handed out while they grow, and what came out.

use super::error::ErrorObject;
use super::gate::{Out, Status, gate, gate_value, object};
use super::model::ModelHandle;
use super::predict::{Call, PredictOptions, read_options};
use super::prediction::PredictionObject;
use super::text::{StringView, Text, text};
use crate::model::{Finish, GeneratedText};
use std::ffi::{c_char, c_int, c_void};
use std::ops::ControlFlow;

/// The prediction is no text.
pub const POLYGRAFT_FINISH_NONE: u32 = 0;
/// The model gave a token that ends a text.
pub const POLYGRAFT_FINISH_END: u32 = 1;
/// The limit of tokens was reached.
pub const POLYGRAFT_FINISH_LENGTH: u32 = 2;
/// One of the texts to stop at was there, or the callback ended it.
pub const POLYGRAFT_FINISH_STOPPED: u32 = 3;
/// The cancel token was triggered; the text is what there was.
pub const POLYGRAFT_FINISH_CANCELLED: u32 = 4;

/// Called with each new piece of a text, whole characters, on the thread that called
/// `polygraft_model_generate`. The view ends when the callback returns. Return 0 to go on, anything
/// else to end the text there. It must return normally: no exception, no longjmp. It may call every
/// function.
pub type PieceCallback =
    Option<unsafe extern "C" fn(piece: StringView, user: *mut c_void) -> c_int>;

/// Answers one text with a text, like `polygraft_model_predict`, and hands it out while it grows.
/// With several beams the whole text comes at the end.
///
/// `options` may be NULL for the defaults. `on_piece` may be NULL; `user` is passed to it unread.
///
/// Ownership: gives `*prediction`; free it with `polygraft_prediction_free`.
/// Threads: may be called concurrently on one model. The callback runs on this thread.
/// Errors: as for `polygraft_model_predict`; task.kind for a task that does not give texts.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_model_generate(
    model: *const ModelHandle,
    task: *const c_char,
    language: *const c_char,
    text_utf8: *const c_char,
    options: *const PredictOptions,
    prediction: *mut *mut PredictionObject,
    error: *mut *mut ErrorObject,
    on_piece: PieceCallback,
    user: *mut c_void,
) -> Status {
    let mut hand_out = |piece: &str| {
        let Some(callback) = on_piece else { return ControlFlow::Continue(()) };
        let piece = Text::new(piece);
        // SAFETY: the caller passes a function of this type that returns normally, and `user` is
        // whatever that function expects.
        match unsafe { callback(piece.view(), user) } {
            0 => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        }
    };
    // SAFETY: the caller passes NULL or valid pointers; each is checked before use, texts are
    // NUL-terminated and unchanged during the call, handles are never dereferenced.
    unsafe {
        gate(error, || {
            let out = Out::new("prediction", prediction)?;
            let Call { model, task, language } = Call::new(model, task, language)?;
            let input = text("text", text_utf8)?;
            let options = read_options(options)?;
            let made = model.generate(task, &language, input, &options, &mut hand_out)?;
            out.write(Box::into_raw(Box::new(PredictionObject::new(made))));
            Ok(())
        })
    }
}

/// The generated text of a prediction, if it is one.
///
/// # Safety
/// `prediction` is NULL or a prediction of this library that is not freed during `'a`.
unsafe fn generated<'a>(prediction: *const PredictionObject) -> Option<&'a (Text, GeneratedText)> {
    // SAFETY: the same promise, passed on.
    unsafe { object(prediction) }.and_then(|object| object.generated.as_ref())
}

/// The text of a prediction, without what ended it; empty for NULL and for another kind of answer.
///
/// Ownership: the view is valid until `prediction` is freed.
/// Threads: may be called concurrently on one prediction.
/// Errors: none.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_prediction_text(
    prediction: *const PredictionObject,
) -> StringView {
    gate_value(StringView::EMPTY, || {
        // SAFETY: the caller passes NULL or a prediction of this library that is not freed.
        unsafe { generated(prediction) }.map_or(StringView::EMPTY, |(text, _)| text.view())
    })
}

/// The sum of the logarithms of the probabilities of a text's tokens; NaN for NULL and for another
/// kind of answer.
///
/// Ownership: borrows `prediction`.
/// Threads: may be called concurrently on one prediction.
/// Errors: none.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_prediction_log_probability(
    prediction: *const PredictionObject,
) -> f32 {
    gate_value(f32::NAN, || {
        // SAFETY: the caller passes NULL or a prediction of this library that is not freed.
        unsafe { generated(prediction) }.map_or(f32::NAN, |(_, made)| made.log_probability)
    })
}

/// How many tokens a text is, the end included; 0 for NULL and for another kind of answer.
///
/// Ownership: borrows `prediction`.
/// Threads: may be called concurrently on one prediction.
/// Errors: none.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_prediction_tokens_count(
    prediction: *const PredictionObject,
) -> usize {
    // SAFETY: the caller passes NULL or a prediction of this library that is not freed.
    gate_value(0, || unsafe { generated(prediction) }.map_or(0, |(_, made)| made.tokens))
}

/// Why a text ended, one of `POLYGRAFT_FINISH_*`; `POLYGRAFT_FINISH_NONE` for NULL and for another
/// kind of answer.
///
/// Ownership: borrows `prediction`.
/// Threads: may be called concurrently on one prediction.
/// Errors: none.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_prediction_finish(prediction: *const PredictionObject) -> u32 {
    gate_value(POLYGRAFT_FINISH_NONE, || {
        // SAFETY: the caller passes NULL or a prediction of this library that is not freed.
        let made = unsafe { generated(prediction) };
        made.map_or(POLYGRAFT_FINISH_NONE, |(_, made)| match made.finish {
            Finish::End => POLYGRAFT_FINISH_END,
            Finish::Length => POLYGRAFT_FINISH_LENGTH,
            Finish::Stopped => POLYGRAFT_FINISH_STOPPED,
            Finish::Cancelled => POLYGRAFT_FINISH_CANCELLED,
        })
    })
}
