//! The heads on an encoder, as graph nodes.
//!
//! `pooled = mean of the hidden states under the attention mask` (or the first token's state),
//! `logits = pooled head.weight + head.bias` for the whole input, and `tag_logits = hidden
//! tags.weight + tags.bias` for each token. Both heads are inputs. With defaults a run may omit
//! them, and they have no outputs then, so one session serves every task and the bare backbone.

use crate::adapter::{self, HeadName};
use crate::bundle::{Interface, Pooling};
use crate::graph::{Builder, Dim, GraphProto, TensorType, attr, data_type};

/// The pooled hidden state, `[batch, hidden]`.
pub const POOLED: &str = "polygraft.pooled";
/// The logits of the whole input, `[batch, labels]`.
pub const LOGITS: &str = "polygraft.logits";
/// The logits of each token, `[batch, sequence, tags]`.
pub const TAG_LOGITS: &str = "polygraft.tag_logits";

/// The first opset in which Squeeze, Unsqueeze and ReduceSum take their axes as an input.
const OPSET_AXES_AS_INPUT: i64 = 13;

/// Adds pooling and the heads; with `defaults` a run may omit them.
pub fn add(
    graph: &mut GraphProto,
    backbone: &Interface,
    pooling: Pooling,
    heads: &[HeadName],
    defaults: bool,
) {
    for head in heads {
        declare(graph, *head, backbone, defaults);
    }
    let mut builder = Builder::new(graph, "polygraft/");
    let mut outputs = Vec::new();
    if heads.contains(&HeadName::Labels) {
        add_pooling(&mut builder, backbone, pooling);
        add_linear(&mut builder, POOLED, HeadName::Labels, LOGITS);
        outputs.extend([(POOLED, vec!["batch", "hidden"]), (LOGITS, vec!["batch", "labels"])]);
    }
    if heads.contains(&HeadName::Tags) {
        add_linear(&mut builder, &backbone.output, HeadName::Tags, TAG_LOGITS);
        outputs.push((TAG_LOGITS, vec!["batch", "sequence", "tags"]));
    }
    for (name, dims) in outputs {
        let dim = |name: &str| match name {
            "hidden" => Dim::Known(backbone.hidden as i64),
            name => Dim::Symbol(name.to_owned()),
        };
        let shape = dims.into_iter().map(dim).collect();
        graph.output.push(TensorType::new(data_type::FLOAT, shape).to_value_info(name));
    }
}

fn declare(graph: &mut GraphProto, head: HeadName, backbone: &Interface, defaults: bool) {
    let outputs = match head {
        HeadName::Labels => "labels",
        HeadName::Tags => "tags",
    };
    let outputs = || Dim::Symbol(outputs.to_owned());
    let hidden = Dim::Known(backbone.hidden as i64);
    adapter::declare(graph, head.weight(), vec![hidden, outputs()], defaults);
    adapter::declare(graph, head.bias(), vec![outputs()], defaults);
}

fn add_linear(builder: &mut Builder<'_>, input: &str, head: HeadName, output: &str) {
    let product = builder.node("MatMul", &[input, head.weight()], vec![]);
    builder.node_named("Add", "", &[&product, head.bias()], &[output], vec![]);
}

fn add_pooling(builder: &mut Builder<'_>, backbone: &Interface, pooling: Pooling) {
    match pooling {
        Pooling::Mean => mean_pool(builder, backbone),
        Pooling::Cls => {
            let first = builder.constant_i64_scalar(0);
            let axis = vec![attr::int("axis", 1)];
            builder.node_named("Gather", "", &[&backbone.output, &first], &[POOLED], axis);
        }
    }
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

/// A node with one input and one axis, in the form of the opset.
pub(crate) fn with_axes(
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
