//! The count of calls that use a handle, so that closing it can wait for them.
//!
//! A call that borrows a handle holds an [`InUse`] until it returns; [`Uses::wait`] returns when
//! none is left. The `user` pointer of a callback may therefore be freed as soon as a close has
//! returned. A close inside a callback must never wait: it would wait for itself, or for a thread
//! that waits for it.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

thread_local! {
    /// The number of calls with a handle that this thread is in; it is more than 0 in a callback.
    static INSIDE: Cell<usize> = const { Cell::new(0) };
}

/// The calls that use one handle.
#[derive(Default)]
pub(super) struct Uses {
    count: Mutex<usize>,
    ended: Condvar,
}

impl Uses {
    /// Waits until no call uses the handle, unless this thread is inside a call itself.
    pub(super) fn wait(&self) {
        if INSIDE.get() > 0 {
            return;
        }
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        while *count > 0 {
            count = self.ended.wait(count).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// One call that uses a handle. It stays on the thread of the call.
pub(super) struct InUse {
    uses: Arc<Uses>,
    this_thread: PhantomData<*const ()>,
}

impl InUse {
    pub(super) fn begin(uses: &Arc<Uses>) -> Self {
        *uses.count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        INSIDE.set(INSIDE.get() + 1);
        Self { uses: Arc::clone(uses), this_thread: PhantomData }
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        INSIDE.set(INSIDE.get().saturating_sub(1));
        let mut count = self.uses.count.lock().unwrap_or_else(PoisonError::into_inner);
        *count = count.saturating_sub(1);
        drop(count);
        self.uses.ended.notify_all();
    }
}
