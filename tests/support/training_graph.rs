//! A training graph over an exported encoder: LoRA on query and value, mean pooling, a classifier,
//! cross-entropy, and the gradients of all of its trainable tensors as outputs.

use std::collections::BTreeMap;
use std::path::Path;

use polygraft::adapter::{self, Component, HEAD_BIAS, HEAD_WEIGHT, InputSignature, LoraConfig};
use polygraft::autodiff;
use polygraft::graph::{
    Builder, Dim, GraphProto, Model, Shapes, TensorType, Weights, attr, data_type, prepare,
};
use polygraft::sites::find_sites;

/// The scalar output with the loss.
pub const LOSS: &str = "loss";

/// A model with gradients.
pub struct TrainingGraph {
    /// The model, ready for a session.
    pub bytes: Vec<u8>,
    /// Its external weights.
    pub weights: Weights,
    /// For each trainable tensor the output with its gradient.
    pub gradients: BTreeMap<String, String>,
}

/// Reads `model.onnx`, adds adapter, head and loss, and derives the gradients.
pub fn training_graph(path: &Path) -> TrainingGraph {
    let mut model = Model::read(path).unwrap();
    let weights = Weights::map(&model).unwrap();
    prepare(&mut model, &weights).unwrap();
    let opset = model.opset("").unwrap();
    let graph = model.graph_mut().unwrap();
    graph.output.clear();
    let sites = find_sites(graph, &weights);
    let components = [Component::Lora(LoraConfig::default())];
    let signature = InputSignature::of(&components, &sites).unwrap();
    adapter::attach(graph, &sites, &signature, false).unwrap();
    let mut wanted: Vec<String> =
        adapter::tensor_shapes(&components, &sites).unwrap().into_keys().collect();
    wanted.extend([HEAD_WEIGHT.to_owned(), HEAD_BIAS.to_owned()]);
    add_classifier(graph, opset);
    let mut shapes = Shapes::infer(graph, opset, Some(&weights)).unwrap();
    let gradients = autodiff::backward(graph, opset, &mut shapes, LOSS, &wanted).unwrap();
    let outputs = gradients.values().map(String::as_str).chain([LOSS]);
    let outputs = outputs.map(|name| TensorType::unranked(data_type::FLOAT).to_value_info(name));
    graph.output = outputs.collect();
    TrainingGraph { bytes: model.to_bytes(), weights, gradients }
}

/// Mean pooling of `last_hidden_state`, the head and the loss.
fn add_classifier(graph: &mut GraphProto, opset: i64) {
    assert!(opset >= 13, "the fixtures take their axes as inputs");
    let symbol = |name: &str| Dim::Symbol(name.to_owned());
    let hidden = Shapes::infer(graph, opset, None).unwrap();
    let hidden = hidden.shape("last_hidden_state").unwrap()[2].clone();
    let inputs = [
        (HEAD_WEIGHT, vec![hidden, symbol("labels")]),
        (HEAD_BIAS, vec![symbol("labels")]),
        ("targets", vec![symbol("batch"), symbol("labels")]),
    ];
    for (name, shape) in inputs {
        graph.input.push(TensorType::new(data_type::FLOAT, shape).to_value_info(name));
    }
    let mut builder = Builder::new(graph, "test/");
    let one = builder.constant_i64(&[1]);
    let keep = || vec![attr::int("keepdims", 1)];
    let to_float = vec![attr::int("to", data_type::FLOAT.into())];
    let mask = builder.node("Cast", &["attention_mask"], to_float);
    let count = builder.node("ReduceSum", &[&mask, &one], keep());
    let share = builder.node("Div", &[&mask, &count], vec![]);
    let row = builder.node("Unsqueeze", &[&share, &one], vec![]);
    let mean = builder.node("MatMul", &[&row, "last_hidden_state"], vec![]);
    let pooled = builder.node("Squeeze", &[&mean, &one], vec![]);
    let product = builder.node("MatMul", &[&pooled, HEAD_WEIGHT], vec![]);
    let logits = builder.node("Add", &[&product, HEAD_BIAS], vec![]);
    let log = builder.node("LogSoftmax", &[&logits], vec![attr::int("axis", -1)]);
    let weighted = builder.node("Mul", &["targets", &log], vec![]);
    let total = builder.node("ReduceSum", &[&weighted], vec![attr::int("keepdims", 0)]);
    builder.node_named("Neg", "", &[&total], &[LOSS], vec![]);
}
