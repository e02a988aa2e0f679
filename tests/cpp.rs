//! `include/polygraft.hpp`: it wraps the whole C interface, every call of it works and leaks
//! nothing, and the examples do what they say.
//!
//! Bundles and stores are the small ones that version 0.1.0 wrote.

#![cfg(unix)]

#[path = "c/support.rs"]
mod support;

use polygraft::store::Store;
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use support::Program;

const STRICT: [&str; 2] = ["-Wshadow", "-Wconversion"];
const TASK: &str = "intent";

fn fixture(name: &str) -> PathBuf {
    support::in_repository("tests/fixtures/written-by-0.1.0").join(name)
}

/// A copy of a store that may be changed.
fn copy(from: &Path, to: PathBuf) -> PathBuf {
    fs::create_dir_all(&to).expect("a folder");
    for entry in fs::read_dir(from).expect("a readable folder").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), target);
        } else {
            fs::copy(entry.path(), target).expect("a copy");
        }
    }
    to
}

/// The text of all C++ headers.
fn headers() -> String {
    let mut text = String::new();
    for entry in fs::read_dir(support::in_repository("include/polygraft")).unwrap().flatten() {
        text.push_str(&fs::read_to_string(entry.path()).unwrap());
    }
    text
}

/// The functions of the C interface, a line each.
fn listed() -> String {
    fs::read_to_string(support::in_repository("docs/abi-symbols.txt")).unwrap()
}

/// Those that C++ needs: an Error has its status from the call that failed.
fn wrapped(listed: &str) -> impl Iterator<Item = &str> {
    listed.lines().filter(|name| *name != "polygraft_error_code")
}

#[test]
fn every_function_of_the_c_interface_is_wrapped() {
    let headers = headers();
    let words: Vec<_> = headers.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
    let listed = listed();
    let missing: Vec<_> = wrapped(&listed).filter(|name| !words.contains(name)).collect();
    assert!(missing.is_empty(), "include/polygraft/*.hpp does not call {missing:?}");
}

/// Looks at a source with all warnings as errors, and compiles nothing.
fn look_at(source: &Path, flags: &[&str]) -> Output {
    let mut compiler = Command::new("c++");
    compiler.args(["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", "-I"]);
    compiler.arg(support::in_repository("include")).args(STRICT.iter().chain(flags)).arg(source);
    compiler.output().expect("a C++ compiler named c++")
}

#[test]
fn the_header_is_clean_in_every_standard_since_cpp17() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("only.cpp");
    let probe = "#include <polygraft.hpp>\n#include <polygraft.h>\n#include <polygraft.hpp>\n";
    fs::write(&source, probe).unwrap();
    support::succeed(&look_at(&source, &["-std=c++17"]));
    support::succeed(&look_at(&source, &["-std=c++20", "-fno-exceptions", "-fno-rtti"]));
    let old = look_at(&source, &["-std=c++14"]);
    let messages = String::from_utf8_lossy(&old.stderr);
    assert!(!old.status.success() && messages.contains("needs C++17"), "{messages}");
}

#[test]
fn a_callback_that_returns_something_else_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("wrong.cpp");
    let program = "#include <polygraft.hpp>\nvoid run(polygraft::Update &update) {\n\
                   update.run([](const polygraft::Progress &) { return true; });\n}\n";
    fs::write(&source, program).unwrap();
    let output = look_at(&source, &["-std=c++17"]);
    let messages = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "it compiled");
    assert!(messages.contains("a callback returns nothing, or a polygraft::Flow"), "{messages}");
}

/// Under AddressSanitizer and its leak checker, and half of it without exceptions.
#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn every_call_works_and_leaks_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let sanitizers = ["-fsanitize=address,undefined", "-fno-omit-frame-pointer", "-O0"];
    let objects =
        [("device", "-fexceptions"), ("results", "-fno-exceptions")].map(|(name, flag)| {
            let object = folder.path().join(format!("{name}.o"));
            let mut compiler = Command::new("c++");
            compiler.args(["-std=c++17", "-g", "-Wall", "-Wextra", "-Werror", flag, "-c", "-I"]);
            compiler.arg(support::in_repository("include")).args(STRICT.iter().chain(&sanitizers));
            compiler.arg(support::in_repository(&format!("tests/cpp/{name}.cpp")));
            let output =
                compiler.arg("-o").arg(&object).output().expect("a C++ compiler named c++");
            support::succeed(&output);
            object.into_os_string().into_string().expect("UTF-8")
        });
    let [device, results] = &objects;
    let flags = [&STRICT[..], &sanitizers[..], &[device, results]].concat();
    let program = Program::compile("tests/cpp/interface.cpp", &flags);
    // The compiler leaves out the wrappers that no test uses, and with them what they call.
    let mut nm = Command::new("nm");
    let output = nm.args(["--undefined-only", "--format=posix"]).arg(program.path()).output();
    let names = support::succeed(&output.expect("nm, from the compiler's tools"));
    let used: BTreeSet<_> = names.split([' ', '\n', '@']).collect();
    let listed = listed();
    let unused: Vec<_> = wrapped(&listed).filter(|name| !used.contains(name)).collect();
    assert!(unused.is_empty(), "no test in C++ uses {unused:?}");
    let output = program
        .command()
        .arg(fixture("encoder"))
        .arg(copy(&fixture("encoder-store"), program.scratch("encoder-store")))
        .arg(fixture("decoder"))
        .arg(copy(&fixture("decoder-store"), program.scratch("decoder-store")))
        .arg(program.scratch("empty"))
        .arg(program.scratch("scratch"))
        .env("ASAN_OPTIONS", "detect_leaks=1")
        .env("UBSAN_OPTIONS", "halt_on_error=1")
        .output()
        .expect("the program runs");
    let messages = String::from_utf8_lossy(&output.stderr);
    assert!(!messages.contains("Sanitizer"), "{messages}");
    assert_eq!(support::succeed(&output), "0 failures\n");
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn the_example_classifies() {
    let program = Program::compile("examples/cpp/classify.cpp", &STRICT);
    let store = copy(&fixture("encoder-store"), program.scratch("store"));
    let run = |task: &str| {
        let mut command = program.command();
        command.arg(fixture("encoder")).arg(&store).args([task, "de", "w14 w66 w42", "w21 w45"]);
        command.output().expect("the program runs")
    };
    let output = support::succeed(&run(TASK));
    let lines: Vec<_> = output.lines().collect();
    assert!(lines[0].starts_with("w14 w66 w42: on 0."), "{output}");
    assert!(lines[1].starts_with("w21 w45: off 0."), "{output}");
    assert!(lines.iter().all(|line| line.ends_with("(version 2 of de)")), "{output}");

    let refused = run("no-such-task");
    let messages = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1));
    assert!(messages.starts_with("store.no_version\n  "), "{messages}");
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn the_example_swaps_versions_under_running_predictions() {
    let program = Program::compile("examples/cpp/hot_swap.cpp", &STRICT);
    let store = copy(&fixture("encoder-store"), program.scratch("store"));
    let mut command = program.command();
    command.arg(fixture("encoder")).arg(store).args([TASK, "de", "w14 w66 w42"]);
    let output = support::succeed(&command.output().expect("the program runs"));
    assert!(output.ends_with("active: 1\n"), "{output}");
    let of_known_versions = |line: &str| line.ends_with("version 1") || line.ends_with("version 2");
    let mut counted = output.lines().filter(|line| line.contains("predictions by"));
    assert!(counted.all(of_known_versions), "{output}");
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn the_example_installs_rolls_back_and_wipes() {
    let program = Program::compile("examples/cpp/ship.cpp", &STRICT);
    let store = copy(&fixture("encoder-store"), program.scratch("store"));
    // What a store holds of a version is the file of its adapter.
    let versions = Store::open_existing(&store).unwrap().versions(Some(TASK)).unwrap();
    let first = versions.iter().find(|version| version.language.as_str() == "de").expect("one");
    let adapter = store.join("objects").join(first.hash.to_string());
    let mut command = program.command();
    command.arg(fixture("encoder")).arg(&store).args([TASK, "de"]).arg(adapter);
    let output = support::succeed(&command.output().expect("the program runs"));
    assert!(output.starts_with("installed version 3 of mul, "), "{output}");
    let (before, after) = output.split_once("rolled back to version 1, and pinned:").expect("both");
    assert!(before.contains("  de 2, 3 kB, active\n"), "{output}");
    assert!(after.contains("  de 1, 3 kB, active, pinned\n"), "{output}");
    assert!(after.contains("\nwiped ") && after.contains(" examples in de\n"), "{output}");
    assert!(after.contains(" versions may have learnt from them\n"), "{output}");
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn the_example_learns_and_is_cancelled_by_ctrl_c() {
    let program = Program::compile("examples/cpp/update.cpp", &STRICT);
    let store = program.scratch("store");
    let data = program.scratch("data").join("examples.tsv");
    let command = |examples_count: usize| {
        let lines = (0..examples_count).map(|index| {
            let (first, label) = if index % 2 == 0 { (10, "on") } else { (20, "off") };
            let (a, b, c) = (first + index % 10, 40 + index / 36 % 36, 40 + index % 36);
            format!("de\tw{a} w{b} w{c}\t{label}\n")
        });
        fs::write(&data, lines.collect::<String>()).unwrap();
        let mut command = program.command();
        command.arg(fixture("encoder")).arg(&store).arg(TASK).arg(&data);
        command
    };

    // So many that it is cancelled in the middle.
    let mut child =
        command(1200).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    let mut line = String::new();
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe"));
    lines.read_line(&mut line).unwrap();
    assert!(line.ends_with(" %\n"), "{line}");
    // SAFETY: a signal to a child that has not been waited for, so the number is still its own.
    unsafe { libc::kill(child.id().try_into().expect("a process"), libc::SIGINT) };
    let output = child.wait_with_output().unwrap();
    let messages = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{messages}");
    assert!(messages.starts_with("cancelled: "), "{messages}");
    let rest: Vec<_> = lines.lines().map_while(Result::ok).collect();
    assert!(!rest.iter().any(|line| line.contains("activated")), "{rest:?}");

    let output = support::succeed(&command(40).output().expect("it runs"));
    assert!(output.contains("100 %\n"), "{output}");
    assert!(output.contains("\nmul: nan -> "), "{output}");
    assert!(output.contains("activated, first version"), "{output}");
}
