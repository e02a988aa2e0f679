//! ONNX Runtime: finds and opens the library, loads models over mapped weights, and runs and
//! cancels them.
//!
//! One [`Engine`] exists per process, many threads may run a [`Session`] at once, and a [`Value`]
//! is owned memory that any number of runs may read.
//!
//! This part must never link ONNX Runtime, never open it before its telemetry is switched off,
//! never print, never panic on what the library or a model does, and never copy weights that it was
//! given as a mapping. It knows nothing of adapters, tasks or training. All its unsafe code is in
//! `raw.rs` and `raw/`.
//!
//! Input: the bytes of a model, the mapped weights it refers to and plain tensors. Output: plain
//! tensors.

mod cancel;
mod library;
pub mod log;
mod raw;
mod session;
mod value;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

pub use cancel::Cancel;
pub use library::{SearchPlace, SearchedPath, VERSION_MINOR_MIN, find};
pub use raw::library::ApiBase;
pub use session::{Mode, Operators, Session, SessionOptions};
pub use value::{ElementType, Value};

use crate::error::{Code, Error, Result};

/// The opened ONNX Runtime library of this process, and its environment.
///
/// It is opened once and stays open until the process ends: values and sessions may outlive every
/// handle to it, and closing the library under them would be unsound.
pub struct Engine {
    ort: &'static raw::Ort,
    library: library::Library,
}

/// The engine of the process, once it is open.
static ENGINE: Mutex<Option<Arc<Engine>>> = Mutex::new(None);

impl Engine {
    /// Opens ONNX Runtime, or returns the engine that this process has open already.
    ///
    /// With a `path`, that library and no other is opened; otherwise the paths listed by [`find`]
    /// are tried in order. Sets `ORT_DISABLE_TELEMETRY=1` in the environment of the process before
    /// a library is opened; a program that reads or writes the environment from C on other threads
    /// must set the variable itself before this call, which then leaves it as it is.
    ///
    /// # Errors
    /// [`Code::RuntimeNotFound`] or [`Code::RuntimeTooOld`] with every path tried and the reason
    /// for its refusal; [`Code::ArgumentInvalid`] if another library than `path` is open already. A
    /// failed call leaves nothing open and may be repeated.
    pub fn open(path: Option<&Path>) -> Result<Arc<Engine>> {
        // A panic under the lock leaves no engine or a complete one, so a poisoned lock is usable.
        let mut current = ENGINE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(engine) = &*current {
            engine.require(path)?;
            return Ok(Arc::clone(engine));
        }
        let engine = Self::start(library::open(path)?)?;
        *current = Some(Arc::clone(&engine));
        Ok(engine)
    }

    /// Uses an ONNX Runtime that the program has linked or loaded itself, where libraries cannot be
    /// opened by a path; or returns the engine that this process has open with it already.
    ///
    /// The environment of the process is not touched: its telemetry is for the program to switch
    /// off before it loads the library.
    ///
    /// # Errors
    /// [`Code::RuntimeNotFound`] or [`Code::RuntimeTooOld`] with the reason for its refusal;
    /// [`Code::ArgumentInvalid`] if another ONNX Runtime is open already.
    pub fn of_api_base(base: ApiBase) -> Result<Arc<Engine>> {
        let mut current = ENGINE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(engine) = &*current {
            if engine.library.base == base {
                return Ok(Arc::clone(engine));
            }
            let (path, version) = (engine.library_path().display(), engine.version());
            let message = format!(
                "the ONNX Runtime that was handed in is another one than the open one, {path} \
                 (version {version}); a process can have only one"
            );
            return Err(Error::new(Code::ArgumentInvalid, message));
        }
        let engine = Self::start(library::of_base(base)?)?;
        *current = Some(Arc::clone(&engine));
        Ok(engine)
    }

    fn start(library: library::Library) -> Result<Arc<Engine>> {
        let ort = raw::Ort::start(library.api)?;
        let engine = Engine { ort, library };
        log::log(log::Severity::Info, "polygraft", || format!("opened {engine:?}"));
        Ok(Arc::new(engine))
    }

    /// Calls `callback` with every message of at least this severity that ONNX Runtime or polygraft
    /// logs, until the listener is dropped. It is called on the thread that logs, which may be any,
    /// and must not panic. Sessions that are open already keep logging what they did before.
    ///
    /// # Errors
    /// [`Code::RuntimeFailed`].
    pub fn listen(
        &self,
        least: log::Severity,
        callback: impl Fn(&log::Message<'_>) + Send + Sync + 'static,
    ) -> Result<log::Listener> {
        let listener = log::Listener::new(least, Box::new(callback));
        self.ort.log_from(log::least())?;
        Ok(listener)
    }

    /// The version of the library, for example `1.28.0`.
    pub fn version(&self) -> &str {
        &self.library.version
    }

    /// The file that the library was opened from.
    pub fn library_path(&self) -> &Path {
        &self.library.path
    }

    /// Refuses a path to another library than the open one.
    fn require(&self, path: Option<&Path>) -> Result<()> {
        let resolve = |path: &Path| -> PathBuf {
            std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf())
        };
        match path {
            Some(path) if resolve(path) != resolve(self.library_path()) => Err(Error::new(
                Code::ArgumentInvalid,
                format!(
                    "ONNX Runtime path: {} was asked for, but this process already has {} open \
                     (version {}) and can have only one",
                    path.display(),
                    self.library_path().display(),
                    self.version(),
                ),
            )),
            _ => Ok(()),
        }
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Engine({} at {})", self.version(), self.library_path().display())
    }
}
