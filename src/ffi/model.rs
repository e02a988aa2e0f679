//! The model: a bundle, a store, and predictions.

use super::cancel::CancelHandle;
use super::engine::{self, EngineHandle};
use super::error::ErrorObject;
use super::gate::{Out, Status, gate};
use super::handle::{self, Handle};
use super::prediction::{PredictionObject, PredictionsObject};
use super::sized::{self, SizedStruct};
use super::store::StoreHandle;
use super::text::{text, texts};
use crate::bundle::Verify;
use crate::error::{Code, Error, Result};
use crate::example::Input;
use crate::language::Language;
use crate::model::{Model, ModelOptions as Options, PredictOptions as PredictionOptions};
use crate::runtime::Mode;
use std::ffi::c_char;
use std::path::Path;

/// A backbone with the adapters of a store on it. Many threads may predict with one model.
pub struct ModelHandle;

impl Handle for ModelHandle {
    type Object = Model;
    const NOUN: &'static str = "model";
}

/// Weights stay clean, shared file pages: the least private memory.
pub const POLYGRAFT_MODE_LEAN: u32 = 0;
/// Weights are packed into private memory: the fastest runs.
pub const POLYGRAFT_MODE_FAST: u32 = 1;

/// Checks the sizes of the bundle's files, and the hashes of those that opening reads whole. Takes
/// milliseconds.
pub const POLYGRAFT_VERIFY_QUICK: u32 = 0;
/// Checks the hash of every file of the bundle. Takes as long as reading them.
pub const POLYGRAFT_VERIFY_FULL: u32 = 1;

/// How to open a model. Set it up with `polygraft_model_options_init`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ModelOptions {
    /// `sizeof(polygraft_model_options)`.
    pub struct_size: u32,
    /// One of `POLYGRAFT_MODE_*`.
    pub mode: u32,
    /// Threads of one prediction; 0 takes all cores.
    pub threads: u32,
    /// One of `POLYGRAFT_VERIFY_*`.
    pub verify: u32,
    /// Patterns of the module names where adapters may attach; read while the model is opened.
    pub targets: *const *const c_char,
    /// How many patterns `targets` has; 0 for the default targets.
    pub targets_count: u32,
    /// Must be 0.
    pub reserved: u32,
}

// SAFETY: repr(C), integers and a raw pointer only, `struct_size` first.
unsafe impl SizedStruct for ModelOptions {
    const NAME: &'static str = "polygraft_model_options";
    const SIZE_FIRST: usize = size_of::<Self>();
}

/// A mode as C names it.
pub(super) fn mode_to_c(mode: Mode) -> u32 {
    match mode {
        Mode::Lean => POLYGRAFT_MODE_LEAN,
        Mode::Fast => POLYGRAFT_MODE_FAST,
    }
}

/// A mode that C named.
pub(super) fn mode_from_c(mode: u32) -> Result<Mode> {
    match mode {
        POLYGRAFT_MODE_LEAN => Ok(Mode::Lean),
        POLYGRAFT_MODE_FAST => Ok(Mode::Fast),
        other => Err(unknown("mode", other)),
    }
}

/// The error for a number that names nothing.
fn unknown(name: &str, value: u32) -> Error {
    Error::new(Code::ArgumentInvalid, format!("`{name}` is {value}, expected 0 or 1"))
}

impl ModelOptions {
    fn defaults() -> Self {
        let Options { mode, threads, verify, .. } = Options::default();
        Self {
            struct_size: size_of::<Self>() as u32,
            mode: mode_to_c(mode),
            threads: u32::try_from(threads).unwrap_or(0),
            verify: match verify {
                Verify::Quick => POLYGRAFT_VERIFY_QUICK,
                Verify::Full => POLYGRAFT_VERIFY_FULL,
            },
            targets: std::ptr::null(),
            targets_count: 0,
            reserved: 0,
        }
    }

    /// # Safety
    /// `targets` is NULL or points to `targets_count` NUL-terminated texts.
    unsafe fn to_rust(self) -> Result<Options> {
        sized::reserved(Self::NAME, &[self.reserved.into()])?;
        // SAFETY: the same promise, passed on.
        let targets = unsafe { texts("targets", self.targets, self.targets_count as usize) }?;
        Ok(Options {
            mode: mode_from_c(self.mode)?,
            threads: sized::count("threads", self.threads.into())?,
            verify: match self.verify {
                POLYGRAFT_VERIFY_QUICK => Verify::Quick,
                POLYGRAFT_VERIFY_FULL => Verify::Full,
                other => return Err(unknown("verify", other)),
            },
            targets: if targets.is_empty() {
                Options::default().targets
            } else {
                targets.into_iter().map(String::from).collect()
            },
        })
    }
}

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
unsafe fn predict_options(options: *const PredictOptions) -> Result<PredictionOptions> {
    // SAFETY: the same promise, passed on.
    let options = unsafe { sized::read(options, PREDICT_DEFAULTS) }?;
    Ok(PredictionOptions {
        top_k: sized::count("top_k", options.top_k.into())?,
        cancel: handle::borrow_optional(options.cancel)?,
    })
}

/// Fills `options` with the defaults; pass `sizeof(polygraft_model_options)` as `struct_size`.
///
/// Ownership: writes `*options`, which stays the caller's.
/// Threads: may be called concurrently on different structs.
/// Errors: argument.null, argument.invalid (a `struct_size` that no version had).
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_model_options_init(
    options: *mut ModelOptions,
    struct_size: usize,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: the caller passes NULL or `struct_size` bytes of writable memory.
    unsafe {
        gate(error, || sized::init("options", options, struct_size, &ModelOptions::defaults()))
    }
}

/// Opens the model in the bundle at `bundle_path`, with the adapters in `store`.
///
/// `options` may be NULL for the defaults. The model keeps the engine and the store open.
///
/// Ownership: gives `*model`; close it with `polygraft_model_close`. Borrows everything else.
/// Threads: may be called from any thread at any time.
/// Errors: argument.*, io.*, bundle.*, graph.*, runtime.failed.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_model_open(
    engine: *const EngineHandle,
    bundle_path: *const c_char,
    store: *const StoreHandle,
    options: *const ModelOptions,
    model: *mut *mut ModelHandle,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: the caller passes NULL or valid pointers; each is checked before use, texts are
    // NUL-terminated and unchanged during the call, handles are never dereferenced.
    unsafe {
        gate(error, || {
            let out = Out::new("model", model)?;
            let runtime = engine::runtime(engine)?;
            let bundle = text("bundle_path", bundle_path)?;
            let store = handle::borrow(store)?;
            let options = sized::read(options, ModelOptions::defaults())?.to_rust()?;
            let opened = Model::open(&runtime, Path::new(bundle), &store, &options)?;
            out.write(handle::open(opened));
            Ok(())
        })
    }
}

/// Closes a model and sets `*model` to NULL. NULL and a pointer to NULL do nothing.
///
/// Ownership: takes `*model`.
/// Threads: safe while other threads use the model: their calls finish, later ones fail.
/// Errors: none.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_model_close(model: *mut *mut ModelHandle) {
    // SAFETY: the caller passes NULL or a pointer to a handle.
    unsafe { handle::close(model) }
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

/// Predicts the label of one text with the language's active version, or with that of the nearest
/// language it falls back to.
///
/// `options` may be NULL for the defaults. The call uses the version that is active when it
/// starts, even if another is activated meanwhile.
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
            let model = handle::borrow(model)?;
            let task = text("task", task)?;
            let language = Language::parse(text("language", language)?)?;
            let input = text("text", text_utf8)?;
            let options = predict_options(options)?;
            let predicted = model.predict(task, &language, input, &options)?;
            out.write(Box::into_raw(Box::new(PredictionObject::new(predicted))));
            Ok(())
        })
    }
}

/// Predicts the labels of `texts_count` texts in one language: the same results as one by one,
/// sooner.
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
            let model = handle::borrow(model)?;
            let task = text("task", task)?;
            let language = Language::parse(text("language", language)?)?;
            let inputs = texts("texts", texts_utf8, texts_count)?;
            let inputs: Vec<Input> = inputs.into_iter().map(Input::from).collect();
            let options = predict_options(options)?;
            let predicted = model.predict_batch(task, &language, &inputs, &options)?;
            out.write(Box::into_raw(Box::new(PredictionsObject::new(predicted))));
            Ok(())
        })
    }
}
