//! What the tests on the real bundle and the real data share. `make setup bundle` makes both.

#![allow(dead_code, reason = "every test file uses its own part")]

use polygraft::example::{Example, Input, Target};
use polygraft::language::Language;
use polygraft::model::{Model, ModelOptions};
use polygraft::runtime::Engine;
use polygraft::store::Store;
use polygraft::update::{Progress, UpdateOptions};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The task of the intents data.
pub const TASK: &str = "intent";

/// A path inside the cache that set-up fills.
pub fn cache(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache").join(path)
}

/// ONNX Runtime as set-up installed it.
pub fn engine() -> Arc<Engine> {
    Engine::open(Some(&cache("onnxruntime/libonnxruntime.so"))).unwrap()
}

/// The reference bundle over a store in `folder`, with two threads.
pub fn open(folder: &Path) -> Model {
    let store = Arc::new(Store::open(folder).unwrap());
    let options = ModelOptions { threads: 2, ..ModelOptions::default() };
    Model::open(&engine(), &cache("bundle/e5-small"), &store, &options).unwrap()
}

/// A language tag that is known to be valid.
pub fn language(tag: &str) -> Language {
    Language::parse(tag).unwrap()
}

/// `count` real intents of one language after the first `skip`.
pub fn intents(tag: &str, split: &str, skip: usize, count: usize) -> Vec<Example> {
    let path = cache(&format!("data/intents/{split}/{tag}.jsonl"));
    let text = std::fs::read_to_string(&path).unwrap();
    let field = |line: &str, name: &str| -> String {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        value[name].as_str().unwrap().to_owned()
    };
    let example = |line: &str| {
        let tag = language(&field(line, "lang"));
        Example::labelled(tag, &field(line, "text"), &field(line, "label"))
    };
    text.lines().skip(skip).take(count).map(example).collect()
}

/// The inputs of examples.
pub fn inputs(examples: &[Example]) -> Vec<Input> {
    examples.iter().map(|example| example.input.clone()).collect()
}

/// The label of an example that has one.
pub fn label(example: &Example) -> &str {
    &example.target.labels()[0]
}

/// Gives an example another label.
pub fn relabel(example: &mut Example, label: &str) {
    example.target = Target::Classification(label.to_owned());
}

/// Options for quick updates: a few steps with a high learning rate.
pub fn quick(steps_max: usize) -> UpdateOptions {
    UpdateOptions { steps_max, threads: 2, new_labels: true, ..UpdateOptions::default() }
}

/// A progress callback that never cancels.
pub fn proceed(_: &Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}
