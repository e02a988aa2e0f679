//! Safe objects over ONNX Runtime's table of C functions: the unsafe code of this part.
//!
//! Each object owns what the library gave it and releases it when dropped. An object also owns
//! everything that its C functions need to stay alive, so no caller can get a lifetime wrong. This
//! module must never decide names, modes or messages: they belong to the files that use these
//! objects.

pub mod library;
mod memory;
mod operator;
mod pool;
mod session;
mod tensor;

use std::ffi::{CStr, c_char, c_void};
use std::ptr::{self, NonNull};
use std::sync::{Mutex, OnceLock, PoisonError};

use ort::sys::{
    OrtAllocator, OrtAllocatorType, OrtApi, OrtCustomOpDomain, OrtEnv, OrtLoggingLevel, OrtMemType,
    OrtMemoryInfo, OrtStatusPtr,
};

pub use memory::{AlignedBytes, Memory, Plain, WeightMemory, from_bytes};
pub use session::{Names, Options, RawSession, RunOptions};
pub use tensor::{Tensor, alignment};

use crate::error::{Code, Error, Result};
use crate::runtime::log::{self, Severity};

/// Calls a function of the table that returns a status, and turns the status into a `Result`.
macro_rules! call {
    ($ort:expr, $function:ident($($argument:expr),* $(,)?)) => {
        $ort.check(($ort.api.$function)($($argument),*))
    };
}
use call;

/// The functions, the environment and the memory description that every object needs.
///
/// It is made once per process and never released, so objects hold a plain reference to it.
pub struct Ort {
    api: &'static OrtApi,
    environment: NonNull<OrtEnv>,
    memory: NonNull<OrtMemoryInfo>,
    /// Allocates the names that sessions return; owned by the library.
    allocator: NonNull<OrtAllocator>,
    /// Our own operators, once a session needs them.
    operators: OnceLock<Operators>,
    /// Keeps the memory of training runs, once a session needs that.
    pool: OnceLock<&'static pool::Pool>,
}

/// A domain of operators, which is complete and never changes again.
#[derive(Clone, Copy)]
struct Operators(NonNull<OrtCustomOpDomain>);

// SAFETY: the domain is only read after it was made.
unsafe impl Send for Operators {}
// SAFETY: as for `Send`.
unsafe impl Sync for Operators {}

// SAFETY: the table is constant; ONNX Runtime documents the environment as usable from any thread,
// the description of memory is never written after it was made, and the default allocator locks.
unsafe impl Send for Ort {}
// SAFETY: as for `Send`.
unsafe impl Sync for Ort {}

impl Ort {
    /// Creates the environment. Its log goes to who listens, and otherwise nowhere: every error
    /// comes back as a status.
    pub fn start(api: &'static OrtApi) -> Result<&'static Ort> {
        let mut ort = Ort {
            api,
            environment: NonNull::dangling(),
            memory: NonNull::dangling(),
            allocator: NonNull::dangling(),
            operators: OnceLock::new(),
            pool: OnceLock::new(),
        };
        let level = logging_level(log::least());
        let (mut environment, mut memory, mut allocator) =
            (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
        // SAFETY: the logger is a function without state, the name a constant that is copied, and
        // each call writes one pointer to the place it is given.
        unsafe {
            call!(
                ort,
                CreateEnvWithCustomLogger(
                    pass_on_log,
                    ptr::null_mut(),
                    level,
                    c"polygraft".as_ptr(),
                    &raw mut environment,
                )
            )?;
            call!(
                ort,
                CreateCpuMemoryInfo(
                    OrtAllocatorType::OrtDeviceAllocator,
                    OrtMemType::OrtMemTypeDefault,
                    &raw mut memory,
                )
            )?;
            call!(ort, GetAllocatorWithDefaultOptions(&raw mut allocator))?;
        }
        ort.environment = not_null(environment, "environment")?;
        // SAFETY: the environment is alive. The variable that `library` sets switches more off;
        // this is what is left where a program has loaded the library itself.
        unsafe { call!(ort, DisableTelemetryEvents(environment))? };
        ort.memory = not_null(memory, "memory description")?;
        ort.allocator = not_null(allocator, "allocator")?;
        Ok(Box::leak(Box::new(ort)))
    }

    /// Logs what is at least this severe from now on, in the environment and in new sessions.
    pub fn log_from(&self, least: Option<Severity>) -> Result<()> {
        let level = logging_level(least);
        // SAFETY: the environment is alive and usable from any thread.
        unsafe { call!(self, UpdateEnvWithCustomLogLevel(self.environment.as_ptr(), level)) }
    }

    /// The domain of our own operators.
    fn operators(&'static self) -> Result<NonNull<OrtCustomOpDomain>> {
        if let Some(operators) = self.operators.get() {
            return Ok(operators.0);
        }
        // Of two threads that come here at once, the second one's domain stays unused.
        let made = Operators(operator::domain(self)?);
        Ok(self.operators.get_or_init(|| made).0)
    }

    /// The allocator that keeps the memory of runs, registered with the environment.
    fn pool(&'static self) -> Result<&'static pool::Pool> {
        static REGISTERING: Mutex<()> = Mutex::new(());
        let _registering = REGISTERING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = self.pool.get() {
            return Ok(pool);
        }
        let pool: &'static pool::Pool = Box::leak(Box::new(pool::Pool::new(self.memory)));
        // SAFETY: environment and allocator live as long as the process. Only sessions that ask for
        // the allocators of the environment use it.
        unsafe { call!(self, RegisterAllocator(self.environment.as_ptr(), pool.pointer()))? };
        Ok(self.pool.get_or_init(|| pool))
    }

    /// Converts a status to a result and releases it.
    fn check(&self, status: OrtStatusPtr) -> Result<()> {
        if status.0.is_null() {
            return Ok(());
        }
        // SAFETY: a status that is not NULL is owned by whoever called; its message ends with a
        // zero byte and lives until the status is released, which happens after it was copied.
        let message = unsafe {
            let text = (self.api.GetErrorMessage)(status.0);
            let message = match text.is_null() {
                true => "ONNX Runtime failed without a message".to_owned(),
                false => CStr::from_ptr(text).to_string_lossy().into_owned(),
            };
            (self.api.ReleaseStatus)(status.0);
            message
        };
        Err(Error::new(Code::RuntimeFailed, message))
    }
}

/// Receives ONNX Runtime's log and passes it on to who listens.
extern "system" fn pass_on_log(
    _user: *mut c_void,
    severity: OrtLoggingLevel,
    _category: *const c_char,
    _id: *const c_char,
    _location: *const c_char,
    message: *const c_char,
) {
    let position = severity as usize;
    let severity = Severity::ALL.get(position).copied().unwrap_or(Severity::Fatal);
    // A panic of a listener must not unwind into ONNX Runtime.
    let _ = std::panic::catch_unwind(|| {
        log::log(severity, "onnxruntime", || {
            if message.is_null() {
                return String::new();
            }
            // SAFETY: not NULL, ends with a zero byte, and is alive until this function returns.
            unsafe { CStr::from_ptr(message) }.to_string_lossy().into_owned()
        });
    });
}

/// The number of ONNX Runtime for the least severity that is heard; that of fatal for none.
fn logging_level(least: Option<Severity>) -> OrtLoggingLevel {
    match least {
        Some(Severity::Verbose) => OrtLoggingLevel::ORT_LOGGING_LEVEL_VERBOSE,
        Some(Severity::Info) => OrtLoggingLevel::ORT_LOGGING_LEVEL_INFO,
        Some(Severity::Warning) => OrtLoggingLevel::ORT_LOGGING_LEVEL_WARNING,
        Some(Severity::Error) => OrtLoggingLevel::ORT_LOGGING_LEVEL_ERROR,
        Some(Severity::Fatal) | None => OrtLoggingLevel::ORT_LOGGING_LEVEL_FATAL,
    }
}

fn not_null<T>(pointer: *mut T, what: &str) -> Result<NonNull<T>> {
    NonNull::new(pointer).ok_or_else(|| {
        Error::new(Code::RuntimeFailed, format!("ONNX Runtime gave no {what} and no error"))
    })
}
