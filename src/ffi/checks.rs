//! Checking a machine, a bundle and a store: what is wrong, as data.

use super::boundary::{boundary, give_object};
use super::error::{ErrorObject, Status};
use super::handle;
use super::model::{MODES, VERIFIES};
use super::object::{at, free, read, required};
use super::sized::{self, SizedStruct, named, number};
use super::store::StoreHandle;
use super::text::{StringView, Text, optional, path};
use crate::bundle::{Bundle, Verify};
use crate::diagnosis::{self, Check, State, Subjects};
use std::ffi::c_char;

/// Nothing is wrong.
pub const POLYGRAFT_CHECK_OK: u32 = 0;
/// Worth knowing, and nothing is wrong.
pub const POLYGRAFT_CHECK_NOTE: u32 = 1;
/// Something is wrong.
pub const POLYGRAFT_CHECK_WRONG: u32 = 2;

/// The states in the order of their numbers.
const STATES: [State; 3] = [State::Ok, State::Note, State::Wrong];

/// The results of checks, in the order in which they were made.
pub struct ChecksObject(Vec<CheckTexts>);

/// One check with the texts that C views.
struct CheckTexts {
    subject: Text,
    details: Text,
    check: Check,
}

impl ChecksObject {
    fn new(checks: Vec<Check>) -> Self {
        let texts = |check: Check| CheckTexts {
            subject: Text::new(check.subject),
            details: Text::new(check.details.join("\n")),
            check,
        };
        Self(checks.into_iter().map(texts).collect())
    }
}

/// The result of one check.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct CheckEntry {
    /// `sizeof(polygraft_check)`, set by the caller before the struct is filled.
    pub struct_size: u32,
    /// The outcome, one of `POLYGRAFT_CHECK_*`.
    pub state: u32,
    /// What was checked, for example `onnxruntime`, `bundle` or `store`.
    pub subject: StringView,
    /// What was found, in lines.
    pub details: StringView,
    /// The status of what is wrong, one of `POLYGRAFT_ERROR_*`; POLYGRAFT_OK if nothing is, or if
    /// several things are.
    pub status: Status,
    /// 0.
    pub reserved: u32,
}

// SAFETY: repr(C); integers and views of raw pointers only; `struct_size` first.
unsafe impl SizedStruct for CheckEntry {
    const NAME: &'static str = "polygraft_check";
}

impl CheckTexts {
    fn entry(&self) -> CheckEntry {
        CheckEntry {
            struct_size: size_of::<CheckEntry>() as u32,
            state: number(&STATES, self.check.state),
            subject: self.subject.view(),
            details: self.details.view(),
            status: self.check.code.map_or(0, |code| code.number()),
            reserved: 0,
        }
    }
}

/// What to check. `polygraft_diagnose_options_init` fills it with the defaults. Paths are read
/// during the call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct DiagnoseOptions {
    /// `sizeof(polygraft_diagnose_options)`.
    pub struct_size: u32,
    /// How the weights of the bundle are held during the check, one of `POLYGRAFT_MODE_*`.
    pub mode: u32,
    /// How much of the bundle is checked, one of `POLYGRAFT_VERIFY_*`; the default is all of it.
    pub verify: u32,
    /// Must be 0.
    pub reserved: u32,
    /// The path of the ONNX Runtime library; NULL to search for it as `polygraft_engine_open` does.
    pub onnxruntime_path: *const c_char,
    /// The folder of a bundle; NULL for none.
    pub bundle_path: *const c_char,
    /// The folder of a store, which is not created; NULL for none.
    pub store_path: *const c_char,
}

// SAFETY: repr(C), integers and raw pointers only, `struct_size` first.
unsafe impl SizedStruct for DiagnoseOptions {
    const NAME: &'static str = "polygraft_diagnose_options";
}

impl DiagnoseOptions {
    fn defaults() -> Self {
        let Subjects { mode, verify, .. } = Subjects::default();
        Self {
            struct_size: size_of::<Self>() as u32,
            mode: number(&MODES, mode),
            verify: number(&VERIFIES, verify),
            reserved: 0,
            onnxruntime_path: std::ptr::null(),
            bundle_path: std::ptr::null(),
            store_path: std::ptr::null(),
        }
    }
}

/// Fills `options` with the defaults; pass `sizeof(polygraft_diagnose_options)` as `struct_size`.
///
/// Ownership: the function writes `*options`, which stays the caller's.
/// Threads: may be called concurrently on different structs.
/// Errors: argument.null, argument.invalid (a `struct_size` that no version had).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_diagnose_options_init(
    options: *mut DiagnoseOptions,
    struct_size: usize,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: the caller passes NULL or `struct_size` bytes of writable memory.
    unsafe { sized::init(error, options, struct_size, DiagnoseOptions::defaults) }
}

/// Checks this machine, a bundle and a store, as the command `polygraft doctor` does. It opens ONNX
/// Runtime, hashes the files of the bundle, reads every version, report and remembered example of
/// the store and, if nothing is wrong so far, opens the model and loads every active version. It
/// changes and repairs nothing.
///
/// `options` may be NULL: only the machine and ONNX Runtime are checked. What is wrong is in the
/// result and does not make the call fail.
///
/// Ownership: the caller owns `*checks` and frees it with `polygraft_checks_free`. `options` is
/// only read.
/// Threads: may be called from any thread at any time, apart from what `polygraft_engine_open` says
/// about the environment.
/// Errors: argument.*.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_diagnose(
    options: *const DiagnoseOptions,
    checks: *mut *mut ChecksObject,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: pointers are NULL or valid, and paths are NUL-terminated and do not change meanwhile.
    unsafe {
        give_object(error, "checks", checks, || {
            let options = sized::read(options, DiagnoseOptions::defaults())?;
            sized::reserved(DiagnoseOptions::NAME, &[options.reserved.into()])?;
            let folder = |name: &'static str, pointer| optional(pointer, |it| path(name, it));
            let subjects = Subjects {
                onnxruntime: folder("onnxruntime_path", options.onnxruntime_path)?,
                bundle: folder("bundle_path", options.bundle_path)?,
                store: folder("store_path", options.store_path)?,
                mode: named("mode", &MODES, options.mode)?,
                verify: named("verify", &VERIFIES, options.verify)?,
            };
            Ok(ChecksObject::new(diagnosis::diagnose(&subjects)))
        })
    }
}

/// Reads every version of a store and compares it with its hash. The result has one check for each
/// file that is missing or damaged, and is empty if there is none.
///
/// Ownership: the caller owns `*checks` and frees it with `polygraft_checks_free`.
/// Threads: may be called concurrently on one store.
/// Errors: argument.*, io.read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_store_verify(
    store: *const StoreHandle,
    checks: *mut *mut ChecksObject,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: pointers are NULL or writable.
    unsafe {
        give_object(error, "checks", checks, || {
            let problems = handle::borrow(store)?.verify()?.into_iter();
            Ok(ChecksObject::new(problems.map(Check::of_problem).collect()))
        })
    }
}

/// Compares the hash of every file of the bundle at `bundle_path` with its manifest.
///
/// Ownership: the caller keeps `bundle_path`.
/// Threads: may be called from any thread at any time.
/// Errors: argument.null, bundle.* (bundle.mismatch names the file, what was expected and found),
/// graph.*, io.*.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_bundle_verify(
    bundle_path: *const c_char,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: the path is NULL or NUL-terminated and does not change meanwhile.
    unsafe {
        boundary(error, || Bundle::open(path("bundle_path", bundle_path)?, Verify::Full).map(drop))
    }
}

/// Returns the number of checks; 0 for NULL.
///
/// Ownership: the caller keeps `checks`.
/// Threads: may be called concurrently on one object.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_checks_count(checks: *const ChecksObject) -> usize {
    // SAFETY: the caller passes NULL or an object of this library that is not freed.
    unsafe { read(checks, 0, |checks| checks.0.len()) }
}

/// Returns 1 if no check is wrong, else 0; 1 for NULL.
///
/// Ownership: the caller keeps `checks`.
/// Threads: may be called concurrently on one object.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_checks_all_right(checks: *const ChecksObject) -> u8 {
    // SAFETY: the caller passes NULL or an object of this library that is not freed.
    unsafe {
        read(checks, 1, |checks| checks.0.iter().all(|one| one.check.state != State::Wrong).into())
    }
}

/// Fills `check` with the result of one check. The caller sets `check->struct_size` before.
///
/// Ownership: the views in `*check` are valid until `checks` is freed.
/// Threads: may be called concurrently on one object.
/// Errors: argument.null, argument.invalid (an `index` past the end, a wrong `struct_size`).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_checks_get(
    checks: *const ChecksObject,
    index: usize,
    check: *mut CheckEntry,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: the caller passes NULL or an object that is not freed, and NULL or a struct that
    // states its size truly.
    unsafe {
        sized::fill(
            error,
            "check",
            check,
            || Ok(at(&required("checks", checks)?.0, index)?.entry()),
        )
    }
}

/// Frees the results of checks and sets `*checks` to NULL. NULL and a pointer to NULL do nothing.
///
/// Ownership: the function consumes `*checks`; views into it become invalid.
/// Threads: exclusive: no other thread may be using this object.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_checks_free(checks: *mut *mut ChecksObject) {
    // SAFETY: the caller passes NULL or a pointer to NULL or to an object it owns.
    unsafe { free(checks) }
}
