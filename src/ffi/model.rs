//! The model: a bundle on an engine, with a store.

use super::engine::EngineHandle;
use super::error::ErrorObject;
use super::gate::{Out, Status, gate};
use super::handle::{self, Handle};
use super::sized::{self, SizedStruct};
use super::store::StoreHandle;
use super::text::{path, texts};
use crate::bundle::Verify;
use crate::error::{Code, Error, Result};
use crate::model::{Model, ModelOptions as Options};
use crate::runtime::Mode;
use std::ffi::c_char;

/// A backbone with the adapters of a store on it. Many threads may predict with one model.
pub struct ModelHandle;

impl Handle for ModelHandle {
    type Object = Model;
    const NOUN: &'static str = "model";
    const WORKS_AFTER_FORK: bool = false;
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
/// The default. Like POLYGRAFT_VERIFY_FULL when the weights are met first, and like
/// POLYGRAFT_VERIFY_QUICK as long as they are not written since. What was checked is remembered in
/// a small file: in the folder that the environment variable POLYGRAFT_CACHE_DIR names (none if it
/// is empty), else in `polygraft` below XDG_CACHE_HOME or `~/.cache`.
pub const POLYGRAFT_VERIFY_REMEMBERED: u32 = 2;

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
        other => Err(unknown("mode", other, 1)),
    }
}

/// The error for a number that names nothing.
fn unknown(name: &str, value: u32, last: u32) -> Error {
    Error::new(Code::ArgumentInvalid, format!("`{name}` is {value}, expected 0 to {last}"))
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
                Verify::Remembered => POLYGRAFT_VERIFY_REMEMBERED,
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
                POLYGRAFT_VERIFY_REMEMBERED => Verify::Remembered,
                other => return Err(unknown("verify", other, 2)),
            },
            targets: if targets.is_empty() {
                Options::default().targets
            } else {
                targets.into_iter().map(String::from).collect()
            },
        })
    }
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
            let engine = handle::borrow(engine)?;
            let bundle = path("bundle_path", bundle_path)?;
            let store = handle::borrow(store)?;
            let options = sized::read(options, ModelOptions::defaults())?.to_rust()?;
            let opened = Model::open(&engine.engine, bundle, &store, &options)?;
            out.write(handle::open(opened));
            Ok(())
        })
    }
}

/// Closes a model and sets `*model` to NULL. Updates begun with it stay usable, and their runs go
/// on. NULL and a pointer to NULL do nothing.
///
/// Ownership: takes `*model`.
/// Threads: safe while other threads use the model: waits until their calls have ended, callbacks
/// included, later ones fail. From inside a callback it returns at once instead.
/// Errors: none.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_model_close(model: *mut *mut ModelHandle) {
    // SAFETY: the caller passes NULL or a pointer to a handle.
    unsafe { handle::close(model) }
}
