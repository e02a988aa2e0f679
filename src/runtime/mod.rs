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
mod raw;
mod session;
mod value;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

pub use cancel::Cancel;
pub use library::{SearchPlace, SearchedPath, VERSION_MINOR_MIN, find};
pub use session::{Mode, Session, SessionOptions};
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
        let library = library::open(path)?;
        let ort = raw::Ort::start(library.api)?;
        let engine = Arc::new(Engine { ort, library });
        *current = Some(Arc::clone(&engine));
        Ok(engine)
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
