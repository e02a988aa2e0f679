//! The output layer and the loss of sentence classification, as graph nodes.
//!
//! `pooled = mean of the hidden states under the attention mask` (or the first token's state),
//! `logits = pooled head.weight + head.bias`, and for training
//! `loss = -sum(targets * log_softmax(logits))`. The targets carry the weight of each example, so
//! the gradients of several micro-batches simply add up to those of the batch.

use crate::adapter::{self, HEAD_BIAS, HEAD_WEIGHT};
use crate::bundle::{Interface, Pooling};
use crate::error::Result;
use crate::graph::{Builder, Dim, GraphProto, TensorType, attr, data_type};

/// The pooled hidden state, `[batch, hidden]`.
pub const POOLED: &str = "polygraft.pooled";
/// The classifier's logits, `[batch, labels]`.
pub const LOGITS: &str = "polygraft.logits";
/// The weighted one-hot targets of a training graph, `[batch, labels]`.
pub const TARGETS: &str = "polygraft.targets";
/// The scalar loss of a training graph.
pub const LOSS: &str = "polygraft.loss";

/// First opset in which Squeeze, Unsqueeze and ReduceSum take their axes as an input.
const OPSET_AXES_AS_INPUT: i64 = 13;

/// Adds pooling and the head; with `defaults` a run may leave the head out.
pub fn add_classifier(
    graph: &mut GraphProto,
    backbone: &Interface,
    pooling: Pooling,
    defaults: bool,
) -> Result<()> {
    let hidden = Dim::Known(backbone.hidden as i64);
    let labels = || Dim::Symbol("labels".to_owned());
    adapter::declare(graph, HEAD_WEIGHT, vec![hidden.clone(), labels()], defaults);
    adapter::declare(graph, HEAD_BIAS, vec![labels()], defaults);

    let mut builder = Builder::new(graph, "polygraft/");
    match pooling {
        Pooling::Mean => mean_pool(&mut builder, backbone),
        Pooling::Cls => {
            let first = builder.constant_i64_scalar(0);
            let axis = vec![attr::int("axis", 1)];
            builder.node_named("Gather", "", &[&backbone.output, &first], &[POOLED], axis);
        }
    }
    let product = builder.node("MatMul", &[POOLED, HEAD_WEIGHT], vec![]);
    builder.node_named("Add", "", &[&product, HEAD_BIAS], &[LOGITS], vec![]);
    let batch = || Dim::Symbol("batch".to_owned());
    for (name, shape) in [(POOLED, vec![batch(), hidden]), (LOGITS, vec![batch(), labels()])] {
        graph.output.push(TensorType::new(data_type::FLOAT, shape).to_value_info(name));
    }
    Ok(())
}

/// `mask / sum(mask)` times the hidden states: one small matrix product instead of two passes over
/// `[batch, sequence, hidden]`.
fn mean_pool(builder: &mut Builder<'_>, backbone: &Interface) {
    let to_float = vec![attr::int("to", data_type::FLOAT.into())];
    let mask = builder.node("Cast", &[&backbone.inputs.attention_mask], to_float);
    let count = with_axes(builder, backbone.opset, "ReduceSum", &mask, 1, true);
    let share = builder.node("Div", &[&mask, &count], vec![]);
    let row = with_axes(builder, backbone.opset, "Unsqueeze", &share, 1, false);
    let mean = builder.node("MatMul", &[&row, &backbone.output], vec![]);
    let pooled = with_axes(builder, backbone.opset, "Squeeze", &mean, 1, false);
    builder.node_named("Identity", "", &[&pooled], &[POOLED], vec![]);
}

/// A node of one input and one axis, in the form that the opset knows.
fn with_axes(
    builder: &mut Builder<'_>,
    opset: i64,
    op: &str,
    input: &str,
    axis: i64,
    keep: bool,
) -> String {
    let mut attributes = Vec::new();
    if op == "ReduceSum" {
        attributes.push(attr::int("keepdims", keep.into()));
    }
    if opset >= OPSET_AXES_AS_INPUT {
        let axes = builder.constant_i64(&[axis]);
        return builder.node(op, &[input, &axes], attributes);
    }
    attributes.push(attr::ints("axes", &[axis]));
    builder.node(op, &[input], attributes)
}

/// Adds the targets and the loss to a graph that has [`LOGITS`].
pub fn add_loss(graph: &mut GraphProto) {
    let shape = vec![Dim::Symbol("batch".to_owned()), Dim::Symbol("labels".to_owned())];
    graph.input.push(TensorType::new(data_type::FLOAT, shape).to_value_info(TARGETS));
    let mut builder = Builder::new(graph, "polygraft/");
    let log = builder.node("LogSoftmax", &[LOGITS], vec![attr::int("axis", -1)]);
    let weighted = builder.node("Mul", &[TARGETS, &log], vec![]);
    let total = builder.node("ReduceSum", &[&weighted], vec![attr::int("keepdims", 0)]);
    builder.node_named("Neg", "", &[&total], &[LOSS], vec![]);
    graph.output.push(TensorType::new(data_type::FLOAT, vec![]).to_value_info(LOSS));
}
