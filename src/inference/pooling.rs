//! Pooling and the layers after it, as graph nodes: from the hidden states of a text to its vector.
//!
//! Every node has a rule of differentiation, because the loss of a head reaches the adapters
//! through it. What is padding is read from the attention mask, on whichever side it is.

use crate::bundle::{Interface, Layer, LayerActivation, Pooler, Pooling};
use crate::graph::{Builder, attr, data_type};

/// The vector of a text, `[batch, size]`.
pub const POOLED: &str = "polygraft.pooled";

/// The first opset in which Squeeze, Unsqueeze and ReduceSum take their axes as an input.
const OPSET_AXES_AS_INPUT: i64 = 13;
/// The first opset in which all other reductions do.
const OPSET_REDUCE_AXES_AS_INPUT: i64 = 18;

/// The least length that a vector is divided by, so that one of zeros stays one.
const LENGTH_MIN: f32 = 1e-12;

/// Adds the nodes that make [`POOLED`]; returns what a head over the whole input reads.
///
/// That is the vector before it is divided by its length at the end. A head learns its own scale,
/// and from entries as small as those of a vector of length 1 it would learn several times slower.
pub(super) fn add(builder: &mut Builder<'_>, backbone: &Interface, pooler: &Pooler<'_>) -> String {
    let mut vector = pool(builder, backbone, pooler.pooling);
    let mut read = vector.clone();
    for layer in pooler.layers {
        read.clone_from(&vector);
        vector = match layer {
            Layer::Dense { weight, bias, activation, .. } => {
                let operands: Vec<&str> =
                    [vector.as_str(), weight].into_iter().chain(bias.as_deref()).collect();
                let sum = builder.node("Gemm", &operands, vec![attr::int("transB", 1)]);
                activate(builder, &sum, *activation)
            }
            Layer::Normalise => normalise(builder, backbone.opset, &vector),
        };
    }
    builder.node_named("Identity", "", &[&vector], &[POOLED], vec![]);
    match pooler.layers.last() {
        Some(Layer::Normalise) => read,
        _ => POOLED.to_owned(),
    }
}

/// The hidden states as one vector, `[batch, hidden]`.
fn pool(builder: &mut Builder<'_>, backbone: &Interface, pooling: Pooling) -> String {
    let states = backbone.output.as_str();
    match pooling {
        Pooling::Mean => {
            let mask = mask(builder, backbone);
            weighted_mean(builder, backbone, &mask)
        }
        Pooling::WeightedMean => {
            let mask = mask(builder, backbone);
            let position = running_count(builder, &mask, false);
            let weight = builder.node("Mul", &[&mask, &position], vec![]);
            weighted_mean(builder, backbone, &weight)
        }
        Pooling::Last => {
            // The last token is the one from which on one token is left.
            let mask = mask(builder, backbone);
            let left = running_count(builder, &mask, true);
            let one = builder.constant_f32(1.0);
            let is_one = builder.node("Equal", &[&left, &one], vec![]);
            let chosen = to_float(builder, &is_one);
            let chosen = builder.node("Mul", &[&mask, &chosen], vec![]);
            weighted_sum(builder, backbone, &chosen)
        }
        Pooling::Cls => {
            let first = builder.constant_i64_scalar(0);
            builder.node("Gather", &[states, &first], vec![attr::int("axis", 1)])
        }
        Pooling::Max => maximum(builder, backbone),
    }
}

fn activate(builder: &mut Builder<'_>, x: &str, activation: LayerActivation) -> String {
    let single = match activation {
        LayerActivation::Identity => return x.to_owned(),
        LayerActivation::Tanh => "Tanh",
        LayerActivation::Relu => "Relu",
        LayerActivation::Sigmoid => "Sigmoid",
        LayerActivation::Silu => {
            let gate = builder.node("Sigmoid", &[x], vec![]);
            return builder.node("Mul", &[x, &gate], vec![]);
        }
        LayerActivation::Gelu => return gelu(builder, x),
    };
    builder.node(single, &[x], vec![])
}

/// `x/2 (1 + erf(x/√2))`
fn gelu(builder: &mut Builder<'_>, x: &str) -> String {
    let [root, one, half] =
        [std::f32::consts::FRAC_1_SQRT_2, 1.0, 0.5].map(|value| builder.constant_f32(value));
    let scaled = builder.node("Mul", &[x, &root], vec![]);
    let error = builder.node("Erf", &[&scaled], vec![]);
    let gate = builder.node("Add", &[&error, &one], vec![]);
    let product = builder.node("Mul", &[x, &gate], vec![]);
    builder.node("Mul", &[&product, &half], vec![])
}

/// The vector divided by its Euclidean length.
fn normalise(builder: &mut Builder<'_>, opset: i64, vector: &str) -> String {
    let length = with_axes(builder, opset, "ReduceL2", vector, 1, true);
    let least = builder.constant_f32(LENGTH_MIN);
    let length = builder.node("Max", &[&length, &least], vec![]);
    builder.node("Div", &[vector, &length], vec![])
}

/// The attention mask as floats, `[batch, sequence]`.
fn mask(builder: &mut Builder<'_>, backbone: &Interface) -> String {
    to_float(builder, &backbone.inputs.attention_mask)
}

fn to_float(builder: &mut Builder<'_>, input: &str) -> String {
    builder.node("Cast", &[input], vec![attr::int("to", data_type::FLOAT.into())])
}

/// The number of tokens up to each one, itself included, or from each one on.
fn running_count(builder: &mut Builder<'_>, mask: &str, from_there: bool) -> String {
    let axis = builder.constant_i64_scalar(1);
    builder.node("CumSum", &[mask, &axis], vec![attr::int("reverse", from_there.into())])
}

/// The mean of the hidden states with a weight for each token.
fn weighted_mean(builder: &mut Builder<'_>, backbone: &Interface, weight: &str) -> String {
    let sum = with_axes(builder, backbone.opset, "ReduceSum", weight, 1, true);
    let share = builder.node("Div", &[weight, &sum], vec![]);
    weighted_sum(builder, backbone, &share)
}

/// The sum of the hidden states with a weight for each token: one small matrix product instead of
/// two passes over `[batch, sequence, hidden]`.
fn weighted_sum(builder: &mut Builder<'_>, backbone: &Interface, weight: &str) -> String {
    let row = with_axes(builder, backbone.opset, "Unsqueeze", weight, 1, false);
    let sum = builder.node("MatMul", &[&row, &backbone.output], vec![]);
    with_axes(builder, backbone.opset, "Squeeze", &sum, 1, false)
}

/// The largest value of each dimension. Padding takes part with the smallest float.
fn maximum(builder: &mut Builder<'_>, backbone: &Interface) -> String {
    let column =
        with_axes(builder, backbone.opset, "Unsqueeze", &backbone.inputs.attention_mask, 2, false);
    let to_bool = vec![attr::int("to", data_type::BOOL.into())];
    let is_token = builder.node("Cast", &[&column], to_bool);
    let least = builder.constant_f32(f32::MIN);
    let states = builder.node("Where", &[&is_token, &backbone.output, &least], vec![]);
    with_axes(builder, backbone.opset, "ReduceMax", &states, 1, false)
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
    if op.starts_with("Reduce") {
        attributes.push(attr::int("keepdims", keep.into()));
    }
    let since = match op {
        "ReduceL2" | "ReduceMax" => OPSET_REDUCE_AXES_AS_INPUT,
        _ => OPSET_AXES_AS_INPUT,
    };
    if opset >= since {
        let axes = builder.constant_i64(&[axis]);
        return builder.node(op, &[input, &axes], attributes);
    }
    attributes.push(attr::ints("axes", &[axis]));
    builder.node(op, &[input], attributes)
}
