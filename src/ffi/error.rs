//! Error objects: a status, a stable name, a message and the chain of causes.
//!
//! An error object belongs to the caller. There is no last error per thread, because a program in
//! another language may continue on another thread between two calls.

use super::object::{find, free, guarded, read};
use super::text::{StringView, Text};
use crate::error::{Code, Error};
use std::sync::LazyLock;

/// 0 (`POLYGRAFT_OK`) for success, else one of the `POLYGRAFT_ERROR_*` numbers.
pub type Status = i32;

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

/// Returns the status of a failure, one of `POLYGRAFT_ERROR_*`; `POLYGRAFT_OK` for NULL.
///
/// Ownership: the caller keeps `error`.
/// Threads: may be called concurrently on one error.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_error_code(error: *const ErrorObject) -> Status {
    // SAFETY: the caller passes NULL or an error of this library that is not freed.
    unsafe { read(error, 0, |error| error.code.number()) }
}

/// Returns the stable name of a failure, for example `adapter.base_mismatch`; an empty text for
/// NULL.
///
/// Ownership: the view is valid until `error` is freed.
/// Threads: may be called concurrently on one error.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_error_name(error: *const ErrorObject) -> StringView {
    // SAFETY: the caller passes NULL or an error of this library that is not freed.
    unsafe { read(error, StringView::EMPTY, |error| error.name.view()) }
}

/// Returns the whole message of a failure: its causes from the outermost to the innermost,
/// separated by `": "`; an empty text for NULL.
///
/// Ownership: the view is valid until `error` is freed.
/// Threads: may be called concurrently on one error.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_error_message(error: *const ErrorObject) -> StringView {
    // SAFETY: the caller passes NULL or an error of this library that is not freed.
    unsafe { read(error, StringView::EMPTY, |error| error.message.view()) }
}

/// Returns the number of causes of a failure, at least 1; 0 for NULL.
///
/// Ownership: the caller keeps `error`.
/// Threads: may be called concurrently on one error.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_error_causes_count(error: *const ErrorObject) -> usize {
    // SAFETY: the caller passes NULL or an error of this library that is not freed.
    unsafe { read(error, 0, |error| error.causes.len()) }
}

/// Returns one cause of a failure. Cause 0 is the outermost and says what was being done; the last
/// one says what went wrong. NULL and an `index` past the end give an empty text.
///
/// Ownership: the view is valid until `error` is freed.
/// Threads: may be called concurrently on one error.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_error_cause(
    error: *const ErrorObject,
    index: usize,
) -> StringView {
    // SAFETY: the caller passes NULL or an error of this library that is not freed.
    unsafe { find(error, StringView::EMPTY, |error| error.causes.get(index).map(Text::view)) }
}

/// Frees an error and sets `*error` to NULL. NULL and a pointer to NULL do nothing.
///
/// Ownership: the function consumes `*error`; views into it become invalid.
/// Threads: exclusive: no other thread may be using this error.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_error_free(error: *mut *mut ErrorObject) {
    // SAFETY: the caller passes NULL or a pointer to NULL or to an error of this library.
    unsafe { free(error) }
}

static NAMES: LazyLock<Vec<(Status, Text)>> = LazyLock::new(|| {
    let codes = Code::ALL.iter().map(|code| (code.number(), code.name()));
    [(0, "ok")].into_iter().chain(codes).map(|(status, name)| (status, Text::new(name))).collect()
});

/// Returns the stable name of a status: `ok` for `POLYGRAFT_OK`, for example `io.not_found` for
/// `POLYGRAFT_ERROR_NOT_FOUND`, and an empty text for a number that is not a status.
///
/// Ownership: the view is static; it is valid for as long as the library is loaded.
/// Threads: may be called from any thread at any time.
/// Errors: none.
#[unsafe(no_mangle)]
pub extern "C" fn polygraft_status_name(status: Status) -> StringView {
    guarded(StringView::EMPTY, || {
        let name = NAMES.iter().find(|(number, _)| *number == status);
        name.map_or(StringView::EMPTY, |(_, name)| name.view())
    })
}
