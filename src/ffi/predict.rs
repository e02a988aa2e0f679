//! Predicting: an input goes in, a prediction comes out.

use super::cancel::CancelHandle;
use super::error::ErrorObject;
use super::gate::{Out, Status, gate, required};
use super::handle::{self, Lent};
use super::input::{self, InputObject, owned};
use super::model::ModelHandle;
use super::prediction::{PredictionObject, PredictionsObject};
use super::sized::{self, SizedStruct};
use super::text::{text, texts};
use crate::error::{Code, Error, Result};
use crate::example::Input;
use crate::language::Language;
use crate::model::{GenerateOptions, PredictOptions as Options};
use std::ffi::c_char;

/// How to predict. Set it up with `polygraft_predict_options_init`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct PredictOptions {
    /// `sizeof(polygraft_predict_options)`.
    pub struct_size: u32,
    /// How many labels to give, the most probable first; 0 gives all.
    pub top_k: u32,
    /// A token that can cancel the prediction; NULL for none. A text that is being generated then
    /// ends where it is, with `POLYGRAFT_FINISH_CANCELLED`.
    pub cancel: *const CancelHandle,
    /// Texts: how many hypotheses are followed; 1, the default, takes the most probable token at
    /// each step.
    pub beams: u32,
    /// Texts: the most new tokens, the end included; 0 takes as many as the bundle allows.
    pub tokens_max: u32,
    /// Texts: finished hypotheses compare by log probability / tokens to this power, 1 by default:
    /// above 0 favours longer ones, below 0 shorter ones. Of no effect with one beam.
    pub length_penalty: f64,
    /// Texts that end a generation, and are cut off with what follows; read during the call.
    pub stops: *const *const c_char,
    /// How many texts `stops` has.
    pub stops_count: u32,
    /// Must be 0.
    pub reserved: u32,
    /// Texts: the first token, which is a language in some models; -1 for what the bundle says.
    pub forced_begin: i64,
    /// Texts: the fewest new tokens; until then only a text of `stops` ends one.
    pub tokens_min: u32,
    /// Texts: no sequence of this many tokens comes twice; 0 allows it.
    pub no_repeat: u32,
    /// Texts: the logits of tokens that were there are divided by it, negative ones multiplied; 1
    /// by default, above 1 makes repetition less probable.
    pub repetition_penalty: f64,
}

// SAFETY: repr(C), numbers and raw pointers only, `struct_size` first.
unsafe impl SizedStruct for PredictOptions {
    const NAME: &'static str = "polygraft_predict_options";
    const SIZE_FIRST: usize = std::mem::offset_of!(Self, beams);
}

impl PredictOptions {
    /// The defaults of the Rust API, which are small numbers.
    fn defaults() -> Self {
        let Options { top_k, generate, .. } = Options::default();
        let small = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        Self {
            struct_size: size_of::<Self>() as u32,
            top_k: small(top_k),
            cancel: std::ptr::null(),
            beams: small(generate.beams),
            tokens_max: small(generate.tokens_max),
            length_penalty: generate.length_penalty.into(),
            stops: std::ptr::null(),
            stops_count: 0,
            reserved: 0,
            forced_begin: generate.forced_begin.map_or(-1, i64::from),
            tokens_min: small(generate.tokens_min),
            no_repeat: small(generate.no_repeat),
            repetition_penalty: generate.repetition_penalty.into(),
        }
    }

    /// Ranges are the Rust API's to check.
    ///
    /// # Safety
    /// `stops` is NULL or points to `stops_count` NUL-terminated texts.
    unsafe fn generate(&self) -> Result<GenerateOptions> {
        sized::reserved(Self::NAME, &[self.reserved.into()])?;
        // SAFETY: the same promise, passed on.
        let stops = unsafe { texts("stops", self.stops, self.stops_count as usize) }?;
        let forced_begin = match self.forced_begin {
            -1 => None,
            id => Some(u32::try_from(id).map_err(|_| {
                let message = format!("`forced_begin` is {id}, expected -1 or a token");
                Error::new(Code::ArgumentInvalid, message)
            })?),
        };
        Ok(GenerateOptions {
            beams: sized::count("beams", self.beams.into())?,
            tokens_max: sized::count("tokens_max", self.tokens_max.into())?,
            tokens_min: sized::count("tokens_min", self.tokens_min.into())?,
            length_penalty: self.length_penalty as f32,
            repetition_penalty: self.repetition_penalty as f32,
            no_repeat: sized::count("no_repeat", self.no_repeat.into())?,
            stop: owned(stops),
            forced_begin,
            ..GenerateOptions::default()
        })
    }
}

/// Reads the options of a prediction.
///
/// # Safety
/// `options` is NULL or points to a struct that states its size truly and whose pointers hold.
pub(super) unsafe fn read_options(options: *const PredictOptions) -> Result<Options> {
    // SAFETY: the same promise, passed on.
    let options = unsafe { sized::read(options, PredictOptions::defaults()) }?;
    Ok(Options {
        top_k: sized::count("top_k", options.top_k.into())?,
        // SAFETY: the same promise, passed on.
        generate: unsafe { options.generate() }?,
        // A switch, which may be closed while the call goes on: closing it waits for nothing.
        cancel: handle::borrow_optional(options.cancel)?.map(|cancel| cancel.clone()),
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
    unsafe {
        gate(error, || sized::init("options", options, struct_size, &PredictOptions::defaults()))
    }
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
/// Errors: argument.*, cancelled, language.*, store.no_version, store.corrupt,
/// task.empty_text, task.too_long, task.name, adapter.*, runtime.failed, runtime.not_finite.
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
pub(super) struct Call<'a> {
    pub(super) model: Lent<ModelHandle>,
    pub(super) task: &'a str,
    pub(super) language: Language,
}

impl<'a> Call<'a> {
    /// # Safety
    /// `task` and `language` are NULL or NUL-terminated texts that do not change during `'a`.
    pub(super) unsafe fn new(
        model: *const ModelHandle,
        task: *const c_char,
        language: *const c_char,
    ) -> Result<Self> {
        // SAFETY: the same promise, passed on; handles are never dereferenced.
        unsafe {
            let (model, task) = (handle::borrow(model)?, text("task", task)?);
            let language = model.store().language(task, text("language", language)?)?;
            Ok(Self { model, task, language })
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
        let options = unsafe { read_options(options) }?;
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
        let options = unsafe { read_options(options) }?;
        let predicted = self.model.predict_batch(self.task, &self.language, inputs, &options)?;
        Ok(Box::into_raw(Box::new(PredictionsObject::new(predicted))))
    }
}
