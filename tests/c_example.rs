//! The C example and the C tests of misuse, compiled with every warning as an error and run on the
//! reference bundle and real data.

#[path = "c/examples.rs"]
mod examples;
#[path = "../examples/rust/learn.rs"]
#[allow(dead_code, reason = "only its sentences are used here")]
mod learn;
#[path = "c/support.rs"]
mod support;

use polygraft::store::Store;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use support::Program;

const LABELS: [&str; 3] = ["HassTurnOn", "HassTurnOff", "HassCancelTimer"];

/// The line of the program's output that begins with `start`.
fn line<'a>(output: &'a str, start: &str) -> &'a str {
    let found = output.lines().find(|line| line.starts_with(start));
    found.unwrap_or_else(|| panic!("no line begins with {start:?} in\n{output}"))
}

/// Runs the example once and gives what it printed.
fn run_update(program: &Program, languages: &[&str], count: usize) -> String {
    let store = program.scratch("store");
    let examples = examples::write(&program.scratch("data"), languages, &LABELS, count);
    let output = program
        .command()
        .arg(support::bundle())
        .arg(&store)
        .arg(&examples)
        .args(["de", "schalte das Licht im Wohnzimmer ein"])
        .output()
        .expect("the program runs");
    support::succeed(&output)
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn the_example_learns_and_rolls_back() {
    let program = Program::compile("examples/c/update.c", &[]);

    let first = run_update(&program, &["de", "en", "tr"], 16);
    assert!(line(&first, "before:").contains("has no version"), "{first}");
    assert!(line(&first, "after:").contains("(version 1 of de)"), "{first}");
    for language in ["de ", "en ", "tr ", "mul "] {
        assert!(line(&first, language).contains("activate version 1"), "{first}");
    }
    assert!(line(&first, "progress was reported").ends_with("along the way"), "{first}");
    // Nothing was active before the first version, so rolling back leaves nothing.
    assert!(line(&first, "updates so far:").contains("updates so far: 1, on a page of"), "{first}");
    assert!(line(&first, "rolled back:").contains("has no version"), "{first}");

    // The second run learns from scratch again; its version numbers continue.
    let second = run_update(&program, &["de", "en"], 16);
    assert!(line(&second, "before:").contains("has no version"), "{second}");
    assert!(line(&second, "after:").contains("(version 2 of de)"), "{second}");
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn the_example_answers_what_it_was_taught() {
    let program = Program::compile("examples/c/update.c", &[]);
    let examples = program.scratch("data").join("examples.tsv");
    let lines = learn::EXAMPLES.map(|(tag, text, label)| format!("{tag}\t{text}\t{label}\n"));
    std::fs::write(&examples, lines.concat()).expect("a writable folder");
    let mut command = program.command();
    command.arg(support::bundle()).arg(program.scratch("store")).arg(&examples);
    let output = command.args(["en", "turn on the light"]).output().expect("the program runs");
    let output = support::succeed(&output);
    assert!(line(&output, "after:").starts_with("after: on 0.9"), "{output}");
}

/// The small bundle that version 0.1.0 wrote, and a copy of its store.
fn small(program: &Program) -> [PathBuf; 2] {
    let fixture = support::in_repository("tests/fixtures/written-by-0.1.0");
    let store = program.scratch("store");
    let mut copy = Command::new("cp");
    let copied = copy.arg("-r").arg(fixture.join("encoder-store/.")).arg(&store).output();
    support::succeed(&copied.expect("cp"));
    [fixture.join("encoder"), store]
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn the_example_ends_an_update_at_ctrl_c() {
    let program = Program::compile("examples/c/update.c", &[]);
    let [bundle, store] = small(&program);
    let examples = program.scratch("data").join("examples.tsv");
    // So many that it is cancelled in the middle.
    let lines = (0..1200).map(|index| {
        let (first, label) = if index % 2 == 0 { (10, "on") } else { (20, "off") };
        let (a, b, c) = (first + index % 10, 40 + index / 36 % 36, 40 + index % 36);
        format!("de\tw{a} w{b} w{c}\t{label}\n")
    });
    std::fs::write(&examples, lines.collect::<String>()).expect("a writable folder");
    let mut command = program.command();
    command.arg(bundle).arg(&store).arg(examples).args(["de", "w10 w40"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    let mut messages = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut heard = String::new();
    while !heard.contains("prepare") && !heard.contains("train") {
        assert!(messages.read_line(&mut heard).expect("UTF-8") > 0, "{heard}");
    }
    // SAFETY: a signal to a child that has not been waited for, so the number is still its own.
    unsafe { libc::kill(child.id().try_into().expect("a process"), libc::SIGINT) };
    messages.read_to_string(&mut heard).expect("UTF-8");
    assert_eq!(child.wait().expect("it ends").code(), Some(1), "{heard}");
    assert!(heard.contains("running the update failed with cancelled"), "{heard}");
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn the_example_swaps_versions_under_running_predictions() {
    let program = Program::compile("examples/c/hot_swap.c", &[]);
    let [bundle, store] = small(&program);
    let mut command = program.command();
    command.arg(bundle).arg(&store).args(["intent", "de", "w14 w66 w42"]);
    let output = support::succeed(&command.output().expect("it runs"));
    let count = |line: &str| -> u32 {
        line.split(' ').next().and_then(|count| count.parse().ok()).expect("a count")
    };
    assert_eq!(output.lines().count(), 2, "{output}");
    assert!(output.lines().map(count).sum::<u32>() > 0, "{output}");
    // The last of its rounds activates the first version.
    let versions = Store::open_existing(&store).unwrap().versions(Some("intent")).unwrap();
    let active = versions.iter().find(|one| one.language.as_str() == "de" && one.active);
    assert_eq!(active.map(|one| one.number), Some(1));
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn the_example_installs_rolls_back_and_wipes() {
    let program = Program::compile("examples/c/ship.c", &[]);
    let [bundle, store] = small(&program);
    // What a store holds of a version is the file of its adapter.
    let versions = Store::open_existing(&store).unwrap().versions(Some("intent")).unwrap();
    let adapter = store.join("objects").join(versions[0].hash.to_string());
    let mut command = program.command();
    command.arg(bundle).arg(&store).args(["intent", "de"]).arg(adapter);
    let output = support::succeed(&command.output().expect("it runs"));
    assert!(output.starts_with("installed version 3 of mul, "), "{output}");
    let (before, after) = output.split_once("back on version 1, and pinned:").expect("both");
    assert!(before.contains("  de 2, active\n"), "{output}");
    assert!(after.contains("  de 1, active, pinned\n"), "{output}");
    assert!(after.contains("\nwiped ") && after.contains(" examples in de\n"), "{output}");
    assert!(after.contains(" versions may have learnt from them\n"), "{output}");
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn misuse_is_refused_by_name() {
    let program = Program::compile("tests/c/misuse.c", &[]);
    let output = program.command().arg(program.scratch("store")).output().expect("it runs");
    assert_eq!(support::succeed(&output), "0 failures\n");
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn threads_predict_while_versions_change_and_handles_close() {
    let program = Program::compile("tests/c/threads.c", &[]);
    let examples = examples::write(&program.scratch("data"), &["de", "en"], &LABELS, 16);
    let output = program
        .command()
        .arg(support::bundle())
        .arg(program.scratch("store"))
        .arg(examples)
        .output()
        .expect("it runs");
    assert_eq!(support::succeed(&output), "0 failures\n");
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn every_kind_of_answer_goes_in_and_comes_out() {
    let program = Program::compile("tests/c/kinds.c", &[]);
    let examples = examples::write_tagged(&program.scratch("data"), &["de", "en"], 12);
    let store = program.scratch("store");
    let mut command = program.command();
    let output = command.arg(support::bundle()).arg(&store).arg(examples).output();
    assert_eq!(support::succeed(&output.expect("it runs")), "0 failures\n");

    // What was trained there answers in the example of slots.
    let program = Program::compile("examples/c/slots.c", &[]);
    let text = "schalte in der Küche das Licht an";
    let mut command = program.command();
    command.arg(support::bundle()).arg(&store).args(["intent-and-slots", "de", text]);
    let output = support::succeed(&command.output().expect("it runs"));
    let mut lines = output.lines();
    assert!(lines.next().is_some_and(|line| line.starts_with("Hass")), "{output}");
    for slot in lines {
        let found = slot.split('"').nth(1).expect("a slot in quotation marks");
        assert!(!found.is_empty() && text.contains(found), "{slot}");
    }
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn texts_are_generated_and_handed_out() {
    let program = Program::compile("tests/c/texts.c", &[]);
    let bundle = support::sequence_bundle(&program.scratch("data"));
    let output =
        program.command().arg(bundle).arg(program.scratch("store")).output().expect("it runs");
    assert_eq!(support::succeed(&output), "0 failures\n");
}

/// Runs a C test that takes the small bundle with a decoder and an empty store.
fn check_on_small_bundle(source: &str) {
    let program = Program::compile(source, &[]);
    let bundle = support::sequence_bundle(&program.scratch("data"));
    let output =
        program.command().arg(bundle).arg(program.scratch("store")).output().expect("it runs");
    assert_eq!(support::succeed(&output), "0 failures\n");
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn closing_waits_for_callbacks_and_not_for_itself() {
    check_on_small_bundle("tests/c/closing.c");
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn forked_children_are_refused_close_and_open_their_own() {
    check_on_small_bundle("tests/c/forks.c");
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn the_environment_is_written_only_to_switch_telemetry_off() {
    let program = Program::compile("tests/c/environment.c", &[]);
    let run = |value: Option<&str>| {
        let mut command = program.command();
        match value {
            Some(value) => command.env("ORT_DISABLE_TELEMETRY", value),
            None => command.env_remove("ORT_DISABLE_TELEMETRY"),
        };
        support::succeed(&command.output().expect("it runs"))
    };
    let once = "set 1: ORT_DISABLE_TELEMETRY=1\n0 failures\n";
    assert_eq!(run(Some("1")), "set 0:\n0 failures\n");
    assert_eq!(run(None), once);
    assert_eq!(run(Some("0")), once);
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
#[cfg(target_os = "linux")]
fn paths_are_bytes() {
    use std::os::unix::ffi::OsStrExt;
    let program = Program::compile("tests/c/paths.c", &[]);
    let folder = program.scratch("data").join(std::ffi::OsStr::from_bytes(b"d\xe9p\xf4t"));
    std::fs::create_dir(&folder).expect("a folder");
    let bundle = support::sequence_bundle(&folder);
    let runtime = folder.join("libonnxruntime.so");
    std::os::unix::fs::symlink(support::onnxruntime(), &runtime).expect("a link");
    let output = program
        .command()
        .arg(bundle)
        .arg(folder.join("store"))
        .arg(runtime)
        .output()
        .expect("it runs");
    assert_eq!(support::succeed(&output), "0 failures\n");
}
