//! What the shared library shows to the world: its exported names and its name for the loader.

#[path = "c/support.rs"]
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

/// The names that the shared library defines for others.
fn exported() -> BTreeSet<String> {
    let output = Command::new("nm")
        .args(["--dynamic", "--defined-only", "--format=posix"])
        .arg(support::shared_library())
        .output()
        .expect("nm, from the compiler's tools");
    let text = support::succeed(&output);
    text.lines().filter_map(|line| line.split(' ').next()).map(String::from).collect()
}

#[test]
fn only_the_listed_names_are_exported() {
    let exported = exported();
    let path = support::in_repository("docs/abi-symbols.txt");
    if std::env::var_os("POLYGRAFT_BLESS").is_some() {
        let lines: String = exported.iter().map(|name| format!("{name}\n")).collect();
        fs::write(&path, lines).unwrap();
    }
    let listed: BTreeSet<_> =
        fs::read_to_string(&path).unwrap().lines().map(String::from).collect();
    assert_eq!(exported, listed, "docs/abi-symbols.txt states other names than the library has");
    for name in &exported {
        assert!(name.starts_with("polygraft_"), "{name} is exported");
    }
}

/// On other processors other code of the dependencies is compiled. Of all that have functions for
/// C, blake3's for aarch64 would be exported; without its C code there is none.
#[test]
fn no_dependency_exports_a_function_on_aarch64() {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--target", "aarch64-unknown-linux-gnu"])
        .args(["--edges", "normal", "--prefix", "none", "--format", "{p} {f}"])
        .current_dir(support::in_repository(""))
        .output()
        .expect("cargo, which runs the tests");
    let tree = support::succeed(&output);
    let line = tree.lines().find(|line| line.starts_with("blake3 ")).expect("blake3");
    let features = line.split(' ').nth(2).expect("features").split(',');
    assert!(features.into_iter().any(|feature| feature == "pure"), "{line}");
}

#[test]
fn the_header_declares_what_is_exported() {
    let header = fs::read_to_string(support::in_repository("include/polygraft.h")).unwrap();
    let declared: BTreeSet<_> =
        support::functions(&header).into_iter().map(|function| function.name).collect();
    assert_eq!(declared, exported());
}

#[test]
fn a_c_program_that_the_tests_run_calls_every_function() {
    let mut sources = String::new();
    for folder in ["tests/c", "examples/c"] {
        for file in fs::read_dir(support::in_repository(folder)).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "c" || extension == "h") {
                sources.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let called: BTreeSet<&str> = sources.split(|c| !is_part(c)).collect();
    let uncalled: Vec<_> =
        exported().into_iter().filter(|name| !called.contains(name.as_str())).collect();
    assert!(uncalled.is_empty(), "no C program calls {uncalled:?}");
}

#[test]
#[cfg(target_os = "linux")]
fn the_soname_has_the_abi_version() {
    let output = Command::new("readelf")
        .args(["--dynamic", "--wide"])
        .arg(support::shared_library())
        .output()
        .expect("readelf, from the compiler's tools");
    let text = support::succeed(&output);
    let expected = format!("[libpolygraft.so.{}]", polygraft::ffi::version::POLYGRAFT_ABI_VERSION);
    let soname = text.lines().find(|line| line.contains("(SONAME)")).expect("a soname");
    assert!(soname.ends_with(&expected), "{soname}, expected {expected}");
}

#[test]
fn every_promise_of_the_abi_document_names_a_test_that_exists() {
    let document = fs::read_to_string(support::in_repository("docs/abi.md")).unwrap();
    let promises: Vec<_> = document.lines().filter(|line| line.starts_with("| ABI-")).collect();
    assert!(promises.len() >= 10, "{}", promises.len());
    for promise in promises {
        let cells: Vec<_> = promise.trim_matches('|').split('|').map(str::trim).collect();
        let [_, _, test] = cells[..] else { panic!("three cells expected: {promise}") };
        let (file, function) = test.trim_matches('`').split_once("::").expect(promise);
        let source = fs::read_to_string(support::in_repository(file)).expect(file);
        let defined = [format!("fn {function}("), format!("void {function}(")];
        assert!(defined.iter().any(|text| source.contains(text)), "{promise}: no such test");
    }
}
