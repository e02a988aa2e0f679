//! What calling the C ABI takes: texts, views, error objects, structs that are filled.

use super::Outcome;
use polygraft::ffi::error::{self, ErrorObject};
use polygraft::ffi::{Status, StringView};
use std::ffi::{CString, c_char};
use std::mem::MaybeUninit;
use std::path::Path;
use std::ptr::{null, null_mut};

/// A text as C has it.
pub fn c(text: &str) -> CString {
    CString::new(text).unwrap()
}

pub fn c_path(path: &Path) -> CString {
    c(path.to_str().unwrap())
}

/// A pointer to a text that may be absent.
pub fn pointer(text: &Option<CString>) -> *const c_char {
    text.as_ref().map_or(null(), |text| text.as_ptr())
}

pub fn view(view: StringView) -> String {
    // SAFETY: a view of this library is UTF-8, and its object is alive.
    let bytes = unsafe { std::slice::from_raw_parts(view.ptr.cast::<u8>(), view.len) };
    std::str::from_utf8(bytes).unwrap().to_owned()
}

/// Runs a call that can fail, and turns its error object into what the tests compare.
pub fn call(run: impl FnOnce(*mut *mut ErrorObject) -> Status) -> Outcome<()> {
    let mut failure = null_mut();
    let status = run(&raw mut failure);
    if status == 0 {
        assert!(failure.is_null());
        return Ok(());
    }
    // SAFETY: a failed call wrote an error object, which is freed once.
    unsafe {
        assert_eq!(error::polygraft_error_code(failure), status);
        let message = view(error::polygraft_error_message(failure));
        error::polygraft_error_free(&raw mut failure);
        Err((status, message))
    }
}

/// A struct that a call fills; its size is set before.
pub fn filled<T>(run: impl FnOnce(*mut T, *mut *mut ErrorObject) -> Status) -> T {
    let mut entry = MaybeUninit::<T>::zeroed();
    let size = u32::try_from(size_of::<T>()).unwrap();
    // SAFETY: every struct begins with its size, and all zeros are a valid value of each.
    unsafe { entry.as_mut_ptr().cast::<u32>().write(size) };
    call(|failure| run(entry.as_mut_ptr(), failure)).expect("an entry");
    // SAFETY: as above.
    unsafe { entry.assume_init() }
}

/// Options with their defaults.
pub fn defaults<T>(
    init: unsafe extern "C" fn(*mut T, usize, *mut *mut ErrorObject) -> Status,
) -> T {
    filled(|options, failure| {
        // SAFETY: the options are writable and of this size.
        unsafe { init(options, size_of::<T>(), failure) }
    })
}
