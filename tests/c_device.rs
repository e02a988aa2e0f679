//! What a device does beside predicting and updating, through the C interface: installs and exports
//! versions, erases, measures, looks after its store.
//!
//! The programs run on a small bundle with random weights, because they are about what is stored.

#[path = "c/support.rs"]
mod support;

use std::path::PathBuf;
use support::Program;

/// A compiled program with a bundle and an empty store.
struct Device {
    program: Program,
    bundle: PathBuf,
    store: PathBuf,
}

impl Device {
    fn new(source: &str) -> Self {
        // Older C libraries have `dlopen` in a library of its own.
        let program = Program::compile(source, &["-Wl,--no-as-needed", "-ldl"]);
        let bundle = support::sequence_bundle(&program.scratch("data"));
        let store = program.scratch("store");
        Self { program, bundle, store }
    }

    /// Runs the program, with a path in a folder of its own as the last argument.
    fn run(&self, last: &str) {
        let last = self.program.scratch("files").join(last);
        let mut command = self.program.command();
        let output = command.arg(&self.bundle).arg(&self.store).arg(last).output();
        assert_eq!(support::succeed(&output.expect("it runs")), "0 failures\n");
    }
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn versions_are_imported_and_exported() {
    Device::new("tests/c/exchange.c").run("");
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn examples_and_what_was_learnt_from_them_are_erased() {
    Device::new("tests/c/wipe.c").run("base.safetensors");
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn examples_are_evaluated_and_who_serves_is_explained() {
    Device::new("tests/c/measure.c").run("examples.jsonl");
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn what_is_there_is_counted_and_what_is_wrong_is_data() {
    Device::new("tests/c/inspect.c").run("../store/objects");
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn onnxruntime_is_handed_in_and_what_is_logged_is_heard() {
    Device::new("tests/c/engine.c").run("");
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn a_round_goes_around() {
    Device::new("tests/c/round.c").run("second");
}
