//! Error objects: what failed, under a stable name, with the chain of causes.
//!
//! An error object belongs to the caller. There is no last error per thread: a program in another
//! language may continue on another thread between two calls.

use super::gate::{Status, free, gate_value, object};
use super::text::{StringView, Text};
use crate::error::{Code, Error};
use std::sync::LazyLock;

/// A failure: its status, stable name, message and causes.
pub struct ErrorObject {
    code: Code,
    name: Text,
    message: Text,
    /// Outermost first; the last one is the failure itself.
    causes: Vec<Text>,
}

impl ErrorObject {
    pub(super) fn new(error: &Error) -> Self {
        let causes = error.contexts().chain([error.message()]);
        Self {
            code: error.code(),
            name: Text::new(error.code().name()),
            message: Text::new(error.to_string()),
            causes: causes.map(Text::new).collect(),
        }
    }
}

/// The status of a failure, one of `POLYGRAFT_ERROR_*`; `POLYGRAFT_OK` for NULL.
///
/// Ownership: borrows `error`.
/// Threads: may be called concurrently on one error.
/// Errors: none.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_error_code(error: *const ErrorObject) -> Status {
    // SAFETY: the caller passes NULL or an error of this library that is not freed.
    gate_value(0, || unsafe { object(error) }.map_or(0, |error| error.code.number()))
}

/// The stable name of a failure, for example `adapter.base_mismatch`; empty for NULL.
///
/// Ownership: the view is valid until `error` is freed.
/// Threads: may be called concurrently on one error.
/// Errors: none.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_error_name(error: *const ErrorObject) -> StringView {
    gate_value(StringView::EMPTY, || {
        // SAFETY: the caller passes NULL or an error of this library that is not freed.
        unsafe { object(error) }.map_or(StringView::EMPTY, |error| error.name.view())
    })
}

/// The whole message of a failure: its causes from the outermost to the innermost, separated by
/// `": "`; empty for NULL.
///
/// Ownership: the view is valid until `error` is freed.
/// Threads: may be called concurrently on one error.
/// Errors: none.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_error_message(error: *const ErrorObject) -> StringView {
    gate_value(StringView::EMPTY, || {
        // SAFETY: the caller passes NULL or an error of this library that is not freed.
        unsafe { object(error) }.map_or(StringView::EMPTY, |error| error.message.view())
    })
}

/// How many causes a failure has; at least 1, and 0 for NULL.
///
/// Ownership: borrows `error`.
/// Threads: may be called concurrently on one error.
/// Errors: none.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_error_causes_count(error: *const ErrorObject) -> usize {
    // SAFETY: the caller passes NULL or an error of this library that is not freed.
    gate_value(0, || unsafe { object(error) }.map_or(0, |error| error.causes.len()))
}

/// One cause of a failure: 0 is the outermost (what was being done), the last one is what went
/// wrong; empty for NULL and past the end.
///
/// Ownership: the view is valid until `error` is freed.
/// Threads: may be called concurrently on one error.
/// Errors: none.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_error_cause(
    error: *const ErrorObject,
    index: usize,
) -> StringView {
    gate_value(StringView::EMPTY, || {
        // SAFETY: the caller passes NULL or an error of this library that is not freed.
        let cause = unsafe { object(error) }.and_then(|error| error.causes.get(index));
        cause.map_or(StringView::EMPTY, Text::view)
    })
}

/// Frees an error and sets `*error` to NULL. NULL and a pointer to NULL do nothing.
///
/// Ownership: takes `*error`; every view into it ends.
/// Threads: exclusive: no other thread may be using this error.
/// Errors: none.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_error_free(error: *mut *mut ErrorObject) {
    // SAFETY: the caller passes NULL or a pointer to NULL or to an error of this library.
    unsafe { free(error) }
}

static NAMES: LazyLock<Vec<(Status, Text)>> = LazyLock::new(|| {
    Code::ALL.iter().map(|code| (code.number(), Text::new(code.name()))).collect()
});

/// The stable name of a status: `ok` for `POLYGRAFT_OK`, for example `io.not_found` for
/// `POLYGRAFT_ERROR_NOT_FOUND`, and empty for a number that is no status.
///
/// Ownership: the view is static; it is valid for as long as the library is loaded.
/// Threads: may be called from any thread at any time.
/// Errors: none.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub extern "C" fn polygraft_status_name(status: Status) -> StringView {
    const OK: StringView = StringView { ptr: c"ok".as_ptr(), len: 2 };
    gate_value(StringView::EMPTY, || {
        if status == 0 {
            return OK;
        }
        let name = NAMES.iter().find(|(number, _)| *number == status);
        name.map_or(StringView::EMPTY, |(_, name)| name.view())
    })
}
