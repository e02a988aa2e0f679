//! LayerNormalization, as operator and as the exporters' decomposition.
//!
//! With `x̂ = (x - mean) / deviation` and the gradient `h` of `x̂`, both use
//! `dx = (h - x̂ mean(h x̂) - mean(h)) / deviation`. The operator's own mean and inverse deviation are
//! reused where it can give them.

use super::output_gradient;
use crate::autodiff::patterns::Normalization;
use crate::autodiff::tape::{Gradient, Step, Tape};
use crate::error::Result;
use crate::graph::{attribute_float, attribute_int, data_type};

/// Gradients of the data, and of scale and bias where they are wanted.
pub(super) fn layer_normalization(tape: &mut Tape<'_>, step: &Step) -> Result<()> {
    let gradient = output_gradient(tape, step)?;
    let (x, scale, bias) = (step.input(0), step.input(1), step.input(2));
    let rank = tape.rank(step, x)?;
    let first = tape.axis(step, attribute_int(&step.node, "axis").unwrap_or(-1), rank)?;
    let axes: Vec<i64> = (first as i64..rank as i64).collect();
    if tape.wants(step, 2) {
        let part = tape.unbroadcast(step, &gradient.name, bias)?;
        tape.give(bias, gradient.with(part));
    }
    if !tape.wants(step, 0) && !tape.wants(step, 1) {
        return Ok(());
    }
    let (centred, inverse) = centred_and_inverse(tape, step, &axes);
    let unit = tape.node("Mul", &[&centred, &inverse], vec![]);
    if tape.wants(step, 1) {
        let product = tape.node("Mul", &[&gradient.name, &unit], vec![]);
        let part = tape.unbroadcast(step, &product, scale)?;
        tape.give(scale, gradient.with(part));
    }
    if tape.wants(step, 0) {
        let scaled = tape.node("Mul", &[&gradient.name, scale], vec![]);
        let rest = project(tape, &scaled, &unit, &axes);
        let result = tape.node("Mul", &[&rest, &inverse], vec![]);
        tape.give(x, gradient.with(result));
    }
    Ok(())
}

/// `x - mean` and `1 / deviation`.
///
/// The operator computes both statistics in float32, so only for float32 they are its outputs;
/// other types get them computed again in their own precision.
fn centred_and_inverse(tape: &mut Tape<'_>, step: &Step, axes: &[i64]) -> (String, String) {
    let x = step.input(0);
    if tape.data_type(x) == data_type::FLOAT {
        let (mean, inverse) = (tape.output(step, 1, "Mean"), tape.output(step, 2, "InvStdDev"));
        return (tape.node("Sub", &[x, &mean], vec![]), inverse);
    }
    let mean = tape.reduce("ReduceMean", x, axes, true);
    let centred = tape.node("Sub", &[x, &mean], vec![]);
    let squares = tape.node("Mul", &[&centred, &centred], vec![]);
    let variance = tape.reduce("ReduceMean", &squares, axes, true);
    let epsilon = attribute_float(&step.node, "epsilon").unwrap_or(1e-5);
    let epsilon = tape.scalar_like(x, epsilon.into());
    let shifted = tape.node("Add", &[&variance, &epsilon], vec![]);
    let deviation = tape.node("Sqrt", &[&shifted], vec![]);
    (centred, tape.node("Reciprocal", &[&deviation], vec![]))
}

/// The decomposition, whose intermediate values the forward pass has already.
pub(super) fn decomposed(
    tape: &mut Tape<'_>,
    unit: &Normalization,
    gradient: &Gradient,
) -> Result<()> {
    let rest = project(tape, &gradient.name, &unit.output, &unit.axes);
    let operator = if unit.is_inverse { "Mul" } else { "Div" };
    let result = tape.node(operator, &[&rest, &unit.deviation], vec![]);
    tape.give(&unit.input, gradient.with(result));
    Ok(())
}

/// `h - x̂ mean(h x̂) - mean(h)`: what is left of `h` when a change of mean and scale is undone.
fn project(tape: &mut Tape<'_>, h: &str, unit: &str, axes: &[i64]) -> String {
    let product = tape.node("Mul", &[h, unit], vec![]);
    let correlation = tape.reduce("ReduceMean", &product, axes, true);
    let mean = tape.reduce("ReduceMean", h, axes, true);
    let along = tape.node("Mul", &[unit, &correlation], vec![]);
    let rest = tape.node("Sub", &[h, &along], vec![]);
    tape.node("Sub", &[&rest, &mean], vec![])
}
