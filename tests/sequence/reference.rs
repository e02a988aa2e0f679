//! The reference model in `models/lemma-bytes` answers as `transformers` does on the same weights:
//! `examples.jsonl` beside it holds the answers that `tools/seq2seq/evaluate.py` wrote.

use crate::{engine, support};
use polygraft::bundle;
use polygraft::graph::{Weight, data_type};
use polygraft::inference::generation::{GenerateOptions, Generator, StageInputs};
use polygraft::runtime::SessionOptions;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

#[derive(Debug, serde::Deserialize)]
struct Line {
    text: String,
    answer: String,
}

/// What a bundle of the model answers, and the answers expected.
fn answers(upcast: bool) -> Vec<(String, Line)> {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/lemma-bytes");
    let place = tempfile::tempdir().unwrap();
    let options = support::options(model.clone(), place.path());
    let made =
        bundle::create_sequence(&bundle::CreateSequenceOptions { upcast, ..options }, &mut |_| {});
    let bundle = Arc::new(made.unwrap());
    let is_half = |weight: Weight<'_>| weight.data_type == data_type::FLOAT16;
    assert_eq!(bundle.weights().iter().any(is_half), !upcast);
    let options = SessionOptions { threads: 1, ..SessionOptions::default() };
    let generator = Generator::open(&engine::engine(), &bundle, &options, &[]).unwrap();
    let text = std::fs::read_to_string(model.join("examples.jsonl")).unwrap();
    let lines: Vec<Line> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let encode = |line: &Line| bundle.tokenizer().encode(&line.text, 512).unwrap().ids;
    let sources: Vec<Vec<u32>> = lines.iter().map(encode).collect();
    let sources: Vec<&[u32]> = sources.iter().map(Vec::as_slice).collect();
    let (bare, greedy) = (StageInputs::default(), GenerateOptions::default());
    let proceed = &mut |_: usize, _: &str| ControlFlow::Continue(());
    let found = generator.generate(&sources, &bare, &greedy, None, proceed).unwrap();
    found.into_iter().map(|one| one.text).zip(lines).collect()
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn the_reference_model_answers_as_transformers_does() {
    for upcast in [false, true] {
        let answers = answers(upcast);
        assert!(answers.len() > 150);
        let differing: Vec<_> =
            answers.iter().filter(|(found, line)| *found != line.answer).collect();
        // Two tokens may be as probable as each other up to the rounding of either side.
        assert!(differing.len() <= answers.len() / 100, "{differing:?}");
    }
}
