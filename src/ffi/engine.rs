//! The engine: the opened ONNX Runtime library.

use super::boundary::give;
use super::error::{ErrorObject, Status};
use super::handle::{self, Handle};
use super::sized::{self, SizedStruct};
use super::text::{StringView, Text, optional, path};
use crate::runtime::Engine;
use std::ffi::c_char;
use std::sync::Arc;

/// The opened ONNX Runtime library. One engine per process is enough; models keep it open.
pub struct EngineHandle;

pub(super) struct OpenEngine {
    pub(super) engine: Arc<Engine>,
    version: Text,
}

impl Handle for EngineHandle {
    type Object = Arc<OpenEngine>;
    const NOUN: &'static str = "engine";
    const WORKS_AFTER_FORK: bool = true;
}

/// How to open an engine. `polygraft_engine_options_init` fills it with the defaults.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct EngineOptions {
    /// `sizeof(polygraft_engine_options)`.
    pub struct_size: u32,
    /// Must be 0.
    pub reserved: u32,
    /// The path of the ONNX Runtime library. With NULL the library is searched in
    /// `ORT_DYLIB_PATH`, beside the polygraft library, and where the system's loader looks.
    pub onnxruntime_path: *const c_char,
}

// SAFETY: repr(C), integers and a raw pointer only, `struct_size` first.
unsafe impl SizedStruct for EngineOptions {
    const NAME: &'static str = "polygraft_engine_options";
}

const DEFAULTS: EngineOptions = EngineOptions {
    struct_size: size_of::<EngineOptions>() as u32,
    reserved: 0,
    onnxruntime_path: std::ptr::null(),
};

/// Fills `options` with the defaults; pass `sizeof(polygraft_engine_options)` as `struct_size`.
///
/// Ownership: the function writes `*options`, which stays the caller's.
/// Threads: may be called concurrently on different structs.
/// Errors: argument.null, argument.invalid (a `struct_size` that no version had).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_engine_options_init(
    options: *mut EngineOptions,
    struct_size: usize,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: the caller passes NULL or `struct_size` bytes of writable memory.
    unsafe { sized::init(error, options, struct_size, || DEFAULTS) }
}

/// Opens ONNX Runtime. The library's telemetry is switched off before it is opened.
///
/// `options` may be NULL for the defaults.
///
/// ONNX Runtime reads the telemetry setting only from its environment, and only when it is opened.
/// The first call in a process that opens a library therefore sets `ORT_DISABLE_TELEMETRY=1` with
/// `setenv`, unless the variable is `1` already. `setenv` races with every thread that reads or
/// writes the environment at the same time. A program with such threads sets the variable before it
/// starts them, or is started with it; polygraft then writes nothing. It never sets another
/// variable.
///
/// Ownership: the caller owns `*engine` and closes it with `polygraft_engine_close`. `options` is
/// only read.
/// Threads: may be called from any thread at any time, apart from what is said above about the
/// environment.
/// Errors: argument.null, argument.invalid, runtime.not_found, runtime.too_old, runtime.failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_engine_open(
    options: *const EngineOptions,
    engine: *mut *mut EngineHandle,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: pointers are NULL or valid, and texts are NUL-terminated and do not change meanwhile.
    unsafe {
        handle::give(error, engine, || {
            let options = sized::read(options, DEFAULTS)?;
            sized::reserved("polygraft_engine_options", &[options.reserved.into()])?;
            let library = |pointer| path("onnxruntime_path", pointer);
            let engine = Engine::open(optional(options.onnxruntime_path, library)?)?;
            let version = Text::new(engine.version());
            Ok(Arc::new(OpenEngine { engine, version }))
        })
    }
}

/// Gives the version of the opened ONNX Runtime, for example `1.28.0`.
///
/// Ownership: the view is valid until `engine` is closed.
/// Threads: may be called concurrently on one engine.
/// Errors: argument.null, argument.invalid (a closed engine).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_engine_onnxruntime_version(
    engine: *const EngineHandle,
    version: *mut StringView,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: the caller passes NULL or writable memory.
    unsafe { give(error, "version", version, || Ok(handle::borrow(engine)?.version.view())) }
}

/// Closes an engine and sets `*engine` to NULL. Models that were opened with it stay usable. NULL
/// and a pointer to NULL do nothing.
///
/// Ownership: the function consumes `*engine`.
/// Threads: safe while other threads use the engine: it waits until their calls have ended, and
/// later calls fail.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_engine_close(engine: *mut *mut EngineHandle) {
    // SAFETY: the caller passes NULL or a pointer to a handle.
    unsafe { handle::close(engine) }
}
