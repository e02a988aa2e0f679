//! The reference backbone, read and mapped for a test.

use std::path::PathBuf;

use polygraft::graph::{Model, Weights};
use polygraft::runtime::{Session, Value};

/// The model, its bytes and its mapped weights.
pub fn backbone() -> (Vec<u8>, Weights) {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(".cache/backbone/e5-small/model.onnx");
    let model = Model::read(&path).expect("the reference backbone; `make setup` brings it");
    let weights = Weights::map(&model).expect("weights beside the reference backbone");
    (model.to_bytes(), weights)
}

/// Inputs of the backbone by name: `batch` texts of `tokens` tokens, different ones for each seed.
pub fn inputs(batch: usize, tokens: usize, seed: usize) -> Vec<(&'static str, Value)> {
    let count = batch * tokens;
    let shape = [batch, tokens];
    let ids = (0..count).map(|index| ((1000 + seed * 7919 + index * 997) % 250_000) as i64);
    vec![
        ("input_ids", Value::i64(&shape, ids.collect()).unwrap()),
        ("attention_mask", Value::i64(&shape, vec![1; count]).unwrap()),
        ("token_type_ids", Value::i64(&shape, vec![0; count]).unwrap()),
    ]
}

/// The first output for these inputs.
pub fn run(session: &Session, inputs: &[(&str, Value)]) -> Value {
    let inputs: Vec<(&str, &Value)> = inputs.iter().map(|(name, value)| (*name, value)).collect();
    let output = session.output_names()[0].as_str();
    session.run(&inputs, &[output], None).unwrap().remove(0)
}
