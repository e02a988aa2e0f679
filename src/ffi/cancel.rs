//! Cancel tokens.

use super::error::ErrorObject;
use super::gate::{Out, Status, gate};
use super::handle::{self, Handle};
use crate::runtime::Cancel;

/// A token that cancels the predictions and updates it is given to. Once cancelled, it stays so.
pub struct CancelHandle;

impl Handle for CancelHandle {
    type Object = Cancel;
    const NOUN: &'static str = "cancel";
    const WORKS_AFTER_FORK: bool = true;
}

/// Makes a token that is not cancelled.
///
/// Ownership: gives `*cancel`; close it with `polygraft_cancel_close`.
/// Threads: may be called from any thread at any time.
/// Errors: argument.null.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_cancel_open(
    cancel: *mut *mut CancelHandle,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: the caller passes NULL or writable memory.
    unsafe {
        gate(error, || {
            let out = Out::new("cancel", cancel)?;
            out.write(handle::open(Cancel::new()));
            Ok(())
        })
    }
}

/// Cancels everything that runs with this token, now and later. What is cancelled fails with
/// `POLYGRAFT_ERROR_CANCELLED` soon, and has changed nothing.
///
/// Ownership: borrows `cancel`.
/// Threads: may be called from any thread at any time; that is its purpose.
/// Errors: argument.null, argument.invalid (a closed token).
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_cancel_trigger(
    cancel: *const CancelHandle,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: a handle is never dereferenced; `error` is NULL or writable.
    unsafe {
        gate(error, || {
            handle::borrow(cancel)?.cancel();
            Ok(())
        })
    }
}

/// Closes a token and sets `*cancel` to NULL, without cancelling. NULL and a pointer to NULL do
/// nothing.
///
/// Ownership: takes `*cancel`.
/// Threads: safe while other threads run with the token, and does not wait for them.
/// Errors: none.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_cancel_close(cancel: *mut *mut CancelHandle) {
    // SAFETY: the caller passes NULL or a pointer to a handle.
    unsafe { handle::close(cancel) }
}
