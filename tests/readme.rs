//! The code in the README: excerpts of examples that are compiled and run here.

#![cfg(unix)]

mod excerpts;
#[path = "../examples/rust/learn.rs"]
mod learn;
#[path = "c/support.rs"]
mod support;

use polygraft::example::Example;
use polygraft::language::Language;
use polygraft::model::{Model, ModelOptions, PredictOptions};
use polygraft::rehearsal::{Limits, Rehearsal, Split};
use polygraft::runtime::Engine;
use polygraft::store::Store;
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// The blocks of one language in the README.
fn blocks(language: &str) -> Vec<String> {
    let blocks = excerpts::blocks("README.md").into_iter();
    blocks.filter(|block| block.language == language).map(|block| block.text).collect()
}

/// The text between the marks of an example.
fn excerpt(path: &str) -> String {
    excerpts::excerpt(path, "README: begin", "README: end")
}

#[test]
fn code_blocks_are_excerpts_of_the_examples() {
    assert_eq!(blocks("rust"), [excerpt("examples/rust/learn.rs")]);
    assert_eq!(blocks("c"), [excerpt("examples/c/predict.c")]);
}

#[test]
fn links_lead_to_files() {
    let links = excerpts::links("README.md");
    for target in &links {
        let file = target.split('#').next().unwrap();
        assert!(support::in_repository(file).exists(), "README.md links to {target}");
    }
    assert!(links.len() > 5);
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn the_rust_example_learns_what_the_c_example_then_answers() {
    // SAFETY: no other thread of this test program reads or writes the environment meanwhile: the
    // other tests only read files.
    unsafe { std::env::set_var("ORT_DYLIB_PATH", support::onnxruntime()) };
    let bundle = support::in_repository(".cache/bundle/e5-small");
    let folder = tempfile::tempdir().unwrap();
    let prediction = learn::learn(&bundle, folder.path()).unwrap();
    assert_eq!(prediction.language.as_str(), "mul");
    let best = &prediction.output.labels().unwrap()[0];
    assert_eq!(best.label, "off", "{best:?}");

    let program = support::Program::compile("examples/c/predict.c", &[]);
    let output = program.command().arg(&bundle).arg(folder.path()).output().unwrap();
    let answer = support::succeed(&output);
    assert_eq!(answer, format!("off {:.3}\n", best.probability));
    let usage = program.command().arg(&bundle).arg(Path::new("/")).output().unwrap();
    assert!(!usage.status.success());

    check_what_was_taught(&bundle, folder.path());
    #[cfg(feature = "cli")]
    check_command(&bundle, folder.path());
}

/// Every example that was trained on is answered right, and nine in ten of all, those included that
/// were held out to measure with; so are most of others that say the same in other words.
fn check_what_was_taught(bundle: &Path, folder: &Path) {
    let engine = Engine::open(None).unwrap();
    let store = Arc::new(Store::open(folder).unwrap());
    let model = Model::open(&engine, bundle, &store, &ModelOptions::default()).unwrap();
    let rehearsal = Rehearsal::open(folder, "light", Limits::default()).unwrap();
    let is_right = |(tag, text, label): &(&str, &str, &str)| {
        let tag = Language::parse(tag).unwrap();
        let answer = model.predict("light", &tag, *text, &PredictOptions::default()).unwrap();
        answer.output.labels().unwrap()[0].label == *label
    };
    let mut right = 0;
    for example in &learn::EXAMPLES {
        let (tag, text, label) = *example;
        let one = Example::labelled(Language::parse(tag).unwrap(), text, label);
        let is_right = is_right(example);
        right += usize::from(is_right);
        assert!(is_right || rehearsal.split(&one) == Split::HeldOut, "{example:?} was trained on");
    }
    assert!(right * 10 >= learn::EXAMPLES.len() * 9, "{right} of {}", learn::EXAMPLES.len());
    let others = [
        ("tr", "ışığı kapat", "off"),
        ("tr", "ışığı aç", "on"),
        ("en", "turn on the lamp", "on"),
        ("fr", "allume la lumière", "on"),
        ("de", "mach das Licht an", "on"),
        ("fi", "sytytä lamppu", "on"),
    ];
    let right = others.iter().filter(|one| is_right(one)).count();
    assert!(right * 3 >= others.len() * 2, "{right} of {}", others.len());
}

/// The command learns the same to the last bit from the same examples by its defaults.
#[cfg(feature = "cli")]
fn check_command(bundle: &Path, expected_store: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let (store, examples) = (folder.path().join("store"), folder.path().join("examples.jsonl"));
    let lines = learn::EXAMPLES.map(|(lang, text, label)| {
        serde_json::json!({"lang": lang, "text": text, "label": label}).to_string() + "\n"
    });
    fs::write(&examples, lines.concat()).unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_polygraft"));
    command.args(["update", "--task", "light", "--progress", "none", "--bundle"]).arg(bundle);
    command.arg("--store").arg(&store).arg("--examples").arg(&examples);
    support::succeed(&command.output().unwrap());
    let hashes = |folder: &Path| -> Vec<_> {
        let versions = Store::open(folder).unwrap().versions(Some("light")).unwrap();
        versions.into_iter().map(|version| (version.language, version.hash)).collect()
    };
    assert_eq!(hashes(&store), hashes(expected_store));
}
