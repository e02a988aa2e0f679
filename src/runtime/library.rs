//! Finds and opens an ONNX Runtime library.
//!
//! An explicit path (an argument, or `ORT_DYLIB_PATH`) is the only one tried: a program that names
//! its library must not silently get another one.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use ort::sys::OrtApi;

use super::raw::library as raw;
use crate::error::{Code, Error, Result};

/// The oldest ONNX Runtime that works, as the second number of its version (`1.24`).
pub const VERSION_MINOR_MIN: u32 = ort::sys::ORT_API_VERSION;

/// The variable that names the library.
const PATH_VARIABLE: &str = "ORT_DYLIB_PATH";

named! {
    /// Why a path is among those tried.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum SearchPlace {
        /// The caller named it.
        Argument = "given path",
        /// The environment variable `ORT_DYLIB_PATH` names it.
        Environment = "ORT_DYLIB_PATH",
        /// It would be in the folder of polygraft's own library.
        BesideLibrary = "beside polygraft's library",
        /// It would be in the folder of the running program.
        BesideProgram = "beside the program",
        /// The system's loader searches its own folders for this name.
        Loader = "the system's loader",
    }
}

/// One path that is tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchedPath {
    /// Why it is tried.
    pub place: SearchPlace,
    /// The file, or a bare file name where the loader decides.
    pub path: PathBuf,
    /// Whether the file exists; `None` where the loader decides.
    pub exists: Option<bool>,
}

impl SearchedPath {
    fn new(place: SearchPlace, path: PathBuf) -> Self {
        // The loader searches for a bare name, whatever named it.
        let bare = path.parent() == Some(Path::new(""));
        let exists = (!bare).then(|| path.is_file());
        Self { place, path, exists }
    }
}

/// The paths that [`Engine::open`](super::Engine::open) tries for the same `path`, in order,
/// without opening any.
pub fn find(path: Option<&Path>) -> Vec<SearchedPath> {
    let variable = std::env::var_os(PATH_VARIABLE);
    find_among(path, variable, raw::own_path(), std::env::current_exe().ok())
}

fn find_among(
    path: Option<&Path>,
    variable: Option<OsString>,
    own_library: Option<PathBuf>,
    program: Option<PathBuf>,
) -> Vec<SearchedPath> {
    if let Some(path) = path {
        return vec![SearchedPath::new(SearchPlace::Argument, path.to_path_buf())];
    }
    if let Some(value) = variable.filter(|value| !value.is_empty()) {
        return vec![SearchedPath::new(SearchPlace::Environment, PathBuf::from(value))];
    }
    let mut searched: Vec<SearchedPath> = Vec::new();
    for (place, file) in
        [(SearchPlace::BesideLibrary, own_library), (SearchPlace::BesideProgram, program)]
    {
        let Some(folder) = file.as_deref().and_then(Path::parent) else { continue };
        for name in file_names() {
            let one = SearchedPath::new(place, folder.join(name));
            // For a program that links polygraft statically, both folders are the same.
            if !searched.iter().any(|earlier| earlier.path == one.path) {
                searched.push(one);
            }
        }
    }
    let loader =
        file_names().into_iter().map(|name| SearchedPath::new(SearchPlace::Loader, name.into()));
    searched.extend(loader);
    searched
}

/// The library's file names on this system; distributions ship the second without the first.
fn file_names() -> Vec<String> {
    use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
    let name = format!("{DLL_PREFIX}onnxruntime{DLL_SUFFIX}");
    if cfg!(target_os = "linux") { vec![name.clone(), format!("{name}.1")] } else { vec![name] }
}

/// An opened library that polygraft can use.
pub(super) struct Library {
    pub api: &'static OrtApi,
    /// What its entry point returns.
    pub base: raw::ApiBase,
    pub version: String,
    pub path: PathBuf,
}

/// Why a library cannot be used.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The file does not exist, or it is no ONNX Runtime library.
    Unusable(String),
    /// It is ONNX Runtime of this version, which is too old.
    TooOld(String),
}

/// Opens the first library that polygraft can use.
pub(super) fn open(path: Option<&Path>) -> Result<Library> {
    raw::disable_telemetry();
    let mut refusals = Vec::new();
    for one in find(path) {
        let outcome = match one.exists {
            Some(false) => Err(Refusal::Unusable("no such file".to_owned())),
            _ => raw::open(&one.path),
        };
        match outcome {
            Ok(library) => return Ok(library),
            Err(refusal) => refusals.push((one, refusal)),
        }
    }
    Err(refused(&refusals))
}

/// Checks an ONNX Runtime that the program has linked or loaded itself.
pub(super) fn of_base(base: raw::ApiBase) -> Result<Library> {
    raw::of_base(base, Path::new("(handed in)")).map_err(|refusal| {
        let needed = format!("needed is 1.{VERSION_MINOR_MIN} or newer");
        let (code, reason) = match refusal {
            Refusal::Unusable(reason) => (Code::RuntimeNotFound, format!("{reason}; {needed}")),
            Refusal::TooOld(version) => {
                (Code::RuntimeTooOld, format!("its version is {version}, {needed}"))
            }
        };
        Error::new(code, format!("the ONNX Runtime that was handed in cannot be used: {reason}"))
    })
}

fn refused(refusals: &[(SearchedPath, Refusal)]) -> Error {
    let mut code = Code::RuntimeNotFound;
    let mut message = format!("no usable ONNX Runtime library, 1.{VERSION_MINOR_MIN} or newer;");
    for (one, refusal) in refusals {
        let reason = match refusal {
            Refusal::Unusable(reason) => reason.clone(),
            Refusal::TooOld(version) => {
                code = Code::RuntimeTooOld;
                format!("its version is {version}, needed is 1.{VERSION_MINOR_MIN} or newer")
            }
        };
        let SearchedPath { place, path, .. } = one;
        message.push_str(&format!("\n  tried {} ({place}): {reason}", path.display()));
    }
    Error::new(code, message)
}

/// Whether a version such as `1.28.0` is new enough; `None` if it cannot be parsed.
pub(super) fn is_new_enough(version: &str) -> Option<bool> {
    let mut numbers = version.split('.');
    let major: u32 = numbers.next()?.parse().ok()?;
    let minor: u32 = numbers.next()?.parse().ok()?;
    // Only version 1 guarantees this table of functions; another major number is another ABI.
    Some(major == 1 && minor >= VERSION_MINOR_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(searched: &[SearchedPath]) -> Vec<SearchPlace> {
        let mut places: Vec<SearchPlace> = searched.iter().map(|one| one.place).collect();
        places.dedup();
        places
    }

    #[test]
    fn a_stated_path_is_the_only_one_searched() {
        let variable = Some(OsString::from("/b/libonnxruntime.so"));
        let own = Some(PathBuf::from("/c/libpolygraft.so"));
        let by_argument =
            find_among(Some(Path::new("/a/x.so")), variable.clone(), own.clone(), None);
        assert_eq!(places(&by_argument), [SearchPlace::Argument]);
        assert_eq!(by_argument[0].path, Path::new("/a/x.so"));
        let by_variable = find_among(None, variable, own.clone(), None);
        assert_eq!(places(&by_variable), [SearchPlace::Environment]);
        let by_neither = find_among(None, Some(OsString::new()), own, None);
        assert_eq!(places(&by_neither), [SearchPlace::BesideLibrary, SearchPlace::Loader]);
    }

    #[test]
    fn a_statically_linked_program_is_looked_beside_once() {
        let program = Some(PathBuf::from("/a/program"));
        let searched = find_among(None, None, program.clone(), program);
        assert_eq!(places(&searched), [SearchPlace::BesideLibrary, SearchPlace::Loader]);
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(is_new_enough("1.24.0"), Some(true));
        assert_eq!(is_new_enough("1.100.2"), Some(true));
        assert_eq!(is_new_enough("1.9.9"), Some(false));
        assert_eq!(is_new_enough("2.0.0"), Some(false));
        assert_eq!(is_new_enough("one"), None);
        assert_eq!(is_new_enough(""), None);
    }
}
