//! Result objects and the pointers to them: read, found, required and freed.
//!
//! [`read`] and [`find`] serve the accessors of result objects. A panic must never leave this file.

use crate::error::{Code, Error, Result};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Moves a result object to the heap, where the caller owns it.
pub(super) fn boxed<T>(object: T) -> *mut T {
    Box::into_raw(Box::new(object))
}

/// Runs code that cannot fail; a panic gives `fallback`.
pub(super) fn guarded<T>(fallback: T, call: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or(fallback)
}

/// Reads one value of a result object; NULL gives `fallback`.
///
/// # Safety
/// `object` is NULL or was given by this library and is not freed during the call.
pub(super) unsafe fn read<T, V: Copy>(
    object: *const T,
    fallback: V,
    read: impl FnOnce(&T) -> V,
) -> V {
    // SAFETY: the same promise.
    unsafe { find(object, fallback, |object| Some(read(object))) }
}

/// Like [`read`] for a value that the object may not have; NULL and `None` give `fallback`.
///
/// # Safety
/// As for [`read`].
pub(super) unsafe fn find<T, V: Copy>(
    object: *const T,
    fallback: V,
    find: impl FnOnce(&T) -> Option<V>,
) -> V {
    // SAFETY: the promise above is the one `as_ref` asks for; objects are never written after
    // the caller has them.
    guarded(fallback, || unsafe { object.as_ref() }.and_then(find).unwrap_or(fallback))
}

/// The error for a required pointer that is NULL.
pub(super) fn null(name: &str, expected: &str) -> Error {
    Error::new(Code::ArgumentNull, format!("`{name}` is NULL, expected {expected}"))
}

/// The error for an argument with a value outside of its range.
pub(super) fn invalid(message: String) -> Error {
    Error::new(Code::ArgumentInvalid, message)
}

/// Borrows a result object for a function that reports errors; NULL is refused.
///
/// # Safety
/// `pointer` is NULL or was given by this library and not freed, for as long as `'a` lasts.
pub(super) unsafe fn required<'a, T>(name: &str, pointer: *const T) -> Result<&'a T> {
    // SAFETY: the promise above is the one `as_ref` asks for; objects are never written after
    // the caller has them.
    unsafe { pointer.as_ref() }.ok_or_else(|| null(name, "an object of this library"))
}

/// One entry of a list, or an error that names the index.
pub(super) fn at<T>(entries: &[T], index: usize) -> Result<&T> {
    let count = entries.len();
    entries
        .get(index)
        .ok_or_else(|| invalid(format!("`index` is {index}, expected less than {count}")))
}

/// Frees a result object and nulls the caller's pointer; NULL and a pointer to NULL do nothing.
///
/// # Safety
/// `pointer` is NULL or points to NULL or to an object that came from [`boxed`].
pub(super) unsafe fn free<T>(pointer: *mut *mut T) {
    if pointer.is_null() {
        return;
    }
    // SAFETY: not null, and the caller promises that it points to a pointer.
    let object = unsafe { pointer.replace(std::ptr::null_mut()) };
    if !object.is_null() {
        // SAFETY: the object came from `Box::into_raw`, and the caller's pointer to it is now
        // NULL, so it is freed once.
        guarded((), || drop(unsafe { Box::from_raw(object) }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panicking_accessor_gives_its_fallback() {
        assert_eq!(guarded(5, || panic!("defect")), 5);
    }
}
