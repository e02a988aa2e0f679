//! One derivative rule per operator, in one file per family.
//!
//! A rule is given a node and the gradients of its outputs; it appends what computes the gradients
//! of those inputs that need one, and gives them to the tape. To add a rule, write its function and
//! a line of the table. A rule must be linear in the gradient it is given, because factors travel
//! past it, and must refuse what it does not cover with [`unsupported`](super::unsupported).

mod activation;
mod arithmetic;
mod function;
mod layout;
mod matrix;
mod normalization;
pub(super) mod quantized;
mod reduce;
mod select;
mod softmax;

use super::tape::{Gradient, Step, Tape};
use crate::error::Result;

/// Appends the gradients of a node's inputs.
pub(super) type Rule = fn(&mut Tape<'_>, &Step) -> Result<()>;

/// Every operator with a rule: domain (empty for the standard one), name, rule.
#[rustfmt::skip]
pub(super) const TABLE: &[(&str, &str, Rule)] = &[
    ("", "Add", arithmetic::add),
    ("", "Sub", arithmetic::sub),
    ("", "Mul", arithmetic::mul),
    ("", "Div", arithmetic::div),
    ("", "Neg", arithmetic::neg),
    ("", "Pow", arithmetic::pow),
    ("", "Sum", arithmetic::sum),
    ("", "Sqrt", function::sqrt),
    ("", "Exp", function::exp),
    ("", "Log", function::log),
    ("", "Reciprocal", function::reciprocal),
    ("", "Erf", function::erf),
    ("", "Tanh", function::tanh),
    ("", "Sigmoid", function::sigmoid),
    ("", "Relu", activation::relu),
    ("", "Gelu", activation::gelu),
    ("com.microsoft", "Gelu", activation::gelu),
    ("", "MatMul", matrix::mat_mul),
    ("", "Gemm", matrix::gemm),
    ("", "Softmax", softmax::softmax),
    ("", "LogSoftmax", softmax::log_softmax),
    ("", "LayerNormalization", normalization::layer_normalization),
    ("", "ReduceSum", reduce::reduce_sum),
    ("", "ReduceMean", reduce::reduce_mean),
    ("", "Identity", layout::identity),
    ("", "Dropout", layout::dropout),
    ("", "Cast", layout::cast),
    ("", "Reshape", layout::reshape),
    ("", "Flatten", layout::reshape),
    ("", "Squeeze", layout::reshape),
    ("", "Unsqueeze", layout::reshape),
    ("", "Transpose", layout::transpose),
    ("", "Expand", layout::expand),
    ("", "Where", select::r#where),
    ("", "Concat", select::concat),
    ("", "Split", select::split),
    ("", "Slice", select::slice),
    ("", "Gather", select::gather),
    ("", "DynamicQuantizeLinear", quantized::dynamic_quantize_linear),
    ("", "QuantizeLinear", quantized::quantize_linear),
    ("com.microsoft", "QuantizeLinear", quantized::quantize_linear),
    ("", "DequantizeLinear", quantized::dequantize_linear),
    ("com.microsoft", "DequantizeLinear", quantized::dequantize_linear),
    ("", "MatMulInteger", quantized::mat_mul_integer),
    ("com.microsoft", "MatMulIntegerToFloat", quantized::mat_mul_integer_to_float),
    ("com.microsoft", "DynamicQuantizeMatMul", quantized::dynamic_quantize_mat_mul),
    ("com.microsoft", "MatMulNBits", quantized::mat_mul_n_bits),
];

/// The rule of an operator.
pub(super) fn find(domain: &str, operator: &str) -> Option<Rule> {
    let domain = if domain == "ai.onnx" { "" } else { domain };
    TABLE.iter().find(|entry| (entry.0, entry.1) == (domain, operator)).map(|entry| entry.2)
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
