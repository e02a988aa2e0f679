//! Gradients of whole training graphs, compared with those that PyTorch computed from the same
//! weights and inputs (`tests/oracle/`).

#[path = "support/engine.rs"]
mod engine;
#[path = "support/oracle.rs"]
mod oracle;
#[path = "support/training_graph.rs"]
mod training_graph;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use oracle::{floats, relative_error, value};
use polygraft::adapter::{HEAD_BIAS, HEAD_WEIGHT};
use polygraft::runtime::{Mode, Session, SessionOptions, Value};
use safetensors::SafeTensors;
use training_graph::{LOSS, training_graph};

/// Largest relative error of a gradient: `|g - reference| / |reference|`.
const ERROR_MAX: f64 = 1e-4;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Runs the training graph of `model` on the oracle's inputs and compares all it holds.
fn compare(model: &Path, oracle: &Path, tensors: BTreeMap<String, Value>, mode: Mode) {
    let graph = training_graph(model);
    let bytes = std::fs::read(oracle).unwrap();
    let oracle = SafeTensors::deserialize(&bytes).unwrap();
    let options = SessionOptions { mode, threads: 2, ..SessionOptions::default() };
    let session =
        Session::open(&engine::engine(), &graph.bytes, Some(&graph.weights), &options).unwrap();
    let mut inputs = tensors;
    for name in ["input_ids", "attention_mask", "token_type_ids", "targets"] {
        inputs.insert(name.to_owned(), value(&oracle, &format!("input.{name}")));
    }
    let given: Vec<_> = inputs.iter().map(|(name, value)| (name.as_str(), value)).collect();
    let names: Vec<&str> = graph.gradients.values().map(String::as_str).chain([LOSS]).collect();
    let outputs = session.run(&given, &names, None).unwrap();
    let loss = f64::from(outputs.last().unwrap().as_f32().unwrap()[0]);
    let expected = f64::from(value(&oracle, "loss").as_f32().unwrap()[0]);
    assert!((loss - expected).abs() <= 1e-5 * expected, "loss {loss}, expected {expected}");
    let mut compared = 0;
    for (name, output) in graph.gradients.keys().zip(&outputs) {
        let Ok(reference) = oracle.tensor(&format!("grad.{name}")) else { continue };
        let shape: Vec<i64> = reference.shape().iter().map(|&size| size as i64).collect();
        assert_eq!(output.shape(), shape, "{name}");
        let error = relative_error(output.as_f32().unwrap(), &floats(reference.data()));
        assert!(error <= ERROR_MAX, "{}: {name}: relative error {error:e}", model.display());
        compared += 1;
    }
    let stored = oracle.names().iter().filter(|name| name.starts_with("grad.")).count();
    assert_eq!(compared, stored, "every stored gradient is compared");
}

fn tiny(variant: &str) {
    let oracle = root().join("tests/oracle/tiny_bert_gradients.safetensors");
    let bytes = std::fs::read(&oracle).unwrap();
    let stored = SafeTensors::deserialize(&bytes).unwrap();
    let is_tensor = |name: &&str| name.contains("lora_") || name.starts_with("head.");
    let names = stored.names();
    let trainable = names.iter().map(|name| &**name).filter(is_tensor);
    let tensors = trainable
        .filter(|name| !name.starts_with("grad."))
        .map(|name| (name.to_owned(), value(&stored, name)))
        .collect::<BTreeMap<_, _>>();
    let model = root().join(format!("tests/fixtures/tiny-bert-{variant}/model.onnx"));
    compare(&model, &oracle, tensors, Mode::Lean);
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn layer_normalization_and_decomposed_gelu() {
    tiny("fused-erf");
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn layer_normalization_and_gelu() {
    tiny("fused-op");
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn decomposed_normalization_and_decomposed_gelu() {
    tiny("decomposed-erf");
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn decomposed_normalization_and_gelu() {
    tiny("decomposed-op");
}

/// The trainable tensors of the large oracle, as `tests/oracle/e5_gradients.py` defines them.
fn formula(number: usize, shape: [usize; 2]) -> Value {
    let element = |index: usize| (0.02 * (0.37 * index as f64 + 1.3 * number as f64).sin()) as f32;
    let count = shape[0] * shape[1];
    let shape = if shape[0] == 0 { &shape[1..] } else { &shape[..] };
    let count = if count == 0 { shape[0] } else { count };
    Value::f32(shape, (0..count).map(element).collect()).unwrap()
}

fn reference_tensors() -> BTreeMap<String, Value> {
    const LAYERS: usize = 12;
    const HIDDEN: usize = 384;
    const RANK: usize = 8;
    const LABELS: usize = 4;
    let mut tensors = BTreeMap::new();
    for layer in 0..LAYERS {
        for (order, part) in ["query", "value"].into_iter().enumerate() {
            let site = format!("encoder.layer.{layer}.attention.self.{part}");
            let number = 4 * layer + 2 * order;
            tensors.insert(format!("{site}.lora_A"), formula(number, [HIDDEN, RANK]));
            tensors.insert(format!("{site}.lora_B"), formula(number + 1, [RANK, HIDDEN]));
        }
    }
    tensors.insert(HEAD_WEIGHT.to_owned(), formula(4 * LAYERS, [HIDDEN, LABELS]));
    tensors.insert(HEAD_BIAS.to_owned(), formula(4 * LAYERS + 1, [0, LABELS]));
    tensors
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn reference_backbone() {
    let model = root().join(".cache/backbone/e5-small/model.onnx");
    let oracle = root().join("tests/oracle/e5_gradients.safetensors");
    compare(&model, &oracle, reference_tensors(), Mode::Lean);
    compare(&model, &oracle, reference_tensors(), Mode::Fast);
}
