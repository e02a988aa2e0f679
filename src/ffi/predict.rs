//! Predicting: an input goes in, a prediction comes out.

use super::cancel::CancelHandle;
use super::error::ErrorObject;
use super::gate::{Out, Status, gate, required};
use super::handle;
use super::input::{self, InputObject};
use super::model::ModelHandle;
use super::prediction::{PredictionObject, PredictionsObject};
use super::sized::{self, SizedStruct};
use super::text::{text, texts};
use crate::error::Result;
use crate::example::Input;
use crate::language::Language;
use crate::model::{Model, PredictOptions as Options};
use std::ffi::c_char;

/// How to predict. Set it up with `polygraft_predict_options_init`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct PredictOptions {
    /// `sizeof(polygraft_predict_options)`.
    pub struct_size: u32,
    /// How many labels to give, the most probable first; 0 gives all.
    pub top_k: u32,
    /// A token that can cancel the prediction; NULL for none.
    pub cancel: *const CancelHandle,
}

// SAFETY: repr(C), integers and a raw pointer only, `struct_size` first.
unsafe impl SizedStruct for PredictOptions {
    const NAME: &'static str = "polygraft_predict_options";
    const SIZE_FIRST: usize = size_of::<Self>();
}

const PREDICT_DEFAULTS: PredictOptions = PredictOptions {
    struct_size: size_of::<PredictOptions>() as u32,
    top_k: 0,
    cancel: std::ptr::null(),
};

/// Reads the options of a prediction.
///
/// # Safety
/// `options` is NULL or points to a struct that states its size truly.
unsafe fn predict_options(options: *const PredictOptions) -> Result<Options> {
    // SAFETY: the same promise, passed on.
    let options = unsafe { sized::read(options, PREDICT_DEFAULTS) }?;
    Ok(Options {
        top_k: sized::count("top_k", options.top_k.into())?,
        cancel: handle::borrow_optional(options.cancel)?,
    })
}

/// Fills `options` with the defaults; pass `sizeof(polygraft_predict_options)` as `struct_size`.
///
/// Ownership: writes `*options`, which stays the caller's.
/// Threads: may be called concurrently on different structs.
/// Errors: argument.null, argument.invalid (a `struct_size` that no version had).
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_predict_options_init(
    options: *mut PredictOptions,
    struct_size: usize,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: the caller passes NULL or `struct_size` bytes of writable memory.
    unsafe { gate(error, || sized::init("options", options, struct_size, &PREDICT_DEFAULTS)) }
}

/// Answers one text with the language's active version, or with that of the nearest language it
/// falls back to. What the answer is - a label, labels, a number, tags, a text - is what the task
/// was taught; `polygraft_prediction_kind` says it.
///
/// `options` may be NULL for the defaults. The call uses the version that is active when it
/// starts, even if another is activated meanwhile. A pair of texts and words that are split already
/// go through `polygraft_model_predict_input`.
///
/// Ownership: gives `*prediction`; free it with `polygraft_prediction_free`.
/// Threads: may be called concurrently on one model.
/// Errors: argument.*, cancelled, language.malformed, store.no_version, store.corrupt,
/// task.empty_text, task.too_long, task.name, runtime.failed.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_model_predict(
    model: *const ModelHandle,
    task: *const c_char,
    language: *const c_char,
    text_utf8: *const c_char,
    options: *const PredictOptions,
    prediction: *mut *mut PredictionObject,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: the caller passes NULL or valid pointers; each is checked before use, texts are
    // NUL-terminated and unchanged during the call, handles are never dereferenced.
    unsafe {
        gate(error, || {
            let out = Out::new("prediction", prediction)?;
            let call = Call::new(model, task, language)?;
            let input = Input::from(text("text", text_utf8)?);
            out.write(call.predict(input, options)?);
            Ok(())
        })
    }
}

/// Answers `texts_count` texts in one language: the same results as one by one, sooner.
///
/// Ownership: gives `*predictions`; free it with `polygraft_predictions_free`.
/// Threads: may be called concurrently on one model.
/// Errors: as for `polygraft_model_predict`; one bad text fails the whole call and is named.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_model_predict_batch(
    model: *const ModelHandle,
    task: *const c_char,
    language: *const c_char,
    texts_utf8: *const *const c_char,
    texts_count: usize,
    options: *const PredictOptions,
    predictions: *mut *mut PredictionsObject,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: as for `polygraft_model_predict`; `texts_utf8` has `texts_count` elements.
    unsafe {
        gate(error, || {
            let out = Out::new("predictions", predictions)?;
            let call = Call::new(model, task, language)?;
            let inputs = texts("texts", texts_utf8, texts_count)?;
            let inputs: Vec<Input> = inputs.into_iter().map(Input::from).collect();
            out.write(call.predict_batch(&inputs, options)?);
            Ok(())
        })
    }
}

/// Answers one input: a text, a pair of texts or words. Otherwise as `polygraft_model_predict`.
///
/// A task that gives tags takes words and splits texts into words; it takes no pairs. All others
/// take texts and pairs, and no words.
///
/// Ownership: gives `*prediction`; free it with `polygraft_prediction_free`. Borrows `input`.
/// Threads: may be called concurrently on one model, also with one input.
/// Errors: as for `polygraft_model_predict`; task.kind for an input that the task does not take.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_model_predict_input(
    model: *const ModelHandle,
    task: *const c_char,
    language: *const c_char,
    input: *const InputObject,
    options: *const PredictOptions,
    prediction: *mut *mut PredictionObject,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: as for `polygraft_model_predict`; `input` is NULL or an input that is not freed.
    unsafe {
        gate(error, || {
            let out = Out::new("prediction", prediction)?;
            let call = Call::new(model, task, language)?;
            let input = required("input", input)?.get().clone();
            out.write(call.predict(input, options)?);
            Ok(())
        })
    }
}

/// Answers `inputs_count` inputs in one language: the same results as one by one, sooner. They may
/// be of different kinds as far as the task takes them.
///
/// Ownership: gives `*predictions`; free it with `polygraft_predictions_free`. Borrows `inputs`.
/// Threads: may be called concurrently on one model, also with the same inputs.
/// Errors: as for `polygraft_model_predict_input`; one bad input fails the whole call and is named.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_model_predict_inputs(
    model: *const ModelHandle,
    task: *const c_char,
    language: *const c_char,
    inputs: *const *const InputObject,
    inputs_count: usize,
    options: *const PredictOptions,
    predictions: *mut *mut PredictionsObject,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: as for `polygraft_model_predict_input`; `inputs` has `inputs_count` elements.
    unsafe {
        gate(error, || {
            let out = Out::new("predictions", predictions)?;
            let call = Call::new(model, task, language)?;
            let inputs = input::all("inputs", inputs, inputs_count)?;
            out.write(call.predict_batch(&inputs, options)?);
            Ok(())
        })
    }
}

/// What every prediction names: a model, a task and a language.
struct Call<'a> {
    model: Model,
    task: &'a str,
    language: Language,
}

impl<'a> Call<'a> {
    /// # Safety
    /// `task` and `language` are NULL or NUL-terminated texts that do not change during `'a`.
    unsafe fn new(
        model: *const ModelHandle,
        task: *const c_char,
        language: *const c_char,
    ) -> Result<Self> {
        // SAFETY: the same promise, passed on; handles are never dereferenced.
        unsafe {
            Ok(Self {
                model: handle::borrow(model)?,
                task: text("task", task)?,
                language: Language::parse(text("language", language)?)?,
            })
        }
    }

    /// # Safety
    /// `options` is NULL or points to a struct that states its size truly.
    unsafe fn predict(
        &self,
        input: Input,
        options: *const PredictOptions,
    ) -> Result<*mut PredictionObject> {
        // SAFETY: the same promise, passed on.
        let options = unsafe { predict_options(options) }?;
        let predicted = self.model.predict(self.task, &self.language, input, &options)?;
        Ok(Box::into_raw(Box::new(PredictionObject::new(predicted))))
    }

    /// # Safety
    /// As for [`Call::predict`].
    unsafe fn predict_batch(
        &self,
        inputs: &[Input],
        options: *const PredictOptions,
    ) -> Result<*mut PredictionsObject> {
        // SAFETY: the same promise, passed on.
        let options = unsafe { predict_options(options) }?;
        let predicted = self.model.predict_batch(self.task, &self.language, inputs, &options)?;
        Ok(Box::into_raw(Box::new(PredictionsObject::new(predicted))))
    }
}
