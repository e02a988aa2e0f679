//! The C example and the C tests once more under AddressSanitizer and its leak checker.
//!
//! The C side is instrumented and every allocation of the process, the library's included, is
//! tracked: an invalid access from C, a freed object that is used, freed twice or never freed is
//! found. The library's own code is compiled as it ships. No finding is suppressed.

#[path = "c/examples.rs"]
mod examples;
#[path = "c/support.rs"]
mod support;

use std::ffi::OsString;
use std::process::Command;
use support::Program;

const FLAGS: [&str; 4] = ["-fsanitize=address,undefined", "-fno-omit-frame-pointer", "-O1", "-lm"];
const LABELS: [&str; 2] = ["HassTurnOn", "HassCancelTimer"];

/// Runs a program and asserts that it succeeds without a finding.
fn run_clean(program: &Program, arguments: &[OsString]) -> String {
    let output = program
        .command()
        .args(arguments)
        .env("ASAN_OPTIONS", "detect_leaks=1:abort_on_error=0:exitcode=97")
        .env("UBSAN_OPTIONS", "print_stacktrace=1:halt_on_error=1")
        .env("LSAN_OPTIONS", "exitcode=98")
        .output()
        .expect("the program runs");
    let messages = String::from_utf8_lossy(&output.stderr);
    for finding in ["ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:"] {
        assert!(!messages.contains(finding), "{messages}");
    }
    support::succeed(&output)
}

/// Compiles with the sanitizers and checks that they are really in.
fn compile(source: &str) -> Program {
    let program = Program::compile(source, &FLAGS);
    let symbols = Command::new("nm").arg(program.path()).output().expect("nm");
    let symbols = String::from_utf8_lossy(&symbols.stdout).into_owned();
    assert!(symbols.contains("__asan_init"), "{source} is not instrumented");
    program
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn the_example_has_no_finding() {
    let program = compile("examples/c/update.c");
    let examples = examples::write(&program.scratch("data"), &["de", "en"], &LABELS, 12);
    let store = program.scratch("store");
    let arguments = [support::bundle().into(), store.into(), examples.into(), "de".into()];
    let output = run_clean(&program, &[&arguments[..], &["Licht an".into()]].concat());
    assert!(output.contains("after: "), "{output}");
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn misuse_has_no_finding() {
    let program = compile("tests/c/misuse.c");
    assert_eq!(run_clean(&program, &[program.scratch("store").into()]), "0 failures\n");
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn threads_have_no_finding() {
    let program = compile("tests/c/threads.c");
    let examples = examples::write(&program.scratch("data"), &["de", "en"], &LABELS, 16);
    let arguments = [support::bundle().into(), program.scratch("store").into(), examples.into()];
    assert_eq!(run_clean(&program, &arguments), "0 failures\n");
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn every_kind_of_answer_has_no_finding() {
    let program = compile("tests/c/kinds.c");
    let examples = examples::write_tagged(&program.scratch("data"), &["de", "en"], 12);
    let arguments = [support::bundle().into(), program.scratch("store").into(), examples.into()];
    assert_eq!(run_clean(&program, &arguments), "0 failures\n");
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn texts_have_no_finding() {
    let program = compile("tests/c/texts.c");
    let bundle = support::sequence_bundle(&program.scratch("data"));
    let arguments = [bundle.into(), program.scratch("store").into()];
    assert_eq!(run_clean(&program, &arguments), "0 failures\n");
}

/// Runs a C test of what a device does beside predicting and updating, as `tests/c_device.rs` does.
fn check_device(source: &str, last: &str) {
    let program = compile(source);
    let bundle = support::sequence_bundle(&program.scratch("data"));
    let last = program.scratch("files").join(last);
    let arguments = [bundle.into(), program.scratch("store").into(), last.into()];
    assert_eq!(run_clean(&program, &arguments), "0 failures\n");
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn what_a_device_does_has_no_finding() {
    check_device("tests/c/exchange.c", "");
    check_device("tests/c/wipe.c", "base.safetensors");
    check_device("tests/c/measure.c", "examples.jsonl");
    check_device("tests/c/inspect.c", "../store/objects");
    check_device("tests/c/engine.c", "");
}

#[test]
fn the_leak_checker_sees_an_object_that_is_not_freed() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = folder.path().join("leak.c");
    // Many, because the last one's address may stay behind in a register or on the stack.
    let program = "#include <polygraft.h>\nint main(void) {\n\
                   for (int count = 0; count < 64; count++) {\n\
                   polygraft_error *error = NULL;\n\
                   polygraft_store_open(NULL, NULL, &error);\n}\nreturn 0;\n}\n";
    std::fs::write(&source, program).expect("a writable folder");
    let program = Program::compile(source.to_str().expect("UTF-8"), &FLAGS);
    let output =
        program.command().env("LSAN_OPTIONS", "exitcode=98").output().expect("the program runs");
    let messages = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(98), "{messages}");
    assert!(messages.contains("ERROR: LeakSanitizer"), "{messages}");
}
