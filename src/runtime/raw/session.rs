//! Sessions, their options, and the options of one run.

use std::ffi::{CStr, c_char};
use std::mem::ManuallyDrop;
use std::process;
use std::ptr::{self, NonNull};
use std::sync::{PoisonError, RwLock};

use ort::sys::{OrtRunOptions, OrtSession, OrtSessionOptions, OrtValue};

use super::pool::Pool;
use super::{Ort, Tensor, call, logging_level, not_null};
use crate::error::{Code, Error, Result};
use crate::runtime::log;

/// Session options, and the tensors that replace initializers.
pub struct Options {
    ort: &'static Ort,
    pointer: NonNull<OrtSessionOptions>,
    initializers: Vec<Tensor>,
    /// The allocator of the session, if it is not ONNX Runtime's own.
    pool: Option<&'static Pool>,
    /// Whether the model may use our own operators.
    has_operators: bool,
}

/// Whether ONNX Runtime knows the name of our domain of operators.
///
/// The first session with our operators adds the name to a table of the process, which ONNX Runtime
/// reads for every session and does not lock. So no other session is created beside that first one.
static IS_DOMAIN_KNOWN: RwLock<bool> = RwLock::new(false);

impl Options {
    /// The library's defaults, with every message disabled that nobody listens to.
    pub fn new(ort: &'static Ort) -> Result<Options> {
        let mut pointer = ptr::null_mut();
        let level = logging_level(log::least()) as i32;
        // SAFETY: the call writes one pointer to the place it is given.
        unsafe { call!(ort, CreateSessionOptions(&raw mut pointer))? };
        let pointer = not_null(pointer, "session options")?;
        let options =
            Options { ort, pointer, initializers: Vec::new(), pool: None, has_operators: false };
        // SAFETY: the options are alive and not shared.
        unsafe { call!(ort, SetSessionLogSeverityLevel(pointer.as_ptr(), level))? };
        Ok(options)
    }

    /// The number of threads that work on one operator together.
    pub fn threads(&mut self, count: i32) -> Result<()> {
        // SAFETY: the options are alive and not shared.
        unsafe { call!(self.ort, SetIntraOpNumThreads(self.pointer.as_ptr(), count)) }
    }

    /// Sets a named option.
    pub fn set(&mut self, key: &CStr, value: &CStr) -> Result<()> {
        let options = self.pointer.as_ptr();
        // SAFETY: the options are alive and not shared; both texts are copied.
        unsafe { call!(self.ort, AddSessionConfigEntry(options, key.as_ptr(), value.as_ptr())) }
    }

    /// Allocates memory from the system and frees it after each use, instead of keeping it.
    pub fn no_arena(&mut self) -> Result<()> {
        // SAFETY: the options are alive and not shared.
        unsafe { call!(self.ort, DisableCpuMemArena(self.pointer.as_ptr())) }
    }

    /// Disables planning one block of memory per combination of input shapes.
    pub fn no_memory_pattern(&mut self) -> Result<()> {
        // SAFETY: the options are alive and not shared.
        unsafe { call!(self.ort, DisableMemPattern(self.pointer.as_ptr())) }
    }

    /// Selects kernels whose results are the same in every run.
    pub fn deterministic(&mut self) -> Result<()> {
        // SAFETY: the options are alive and not shared.
        unsafe { call!(self.ort, SetDeterministicCompute(self.pointer.as_ptr(), true)) }
    }

    /// Keeps the memory of a run for the next one, until the session is dropped.
    pub fn keep_memory(&mut self) -> Result<()> {
        let pool = self.ort.pool()?;
        self.set(c"session.use_env_allocators", c"1")?;
        if self.pool.replace(pool).is_none() {
            pool.enter();
        }
        Ok(())
    }

    /// Lets the model use our own operators.
    pub fn operators(&mut self) -> Result<()> {
        let (options, domain) = (self.pointer.as_ptr(), self.ort.operators()?.as_ptr());
        // SAFETY: the options are alive and not shared; the domain lives as long as the process.
        unsafe { call!(self.ort, AddCustomOpDomain(options, domain))? };
        self.has_operators = true;
        Ok(())
    }

    /// Uses `tensor` for the initializer of this name, without a copy.
    pub fn initializer(&mut self, name: &CStr, tensor: Tensor) -> Result<()> {
        let options = self.pointer.as_ptr();
        // SAFETY: the options are alive and not shared, and the name is copied. The tensor has to
        // outlive the options and every session made of them: the options own it, and hand it to
        // the session. Its value does not move when the tensor does.
        unsafe {
            call!(self.ort, AddInitializer(options, name.as_ptr(), tensor.pointer()))?;
        }
        self.initializers.push(tensor);
        Ok(())
    }
}

impl Drop for Options {
    fn drop(&mut self) {
        // SAFETY: the options are owned and released exactly once, before their initializers.
        unsafe { (self.ort.api.ReleaseSessionOptions)(self.pointer.as_ptr()) };
        // The session that was made of them is released, too.
        if let Some(pool) = self.pool {
            pool.leave();
        }
    }
}

/// The lists of names that a session has.
#[derive(Clone, Copy)]
pub enum Names {
    /// Inputs that every run must be given.
    Inputs,
    /// Inputs that have a default.
    OptionalInputs,
    Outputs,
}

/// A loaded model.
pub struct RawSession {
    ort: &'static Ort,
    pointer: NonNull<OrtSession>,
    /// The options own the initializers that the session reads.
    options: ManuallyDrop<Options>,
    /// The process that created the session and its threads.
    process: u32,
}

// SAFETY: ONNX Runtime documents `Run` and the functions that tell names as callable from several
// threads at once on one session, and releasing one as allowed on any thread.
unsafe impl Send for RawSession {}
// SAFETY: as for `Send`.
unsafe impl Sync for RawSession {}

impl RawSession {
    /// Loads the model in these bytes.
    pub fn new(options: Options, model: &[u8]) -> Result<RawSession> {
        let is_domain_known = IS_DOMAIN_KNOWN.read().unwrap_or_else(PoisonError::into_inner);
        if *is_domain_known || !options.has_operators {
            return Self::create(options, model);
        }
        drop(is_domain_known);
        let mut is_domain_known = IS_DOMAIN_KNOWN.write().unwrap_or_else(PoisonError::into_inner);
        let session = Self::create(options, model)?;
        *is_domain_known = true;
        Ok(session)
    }

    fn create(options: Options, model: &[u8]) -> Result<RawSession> {
        let ort = options.ort;
        let mut pointer = ptr::null_mut();
        // SAFETY: the bytes are read during the call only, since no option asks otherwise; the
        // options and the tensors they own live as long as the session.
        unsafe {
            call!(
                ort,
                CreateSessionFromArray(
                    ort.environment.as_ptr(),
                    model.as_ptr().cast(),
                    model.len(),
                    options.pointer.as_ptr(),
                    &raw mut pointer,
                )
            )?;
        }
        let pointer = not_null(pointer, "session")?;
        let options = ManuallyDrop::new(options);
        Ok(RawSession { ort, pointer, options, process: process::id() })
    }

    /// The process that created the session, if it is not this one. After a fork, the child has the
    /// session without its threads.
    pub fn other_process(&self) -> Option<u32> {
        (self.process != process::id()).then_some(self.process)
    }

    /// The names of one list, in the order of the model.
    pub fn names(&self, list: Names) -> Result<Vec<String>> {
        let api = self.ort.api;
        let (count, name) = match list {
            Names::Inputs => (api.SessionGetInputCount, api.SessionGetInputName),
            Names::OptionalInputs => (
                api.SessionGetOverridableInitializerCount,
                api.SessionGetOverridableInitializerName,
            ),
            Names::Outputs => (api.SessionGetOutputCount, api.SessionGetOutputName),
        };
        let (session, allocator) = (self.pointer.as_ptr(), self.ort.allocator.as_ptr());
        let mut length = 0;
        // SAFETY: the session is alive, and the call writes one number to the place it is given.
        self.ort.check(unsafe { count(session, &raw mut length) })?;
        let mut names = Vec::with_capacity(length);
        for index in 0..length {
            let mut text: *mut c_char = ptr::null_mut();
            // SAFETY: the index is below the count; the name ends with a zero byte, is copied and
            // then given back to the allocator it came from.
            unsafe {
                self.ort.check(name(session, index, allocator, &raw mut text))?;
                let text = not_null(text, "name")?;
                names.push(CStr::from_ptr(text.as_ptr()).to_string_lossy().into_owned());
                call!(self.ort, AllocatorFree(allocator, text.as_ptr().cast()))?;
            }
        }
        Ok(names)
    }

    /// Runs the model; the outputs are in the order of their names.
    pub fn run(
        &self,
        options: Option<&RunOptions>,
        inputs: &[(&CStr, &Tensor)],
        outputs: &[&CStr],
    ) -> Result<Vec<Tensor>> {
        let input_names: Vec<_> = inputs.iter().map(|(name, _)| name.as_ptr()).collect();
        let input_values: Vec<_> = inputs.iter().map(|(_, tensor)| tensor.pointer()).collect();
        let output_names: Vec<_> = outputs.iter().map(|name| name.as_ptr()).collect();
        let mut results: Vec<*mut OrtValue> = vec![ptr::null_mut(); outputs.len()];
        let options = options.map_or(ptr::null(), |options| options.pointer.as_ptr().cast_const());
        // SAFETY: the session is alive; each list has the length stated and holds names that end
        // with a zero byte or values that are alive, borrowed for the call. The places of results
        // are NULL, which asks ONNX Runtime to allocate them. NULL options are the defaults.
        let status = unsafe {
            (self.ort.api.Run)(
                self.pointer.as_ptr(),
                options,
                input_names.as_ptr(),
                input_values.as_ptr(),
                inputs.len(),
                output_names.as_ptr(),
                outputs.len(),
                results.as_mut_ptr(),
            )
        };
        // Every result is owned before the first error returns, so that all are released.
        let adopt = |pointer| match NonNull::new(pointer) {
            Some(pointer) => Tensor::adopt(self.ort, pointer),
            None => Err(Error::new(Code::RuntimeFailed, "ONNX Runtime gave no value and no error")),
        };
        let owned: Vec<Result<Tensor>> = results.into_iter().map(adopt).collect();
        self.ort.check(status)?;
        owned.into_iter().collect()
    }
}

impl Drop for RawSession {
    fn drop(&mut self) {
        // ONNX Runtime would wait for threads that exist only in the parent, so in a forked child
        // the session and its weights stay until the process ends.
        if self.other_process().is_some() {
            return;
        }
        // SAFETY: the session is owned and released exactly once; no run is in flight, since a run
        // borrows it. Its options are dropped exactly once, after it, and not used again.
        unsafe {
            (self.ort.api.ReleaseSession)(self.pointer.as_ptr());
            ManuallyDrop::drop(&mut self.options);
        }
    }
}

/// The options of one run; another thread may use them to cancel it.
pub struct RunOptions {
    ort: &'static Ort,
    pointer: NonNull<OrtRunOptions>,
}

// SAFETY: the only thing ever changed is the flag that ends the run, which ONNX Runtime documents
// as settable from another thread while the run is in flight.
unsafe impl Send for RunOptions {}
// SAFETY: as for `Send`.
unsafe impl Sync for RunOptions {}

impl RunOptions {
    pub fn new(ort: &'static Ort) -> Result<RunOptions> {
        let mut pointer = ptr::null_mut();
        // SAFETY: the call writes one pointer to the place it is given.
        unsafe { call!(ort, CreateRunOptions(&raw mut pointer))? };
        Ok(RunOptions { ort, pointer: not_null(pointer, "run options")? })
    }

    /// Cancels the runs that use these options before their next operator.
    pub fn terminate(&self) -> Result<()> {
        // SAFETY: the options are alive, and setting the flag is allowed from any thread.
        unsafe { call!(self.ort, RunOptionsSetTerminate(self.pointer.as_ptr())) }
    }
}

impl Drop for RunOptions {
    fn drop(&mut self) {
        // SAFETY: the options are owned and released exactly once; a run borrows them.
        unsafe { (self.ort.api.ReleaseRunOptions)(self.pointer.as_ptr()) };
    }
}
