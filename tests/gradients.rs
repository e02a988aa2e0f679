//! The library part `gradients`: what it refuses, and that its check finds wrong gradients.

#[path = "support/engine.rs"]
mod engine;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use polygraft::Code;
use polygraft::adapter::{Activation, Adapter, Component, LoraConfig, Tensor};
use polygraft::gradients::{self, CheckOptions, Gradients, Verdict, read_adapter, read_values};
use polygraft::graph::{Model, NodeProto, TensorProto, Weights, data_type};
use polygraft::runtime::{SessionOptions, Value};
use polygraft::sites::find_sites;
use proptest::prelude::*;
use safetensors::tensor::{Dtype, TensorView};

const OUTPUT: &str = "last_hidden_state";

fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(path)
}

/// BERT as the TorchScript exporter writes it, and the oracle's tensors for it.
struct Workshop {
    model: Model,
    weights: Weights,
    oracle: BTreeMap<String, Value>,
}

impl Workshop {
    fn new() -> Self {
        let model = Model::read(&fixture("fixtures/backbones/bert/torchscript-17.onnx")).unwrap();
        let weights = Weights::map(&model).unwrap();
        let oracle = std::fs::read(fixture("oracle/backbones/bert.safetensors")).unwrap();
        Self { model, weights, oracle: read_values(&oracle).unwrap() }
    }

    /// What the oracle has under a prefix.
    fn group(&self, prefix: &str) -> BTreeMap<String, Value> {
        let tensors = self.oracle.iter().filter_map(|(name, value)| {
            let shape: Vec<usize> = value.shape().iter().map(|&size| size as usize).collect();
            let copy = match value.as_f32() {
                Ok(floats) => Value::f32(&shape, floats.to_vec()),
                Err(_) => Value::i64(&shape, value.as_i64().unwrap().to_vec()),
            };
            Some((name.strip_prefix(prefix)?.to_owned(), copy.unwrap()))
        });
        tensors.collect()
    }

    /// A file of nothing but tensors by name.
    fn plain(&self, prefix: &str) -> Vec<u8> {
        file(&self.group(prefix))
    }

    fn adapter(&self, prefix: &str) -> Adapter {
        let sites = find_sites(self.model.graph().unwrap(), &self.weights);
        read_adapter(&self.plain(prefix), &sites).unwrap()
    }

    fn open(&self, adapter: &Adapter, output: &str) -> polygraft::Result<Gradients> {
        let options = SessionOptions { threads: 1, ..SessionOptions::default() };
        Gradients::open(&engine::engine(), &self.model, &self.weights, adapter, output, &options)
    }
}

fn file(tensors: &BTreeMap<String, Value>) -> Vec<u8> {
    let views = tensors.iter().map(|(name, value)| {
        let shape = value.shape().iter().map(|&size| size as usize).collect();
        (name, TensorView::new(Dtype::F32, shape, value.as_bytes()).unwrap())
    });
    safetensors::serialize(views, None).unwrap()
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn finite_differences_agree_with_right_gradients_and_not_with_wrong_ones() {
    let workshop = Workshop::new();
    for prefix in ["lora/value/", "bottleneck/value/"] {
        let adapter = workshop.adapter(prefix);
        let graph = workshop.open(&adapter, OUTPUT).unwrap();
        let (inputs, cotangent) = (workshop.group("input/"), &workshop.oracle["cotangent"]);
        let options = CheckOptions { entries_max: 2, seed: 7 };
        let mut found = graph.run(&adapter.tensors, &inputs, cotangent).unwrap();
        let check = |found: &gradients::Found| {
            gradients::check(&graph, &adapter.tensors, &inputs, cotangent, found, &options).unwrap()
        };
        let checked = check(&found);
        assert_eq!(checked.len(), adapter.tensors.len());
        for one in &checked {
            assert_eq!(one.verdict, Verdict::Agrees, "{prefix}: {one:?}");
        }
        for gradient in found.gradients.values_mut() {
            let wrong = gradient.values.iter().map(|value| value * 1.2).collect();
            *gradient = Tensor { shape: gradient.shape.clone(), values: wrong };
        }
        for one in check(&found) {
            assert_eq!(one.verdict, Verdict::Differs, "{prefix}: {one:?}");
        }
        for gradient in found.gradients.values_mut() {
            let nothing = vec![f32::NAN; gradient.values.len()];
            *gradient = Tensor { shape: gradient.shape.clone(), values: nothing.into() };
        }
        assert!(check(&found).iter().all(|one| one.verdict == Verdict::Differs));
    }
}

/// The hidden states as codes of whole halves, and back.
fn round_output(workshop: &mut Workshop) {
    let tensor = |name: &str, data_type: i32, bytes: &[u8]| TensorProto {
        name: Some(name.to_owned()),
        data_type: Some(data_type),
        raw_data: Some(bytes.to_vec().into()),
        ..TensorProto::default()
    };
    let node = |op: &str, input: &str, output: &str| NodeProto {
        op_type: Some(op.to_owned()),
        input: [input, "step", "zero"].map(str::to_owned).to_vec(),
        output: vec![output.to_owned()],
        ..NodeProto::default()
    };
    let graph = workshop.model.graph_mut().unwrap();
    graph.initializer.push(tensor("step", data_type::FLOAT, &0.5f32.to_le_bytes()));
    graph.initializer.push(tensor("zero", data_type::INT8, &[0]));
    graph.node.push(node("QuantizeLinear", OUTPUT, "codes"));
    graph.node.push(node("DequantizeLinear", "codes", "rounded"));
    workshop.weights = Weights::map(&workshop.model).unwrap();
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn differences_do_not_judge_gradients_through_a_step_that_rounds() {
    let mut workshop = Workshop::new();
    round_output(&mut workshop);
    let adapter = workshop.adapter("lora/value/");
    let (inputs, cotangent) = (workshop.group("input/"), &workshop.oracle["cotangent"]);
    let options = CheckOptions { entries_max: 1, seed: 7 };
    for (output, expected) in [(OUTPUT, Verdict::Agrees), ("rounded", Verdict::Rounded)] {
        let graph = workshop.open(&adapter, output).unwrap();
        let found = graph.run(&adapter.tensors, &inputs, cotangent).unwrap();
        let checked =
            gradients::check(&graph, &adapter.tensors, &inputs, cotangent, &found, &options);
        let checked = checked.unwrap();
        assert!(checked.iter().all(|one| one.verdict != Verdict::Differs), "{checked:?}");
        let found = checked.iter().filter(|one| one.verdict == expected).count();
        assert!(2 * found > checked.len(), "{checked:?}");
        let named = graph.rounding_nodes().iter().any(|node| node.contains("QuantizeLinear"));
        assert_eq!(named, output == "rounded");
    }
    assert_eq!(Verdict::Rounded.name(), "cannot be judged by differences");
}

#[test]
fn a_plain_file_says_what_it_is_made_of() {
    let workshop = Workshop::new();
    let lora = workshop.adapter("lora/value/");
    let [Component::Lora(config)] = lora.components.as_slice() else {
        panic!("{:?}", lora.components)
    };
    let module = "encoder.layer.1.output.dense";
    assert_eq!((config.rank_of(module), config.scale_of(module)), (4, 1.0));
    let bottleneck = workshop.adapter("bottleneck/value/");
    let [Component::Bottleneck(config)] = bottleneck.components.as_slice() else { panic!() };
    assert_eq!((config.width(32), config.activation), (8, Activation::Relu));
    assert!(config.attention && config.feed_forward);

    let sites = find_sites(workshop.model.graph().unwrap(), &workshop.weights);
    let strange = Value::f32(&[1], vec![1.0]).unwrap();
    let strange = file(&BTreeMap::from([("embeddings.weight".to_owned(), strange)]));
    let error = read_adapter(&strange, &sites).unwrap_err();
    assert_eq!(error.code(), Code::AdapterMalformed);
    assert!(error.to_string().contains("\"embeddings.weight\""), "{error}");
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn the_scale_in_a_file_of_our_own_counts() {
    let workshop = Workshop::new();
    let plain = workshop.adapter("lora/value/");
    let [Component::Lora(config)] = plain.components.as_slice() else { panic!() };
    // As the oracle has it: rank 4, alpha 8.
    let targets = config.targets.clone();
    let lora = LoraConfig { rank: 4, alpha: 8.0, targets, ..LoraConfig::default() };
    let components = vec![Component::Lora(lora)];
    let bytes = Adapter { components, backbone: "0".repeat(64), ..plain }.to_bytes().unwrap();
    let adapter = read_adapter(&bytes, &[]).unwrap();
    let graph = workshop.open(&adapter, OUTPUT).unwrap();
    let (inputs, cotangent) = (workshop.group("input/"), &workshop.oracle["cotangent"]);
    let found = graph.run(&adapter.tensors, &inputs, cotangent).unwrap();
    for (name, expected) in workshop.group("lora/gradient/") {
        let pairs = found.gradients[&name].values.iter().zip(expected.as_f32().unwrap());
        let apart = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(apart < 1e-3, "{name}: {apart}");
    }
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn a_tensor_that_the_output_does_not_depend_on_has_a_gradient_of_zeros() {
    let workshop = Workshop::new();
    let adapter = workshop.adapter("lora/value/");
    let first_layer = "/encoder/layer.0/output/LayerNorm/LayerNormalization_output_0";
    let graph = workshop.open(&adapter, first_layer).unwrap();
    let (inputs, cotangent) = (workshop.group("input/"), &workshop.oracle["cotangent"]);
    let found = graph.run(&adapter.tensors, &inputs, cotangent).unwrap();
    assert_eq!(found.gradients.len(), adapter.tensors.len());
    for (name, gradient) in &found.gradients {
        let is_zero = gradient.values.iter().all(|value| *value == 0.0);
        assert_eq!(is_zero, name.contains(".layer.1."), "{name}");
        assert_eq!(gradient.shape, adapter.tensors[name].shape);
    }
    let embeddings = "/embeddings/LayerNorm/LayerNormalization_output_0";
    let nothing = workshop.open(&adapter, embeddings).unwrap_err();
    assert_eq!(nothing.code(), Code::ArgumentInvalid);
    assert!(nothing.to_string().contains("does not depend on any adapter tensor"), "{nothing}");
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn what_does_not_fit_is_named() {
    let workshop = Workshop::new();
    let adapter = workshop.adapter("lora/value/");
    let unknown = workshop.open(&adapter, "nothing").unwrap_err();
    assert_eq!(unknown.code(), Code::ArgumentInvalid);
    assert!(unknown.to_string().contains("last_hidden_state"), "{unknown}");
    let mut incomplete = adapter.clone();
    incomplete.tensors.pop_first();
    let missing = workshop.open(&incomplete, OUTPUT).unwrap_err();
    assert_eq!(missing.code(), Code::AdapterTensors);

    let graph = workshop.open(&adapter, OUTPUT).unwrap();
    let cotangent = &workshop.oracle["cotangent"];
    let refused = |inputs: BTreeMap<String, Value>, cotangent: &Value| -> String {
        let error = graph.run(&adapter.tensors, &inputs, cotangent).unwrap_err();
        assert_eq!(error.code(), Code::ArgumentInvalid, "{error}");
        error.to_string()
    };
    let mut inputs = workshop.group("input/");
    let mask = inputs.remove("attention_mask").unwrap();
    let message = refused(inputs, cotangent);
    assert!(message.contains("attention_mask is missing"), "{message}");
    let mut inputs = workshop.group("input/");
    inputs.insert("mask".to_owned(), mask);
    let message = refused(inputs, cotangent);
    assert!(message.contains("mask is no input"), "{message}");
    let mut inputs = workshop.group("input/");
    inputs.insert("input_ids".to_owned(), Value::f32(&[3, 9], vec![1.0; 27]).unwrap());
    let message = refused(inputs, cotangent);
    assert!(message.contains("input_ids has elements of type float, expected int64"), "{message}");
    let mut inputs = workshop.group("input/");
    inputs.insert("input_ids".to_owned(), Value::i64(&[27], vec![1; 27]).unwrap());
    let message = refused(inputs, cotangent);
    assert!(message.contains("input_ids has shape [27]"), "{message}");
    let scalar = Value::f32(&[1], vec![1.0]).unwrap();
    let message = refused(workshop.group("input/"), &scalar);
    assert!(message.contains("the cotangent has shape [1], expected"), "{message}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn damaged_files_are_errors(position in 0usize..4096, flipped in 1u8..255) {
        let workshop = Workshop::new();
        let sites = find_sites(workshop.model.graph().unwrap(), &workshop.weights);
        let mut bytes = workshop.plain("bottleneck/value/");
        let position = position % bytes.len();
        bytes[position] ^= flipped;
        // Either it still is an adapter, or the error says why not; nothing else may happen.
        if let Err(error) = read_adapter(&bytes, &sites) {
            prop_assert!([Code::AdapterMalformed, Code::ArgumentInvalid].contains(&error.code()));
        }
        prop_assert!(read_adapter(&bytes[..position], &sites).is_err());
    }
}
