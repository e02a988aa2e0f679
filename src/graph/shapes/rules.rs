//! The rule of each operator, and the rules that keep or broadcast shapes.

use super::known::{Outputs, Uses, known, like};
use super::{attention, branches, dims, einsum, movement, products, quantized, slicing};
use crate::graph::attr::{attribute_float, attribute_int, attribute_of, attribute_tensor};
use crate::graph::model::canonical_domain;
use crate::graph::types::{Dim, TensorType, data_type};

/// The inferred types of a node's outputs.
pub(super) fn output_types(uses: &Uses) -> Outputs {
    let op = uses.node.op_type();
    match canonical_domain(uses.node.domain()) {
        "" => standard(op, uses),
        "com.microsoft" => microsoft(op, uses),
        _ => Vec::new(),
    }
}

/// Operators whose output has the shape and the type of their first input.
#[rustfmt::skip]
const KEEP: &[&str] = &[
    "Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "BitwiseNot", "Ceil", "Celu", "Clip",
    "Cos", "Cosh", "CumSum", "Elu", "Erf", "Exp", "Floor", "Gelu", "GroupNormalization",
    "HardSigmoid", "HardSwish", "Hardmax", "Identity", "InstanceNormalization", "LeakyRelu", "Log",
    "LogSoftmax", "LpNormalization", "Mish", "Neg", "PRelu", "Reciprocal", "Relu", "Round",
    "Scatter", "ScatterElements", "ScatterND", "Selu", "Sigmoid", "Sign",
    "SimplifiedLayerNormalization", "Sin", "Sinh", "Softmax", "Softplus", "Softsign", "Sqrt",
    "Swish", "Tan", "Tanh", "ThresholdedRelu", "Trilu",
];

/// Operators that broadcast their inputs and keep the type of the first.
#[rustfmt::skip]
const BROADCAST: &[&str] = &[
    "Add", "BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "Div", "Max", "Mean", "Min",
    "Mod", "Mul", "Pow", "Sub", "Sum",
];

/// Operators that broadcast their inputs and return booleans.
#[rustfmt::skip]
const COMPARE: &[&str] = &[
    "And", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Or", "Xor",
];

/// Operators that reduce axes to one value each.
#[rustfmt::skip]
const REDUCE: &[&str] = &[
    "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean",
    "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare",
];

fn standard(op: &str, uses: &Uses) -> Outputs {
    match op {
        op if KEEP.contains(&op) => same(uses),
        op if BROADCAST.contains(&op) => broadcast(uses, uses.data_type(0)),
        op if COMPARE.contains(&op) => broadcast(uses, data_type::BOOL),
        op if REDUCE.contains(&op) => products::reduce(uses),
        "Where" => broadcast(uses, uses.data_type(1)),
        "Not" | "IsNaN" | "IsInf" => vec![like(uses, 0, data_type::BOOL)],
        "Cast" => {
            let to = attribute_int(uses.node, "to").and_then(|to| i32::try_from(to).ok());
            vec![like(uses, 0, to.unwrap_or(0))]
        }
        "CastLike" => vec![like(uses, 0, uses.data_type(1))],
        "DequantizeLinear" => quantized::dequantize(uses),
        "Dropout" => vec![like(uses, 0, uses.data_type(0)), like(uses, 0, data_type::BOOL)],
        "LayerNormalization" | "RMSNormalization" | "SimplifiedLayerNormalization" => {
            layer_normalization(uses)
        }
        "Einsum" => einsum::einsum(uses),
        "If" => branches::r#if(uses),
        "Attention" => attention::standard(uses),
        "RotaryEmbedding" => same(uses),
        "MatMul" => products::matmul(uses, uses.data_type(0)),
        "MatMulInteger" => products::matmul(uses, data_type::INT32),
        "Gemm" => products::gemm(uses),
        "ArgMax" | "ArgMin" => products::arg_reduce(uses),
        "SoftmaxCrossEntropyLoss" | "NegativeLogLikelihoodLoss" => products::loss(uses),
        "QuantizeLinear" => quantized::quantize(uses),
        "DynamicQuantizeLinear" => quantized::quantize_dynamically(uses),
        "Constant" => constant(uses),
        op => moved(op, uses),
    }
}

/// Operators that create, move, cut or join tensors.
fn moved(op: &str, uses: &Uses) -> Outputs {
    match op {
        "Shape" => movement::shape(uses),
        "Size" => vec![Some(TensorType::new(data_type::INT64, Vec::new()))],
        "ConstantOfShape" => movement::constant_of_shape(uses),
        "Range" => movement::range(uses),
        "Reshape" => movement::reshape(uses),
        "Flatten" => movement::flatten(uses),
        "Transpose" => movement::transpose(uses),
        "Squeeze" => movement::squeeze(uses),
        "Unsqueeze" => movement::unsqueeze(uses),
        "Expand" => movement::expand(uses),
        "Tile" => movement::tile(uses),
        "Slice" => slicing::slice(uses),
        "Split" => movement::split(uses),
        "Concat" => movement::concat(uses),
        "Gather" => movement::gather(uses),
        "GatherElements" => vec![uses.shape(1).map(|shape| known(uses.data_type(0), shape))],
        "GatherND" => movement::gather_nd(uses),
        "Pad" => movement::pad(uses),
        "NonZero" => movement::non_zero(uses),
        "OneHot" => movement::one_hot(uses),
        _ => Vec::new(),
    }
}

/// Fused operators of ONNX Runtime.
fn microsoft(op: &str, uses: &Uses) -> Outputs {
    match op {
        "Gelu" | "FastGelu" | "QuickGelu" | "BiasGelu" | "BiasSoftmax" | "RotaryEmbedding" => {
            same(uses)
        }
        "SkipLayerNormalization" | "SkipSimplifiedLayerNormalization" => {
            // The result, two statistics that only training kernels compute, and the sum.
            vec![uses.r#type(0).cloned(), None, None, uses.r#type(0).cloned()]
        }
        "GatherBlockQuantized" => quantized::gather_blocks(uses),
        "GroupQueryAttention" => attention::grouped(uses),
        "MatMulNBits" => quantized::packed_product(uses),
        "MatMulIntegerToFloat" | "DynamicQuantizeMatMul" => quantized::float_product(uses),
        "QuantizeLinear" => quantized::quantize(uses),
        "DequantizeLinear" => quantized::dequantize(uses),
        "EmbedLayerNormalization" => attention::embedding(uses),
        "Attention" => attention::packed(uses),
        "MultiHeadAttention" => attention::multi_head(uses),
        "FusedMatMul" => products::fused_mat_mul(uses),
        _ => Vec::new(),
    }
}

fn same(uses: &Uses) -> Outputs {
    vec![uses.r#type(0).cloned()]
}

/// All inputs, broadcast together.
fn broadcast(uses: &Uses, data_type: i32) -> Outputs {
    // Before version 7 the first input alone determined the shape.
    if uses.opset < 7 && uses.node.op_type() != "Where" {
        return vec![like(uses, 0, data_type)];
    }
    let mut shape = Some(Vec::new());
    for position in 0..uses.node.input.len() {
        let input = uses.shape(position);
        shape = shape.zip(input).and_then(|(shape, input)| dims::broadcast(&shape, input));
    }
    vec![Some(TensorType { data_type, shape })]
}

/// The normalized values, then the mean and the inverse deviation, one per normalized block.
fn layer_normalization(uses: &Uses) -> Outputs {
    let normalized = like(uses, 0, uses.data_type(0));
    let statistics = uses.shape(0).and_then(|shape| {
        let first = dims::axis(attribute_int(uses.node, "axis").unwrap_or(-1), shape.len())?;
        let kept = shape[..first].iter().cloned();
        let reduced = shape[first..].iter().map(|_| Dim::Known(1));
        let stash = attribute_int(uses.node, "stash_type").unwrap_or(1);
        Some(TensorType::new(i32::try_from(stash).ok()?, kept.chain(reduced).collect()))
    });
    vec![normalized, statistics.clone(), statistics]
}

fn constant(uses: &Uses) -> Outputs {
    let node = uses.node;
    if let Some(tensor) = attribute_tensor(node, "value") {
        return vec![Some(TensorType::of_dims(tensor.data_type(), &tensor.dims))];
    }
    let scalar = |data_type| vec![Some(TensorType::new(data_type, Vec::new()))];
    if attribute_int(node, "value_int").is_some() {
        return scalar(data_type::INT64);
    }
    if attribute_float(node, "value_float").is_some() {
        return scalar(data_type::FLOAT);
    }
    if attribute_of(node, "value_string").is_some() {
        return scalar(data_type::STRING);
    }
    let vector = |data_type, length: usize| {
        vec![Some(TensorType::new(data_type, vec![Dim::Known(length as i64)]))]
    };
    if let Some(ints) = attribute_of(node, "value_ints") {
        return vector(data_type::INT64, ints.ints.len());
    }
    if let Some(floats) = attribute_of(node, "value_floats") {
        return vector(data_type::FLOAT, floats.floats.len());
    }
    if let Some(strings) = attribute_of(node, "value_strings") {
        return vector(data_type::STRING, strings.strings.len());
    }
    Vec::new()
}
