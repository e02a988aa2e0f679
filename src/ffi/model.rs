//! The model: a bundle on an engine, with a store.

use super::engine::EngineHandle;
use super::error::{ErrorObject, Status};
use super::handle::{self, Handle};
use super::input::owned;
use super::sized::{self, SizedStruct, named, number, small};
use super::store::StoreHandle;
use super::text::{path, texts};
use crate::bundle::Verify;
use crate::error::Result;
use crate::model::{Model, ModelOptions as Options};
use crate::runtime::Mode;
use std::ffi::c_char;

/// A backbone with the adapters of a store. Many threads may predict with one model.
pub struct ModelHandle;

impl Handle for ModelHandle {
    type Object = Model;
    const NOUN: &'static str = "model";
    const WORKS_AFTER_FORK: bool = false;
}

/// The weights stay in clean, shared file pages. This takes the least private memory.
pub const POLYGRAFT_MODE_LEAN: u32 = 0;
/// The weights are packed into private memory. This gives the fastest runs.
pub const POLYGRAFT_MODE_FAST: u32 = 1;

/// The modes in the order of their numbers.
pub(super) const MODES: [Mode; 2] = [Mode::Lean, Mode::Fast];

/// Opening checks the sizes of the bundle's files, and the hashes of the files that it reads whole.
/// This takes milliseconds.
pub const POLYGRAFT_VERIFY_QUICK: u32 = 0;
/// Opening checks the hash of every file of the bundle. This takes as long as reading the files.
pub const POLYGRAFT_VERIFY_FULL: u32 = 1;
/// The default. Opening does what POLYGRAFT_VERIFY_FULL does the first time it sees the weights,
/// and what POLYGRAFT_VERIFY_QUICK does as long as they have not been written to since. A small
/// file remembers what was checked. It lies in the folder that the environment variable
/// POLYGRAFT_CACHE_DIR names (an empty value switches it off), else in `polygraft` below
/// XDG_CACHE_HOME or `~/.cache`.
pub const POLYGRAFT_VERIFY_REMEMBERED: u32 = 2;

/// The checks in the order of their numbers.
pub(super) const VERIFIES: [Verify; 3] = [Verify::Quick, Verify::Full, Verify::Remembered];

/// How to open a model. `polygraft_model_options_init` fills it with the defaults.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ModelOptions {
    /// `sizeof(polygraft_model_options)`.
    pub struct_size: u32,
    /// How ONNX Runtime holds the weights, one of `POLYGRAFT_MODE_*`.
    pub mode: u32,
    /// The number of threads of one prediction; 0 takes all cores.
    pub threads: u32,
    /// What opening checks, one of `POLYGRAFT_VERIFY_*`.
    pub verify: u32,
    /// Patterns of the module names where adapters may attach. They are read during the call.
    pub targets: *const *const c_char,
    /// The number of patterns in `targets`; 0 for the default targets.
    pub targets_count: u32,
    /// Must be 0.
    pub reserved: u32,
}

// SAFETY: repr(C), integers and a raw pointer only, `struct_size` first.
unsafe impl SizedStruct for ModelOptions {
    const NAME: &'static str = "polygraft_model_options";
}

impl ModelOptions {
    fn defaults() -> Self {
        let Options { mode, threads, verify, .. } = Options::default();
        Self {
            struct_size: size_of::<Self>() as u32,
            mode: number(&MODES, mode),
            threads: small(threads),
            verify: number(&VERIFIES, verify),
            targets: std::ptr::null(),
            targets_count: 0,
            reserved: 0,
        }
    }

    /// # Safety
    /// `targets` is NULL or points to `targets_count` NUL-terminated texts.
    unsafe fn to_rust(self) -> Result<Options> {
        sized::reserved(Self::NAME, &[self.reserved.into()])?;
        // SAFETY: the same promise.
        let targets = unsafe { texts("targets", self.targets, self.targets_count as usize) }?;
        let mut options = Options {
            mode: named("mode", &MODES, self.mode)?,
            threads: self.threads as usize,
            verify: named("verify", &VERIFIES, self.verify)?,
            ..Options::default()
        };
        if !targets.is_empty() {
            options.targets = owned(targets);
        }
        Ok(options)
    }
}

/// Fills `options` with the defaults; pass `sizeof(polygraft_model_options)` as `struct_size`.
///
/// Ownership: the function writes `*options`, which stays the caller's.
/// Threads: may be called concurrently on different structs.
/// Errors: argument.null, argument.invalid (a `struct_size` that no version had).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_model_options_init(
    options: *mut ModelOptions,
    struct_size: usize,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: the caller passes NULL or `struct_size` bytes of writable memory.
    unsafe { sized::init(error, options, struct_size, ModelOptions::defaults) }
}

/// Opens the model in the bundle at `bundle_path`, with the adapters in `store`.
///
/// `options` may be NULL for the defaults. The model keeps the engine and the store open.
///
/// Ownership: the caller owns `*model` and closes it with `polygraft_model_close`. The caller keeps
/// everything else.
/// Threads: may be called from any thread at any time.
/// Errors: argument.*, io.*, bundle.*, graph.*, runtime.failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_model_open(
    engine: *const EngineHandle,
    bundle_path: *const c_char,
    store: *const StoreHandle,
    options: *const ModelOptions,
    model: *mut *mut ModelHandle,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: pointers are NULL or valid, and texts are NUL-terminated and do not change meanwhile.
    unsafe {
        handle::give(error, model, || {
            let engine = handle::borrow(engine)?;
            let bundle = path("bundle_path", bundle_path)?;
            let store = handle::borrow(store)?;
            let options = sized::read(options, ModelOptions::defaults())?.to_rust()?;
            Model::open(&engine.engine, bundle, &store, &options)
        })
    }
}

/// Closes a model and sets `*model` to NULL. Updates that were begun with it stay usable, and their
/// runs continue. NULL and a pointer to NULL do nothing.
///
/// Ownership: the function consumes `*model`.
/// Threads: safe while other threads use the model: it waits until their calls and callbacks have
/// ended, and later calls fail. Inside a callback it returns at once instead of waiting.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_model_close(model: *mut *mut ModelHandle) {
    // SAFETY: the caller passes NULL or a pointer to a handle.
    unsafe { handle::close(model) }
}
