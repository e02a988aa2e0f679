//! Cancel tokens.

use super::boundary::boundary;
use super::error::{ErrorObject, Status};
use super::handle::{self, Handle};
use super::text::optional;
use crate::error::Result;
use crate::runtime::Cancel;

/// A token that cancels the predictions and updates it is given to. A cancelled token stays
/// cancelled.
pub struct CancelHandle;

impl Handle for CancelHandle {
    type Object = Cancel;
    const NOUN: &'static str = "cancel";
    const WORKS_AFTER_FORK: bool = true;
}

/// The token of a call that can be cancelled, if it has one. The call keeps a token of its own, so
/// closing the handle does not wait for the call.
pub(super) fn token(cancel: *const CancelHandle) -> Result<Option<Cancel>> {
    optional(cancel, |cancel| handle::borrow(cancel).map(|cancel| cancel.clone()))
}

/// Makes a token that is not cancelled.
///
/// Ownership: the caller owns `*cancel` and closes it with `polygraft_cancel_close`.
/// Threads: may be called from any thread at any time.
/// Errors: argument.null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_cancel_open(
    cancel: *mut *mut CancelHandle,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: the caller passes NULL or writable memory.
    unsafe { handle::give(error, cancel, || Ok(Cancel::new())) }
}

/// Cancels every call that runs with this token, now and later. A cancelled call soon fails with
/// `POLYGRAFT_ERROR_CANCELLED` and has changed nothing.
///
/// Ownership: the caller keeps `cancel`.
/// Threads: may be called from any thread at any time; that is its purpose.
/// Errors: argument.null, argument.invalid (a closed token).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_cancel_trigger(
    cancel: *const CancelHandle,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: `error` is NULL or writable.
    unsafe { boundary(error, || handle::borrow(cancel).map(|cancel| cancel.cancel())) }
}

/// Closes a token and sets `*cancel` to NULL. It does not cancel anything. NULL and a pointer to
/// NULL do nothing.
///
/// Ownership: the function consumes `*cancel`.
/// Threads: safe while other threads run with the token; it does not wait for them.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_cancel_close(cancel: *mut *mut CancelHandle) {
    // SAFETY: the caller passes NULL or a pointer to a handle.
    unsafe { handle::close(cancel) }
}
