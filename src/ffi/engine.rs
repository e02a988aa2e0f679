//! The engine: the opened ONNX Runtime library.

use super::boundary::give;
use super::error::{ErrorObject, Status};
use super::handle::{self, Handle};
use super::object::invalid;
use super::sized::{self, SizedStruct, named, number};
use super::text::{StringView, Text, optional, path};
use crate::error::Result;
use crate::runtime::log::{Listener, Message, Severity};
use crate::runtime::{ApiBase, Engine};
use std::ffi::{c_char, c_void};
use std::sync::Arc;

/// The opened ONNX Runtime library. One engine per process is enough; models keep it open.
pub struct EngineHandle;

pub(super) struct OpenEngine {
    pub(super) engine: Arc<Engine>,
    version: Text,
    /// Ends with the handle.
    _listener: Option<Listener>,
}

/// Details of what ONNX Runtime does to a graph.
pub const POLYGRAFT_LOG_VERBOSE: u32 = 0;
/// A normal event, for example that something was opened.
pub const POLYGRAFT_LOG_INFO: u32 = 1;
/// Something is suspicious, and the call continues.
pub const POLYGRAFT_LOG_WARNING: u32 = 2;
/// A call fails; its error says the same.
pub const POLYGRAFT_LOG_ERROR: u32 = 3;
/// A fatal failure.
pub const POLYGRAFT_LOG_FATAL: u32 = 4;

/// The severities in the order of their numbers.
const SEVERITIES: [Severity; 5] =
    [Severity::Verbose, Severity::Info, Severity::Warning, Severity::Error, Severity::Fatal];

/// A function that receives log messages. `severity` is one of `POLYGRAFT_LOG_*` and `source` is
/// `onnxruntime` or `polygraft`; the texts are valid until it returns. It may be called on any
/// thread, also on several at once, and must return normally: exceptions and longjmp may not leave
/// it. It may call functions of the library; what is logged meanwhile on its thread is dropped.
pub type LogCallback = Option<
    unsafe extern "C" fn(severity: u32, source: StringView, message: StringView, user: *mut c_void),
>;

/// The `user` pointer of a log callback, which is only passed on.
struct User(*mut c_void);

// SAFETY: the pointer is never read here; the caller of `polygraft_engine_open` promises that the
// callback may use it from any thread.
unsafe impl Send for User {}
// SAFETY: as for `Send`.
unsafe impl Sync for User {}

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
    /// What the function `OrtGetApiBase` of an ONNX Runtime returns that the program has linked or
    /// loaded itself, for platforms where no library can be opened by a path. It must stay loaded
    /// until the process ends, and `onnxruntime_path` must be NULL. NULL to open a library. The
    /// program sets `ORT_DISABLE_TELEMETRY=1` itself before it loads ONNX Runtime.
    pub ort_api_base: *const c_void,
    /// Receives what ONNX Runtime and polygraft log, until the engine is closed; NULL for none.
    pub log: LogCallback,
    /// Passed to `log`.
    pub log_user: *mut c_void,
    /// The least severity that `log` receives, one of `POLYGRAFT_LOG_*`; the default is
    /// POLYGRAFT_LOG_WARNING. It holds for models that are opened after the engine.
    pub log_severity: u32,
    /// Must be 0.
    pub log_reserved: u32,
}

// SAFETY: repr(C), integers, raw pointers and a nullable function pointer, `struct_size` first.
unsafe impl SizedStruct for EngineOptions {
    const NAME: &'static str = "polygraft_engine_options";
    const SIZE_FIRST: usize = std::mem::offset_of!(Self, ort_api_base);
}

const DEFAULTS: EngineOptions = EngineOptions {
    struct_size: size_of::<EngineOptions>() as u32,
    reserved: 0,
    onnxruntime_path: std::ptr::null(),
    ort_api_base: std::ptr::null(),
    log: None,
    log_user: std::ptr::null_mut(),
    log_severity: POLYGRAFT_LOG_WARNING,
    log_reserved: 0,
};

impl EngineOptions {
    /// Opens the library that is named, or takes the one that is handed in.
    ///
    /// # Safety
    /// `onnxruntime_path` is NULL or NUL-terminated; `ort_api_base` is NULL or what the program's
    /// ONNX Runtime returned.
    unsafe fn open(&self) -> Result<Arc<Engine>> {
        // SAFETY: the same promise.
        let (library, base) = unsafe {
            let library = optional(self.onnxruntime_path, |it| path("onnxruntime_path", it))?;
            (library, ApiBase::new(self.ort_api_base))
        };
        match (library, base) {
            (Some(_), Some(_)) => {
                let message = "`onnxruntime_path` and `ort_api_base` are both set, expected one";
                Err(invalid(message.to_owned()))
            }
            (_, Some(base)) => Engine::of_api_base(base),
            (library, None) => Engine::open(library),
        }
    }

    /// Begins to pass messages on.
    fn listen(&self, engine: &Engine) -> Result<Option<Listener>> {
        let least = named("log_severity", &SEVERITIES, self.log_severity)?;
        let Some(log) = self.log else { return Ok(None) };
        let user = User(self.log_user);
        let pass_on = move |message: &Message<'_>| {
            let user = &user;
            let (source, text) = (Text::new(message.source), Text::new(message.text));
            let severity = number(&SEVERITIES, message.severity);
            // SAFETY: the caller passes a function of this type that returns normally and may be
            // called from any thread until the engine is closed, and `user` is whatever it expects.
            unsafe { log(severity, source.view(), text.view(), user.0) };
        };
        engine.listen(least, pass_on).map(Some)
    }
}

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
            let reserved = [options.reserved, options.log_reserved].map(u64::from);
            sized::reserved(EngineOptions::NAME, &reserved)?;
            let engine = options.open()?;
            let version = Text::new(engine.version());
            let listener = options.listen(&engine)?;
            Ok(Arc::new(OpenEngine { engine, version, _listener: listener }))
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

/// Closes an engine and sets `*engine` to NULL. Models that were opened with it stay usable. Its
/// log callback is not called any more. NULL and a pointer to NULL do nothing.
///
/// Ownership: the function consumes `*engine`.
/// Threads: safe while other threads use the engine: it waits until their calls and log callbacks
/// have ended, and later calls fail. Inside a log callback it does not wait.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_engine_close(engine: *mut *mut EngineHandle) {
    // SAFETY: the caller passes NULL or a pointer to a handle.
    unsafe { handle::close(engine) }
}
