//! Cancels runs from another thread.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::raw::{Ort, RunOptions};
use crate::error::{Code, Error, Result};

/// Cancels the runs that it is given to.
///
/// Clones share one state. Cancelling is final: runs in flight end before their next operator, and
/// runs started later end at once, all with [`Code::Cancelled`].
#[derive(Clone, Default)]
pub struct Cancel(Arc<Shared>);

#[derive(Default)]
struct Shared {
    cancelled: AtomicBool,
    /// The runs in flight. [`Cancel::cancel`] sets the flag under this lock, so that no run starts
    /// unnoticed between the check of the flag and its registration.
    running: Mutex<Vec<Arc<RunOptions>>>,
}

impl Cancel {
    /// A handle that is not cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancels. May be called from any thread, any number of times; returns at once.
    pub fn cancel(&self) {
        let running = self.0.running.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.cancelled.store(true, Ordering::Release);
        for options in running.iter() {
            // Setting a flag does not fail; if it did, the run would end by itself.
            let _ = options.terminate();
        }
    }

    /// Whether [`Cancel::cancel`] was called.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::Acquire)
    }

    /// An error with [`Code::Cancelled`] after cancellation, for work between runs.
    pub fn check(&self) -> Result<()> {
        if self.is_cancelled() { Err(cancelled()) } else { Ok(()) }
    }

    /// Registers a run, unless cancelled.
    pub(super) fn start(&self, ort: &'static Ort) -> Result<Running<'_>> {
        let options = Arc::new(RunOptions::new(ort)?);
        let mut running = self.0.running.lock().unwrap_or_else(PoisonError::into_inner);
        self.check()?;
        running.push(Arc::clone(&options));
        Ok(Running { cancel: self, options })
    }
}

fn cancelled() -> Error {
    Error::new(Code::Cancelled, "the operation was cancelled")
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cancel").field(&self.is_cancelled()).finish()
    }
}

/// A registered run; dropping it removes the registration.
pub(super) struct Running<'c> {
    cancel: &'c Cancel,
    pub options: Arc<RunOptions>,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut running = self.cancel.0.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|other| !Arc::ptr_eq(other, &self.options));
    }
}
