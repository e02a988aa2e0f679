//! The unsafe part of opening a library: the loader, the entry point, the process environment.

use std::ffi::{CStr, c_void};
use std::path::{Path, PathBuf};
use std::ptr::NonNull;

use ort::sys::OrtApiBase;

use crate::runtime::library::{Library, Refusal, VERSION_MINOR_MIN, is_new_enough};

/// Official builds from 1.29 on upload telemetry unless this variable is `1` when they are opened.
const TELEMETRY_VARIABLE: &str = "ORT_DISABLE_TELEMETRY";

/// Disables the telemetry of libraries that are opened later.
pub fn disable_telemetry() {
    if std::env::var_os(TELEMETRY_VARIABLE).is_some_and(|value| value == "1") {
        return;
    }
    // SAFETY: writing the environment races only with other threads that read it without Rust's
    // lock. The caller holds the lock of the one engine, so this happens at most once per opening,
    // before any thread of ONNX Runtime exists, and the documentation of `Engine::open` tells
    // programs that read the environment from C on other threads to set the variable beforehand.
    unsafe { std::env::set_var(TELEMETRY_VARIABLE, "1") };
}

/// Opens a library and checks that it is ONNX Runtime and new enough. It is never closed.
pub fn open(path: &Path) -> Result<Library, Refusal> {
    // SAFETY: opening runs the library's initialisers. That is the purpose: the path was stated by
    // the user or lies in a folder that the user's own code is loaded from.
    let library = unsafe { libloading::Library::new(path) }
        .map_err(|error| Refusal::Unusable(reason(&error)))?;
    // SAFETY: `OrtGetApiBase` has had this signature in every release of ONNX Runtime.
    let entry = unsafe {
        library.get::<unsafe extern "system" fn() -> *const OrtApiBase>(b"OrtGetApiBase\0")
    };
    let entry = entry
        .map_err(|_| Refusal::Unusable("a library, but it has no OrtGetApiBase".to_owned()))?;
    // SAFETY: the function takes nothing and may be called at any time.
    let base = unsafe { entry() };
    // SAFETY: the entry point of ONNX Runtime returns a constant of the library, or NULL, and the
    // library is never closed if the base is used.
    let base = unsafe { ApiBase::new(base.cast()) }
        .ok_or_else(|| Refusal::Unusable("its OrtGetApiBase returns NULL".to_owned()))?;
    let opened = of_base(base, path)?;
    // Sessions, values and the environment use functions of the library, so it must stay open.
    std::mem::forget(library);
    Ok(opened)
}

/// What `OrtGetApiBase` of an ONNX Runtime returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiBase(NonNull<OrtApiBase>);

// SAFETY: the base is a constant, and its functions may be called from any thread.
unsafe impl Send for ApiBase {}
// SAFETY: as for `Send`.
unsafe impl Sync for ApiBase {}

impl ApiBase {
    /// The base at an address; `None` for NULL.
    ///
    /// # Safety
    /// `base` is NULL or what `OrtGetApiBase` of an ONNX Runtime returned, which stays loaded until
    /// the process ends.
    pub unsafe fn new(base: *const c_void) -> Option<Self> {
        NonNull::new(base.cast_mut().cast()).map(Self)
    }
}

/// Checks an ONNX Runtime that is loaded already. `path` stands for its file if the system cannot
/// tell it.
pub fn of_base(api_base: ApiBase, path: &Path) -> Result<Library, Refusal> {
    // SAFETY: the base is a constant of a loaded library (the promise of `ApiBase::new`).
    let base = unsafe { api_base.0.as_ref() };
    let version = version(base)?;
    // SAFETY: the base comes from a library of a sufficient version, and `GetApi` returns NULL for
    // a number it does not know.
    let api = unsafe { (base.GetApi)(VERSION_MINOR_MIN) };
    // SAFETY: the table is a constant of the library, which stays open until the process ends, and
    // has at least the functions of the version asked for.
    let Some(api) = (unsafe { api.as_ref() }) else {
        return Err(Refusal::TooOld(version));
    };
    let path = path_of(std::ptr::from_ref(base).cast()).unwrap_or_else(|| path.to_path_buf());
    Ok(Library { api, base: api_base, version, path })
}

/// The loader's reason for refusing a library: the missing file, symbol or dependency. The error
/// itself only says that loading failed.
fn reason(error: &libloading::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

fn version(base: &OrtApiBase) -> Result<String, Refusal> {
    // SAFETY: `GetVersionString` takes nothing and returns a constant of the library.
    let text = unsafe { (base.GetVersionString)() };
    if text.is_null() {
        return Err(Refusal::Unusable("it does not state its version".to_owned()));
    }
    // SAFETY: the text is not NULL and ends with a zero byte, as a constant of the library.
    let version = unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned();
    match is_new_enough(&version) {
        Some(true) => Ok(version),
        Some(false) => Err(Refusal::TooOld(version)),
        None => Err(Refusal::Unusable(format!("its version {version:?} is no version"))),
    }
}

/// The file that this code was loaded from: polygraft's shared library, or the program.
pub fn own_path() -> Option<PathBuf> {
    path_of(own_path as *const ())
}

/// The file of the loaded library or program that contains an address.
#[cfg(unix)]
fn path_of(address: *const ()) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt;

    let mut info = std::mem::MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: `dladdr` accepts any address and writes only to the structure it is given.
    let found = unsafe { libc::dladdr(address.cast(), info.as_mut_ptr()) };
    // SAFETY: the structure was zeroed, which is a valid value of it, and possibly filled since.
    let name = unsafe { info.assume_init() }.dli_fname;
    if found == 0 || name.is_null() {
        return None;
    }
    // SAFETY: the loader's name is not NULL, ends with a zero byte and lives as long as the
    // library it names, which holds the address.
    let name = unsafe { CStr::from_ptr(name) };
    // The loader returns the program's name as it was called, which may not resolve from here.
    std::fs::canonicalize(std::ffi::OsStr::from_bytes(name.to_bytes())).ok()
}

/// Unknown on this system; the folder of the program is still searched.
#[cfg(not(unix))]
fn path_of(_address: *const ()) -> Option<PathBuf> {
    None
}
