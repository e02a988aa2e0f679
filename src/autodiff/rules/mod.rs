//! One derivative rule per operator, in one file per family.
//!
//! A rule is given a node and the gradients of its outputs; it appends what computes the gradients
//! of those inputs that need one, and gives them to the tape. To add a rule, write its function and
//! a line of the table. A rule must be linear in the gradient it is given, because factors travel
//! past it, and must refuse what it does not cover with `Tape::refuse`.

mod activation;
mod arithmetic;
mod bound;
mod einsum;
mod function;
mod layout;
mod matrix;
mod normalization;
pub(super) mod quantized;
mod reduce;
mod scatter;
mod select;
mod slice;
mod softmax;

use super::tape::{Gradient, Step, Tape};
use crate::error::Result;
use crate::graph::canonical_domain;

/// Appends the gradients of a node's inputs.
pub(super) type Rule = fn(&mut Tape<'_>, &Step) -> Result<()>;

/// How quantised activations are differentiated.
const STRAIGHT: &str = "straight through the rounding; an activation without blocks";

/// Every operator with a rule: domain (empty for the standard one), name, the first opset in which
/// the rule holds (11, or where the operator first appears), rule, forms that are refused.
#[rustfmt::skip]
pub(super) const TABLE: &[(&str, &str, i64, Rule, &str)] = &[
    ("", "Add", 11, arithmetic::add, ""),
    ("", "Sub", 11, arithmetic::sub, ""),
    ("", "Mul", 11, arithmetic::mul, ""),
    ("", "Div", 11, arithmetic::div, ""),
    ("", "Neg", 11, arithmetic::neg, ""),
    ("", "Pow", 11, arithmetic::pow, "the exponent gets no gradient"),
    ("", "Sum", 11, arithmetic::sum, ""),
    ("", "Mean", 11, arithmetic::mean, ""),
    ("", "Max", 11, bound::extremum, "the first of equal operands gets the gradient"),
    ("", "Min", 11, bound::extremum, "the first of equal operands gets the gradient"),
    ("", "Clip", 11, bound::clip, "the bounds get no gradient"),
    ("", "Abs", 11, bound::abs, ""),
    ("", "Sqrt", 11, function::sqrt, ""),
    ("", "Exp", 11, function::exp, ""),
    ("", "Log", 11, function::log, ""),
    ("", "Reciprocal", 11, function::reciprocal, ""),
    ("", "Erf", 11, function::erf, ""),
    ("", "Tanh", 11, function::tanh, ""),
    ("", "Sigmoid", 11, function::sigmoid, ""),
    ("", "Sin", 11, function::sin, ""),
    ("", "Cos", 11, function::cos, ""),
    ("", "Relu", 11, activation::relu, ""),
    ("", "LeakyRelu", 11, activation::leaky_relu, ""),
    ("", "Elu", 11, activation::elu, ""),
    ("", "HardSigmoid", 11, activation::hard_sigmoid, ""),
    ("", "Softplus", 11, activation::softplus, ""),
    ("", "Mish", 18, activation::mish, ""),
    ("", "Swish", 24, activation::quick_gelu, ""),
    ("", "Gelu", 20, activation::gelu, ""),
    ("com.microsoft", "Gelu", 1, activation::gelu, ""),
    ("com.microsoft", "BiasGelu", 1, activation::bias_gelu, ""),
    ("com.microsoft", "FastGelu", 1, activation::fast_gelu, ""),
    ("com.microsoft", "QuickGelu", 1, activation::quick_gelu, ""),
    ("", "MatMul", 11, matrix::mat_mul, ""),
    ("", "Gemm", 11, matrix::gemm, ""),
    ("", "Einsum", 12, einsum::einsum, "a label appears once in each operand"),
    ("", "Softmax", 11, softmax::softmax, ""),
    ("", "LogSoftmax", 11, softmax::log_softmax, ""),
    ("", "LayerNormalization", 11, normalization::layer_normalization,
        "before opset 17 it is ONNX Runtime's; the statistics get no gradient"),
    ("", "RMSNormalization", 23, normalization::rms_normalization, ""),
    ("", "SimplifiedLayerNormalization", 11, normalization::rms_normalization,
        "ONNX Runtime's; the statistics get no gradient"),
    ("", "ReduceSum", 11, reduce::reduce_sum, "the axes are constant"),
    ("", "ReduceMean", 11, reduce::reduce_mean, "the axes are constant"),
    ("", "ReduceMax", 11, reduce::reduce_extremum, "the axes are constant; equal elements share"),
    ("", "ReduceMin", 11, reduce::reduce_extremum, "the axes are constant; equal elements share"),
    ("", "ReduceL1", 11, reduce::reduce_l1, "the axes are constant"),
    ("", "ReduceL2", 11, reduce::reduce_l2, "the axes are constant"),
    ("", "ReduceSumSquare", 11, reduce::reduce_sum_square, "the axes are constant"),
    ("", "ReduceLogSumExp", 11, reduce::reduce_log_sum_exp, "the axes are constant"),
    ("", "Identity", 11, layout::identity, ""),
    ("", "Dropout", 11, layout::dropout, "in its form for inference"),
    ("", "Cast", 11, layout::cast, "between float and double"),
    ("", "Reshape", 11, layout::reshape, ""),
    ("", "Flatten", 11, layout::reshape, ""),
    ("", "Squeeze", 11, layout::reshape, ""),
    ("", "Unsqueeze", 11, layout::reshape, ""),
    ("", "Transpose", 11, layout::transpose, ""),
    ("", "Expand", 11, layout::expand, ""),
    ("", "Tile", 11, layout::tile, ""),
    ("", "Pad", 11, layout::pad,
        "the mode is `constant`; the value put around gets no gradient"),
    ("", "Trilu", 14, layout::trilu, ""),
    ("", "CumSum", 11, layout::cum_sum, ""),
    ("", "Where", 11, select::r#where, ""),
    ("", "Concat", 11, select::concat, ""),
    ("", "Split", 11, select::split, ""),
    ("", "Slice", 11, slice::slice, "axes and steps are constant"),
    ("", "Gather", 11, select::gather, ""),
    ("", "GatherElements", 11, scatter::gather_elements, ""),
    ("", "GatherND", 16, scatter::gather_nd, "without batch axes"),
    ("", "ScatterElements", 11, scatter::scatter, "the reduction is `none` or `add`"),
    ("", "ScatterND", 11, scatter::scatter,
        "the reduction is `none` or `add`; without one, no place is written twice"),
    ("", "DynamicQuantizeLinear", 11, quantized::dynamic_quantize_linear, STRAIGHT),
    ("", "QuantizeLinear", 11, quantized::quantize_linear, STRAIGHT),
    ("com.microsoft", "QuantizeLinear", 1, quantized::quantize_linear, STRAIGHT),
    ("", "DequantizeLinear", 11, quantized::dequantize_linear, "an activation without blocks"),
    ("com.microsoft", "DequantizeLinear", 1, quantized::dequantize_linear,
        "an activation without blocks"),
    ("", "MatMulInteger", 11, quantized::mat_mul_integer, "the right operand is frozen"),
    ("com.microsoft", "MatMulIntegerToFloat", 1, quantized::mat_mul_integer_to_float,
        "weight and bias are frozen"),
    ("com.microsoft", "DynamicQuantizeMatMul", 1, quantized::dynamic_quantize_mat_mul,
        "weight and bias are frozen; straight through the rounding of the activation"),
    ("com.microsoft", "MatMulNBits", 1, quantized::mat_mul_n_bits,
        "codes of 4 or 8 bits in their own order; weight and bias are frozen"),
];

/// The rule of an operator.
pub(super) fn find(domain: &str, operator: &str) -> Option<Rule> {
    let key = (canonical_domain(domain), operator);
    TABLE.iter().find(|entry| (entry.0, entry.1) == key).map(|entry| entry.3)
}

/// Appends the gradients of a step's inputs by the rule of its operator.
pub(super) fn apply(tape: &mut Tape<'_>, step: &Step) -> Result<()> {
    let Some(rule) = find(step.node.domain(), step.node.op_type()) else {
        let has_graph = step.node.attribute.iter().any(|attribute| attribute.g.is_some());
        let why = match has_graph {
            true => "gradients do not pass through graphs inside of nodes",
            false => "there is no derivative rule for it",
        };
        return Err(tape.refuse(step, why));
    };
    tape.check_precision(step)?;
    rule(tape, step)
}

/// The gradient of a step's first output, if that is what it was reached by.
fn output_gradient(tape: &Tape<'_>, step: &Step) -> Result<Gradient> {
    let only_first = step.gradients.iter().skip(1).all(Option::is_none);
    match step.gradients.first() {
        Some(Some(gradient)) if only_first => Ok(gradient.clone()),
        _ => Err(tape.refuse(step, "the loss depends on an output other than the first")),
    }
}

/// Gives the first input a gradient of the output's shape, made by `derivative` from the gradient.
fn unary(
    tape: &mut Tape<'_>,
    step: &Step,
    derivative: impl FnOnce(&mut Tape<'_>, &str) -> String,
) -> Result<()> {
    let gradient = output_gradient(tape, step)?;
    let result = derivative(tape, &gradient.name);
    tape.give(step.input(0), gradient.with(result));
    Ok(())
}
