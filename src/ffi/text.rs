//! Texts, paths and arrays across the boundary. No byte of a text may be trusted before it was
//! checked here.

use super::object::{invalid, null};
use crate::error::{Code, Error, Result};
use std::ffi::{CStr, c_char};
use std::path::Path;

/// A borrowed UTF-8 text: `len` bytes at `ptr`, and `ptr[len]` is 0. The function that returns it
/// says how long it is valid.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct StringView {
    /// The first byte; never NULL.
    pub ptr: *const c_char,
    /// The length in bytes, without the terminating 0.
    pub len: usize,
}

impl StringView {
    /// The empty text, for something that is absent.
    pub(super) const EMPTY: Self = Self { ptr: c"".as_ptr(), len: 0 };
}

impl Default for StringView {
    fn default() -> Self {
        Self::EMPTY
    }
}

/// An owned text that C can view: UTF-8 with one 0 byte after it.
pub(super) struct Text(String);

impl Text {
    pub(super) fn new(text: impl Into<String>) -> Self {
        let mut text = text.into();
        text.push('\0');
        Self(text)
    }

    /// A view that lives as long as `self`; moving `self` does not end it.
    pub(super) fn view(&self) -> StringView {
        StringView { ptr: self.0.as_ptr().cast(), len: self.0.len() - 1 }
    }
}

/// Borrows a text argument.
///
/// # Safety
/// `pointer` is NULL or points to a NUL-terminated string that does not change during `'a`.
pub(super) unsafe fn text<'a>(name: &str, pointer: *const c_char) -> Result<&'a str> {
    if pointer.is_null() {
        return Err(null(name, "NUL-terminated UTF-8"));
    }
    // SAFETY: not null; terminated and unchanging by the promise of the caller.
    let bytes = unsafe { CStr::from_ptr(pointer) }.to_bytes();
    std::str::from_utf8(bytes).map_err(|cause| {
        let offset = cause.valid_up_to();
        let byte = bytes.get(offset).copied().unwrap_or(0);
        let message = format!("`{name}` is not valid UTF-8: byte 0x{byte:02x} at offset {offset}");
        Error::new(Code::ArgumentUtf8, message)
    })
}

/// Reads an optional argument with `read`; NULL gives `None`.
pub(super) fn optional<C, T>(
    pointer: *const C,
    read: impl FnOnce(*const C) -> Result<T>,
) -> Result<Option<T>> {
    if pointer.is_null() { Ok(None) } else { read(pointer).map(Some) }
}

/// Borrows a path argument: whatever bytes the system allows in names where paths are bytes, and
/// UTF-8 elsewhere.
///
/// # Safety
/// As for [`text`].
pub(super) unsafe fn path<'a>(name: &str, pointer: *const c_char) -> Result<&'a Path> {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        if pointer.is_null() {
            return Err(null(name, "a NUL-terminated path"));
        }
        // SAFETY: not null; terminated and unchanging by the promise of the caller.
        let bytes = unsafe { CStr::from_ptr(pointer) }.to_bytes();
        Ok(Path::new(std::ffi::OsStr::from_bytes(bytes)))
    }
    #[cfg(not(unix))]
    {
        // SAFETY: the same promise.
        unsafe { text(name, pointer) }.map(Path::new)
    }
}

/// Borrows an array argument; a count of 0 allows NULL.
///
/// # Safety
/// `pointer` is NULL or points to `count` elements that do not change during `'a`.
pub(super) unsafe fn array<'a, T>(name: &str, pointer: *const T, count: usize) -> Result<&'a [T]> {
    if count == 0 {
        return Ok(&[]);
    }
    if pointer.is_null() {
        return Err(null(name, "an array"));
    }
    // A negative number that became a size is the usual mistake, and the only one visible here.
    if count > isize::MAX as usize / size_of::<T>().max(1) || !pointer.is_aligned() {
        return Err(invalid(format!("`{name}` cannot be an array of {count} elements")));
    }
    // SAFETY: not null, aligned, within the size limit; the rest is the promise of the caller.
    Ok(unsafe { std::slice::from_raw_parts(pointer, count) })
}

/// Borrows an array of texts.
///
/// # Safety
/// As for [`array()`] and, for each element, [`text`].
pub(super) unsafe fn texts<'a>(
    name: &str,
    pointer: *const *const c_char,
    count: usize,
) -> Result<Vec<&'a str>> {
    // SAFETY: the same promise.
    let pointers = unsafe { array(name, pointer, count) }?;
    let element = |(index, &pointer)| {
        // SAFETY: the same promise.
        unsafe { text(&format!("{name}[{index}]"), pointer) }
    };
    pointers.iter().enumerate().map(element).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn borrow(bytes: &'static [u8]) -> Result<&'static str> {
        // SAFETY: the tests pass terminated literals.
        unsafe { text("text", bytes.as_ptr().cast()) }
    }

    #[test]
    fn utf8_passes_and_everything_else_is_named() {
        assert_eq!(borrow(b"na\xc3\xafve\0").unwrap(), "naïve");
        let error = borrow(b"ab\xff\0").unwrap_err();
        assert_eq!(error.code(), Code::ArgumentUtf8);
        assert!(error.message().contains("`text`"), "{error}");
        assert!(error.message().contains("byte 0xff at offset 2"), "{error}");
        // A sequence that the end of the text cuts.
        assert_eq!(borrow(b"\xe2\x82\0").unwrap_err().code(), Code::ArgumentUtf8);
    }

    #[test]
    #[cfg(unix)]
    fn a_path_is_the_bytes_that_it_is() {
        use std::os::unix::ffi::OsStrExt;
        // SAFETY: a terminated literal, and NULL.
        unsafe {
            let found = path("path", c"bund\xe9l/a".as_ptr()).unwrap();
            assert_eq!(found.as_os_str().as_bytes(), b"bund\xe9l/a");
            let code = path("path", std::ptr::null()).unwrap_err().code();
            assert_eq!(code, Code::ArgumentNull);
            let absent = optional(std::ptr::null(), |pointer| path("path", pointer));
            assert!(absent.unwrap().is_none());
        }
    }

    #[test]
    fn arrays_refuse_null_and_sizes_that_were_negative() {
        let numbers = [1_u32, 2];
        // SAFETY: each pointer is NULL or to `numbers`; wrong counts are refused before use.
        unsafe {
            assert_eq!(array("n", numbers.as_ptr(), 2).unwrap(), &numbers);
            assert!(array::<u32>("n", std::ptr::null(), 0).unwrap().is_empty());
            let code = |count| array("n", numbers.as_ptr(), count).unwrap_err().code();
            assert_eq!(code(usize::MAX), Code::ArgumentInvalid);
            assert_eq!(code(isize::MAX as usize / 2), Code::ArgumentInvalid);
            let null = array::<u32>("n", std::ptr::null(), 1).unwrap_err();
            assert_eq!(null.code(), Code::ArgumentNull);
        }
    }

    #[test]
    fn a_view_ends_with_a_zero_and_survives_a_move() {
        let text = Text::new("grün");
        let view = text.view();
        let moved = [text];
        // SAFETY: the bytes are on the heap and `moved` owns them.
        let bytes = unsafe { std::slice::from_raw_parts(view.ptr.cast::<u8>(), view.len + 1) };
        assert_eq!(bytes, "grün\0".as_bytes());
        drop(moved);
    }
}
