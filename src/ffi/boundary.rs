//! The boundary between C and Rust that every exported function passes.
//!
//! [`boundary`] runs a call that can fail: it turns an error or a panic into a status and, when the
//! caller asks, into an owned error object. [`give`] and [`give_object`] also check and write one
//! output. A panic must never leave this file, and no output may be written when a call fails:
//! outputs are checked before the work and written after it.

use super::error::{ErrorObject, Status};
use super::object::{boxed, null};
use crate::error::{Code, Error, Result};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

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

/// Like [`give`] for a result object, which the caller then owns and frees.
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

/// The text of a panic, which is a string unless the panic carries a value of another type.
fn panic_message(payload: &(dyn Any + Send)) -> &str {
    if let Some(text) = payload.downcast_ref::<&'static str>() {
        text
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text
    } else {
        "without a message"
    }
}

#[cfg(test)]
mod tests {
    use super::super::object::free;
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
}
