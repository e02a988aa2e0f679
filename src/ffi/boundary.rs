//! The boundary between C and Rust that every exported function passes.
//!
//! [`boundary`] runs a call that can fail: it turns an error or a panic into a status and, when the
//! caller asks, into an owned error object. [`give`] and [`give_object`] also check and write one
//! output, [`read`] and [`find`] serve the accessors of result objects. A panic must never leave
//! this file, and no output may be written when a call fails: outputs are checked before the work
//! and written after it.

use super::error::ErrorObject;
use crate::error::{Code, Error, Result};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// 0 (`POLYGRAFT_OK`) for success, else one of the `POLYGRAFT_ERROR_*` numbers.
pub type Status = i32;

const OK: Status = 0;

/// Runs one call and turns its error, or its panic, into a status and an owned error object.
///
/// # Safety
/// `error` is NULL or points to memory where one pointer can be written.
pub(super) unsafe fn boundary(
    error: *mut *mut ErrorObject,
    call: impl FnOnce() -> Result<()>,
) -> Status {
    let outcome = catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|payload| {
        Err(Error::new(Code::Panic, format!("polygraft panicked: {}", panic_message(&*payload))))
    });
    let Err(failure) = outcome else { return OK };
    if !error.is_null() {
        // SAFETY: not null, so writable by the promise of the caller.
        unsafe { error.write(boxed(ErrorObject::new(&failure))) };
    }
    failure.code().number()
}

/// Runs one call and writes what it returns to `output`; NULL is refused before the call begins.
///
/// # Safety
/// As for [`boundary`]; `output` is NULL or points to memory where a `T` can be written.
pub(super) unsafe fn give<T>(
    error: *mut *mut ErrorObject,
    name: &str,
    output: *mut T,
    call: impl FnOnce() -> Result<T>,
) -> Status {
    let checked = || {
        if output.is_null() {
            return Err(null(name, "a place to write the result to"));
        }
        let value = call()?;
        // SAFETY: not null, so writable by the promise of the caller.
        unsafe { output.write(value) };
        Ok(())
    };
    // SAFETY: the same promise about `error`.
    unsafe { boundary(error, checked) }
}

/// Like [`give`] for a result object, which the caller then owns and frees with [`free`].
///
/// # Safety
/// As for [`give`].
pub(super) unsafe fn give_object<T>(
    error: *mut *mut ErrorObject,
    name: &str,
    output: *mut *mut T,
    call: impl FnOnce() -> Result<T>,
) -> Status {
    // SAFETY: the same promise.
    unsafe { give(error, name, output, || call().map(boxed)) }
}

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

/// The text of a panic, which is a string unless somebody threw a value of another type.
fn panic_message(payload: &(dyn Any + Send)) -> &str {
    if let Some(text) = payload.downcast_ref::<&'static str>() {
        text
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text
    } else {
        "without a message"
    }
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
    use std::ptr;

    /// What an exported function looks like from C, with a defect inside.
    unsafe extern "C" fn panics(output: *mut u32, error: *mut *mut ErrorObject) -> Status {
        // SAFETY: the tests below pass NULL or a local variable.
        unsafe {
            give(error, "output", output, || {
                let numbers: Vec<u32> = Vec::new();
                Ok(numbers[std::hint::black_box(3)])
            })
        }
    }

    #[test]
    fn a_panic_becomes_a_status_and_an_error_and_writes_no_output() {
        let mut output = 7;
        let mut error = ptr::null_mut();
        // SAFETY: both pointers are to local variables.
        let status = unsafe { panics(&raw mut output, &raw mut error) };
        assert_eq!(status, Code::Panic.number());
        assert_eq!(output, 7);
        // SAFETY: the boundary wrote an owned error object.
        let message = unsafe { super::super::error::polygraft_error_message(error) };
        // SAFETY: views are UTF-8 and live as long as their object.
        let message = unsafe { std::slice::from_raw_parts(message.ptr.cast::<u8>(), message.len) };
        let message = std::str::from_utf8(message).unwrap();
        assert!(message.contains("panicked: index out of bounds"), "{message}");
        // SAFETY: freed once; the second call sees NULL.
        unsafe {
            free(&raw mut error);
            assert!(error.is_null());
            free(&raw mut error);
        }
    }

    #[test]
    fn a_panic_without_an_error_pointer_is_only_a_status() {
        let mut output = 7;
        // SAFETY: NULL is allowed for `error`.
        assert_eq!(unsafe { panics(&raw mut output, ptr::null_mut()) }, Code::Panic.number());
        assert_eq!(output, 7);
    }

    #[test]
    fn a_missing_output_is_found_before_the_work() {
        // SAFETY: NULL is what is tested.
        let status = unsafe { panics(ptr::null_mut(), ptr::null_mut()) };
        assert_eq!(status, Code::ArgumentNull.number());
    }

    #[test]
    fn a_panicking_accessor_gives_its_fallback() {
        assert_eq!(guarded(5, || panic!("defect")), 5);
    }
}
