//! Predicting: the functions that take an input and give a prediction.

use super::boundary::give_object;
use super::cancel::{self, CancelHandle};
use super::error::{ErrorObject, Status};
use super::handle::{self, Lent};
use super::input::{self, InputObject, owned};
use super::model::ModelHandle;
use super::object::{invalid, required};
use super::prediction::{PredictionObject, PredictionsObject};
use super::sized::{self, SizedStruct, small};
use super::text::{text, texts};
use crate::error::{Result, ResultExt};
use crate::example::Input;
use crate::language::Language;
use crate::model::{GenerateOptions, PredictOptions as Options};
use std::ffi::c_char;

/// How to predict. `polygraft_predict_options_init` fills it with the defaults.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct PredictOptions {
    /// `sizeof(polygraft_predict_options)`.
    pub struct_size: u32,
    /// The number of labels to give, the most probable first; 0 gives all.
    pub top_k: u32,
    /// A token that can cancel the prediction; NULL for none. A cancelled generation does not fail:
    /// the text ends where it is, with `POLYGRAFT_FINISH_CANCELLED`.
    pub cancel: *const CancelHandle,
    /// Generation: the number of beams. The default, 1, is greedy decoding.
    pub num_beams: u32,
    /// Generation: the maximum number of new tokens, including the end token; 0 takes the limit of
    /// the bundle.
    pub max_new_tokens: u32,
    /// Generation: the exponent of the length in the score of a finished hypothesis, which is its
    /// log probability / tokens ^ `length_penalty`. The default is 1; values above 0 favour longer
    /// texts, values below 0 shorter ones. It has no effect with one beam.
    pub length_penalty: f64,
    /// Generation: strings that end a text. The text is cut before the first of them. They are read
    /// during the call.
    pub stop_strings: *const *const c_char,
    /// The number of strings in `stop_strings`.
    pub stop_strings_count: u32,
    /// Must be 0.
    pub reserved: u32,
    /// Generation: the id of the first token, which selects the language in some models; -1 takes
    /// what the bundle says.
    pub forced_bos_token_id: i64,
    /// Generation: the minimum number of new tokens. Before it is reached, only a string of
    /// `stop_strings` ends a text.
    pub min_new_tokens: u32,
    /// Generation: no sequence of this many tokens occurs twice; 0 switches the rule off.
    pub no_repeat_ngram_size: u32,
    /// Generation: the penalty on tokens that occurred before. Their logits are divided by it if
    /// positive and multiplied by it if negative. The default is 1, which changes nothing; values
    /// above 1 make repetition less probable.
    pub repetition_penalty: f64,
}

// SAFETY: repr(C), numbers and raw pointers only, `struct_size` first.
unsafe impl SizedStruct for PredictOptions {
    const NAME: &'static str = "polygraft_predict_options";
    const SIZE_FIRST: usize = std::mem::offset_of!(Self, num_beams);
}

impl PredictOptions {
    /// The defaults of the Rust API, which are small numbers.
    fn defaults() -> Self {
        let Options { top_k, generate, .. } = Options::default();
        Self {
            struct_size: size_of::<Self>() as u32,
            top_k: small(top_k),
            cancel: std::ptr::null(),
            num_beams: small(generate.num_beams),
            max_new_tokens: small(generate.max_new_tokens),
            length_penalty: generate.length_penalty.into(),
            stop_strings: std::ptr::null(),
            stop_strings_count: 0,
            reserved: 0,
            forced_bos_token_id: generate.forced_bos_token_id.map_or(-1, i64::from),
            min_new_tokens: small(generate.min_new_tokens),
            no_repeat_ngram_size: small(generate.no_repeat_ngram_size),
            repetition_penalty: generate.repetition_penalty.into(),
        }
    }

    /// The options of a generation. The Rust API checks their ranges.
    ///
    /// # Safety
    /// `stop_strings` is NULL or points to `stop_strings_count` NUL-terminated texts.
    unsafe fn generate(&self) -> Result<GenerateOptions> {
        sized::reserved(Self::NAME, &[self.reserved.into()])?;
        let count = self.stop_strings_count as usize;
        // SAFETY: the same promise.
        let strings = unsafe { texts("stop_strings", self.stop_strings, count) }?;
        let forced_bos_token_id = match self.forced_bos_token_id {
            -1 => None,
            id => Some(u32::try_from(id).map_err(|_| {
                invalid(format!("`forced_bos_token_id` is {id}, expected -1 or the id of a token"))
            })?),
        };
        Ok(GenerateOptions {
            num_beams: self.num_beams as usize,
            max_new_tokens: self.max_new_tokens as usize,
            min_new_tokens: self.min_new_tokens as usize,
            length_penalty: self.length_penalty as f32,
            repetition_penalty: self.repetition_penalty as f32,
            no_repeat_ngram_size: self.no_repeat_ngram_size as usize,
            stop_strings: owned(strings),
            forced_bos_token_id,
            ..GenerateOptions::default()
        })
    }
}

/// Reads the options of a prediction.
///
/// # Safety
/// `options` is NULL or points to a struct that states its size truly and whose pointers are valid.
pub(super) unsafe fn read_options(options: *const PredictOptions) -> Result<Options> {
    // SAFETY: the same promise.
    let options = unsafe { sized::read(options, PredictOptions::defaults()) }?;
    Ok(Options {
        top_k: options.top_k as usize,
        // SAFETY: the same promise.
        generate: unsafe { options.generate() }?,
        cancel: cancel::token(options.cancel)?,
    })
}

/// Fills `options` with the defaults; pass `sizeof(polygraft_predict_options)` as `struct_size`.
///
/// Ownership: the function writes `*options`, which stays the caller's.
/// Threads: may be called concurrently on different structs.
/// Errors: argument.null, argument.invalid (a `struct_size` that no version had).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_predict_options_init(
    options: *mut PredictOptions,
    struct_size: usize,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: the caller passes NULL or `struct_size` bytes of writable memory.
    unsafe { sized::init(error, options, struct_size, PredictOptions::defaults) }
}

/// Predicts for one text with the language's active version, or with the version of the nearest
/// language that it falls back to. The kind of the output is the kind of the task;
/// `polygraft_prediction_kind` returns it.
///
/// `options` may be NULL for the defaults. The call uses the version that is active when it
/// starts, even if another one is activated meanwhile. For a pair of texts and for words,
/// use `polygraft_model_predict_input`.
///
/// Ownership: the caller owns `*prediction` and frees it with `polygraft_prediction_free`.
/// Threads: may be called concurrently on one model.
/// Errors: argument.*, cancelled, language.*, store.no_version, store.corrupt,
/// task.empty_text, task.too_long, task.name, adapter.*, runtime.failed, runtime.not_finite.
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
    // SAFETY: pointers are NULL or valid, and texts are NUL-terminated and do not change meanwhile.
    unsafe {
        give_object(error, "prediction", prediction, || {
            let call = Call::new(model, task, language)?;
            call.predict(Input::from(text("text", text_utf8)?), &read_options(options)?)
        })
    }
}

/// Predicts for `texts_count` texts in one language. The results are those of one call per text,
/// in less time.
///
/// Ownership: the caller owns `*predictions` and frees it with `polygraft_predictions_free`.
/// Threads: may be called concurrently on one model.
/// Errors: as for `polygraft_model_predict`. One bad text fails the whole call, and the message
/// names it.
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
        give_object(error, "predictions", predictions, || {
            let call = Call::new(model, task, language)?;
            let inputs = texts("texts", texts_utf8, texts_count)?.into_iter().map(Input::from);
            call.predict_batch(&inputs.collect::<Vec<_>>(), &read_options(options)?)
        })
    }
}

/// Predicts for one input: a text, a pair of texts or words. Apart from the input it does what
/// `polygraft_model_predict` does.
///
/// Tasks that tag words take words, and split texts into words; they do not take pairs. All other
/// tasks take texts and pairs, and do not take words.
///
/// Ownership: the caller owns `*prediction` and frees it with `polygraft_prediction_free`. The
/// caller keeps `input`.
/// Threads: may be called concurrently on one model, also with one input.
/// Errors: as for `polygraft_model_predict`; task.kind for an input that the task does not take.
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
        give_object(error, "prediction", prediction, || {
            let call = Call::new(model, task, language)?;
            call.predict(required("input", input)?.get().clone(), &read_options(options)?)
        })
    }
}

/// Predicts for `inputs_count` inputs in one language. The results are those of one call per input,
/// in less time. Inputs of different forms may be mixed as far as the task takes them.
///
/// Ownership: the caller owns `*predictions` and frees it with `polygraft_predictions_free`. The
/// caller keeps `inputs`.
/// Threads: may be called concurrently on one model, also with the same inputs.
/// Errors: as for `polygraft_model_predict_input`. One bad input fails the whole call, and the
/// message names it.
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
        give_object(error, "predictions", predictions, || {
            let call = Call::new(model, task, language)?;
            let inputs = input::all("inputs", inputs, inputs_count)?;
            call.predict_batch(&inputs, &read_options(options)?)
        })
    }
}

/// Predicts for `inputs_count` inputs, each in the language of the same index, by the version that
/// serves that language when the call begins. The results are those of one call per input, in their
/// order and in less time; `polygraft_prediction_language` and `polygraft_prediction_version` tell
/// which version gave each.
///
/// Ownership: the caller owns `*predictions` and frees it with `polygraft_predictions_free`. The
/// caller keeps `languages` and `inputs`.
/// Threads: may be called concurrently on one model, also with the same inputs.
/// Errors: as for `polygraft_model_predict_input`. One bad input or language fails the whole call,
/// and the message names it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_model_predict_many(
    model: *const ModelHandle,
    task: *const c_char,
    languages: *const *const c_char,
    inputs: *const *const InputObject,
    inputs_count: usize,
    options: *const PredictOptions,
    predictions: *mut *mut PredictionsObject,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: as for `polygraft_model_predict_inputs`; `languages` has `inputs_count` elements.
    unsafe {
        give_object(error, "predictions", predictions, || {
            let (model, task) = (handle::borrow(model)?, text("task", task)?);
            let tags = texts("languages", languages, inputs_count)?;
            let inputs = input::all("inputs", inputs, inputs_count)?;
            let language = |(index, tag): (usize, &str)| {
                model.store().language(task, tag).context(|| format!("languages[{index}]"))
            };
            let languages = tags.into_iter().enumerate().map(language);
            let inputs = languages.zip(inputs).map(|(language, input)| Ok((language?, input)));
            let inputs = inputs.collect::<Result<Vec<_>>>()?;
            let predicted = model.predict_many(task, &inputs, &read_options(options)?)?;
            Ok(PredictionsObject::new(predicted))
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
        // SAFETY: the same promise.
        unsafe {
            let (model, task) = (handle::borrow(model)?, text("task", task)?);
            let language = model.store().language(task, text("language", language)?)?;
            Ok(Self { model, task, language })
        }
    }

    fn predict(&self, input: Input, options: &Options) -> Result<PredictionObject> {
        self.model.predict(self.task, &self.language, input, options).map(PredictionObject::new)
    }

    fn predict_batch(&self, inputs: &[Input], options: &Options) -> Result<PredictionsObject> {
        let predicted = self.model.predict_batch(self.task, &self.language, inputs, options)?;
        Ok(PredictionsObject::new(predicted))
    }
}
