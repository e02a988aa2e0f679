//! The one gate between C and Rust.
//!
//! Everything exported runs inside [`gate`] or [`gate_value`]: a panic becomes a status and stops
//! here, and an error becomes a status and, when the caller asks, an owned error object. The gate
//! must never let an output be written on failure; functions therefore check their outputs first
//! with [`Out`] and write them as their last act.

use super::error::ErrorObject;
use crate::error::{Code, Error, Result};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// 0 (`POLYGRAFT_OK`) for success, else one of the `POLYGRAFT_ERROR_*` numbers.
pub type Status = i32;

/// The status of success.
const OK: Status = 0;

/// Runs one call: turns its error, or a panic, into a status and an owned error object.
///
/// # Safety
/// `error` is NULL or points to memory where one pointer can be written.
pub(super) unsafe fn gate(
    error: *mut *mut ErrorObject,
    call: impl FnOnce() -> Result<()>,
) -> Status {
    let outcome = catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|payload| {
        Err(Error::new(Code::Panic, format!("polygraft panicked: {}", panic_message(&*payload))))
    });
    let Err(failure) = outcome else { return OK };
    let status = failure.code().number();
    if !error.is_null() {
        let object = Box::into_raw(Box::new(ErrorObject::new(&failure)));
        // SAFETY: the caller of this function promises that a non-null `error` is writable.
        unsafe { error.write(object) };
    }
    status
}

/// Runs one accessor that cannot fail; a panic gives `fallback`.
pub(super) fn gate_value<T>(fallback: T, call: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or(fallback)
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

/// An output pointer that was checked before the work began and is written after it succeeded.
pub(super) struct Out<T>(*mut T);

impl<T> Out<T> {
    /// Refuses NULL.
    pub(super) fn new(name: &str, pointer: *mut T) -> Result<Self> {
        if pointer.is_null() {
            return Err(null(name, "a place to write the result to"));
        }
        Ok(Self(pointer))
    }

    /// Writes the output.
    ///
    /// # Safety
    /// The pointer given to [`Out::new`] points to memory where a `T` can be written.
    pub(super) unsafe fn write(self, value: T) {
        // SAFETY: not null by construction; writable by the promise of the caller.
        unsafe { self.0.write(value) };
    }
}

/// The error for a required pointer that is NULL.
pub(super) fn null(name: &str, expected: &str) -> Error {
    Error::new(Code::ArgumentNull, format!("`{name}` is NULL, expected {expected}"))
}

/// Borrows a result object for an accessor; NULL gives `None`.
///
/// # Safety
/// `pointer` is NULL or was given by this library and not freed, for as long as `'a` lasts.
pub(super) unsafe fn object<'a, T>(pointer: *const T) -> Option<&'a T> {
    // SAFETY: the promise above is the one `as_ref` asks for; objects are never written after
    // they are handed out.
    unsafe { pointer.as_ref() }
}

/// Borrows a result object for a function that reports errors; NULL is refused.
///
/// # Safety
/// As for [`object`].
pub(super) unsafe fn required<'a, T>(name: &str, pointer: *const T) -> Result<&'a T> {
    // SAFETY: the same promise, passed on.
    unsafe { object(pointer) }.ok_or_else(|| null(name, "an object of this library"))
}

/// Frees a result object and nulls the caller's pointer; NULL and a pointer to NULL do nothing.
///
/// # Safety
/// `pointer` is NULL or points to NULL or to an object that came from `Box::into_raw` here.
pub(super) unsafe fn free<T>(pointer: *mut *mut T) {
    if pointer.is_null() {
        return;
    }
    // SAFETY: not null, and the caller promises that it points to a pointer.
    let object = unsafe { pointer.replace(std::ptr::null_mut()) };
    if !object.is_null() {
        // SAFETY: the object came from `Box::into_raw`, and the caller's pointer to it is now
        // NULL, so it is freed once.
        gate_value((), || drop(unsafe { Box::from_raw(object) }));
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
            gate(error, || {
                let output = Out::new("output", output)?;
                let numbers: Vec<u32> = Vec::new();
                let index = std::hint::black_box(3);
                output.write(numbers[index]);
                Ok(())
            })
        }
    }

    #[test]
    fn a_panic_becomes_a_status_and_an_error_and_writes_no_output() {
        let mut output = 7;
        let mut error = ptr::null_mut();
        // SAFETY: both pointers are to local variables.
        let status = unsafe { panics(&mut output, &mut error) };
        assert_eq!(status, Code::Panic.number());
        assert_eq!(output, 7);
        // SAFETY: the gate wrote an owned error object.
        let message = unsafe { super::super::error::polygraft_error_message(error) };
        // SAFETY: views are UTF-8 and live as long as their object.
        let message = unsafe { std::slice::from_raw_parts(message.ptr.cast::<u8>(), message.len) };
        let message = std::str::from_utf8(message).unwrap();
        assert!(message.contains("panicked: index out of bounds"), "{message}");
        // SAFETY: freed once; the second call sees NULL.
        unsafe {
            free(&mut error);
            assert!(error.is_null());
            free(&mut error);
        }
    }

    #[test]
    fn a_panic_without_an_error_pointer_is_only_a_status() {
        let mut output = 7;
        // SAFETY: NULL is allowed for `error`.
        assert_eq!(unsafe { panics(&mut output, ptr::null_mut()) }, Code::Panic.number());
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
        assert_eq!(gate_value(5, || panic!("defect")), 5);
    }
}
