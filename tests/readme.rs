//! The code in the README: excerpts of examples that are compiled and run here.

#![cfg(unix)]

#[path = "../examples/learn.rs"]
mod learn;
#[path = "c/support.rs"]
mod support;

use std::fs;
use std::path::Path;

/// The text between the marks `README: begin` and `README: end` of an example.
fn excerpt(path: &str) -> String {
    let text = fs::read_to_string(support::in_repository(path)).unwrap();
    let mut lines = text.lines().skip_while(|line| !line.contains("README: begin"));
    assert!(lines.next().is_some(), "{path} has no mark");
    let inside = lines.take_while(|line| !line.contains("README: end"));
    inside.map(|line| format!("{line}\n")).collect()
}

/// The blocks of one language in the README.
fn blocks(language: &str) -> Vec<String> {
    let text = fs::read_to_string(support::in_repository("README.md")).unwrap();
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while lines.by_ref().any(|line| line == format!("```{language}")) {
        let block = lines.by_ref().take_while(|line| *line != "```");
        blocks.push(block.map(|line| format!("{line}\n")).collect());
    }
    blocks
}

#[test]
fn code_blocks_are_excerpts_of_the_examples() {
    assert_eq!(blocks("rust"), [excerpt("examples/learn.rs")]);
    assert_eq!(blocks("c"), [excerpt("examples/c/predict.c")]);
}

#[test]
fn links_lead_to_files() {
    let text = fs::read_to_string(support::in_repository("README.md")).unwrap();
    let mut count = 0;
    for (at, _) in text.match_indices("](") {
        let target = text[at + 2..].split(')').next().unwrap();
        if target.starts_with("http") {
            continue;
        }
        assert!(support::in_repository(target).exists(), "README.md links to {target}");
        count += 1;
    }
    assert!(count > 5);
}

#[test]
fn the_rust_example_learns_what_the_c_example_then_answers() {
    // SAFETY: no other thread of this test program reads or writes the environment meanwhile: the
    // other tests only read files.
    unsafe { std::env::set_var("ORT_DYLIB_PATH", support::onnxruntime()) };
    let bundle = support::in_repository(".cache/bundle/e5-small");
    let folder = tempfile::tempdir().unwrap();
    let prediction = learn::learn(&bundle, folder.path()).unwrap();
    assert_eq!(prediction.language.as_str(), "mul");
    let best = &prediction.given.labels[0];
    assert_eq!(best.label, "off", "{best:?}");

    let program = support::Program::compile("examples/c/predict.c", &[]);
    let output = program.command().arg(&bundle).arg(folder.path()).output().unwrap();
    let answer = support::succeed(&output);
    assert_eq!(answer, format!("off {:.3}\n", best.probability));
    let usage = program.command().arg(&bundle).arg(Path::new("/")).output().unwrap();
    assert!(!usage.status.success());
}
