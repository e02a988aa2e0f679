//! Building blocks of the losses of tasks, as graph nodes.

use crate::graph::{Builder, Dim, GraphProto, TensorType, attr, data_type};
use crate::runtime::Value;

/// The inputs of a training graph for targets, with their values.
pub type TargetValues = Vec<(&'static str, Value)>;

/// The name of the scalar loss of a training graph.
pub const LOSS: &str = "polygraft.loss";

/// Declares a float input with symbolic dimensions in a training graph.
pub fn declare_targets(graph: &mut GraphProto, name: &str, dims: &[&str]) {
    let shape = dims.iter().map(|dim| Dim::Symbol((*dim).to_owned())).collect();
    graph.input.push(TensorType::new(data_type::FLOAT, shape).to_value_info(name));
}

/// `-sum(targets * log_softmax(logits))` over the last axis. The targets include the weight of each
/// example, so that the gradients of several micro-batches add up to those of the batch.
pub fn cross_entropy(builder: &mut Builder<'_>, logits: &str, targets: &str) -> String {
    let log = builder.node("LogSoftmax", &[logits], vec![attr::int("axis", -1)]);
    let weighted = builder.node("Mul", &[targets, &log], vec![]);
    let total = sum(builder, &weighted);
    builder.node("Neg", &[&total], vec![])
}

/// The sum of all values, a scalar.
pub fn sum(builder: &mut Builder<'_>, value: &str) -> String {
    builder.node("ReduceSum", &[value], vec![attr::int("keepdims", 0)])
}

/// Makes a scalar the loss of a training graph.
pub fn set(graph: &mut GraphProto, value: &str) {
    Builder::new(graph, "polygraft/loss/").node_named("Identity", "", &[value], &[LOSS], vec![]);
    graph.output.push(TensorType::new(data_type::FLOAT, vec![]).to_value_info(LOSS));
}
