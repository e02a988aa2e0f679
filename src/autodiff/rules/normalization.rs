//! Rules of LayerNormalization and RMSNormalization, as operators and as exporters decompose them.
//!
//! With `x̂ = (x - mean) / deviation` and the gradient `h` of `x̂`, all use `dx = (h - x̂ mean(h
//! x̂) - mean(h)) / deviation`; without centring (Zhang and Sennrich, arXiv 1910.07467) the means
//! of `x` and of `h` are omitted.

use crate::autodiff::emit::{Emitter, axis_of};
use crate::autodiff::patterns::Normalization;
use crate::autodiff::tape::{Gradient, Step, Tape};
use crate::error::Result;
use crate::graph::{attribute_float, attribute_int};

/// The gradients of the data and, where they are wanted, of scale and bias.
pub(super) fn layer_normalization(
    emit: &mut Emitter<'_>,
    tape: &mut Tape,
    step: &Step,
) -> Result<()> {
    let bias = step.input(2);
    if tape.wants(step, 2) {
        let gradient = step.gradient()?;
        let part = emit.unbroadcast(&gradient.name, step.output(), bias)?;
        tape.give(bias, gradient.with(part));
    }
    scaled_unit(emit, tape, step, true)
}

/// RMSNormalization of the standard domain and the SimplifiedLayerNormalization of ONNX Runtime.
pub(super) fn rms_normalization(
    emit: &mut Emitter<'_>,
    tape: &mut Tape,
    step: &Step,
) -> Result<()> {
    scaled_unit(emit, tape, step, false)
}

fn scaled_unit(
    emit: &mut Emitter<'_>,
    tape: &mut Tape,
    step: &Step,
    is_centred: bool,
) -> Result<()> {
    let gradient = step.gradient()?;
    let scale = step.input(1);
    if !tape.wants(step, 0) && !tape.wants(step, 1) {
        return Ok(());
    }
    let unit = written_out(emit, step, is_centred)?;
    if tape.wants(step, 1) {
        let product = emit.node("Mul", &[&gradient.name, &unit.output], vec![]);
        let part = emit.unbroadcast(&product, step.output(), scale)?;
        tape.give(scale, gradient.with(part));
    }
    if tape.wants(step, 0) {
        let scaled = emit.node("Mul", &[&gradient.name, scale], vec![]);
        decomposed(emit, tape, &unit, &gradient.with(scaled));
    }
    Ok(())
}

/// Computes `x̂` and the inverse deviation.
///
/// The operator does not output `x̂`, and the runtime's kernel takes several times as long as its
/// parts, so the parts replace the forward node. A node whose statistics are used elsewhere stays,
/// and the parts are computed beside it.
fn written_out(emit: &mut Emitter<'_>, step: &Step, is_centred: bool) -> Result<Normalization> {
    let x = step.input(0);
    let rank = emit.rank(x)?;
    let first = axis_of(attribute_int(&step.node, "axis").unwrap_or(-1), rank)?;
    let axes: Vec<i64> = (first as i64..rank as i64).collect();
    let cursor = emit.cursor();
    let mut centred = x.to_owned();
    if is_centred {
        let mean = emit.reduce("ReduceMean", x, &axes, true);
        centred = emit.node("Sub", &[x, &mean], vec![]);
    }
    let squares = emit.node("Mul", &[&centred, &centred], vec![]);
    let variance = emit.reduce("ReduceMean", &squares, &axes, true);
    let epsilon = attribute_float(&step.node, "epsilon").unwrap_or(1e-5);
    let epsilon = emit.scalar_like(x, epsilon.into());
    let shifted = emit.node("Add", &[&variance, &epsilon], vec![]);
    let root = emit.node("Sqrt", &[&shifted], vec![]);
    let deviation = emit.node("Reciprocal", &[&root], vec![]);
    let output = emit.node("Mul", &[&centred, &deviation], vec![]);
    if step.node.output.iter().skip(1).all(String::is_empty) {
        if step.input(2).is_empty() {
            emit.named("Mul", &[&output, step.input(1)], step.output(), vec![]);
        } else {
            let scaled = emit.node("Mul", &[&output, step.input(1)], vec![]);
            emit.named("Add", &[&scaled, step.input(2)], step.output(), vec![]);
        }
        emit.replace(step.position, cursor);
    }
    let (input, is_inverse) = (x.to_owned(), true);
    Ok(Normalization { input, output, deviation, is_inverse, is_centred, axes })
}

/// Derives the input's gradient from that of `x̂`; the forward pass has all values it needs.
pub(super) fn decomposed(
    emit: &mut Emitter<'_>,
    tape: &mut Tape,
    unit: &Normalization,
    gradient: &Gradient,
) {
    let rest = project(emit, &gradient.name, unit);
    let operator = if unit.is_inverse { "Mul" } else { "Div" };
    let result = emit.node(operator, &[&rest, &unit.deviation], vec![]);
    tape.give(&unit.input, gradient.with(result));
}

/// `h - x̂ mean(h x̂) - mean(h)`: `h` without the components along the mean and the scale.
fn project(emit: &mut Emitter<'_>, h: &str, unit: &Normalization) -> String {
    let product = emit.node("Mul", &[h, &unit.output], vec![]);
    let correlation = emit.reduce("ReduceMean", &product, &unit.axes, true);
    let along = emit.node("Mul", &[&unit.output, &correlation], vec![]);
    let rest = emit.node("Sub", &[h, &along], vec![]);
    if !unit.is_centred {
        return rest;
    }
    let mean = emit.reduce("ReduceMean", h, &unit.axes, true);
    emit.node("Sub", &[&rest, &mean], vec![])
}
