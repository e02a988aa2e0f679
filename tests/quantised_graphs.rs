//! Whole quantised encoders, as the usual tools write them: the same sites as the float one, the
//! same results as the file's own graph, and PyTorch's gradients (`tests/oracle/`).

#[path = "support/engine.rs"]
mod engine;
#[path = "support/oracle.rs"]
mod oracle;
#[path = "support/training_graph.rs"]
mod training_graph;

use std::path::PathBuf;

use oracle::{floats, relative_error, value};
use polygraft::graph::{Model, Weights, prepare};
use polygraft::runtime::{Mode, Session, SessionOptions, Value};
use polygraft::sites::{Site, find_sites};
use safetensors::SafeTensors;
use training_graph::{LOSS, training_graph};

/// Largest relative error of a gradient: `|g - reference| / |reference|`.
const ERROR_MAX: f64 = 1e-4;

/// Each form with the largest difference of its results from those of the graph in its file.
const FORMS: &[(&str, f32)] = &[
    ("dynamic-int8", 1e-5),
    ("dynamic-uint8", 1e-5),
    ("qdq-int8", 1e-5),
    ("nbits-4", 1e-5),
    ("nbits-4-symmetric", 1e-5),
    ("blocks-uint4", 1e-5),
    // The file computes in 16 bits, of which 10 are the fraction.
    ("float16", 3e-2),
    ("stored-float16", 1e-5),
    ("stored-q4", 1e-5),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn fixture(form: &str) -> PathBuf {
    root().join(format!("tests/fixtures/quantised/{form}/model.onnx"))
}

fn oracle_bytes() -> Vec<u8> {
    std::fs::read(root().join("tests/oracle/quantised_bert_gradients.safetensors")).unwrap()
}

fn compare(form: &str, mode: Mode) {
    let bytes = oracle_bytes();
    let oracle = SafeTensors::deserialize(&bytes).unwrap();
    let graph = training_graph(&fixture(form));
    let options = SessionOptions { mode, threads: 2, ..SessionOptions::default() };
    let session =
        Session::open(&engine::engine(), &graph.bytes, Some(&graph.weights), &options).unwrap();
    let trainable = graph.gradients.keys().map(|name| (name.clone(), value(&oracle, name)));
    let mut inputs: Vec<(String, Value)> = trainable.collect();
    for name in ["input_ids", "attention_mask", "token_type_ids", "targets"] {
        inputs.push((name.to_owned(), value(&oracle, &format!("input.{name}"))));
    }
    let given: Vec<_> = inputs.iter().map(|(name, value)| (name.as_str(), value)).collect();
    let names: Vec<&str> = graph.gradients.values().map(String::as_str).chain([LOSS]).collect();
    let outputs = session.run(&given, &names, None).unwrap();
    let loss = f64::from(outputs.last().unwrap().as_f32().unwrap()[0]);
    let expected = f64::from(value(&oracle, &format!("{form}/loss")).as_f32().unwrap()[0]);
    assert!((loss - expected).abs() <= 1e-5 * expected, "{form}: loss {loss}, not {expected}");
    for (name, output) in graph.gradients.keys().zip(&outputs) {
        let reference = oracle.tensor(&format!("{form}/grad.{name}")).unwrap();
        let error = relative_error(output.as_f32().unwrap(), &floats(reference.data()));
        assert!(error <= ERROR_MAX, "{form}: {name}: relative error {error:e}");
    }
    assert_eq!(graph.gradients.len(), 10, "four layers of LoRA and the head");
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn gradients_are_those_of_the_dequantised_weights() {
    for (form, _) in FORMS {
        compare(form, Mode::Lean);
        compare(form, Mode::Fast);
    }
}

fn sites(model: &Model, weights: &Weights) -> Vec<Site> {
    find_sites(model.graph().unwrap(), weights)
}

#[test]
fn every_form_has_the_sites_of_the_float_model() {
    let described = |path: PathBuf| -> Vec<(String, usize, usize, &str)> {
        let mut model = Model::read(&path).unwrap();
        let weights = Weights::map(&model).unwrap();
        prepare(&mut model, &weights).unwrap();
        let all = sites(&model, &weights);
        all.into_iter().map(|s| (s.module, s.inputs, s.outputs, s.role.name())).collect()
    };
    let float = described(root().join("tests/fixtures/tiny-bert-fused-erf/model.onnx"));
    assert_eq!(float.len(), 12);
    for (form, _) in FORMS {
        assert_eq!(described(fixture(form)), float, "{form}");
    }
}

/// The hidden states of the oracle's batch, by the graph in the file or by the prepared one.
fn hidden(form: &str, is_prepared: bool) -> Vec<f32> {
    let mut model = Model::read(&fixture(form)).unwrap();
    let weights = Weights::map(&model).unwrap();
    if is_prepared {
        prepare(&mut model, &weights).unwrap();
    }
    let options = SessionOptions { threads: 1, ..SessionOptions::default() };
    let bytes = model.to_bytes();
    let session = Session::open(&engine::engine(), &bytes, Some(&weights), &options).unwrap();
    let oracle = oracle_bytes();
    let oracle = SafeTensors::deserialize(&oracle).unwrap();
    let names = ["input_ids", "attention_mask", "token_type_ids"];
    let inputs = names.map(|name| (name, value(&oracle, &format!("input.{name}"))));
    let given: Vec<_> = inputs.iter().map(|(name, value)| (*name, value)).collect();
    let output = session.run(&given, &["last_hidden_state"], None).unwrap().remove(0);
    match output.as_f32() {
        Ok(values) => values.to_vec(),
        Err(_) => output
            .as_bytes()
            .chunks_exact(2)
            .map(|half| half_to_float(u16::from_le_bytes(half.try_into().unwrap())))
            .collect(),
    }
}

/// Normal numbers only, which is what hidden states are.
fn half_to_float(bits: u16) -> f32 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    sign * f32::from((bits & 0x3ff) | 0x400) * 2f32.powi(i32::from(bits >> 10 & 0x1f) - 25)
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn prepared_graphs_give_the_results_of_the_file() {
    for (form, tolerance) in FORMS {
        let (plain, prepared) = (hidden(form, false), hidden(form, true));
        assert_eq!(plain.len(), prepared.len(), "{form}");
        let pairs = plain.iter().zip(&prepared);
        let error = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(error <= *tolerance, "{form}: largest difference {error}");
    }
}

/// What the backward pass multiplies by is made for it alone: a tensor that both passes read would
/// be kept from the one to the other.
#[test]
fn no_upcast_weight_is_read_by_both_passes() {
    for (form, _) in FORMS {
        let graph = training_graph(&fixture(form));
        let model = Model::from_bytes(&graph.bytes, &root()).unwrap();
        let graph = model.graph().unwrap();
        let matrices = graph.initializer.iter().filter(|tensor| tensor.dims.len() > 1);
        let mut matrices: Vec<&str> = matrices.map(|tensor| tensor.name()).collect();
        let mut constants: Vec<&str> = graph.initializer.iter().map(|t| t.name()).collect();
        let mut upcast = Vec::new();
        for node in &graph.node {
            if node.input.iter().all(|name| name.is_empty() || constants.contains(&&**name)) {
                constants.extend(node.output.iter().map(String::as_str));
                if node.input.iter().any(|name| matrices.contains(&&**name)) {
                    matrices.push(&node.output[0]);
                    upcast.push(node.output[0].as_str());
                }
            }
        }
        for name in upcast {
            let uses = |is_backward: bool| {
                graph.node.iter().any(|node| {
                    let made_for_backward = node.output[0].starts_with("grad/");
                    node.input.iter().any(|input| input == name) && made_for_backward == is_backward
                })
            };
            assert!(!(uses(true) && uses(false)), "{form}: {name}");
        }
    }
}
