//! The engine: the opened ONNX Runtime library.

use super::error::ErrorObject;
use super::gate::{Out, Status, gate};
use super::handle::{self, Handle};
use super::sized::{self, SizedStruct};
use super::text::{StringView, Text, path_optional};
use crate::runtime::Engine;
use std::ffi::c_char;
use std::sync::Arc;

/// The opened ONNX Runtime library. One per process is enough; models keep it open.
pub struct EngineHandle;

/// What an engine handle names.
pub(super) struct OpenEngine {
    pub(super) engine: Arc<Engine>,
    version: Text,
}

impl Handle for EngineHandle {
    type Object = Arc<OpenEngine>;
    const NOUN: &'static str = "engine";
    const WORKS_AFTER_FORK: bool = true;
}

/// How to open an engine. Set it up with `polygraft_engine_options_init`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct EngineOptions {
    /// `sizeof(polygraft_engine_options)`.
    pub struct_size: u32,
    /// Must be 0.
    pub reserved: u32,
    /// The path of the ONNX Runtime library to open; NULL looks in `ORT_DYLIB_PATH`, beside the
    /// polygraft library, and where the system's loader looks.
    pub onnxruntime_path: *const c_char,
}

// SAFETY: repr(C), integers and a raw pointer only, `struct_size` first.
unsafe impl SizedStruct for EngineOptions {
    const NAME: &'static str = "polygraft_engine_options";
    const SIZE_FIRST: usize = size_of::<Self>();
}

const DEFAULTS: EngineOptions = EngineOptions {
    struct_size: size_of::<EngineOptions>() as u32,
    reserved: 0,
    onnxruntime_path: std::ptr::null(),
};

/// Fills `options` with the defaults; pass `sizeof(polygraft_engine_options)` as `struct_size`.
///
/// Ownership: writes `*options`, which stays the caller's.
/// Threads: may be called concurrently on different structs.
/// Errors: argument.null, argument.invalid (a `struct_size` that no version had).
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_engine_options_init(
    options: *mut EngineOptions,
    struct_size: usize,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: the caller passes NULL or writable memory, here and for `struct_size` bytes below.
    unsafe { gate(error, || sized::init("options", options, struct_size, &DEFAULTS)) }
}

/// Opens ONNX Runtime. Its telemetry is switched off before the library is opened.
///
/// `options` may be NULL for the defaults.
///
/// The environment: ONNX Runtime reads in its environment alone, when it is opened, that it shall
/// send no telemetry. So unless `ORT_DISABLE_TELEMETRY` is `1` already, the first call in a process
/// that opens a library sets it, with `setenv`, which the C library lets race with every thread
/// that reads or writes the environment meanwhile. A program that has such threads by then sets
/// `ORT_DISABLE_TELEMETRY=1` before it starts them, or is started with it: nothing is set then, and
/// no other variable ever is.
///
/// Ownership: gives `*engine`; close it with `polygraft_engine_close`. `options` is only read.
/// Threads: may be called from any thread at any time, but for the environment.
/// Errors: argument.null, argument.invalid, runtime.not_found, runtime.too_old, runtime.failed.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_engine_open(
    options: *const EngineOptions,
    engine: *mut *mut EngineHandle,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: the caller passes NULL or valid pointers; each is checked before use, and texts are
    // NUL-terminated and unchanged during the call.
    unsafe {
        gate(error, || {
            let out = Out::new("engine", engine)?;
            let options = sized::read(options, DEFAULTS)?;
            sized::reserved("polygraft_engine_options", &[options.reserved.into()])?;
            let path = path_optional("onnxruntime_path", options.onnxruntime_path)?;
            let engine = Engine::open(path)?;
            let version = Text::new(engine.version());
            out.write(handle::open(Arc::new(OpenEngine { engine, version })));
            Ok(())
        })
    }
}

/// The version of the opened ONNX Runtime, for example `1.28.0`.
///
/// Ownership: the view is valid until `engine` is closed.
/// Threads: may be called concurrently on one engine.
/// Errors: argument.null, argument.invalid (a closed engine).
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_engine_onnxruntime_version(
    engine: *const EngineHandle,
    version: *mut StringView,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: the caller passes NULL or writable memory; a handle is never dereferenced.
    unsafe {
        gate(error, || {
            let out = Out::new("version", version)?;
            let engine = handle::borrow(engine)?;
            out.write(engine.version.view());
            Ok(())
        })
    }
}

/// Closes an engine and sets `*engine` to NULL. Models opened with it stay usable. NULL and a
/// pointer to NULL do nothing.
///
/// Ownership: takes `*engine`.
/// Threads: safe while other threads use the engine: waits until their calls have ended, later ones
/// fail.
/// Errors: none.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_engine_close(engine: *mut *mut EngineHandle) {
    // SAFETY: the caller passes NULL or a pointer to a handle.
    unsafe { handle::close(engine) }
}
