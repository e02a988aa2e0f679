//! One derivative rule per operator, in one file per family.
//!
//! A rule passes the gradients of those inputs that need one to the tape. To add a rule, write its
//! function and a row of the table. A rule must be linear in the gradient it is given, because
//! factors are multiplied on later, and must refuse unsupported forms with `refused`.
//!
//! Input: a node and the gradients of its outputs. Output: appended nodes that compute the
//! gradients of its inputs.

mod activation;
mod arithmetic;
mod bound;
mod einsum;
mod function;
mod matrix;
mod movement;
mod normalization;
mod quantized;
mod reduce;
mod scatter;
mod select;
mod slice;
mod softmax;

use super::emit::{Emitter, refused};
use super::operators::{OperatorFacts, find};
use super::tape::{Step, Tape};
use crate::error::Result;
use crate::graph::{NodeProto, data_type};

/// Appends the gradients of a node's inputs.
pub(super) type Rule = fn(&mut Emitter<'_>, &mut Tape, &Step) -> Result<()>;

const fn standard(operator: &'static str, since_opset: i64, rule: Rule) -> OperatorFacts<Rule> {
    OperatorFacts::standard(operator, since_opset, rule)
}

const fn microsoft(operator: &'static str, rule: Rule) -> OperatorFacts<Rule> {
    OperatorFacts::microsoft(operator, rule)
}

/// How quantised activations are differentiated.
const STRAIGHT: &str = "straight through the rounding; an activation without blocks";

pub(super) const TABLE: &[OperatorFacts<Rule>] = &[
    standard("Add", 11, arithmetic::sum),
    standard("Sub", 11, arithmetic::sub),
    standard("Mul", 11, arithmetic::mul),
    standard("Div", 11, arithmetic::div),
    standard("Neg", 11, arithmetic::neg),
    standard("Pow", 11, arithmetic::pow).limits("the exponent gets no gradient"),
    standard("Sum", 11, arithmetic::sum),
    standard("Mean", 11, arithmetic::mean),
    standard("Max", 11, bound::extremum).limits("the first of equal operands gets the gradient"),
    standard("Min", 11, bound::extremum).limits("the first of equal operands gets the gradient"),
    standard("Clip", 11, bound::clip).limits("the bounds get no gradient"),
    standard("Abs", 11, bound::abs),
    standard("Sqrt", 11, function::sqrt),
    standard("Exp", 11, function::exp),
    standard("Log", 11, function::log),
    standard("Reciprocal", 11, function::reciprocal),
    standard("Erf", 11, function::erf),
    standard("Tanh", 11, function::tanh),
    standard("Sigmoid", 11, function::sigmoid),
    standard("Sin", 11, function::sin),
    standard("Cos", 11, function::cos),
    standard("Relu", 11, activation::relu),
    standard("LeakyRelu", 11, activation::leaky_relu),
    standard("Elu", 11, activation::elu),
    standard("HardSigmoid", 11, activation::hard_sigmoid),
    standard("Softplus", 11, activation::softplus),
    standard("Mish", 18, activation::mish),
    standard("Swish", 24, activation::quick_gelu),
    standard("Gelu", 20, activation::gelu),
    microsoft("Gelu", activation::gelu),
    microsoft("BiasGelu", activation::bias_gelu),
    microsoft("FastGelu", activation::fast_gelu),
    microsoft("QuickGelu", activation::quick_gelu),
    standard("MatMul", 11, matrix::mat_mul),
    standard("Gemm", 11, matrix::gemm),
    standard("Einsum", 12, einsum::einsum).limits("a label appears once in each operand"),
    standard("Softmax", 11, softmax::softmax),
    standard("LogSoftmax", 11, softmax::log_softmax),
    standard("LayerNormalization", 11, normalization::layer_normalization)
        .limits("before opset 17 it is ONNX Runtime's; the statistics get no gradient"),
    standard("RMSNormalization", 23, normalization::rms_normalization),
    standard("SimplifiedLayerNormalization", 11, normalization::rms_normalization)
        .limits("ONNX Runtime's; the statistics get no gradient"),
    standard("ReduceSum", 11, reduce::sum).limits("the axes are constant"),
    standard("ReduceMean", 11, reduce::mean).limits("the axes are constant"),
    standard("ReduceMax", 11, reduce::extremum)
        .limits("the axes are constant; equal elements share"),
    standard("ReduceMin", 11, reduce::extremum)
        .limits("the axes are constant; equal elements share"),
    standard("ReduceL1", 11, reduce::l1).limits("the axes are constant"),
    standard("ReduceL2", 11, reduce::l2).limits("the axes are constant"),
    standard("ReduceSumSquare", 11, reduce::sum_square).limits("the axes are constant"),
    standard("ReduceLogSumExp", 11, reduce::log_sum_exp).limits("the axes are constant"),
    standard("Identity", 11, movement::identity),
    standard("Dropout", 11, movement::dropout).limits("in its form for inference"),
    standard("Cast", 11, movement::cast).limits("between float and double"),
    standard("Reshape", 11, movement::reshape),
    standard("Flatten", 11, movement::reshape),
    standard("Squeeze", 11, movement::reshape),
    standard("Unsqueeze", 11, movement::reshape),
    standard("Transpose", 11, movement::transpose),
    standard("Expand", 11, movement::expand),
    standard("Tile", 11, movement::tile),
    standard("Pad", 11, movement::pad)
        .limits("the mode is `constant`; the value put around gets no gradient"),
    standard("Trilu", 14, movement::trilu),
    standard("CumSum", 11, movement::cum_sum),
    standard("Where", 11, select::r#where),
    standard("Concat", 11, select::concat),
    standard("Split", 11, select::split),
    standard("Slice", 11, slice::slice).limits("axes and steps are constant"),
    standard("Gather", 11, select::gather),
    standard("GatherElements", 11, scatter::gather_elements),
    standard("GatherND", 16, scatter::gather_nd).limits("without batch axes"),
    standard("ScatterElements", 11, scatter::scatter).limits("the reduction is `none` or `add`"),
    standard("ScatterND", 11, scatter::scatter)
        .limits("the reduction is `none` or `add`; without one, no place is written twice"),
    standard("DynamicQuantizeLinear", 11, quantized::dynamic_quantize_linear)
        .limits(STRAIGHT)
        .quantised()
        .with_statistics(),
    standard("QuantizeLinear", 11, quantized::quantize_linear).limits(STRAIGHT).quantised(),
    microsoft("QuantizeLinear", quantized::quantize_linear).limits(STRAIGHT).quantised(),
    standard("DequantizeLinear", 11, quantized::dequantize_linear)
        .limits("an activation without blocks"),
    microsoft("DequantizeLinear", quantized::dequantize_linear)
        .limits("an activation without blocks"),
    standard("MatMulInteger", 11, quantized::mat_mul_integer)
        .limits("the right operand is frozen")
        .quantised(),
    microsoft("MatMulIntegerToFloat", quantized::mat_mul_integer_to_float)
        .limits("weight and bias are frozen"),
    microsoft("DynamicQuantizeMatMul", quantized::dynamic_quantize_mat_mul)
        .limits("weight and bias are frozen; straight through the rounding of the activation"),
    microsoft("MatMulNBits", quantized::mat_mul_n_bits)
        .limits("quantised values of 4 or 8 bits in their own order; weight and bias are frozen"),
];

/// Whether an output of a node carries a gradient; `None` where its element type decides.
pub(super) fn carries_gradient(node: &NodeProto, output: usize) -> Option<bool> {
    find(TABLE, node)?.carries_gradient(output)
}

/// Appends the gradients of a step's inputs by the rule of its operator.
pub(super) fn apply(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    let Some(facts) = find(TABLE, &step.node) else {
        let has_graph = step.node.attribute.iter().any(|attribute| attribute.g.is_some());
        return Err(refused(match has_graph {
            true => "gradients do not pass through graphs inside of nodes",
            false => "there is no derivative rule for it",
        }));
    };
    // Gradients in 16 bits would overflow unless the loss is scaled, so they are refused. The
    // gradients of quantised values are floats.
    let found = emit.data_type(step.output());
    if !(matches!(found, data_type::FLOAT | data_type::DOUBLE) || data_type::is_integer(found)) {
        return Err(refused(format!("its result has the type {}", data_type::name(found))));
    }
    (facts.derive)(emit, tape, step)
}

/// Gives the first input the gradient that `derivative` makes; it has the output's shape.
fn unary(
    emit: &mut Emitter<'_>,
    tape: &mut Tape,
    step: &Step,
    derivative: impl FnOnce(&mut Emitter<'_>, &str) -> String,
) -> Result<()> {
    let gradient = step.gradient()?;
    let result = derivative(emit, &gradient.name);
    tape.give(step.input(0), gradient.with(result));
    Ok(())
}
