//! The reference model in `models/lemma-bytes` answers as `transformers` does on the same weights:
//! `examples.jsonl` beside it holds the answers that `tools/seq2seq/evaluate.py` wrote.

use crate::{runtime, support};
use polygraft::bundle;
use polygraft::runtime::SessionOptions;
use polygraft::task::sequence::{GenerateOptions, Generator, StageInputs};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

#[derive(serde::Deserialize)]
struct Line {
    text: String,
    answer: String,
}

#[test]
fn the_reference_model_answers_as_transformers_does() {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/lemma-bytes");
    let place = tempfile::tempdir().unwrap();
    let made = bundle::create_sequence(&support::options(model.clone(), place.path()), &mut |_| {});
    let bundle = Arc::new(made.unwrap());
    let options = SessionOptions { threads: 1, ..SessionOptions::default() };
    let generator = Generator::open(&runtime::runtime(), &bundle, &options, &[]).unwrap();
    let text = std::fs::read_to_string(model.join("examples.jsonl")).unwrap();
    let lines: Vec<Line> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.len() > 150);
    let encode = |line: &Line| bundle.tokenizer().encode(&line.text, 512).unwrap().ids;
    let sources: Vec<Vec<u32>> = lines.iter().map(encode).collect();
    let sources: Vec<&[u32]> = sources.iter().map(Vec::as_slice).collect();
    let (bare, greedy) = (StageInputs::default(), GenerateOptions::default());
    let proceed = &mut |_: usize, _: &str| ControlFlow::Continue(());
    let found = generator.generate(&sources, &bare, &greedy, None, proceed).unwrap();
    let differing: Vec<(&str, &str, &str)> = lines
        .iter()
        .zip(&found)
        .filter(|(line, one)| line.answer != one.text)
        .map(|(line, one)| (line.text.as_str(), line.answer.as_str(), one.text.as_str()))
        .collect();
    // Two tokens may be as probable as each other up to the rounding of either side.
    assert!(differing.len() <= lines.len() / 100, "{differing:?}");
}
