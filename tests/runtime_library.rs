//! Files that are not a usable ONNX Runtime are refused, each by name and reason, and none of them
//! prevents a usable one from being opened afterwards.
#![cfg(unix)]

#[path = "support/engine.rs"]
mod support;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use polygraft::Code;
use polygraft::runtime::{Engine, SearchPlace, find};

/// What the loader says of a library that another one needs and that is not there.
const LIBRARY_GONE: &str =
    if cfg!(target_env = "gnu") { "libgone.so: cannot open shared object file" } else { "libgone" };

/// Compiles a shared library from C.
fn compile(folder: &Path, name: &str, source: &str) -> PathBuf {
    compile_with(folder, name, source, &[])
}

/// Compiles a shared library that uses others.
fn compile_with(folder: &Path, name: &str, source: &str, libraries: &[&OsStr]) -> PathBuf {
    let (source_path, library) = (folder.join(format!("{name}.c")), folder.join(name));
    std::fs::write(&source_path, source).unwrap();
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let mut command = Command::new(compiler);
    command.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source_path).args(libraries);
    assert!(command.status().unwrap().success(), "{command:?}");
    library
}

/// A library with ONNX Runtime's entry point that states `version` and knows no functions.
fn library_of_version(folder: &Path, name: &str, version: &str) -> PathBuf {
    let source = format!(
        "typedef struct {{ const void *(*get_api)(unsigned); const char *(*version)(void); }} Base;
         static const void *get_api(unsigned number) {{ (void)number; return 0; }}
         static const char *version(void) {{ return {version}; }}
         static const Base base = {{ get_api, version }};
         const Base *OrtGetApiBase(void) {{ return &base; }}"
    );
    compile(folder, name, &source)
}

/// One test, since a process opens a library once.
#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn unusable_libraries_are_refused_and_then_the_real_one_opens() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let text = folder.join("text.so");
    std::fs::write(&text, "not a library").unwrap();
    let truncated = folder.join("truncated.so");
    let real = std::fs::read(support::library_path()).unwrap();
    std::fs::write(&truncated, &real[..32]).unwrap();
    // It needs another library, which is not there any more.
    let gone = compile(folder, "libgone.so", "int gone(void) { return 1; }");
    let needs = compile_with(
        folder,
        "needs.so",
        "int gone(void); int x(void) { return gone(); }",
        &["-L".as_ref(), folder.as_os_str(), "-lgone".as_ref()],
    );
    std::fs::remove_file(gone).unwrap();
    let null_base = "const void *OrtGetApiBase(void) { return 0; }";
    let cases = [
        (folder.join("missing.so"), Code::RuntimeNotFound, "no such file"),
        (folder.to_path_buf(), Code::RuntimeNotFound, "no such file"),
        (text, Code::RuntimeNotFound, "text.so"),
        (truncated, Code::RuntimeNotFound, "truncated.so"),
        (needs, Code::RuntimeNotFound, LIBRARY_GONE),
        (compile(folder, "other.so", "int x;"), Code::RuntimeNotFound, "no OrtGetApiBase"),
        (compile(folder, "null.so", null_base), Code::RuntimeNotFound, "returns NULL"),
        (library_of_version(folder, "old.so", "\"1.23.2\""), Code::RuntimeTooOld, "1.23.2"),
        (library_of_version(folder, "next.so", "\"2.0.0\""), Code::RuntimeTooOld, "2.0.0"),
        // It claims to be new and does not know the functions: the claim is not believed.
        (library_of_version(folder, "liar.so", "\"1.99.0\""), Code::RuntimeTooOld, "1.99.0"),
        (library_of_version(folder, "odd.so", "\"new\""), Code::RuntimeNotFound, "no version"),
        (library_of_version(folder, "mute.so", "0"), Code::RuntimeNotFound, "does not state"),
    ];
    for (path, code, reason) in cases {
        let error = Engine::open(Some(&path)).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        let message = error.to_string();
        assert!(message.contains(reason), "{message}");
        assert!(message.contains(&path.display().to_string()), "{message}");
        assert!(message.contains("1.24"), "{message}");
    }

    let path = support::library_path();
    let engine = support::engine();
    assert_eq!(std::env::var("ORT_DISABLE_TELEMETRY").unwrap(), "1");
    assert!(engine.version().starts_with("1."), "{}", engine.version());
    let real_path = std::fs::canonicalize(&path).unwrap();
    assert_eq!(engine.library_path(), real_path);
    assert_eq!(Engine::open(None).unwrap().version(), engine.version());

    // The same file by another name is the same library; another file is refused.
    let link = folder.join("link.so");
    std::os::unix::fs::symlink(&real_path, &link).unwrap();
    Engine::open(Some(&link)).unwrap();
    let other = folder.join("copy.so");
    let error = Engine::open(Some(&other)).unwrap_err();
    assert_eq!(error.code(), Code::ArgumentInvalid);
    let message = error.to_string();
    assert!(message.contains(&other.display().to_string()), "{message}");
    assert!(message.contains(&real_path.display().to_string()), "{message}");
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn a_given_path_is_the_only_place() {
    let candidates = find(Some(&support::library_path()));
    assert_eq!(candidates.len(), 1);
    assert_eq!(candidates[0].place, SearchPlace::Argument);
    assert_eq!(candidates[0].exists, Some(true));
    let missing = find(Some(Path::new("/nowhere/libonnxruntime.so")));
    assert_eq!(missing[0].exists, Some(false));
}
