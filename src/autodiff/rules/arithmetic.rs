//! Rules of broadcasting arithmetic: Add, Sub, Mul, Div, Neg, Pow, Sum, Mean.
//!
//! The gradient of a broadcast operand is summed over the axes along which it was repeated.
//! Constants of one element become factors and cost no pass. The products and quotients that end a
//! decomposed Gelu or normalization are differentiated as a whole.

use super::{activation, normalization};
use crate::autodiff::emit::{Emitter, refused};
use crate::autodiff::patterns;
use crate::autodiff::tape::{Gradient, Step, Tape};
use crate::error::Result;

/// Gives input `index` a gradient that has the output's shape.
fn give_part(
    emit: &mut Emitter<'_>,
    tape: &mut Tape,
    step: &Step,
    index: usize,
    gradient: Gradient,
) -> Result<()> {
    let name = emit.unbroadcast(&gradient.name, step.output(), step.input(index))?;
    tape.give(step.input(index), gradient.with(name));
    Ok(())
}

/// The value of input `index` if it is a constant that can become a factor: one finite, nonzero
/// element that adds no axes to the output.
fn factor(emit: &Emitter<'_>, step: &Step, index: usize) -> Option<f64> {
    let value = emit.constant_scalar(step.input(index))?;
    let rank = emit.shapes().rank(step.input(index))?;
    let fits = rank == 0 || emit.shapes().rank(step.input(1 - index)).is_some_and(|r| r >= rank);
    // A factor beyond float32 would be lost as an attribute.
    let usable = (value as f32).is_normal() && (1.0 / value as f32).is_normal();
    (fits && usable).then_some(value)
}

pub(super) fn sum(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    give_all(emit, tape, step, &step.gradient()?)
}

/// The gradient of the sum, divided by the number of tensors.
pub(super) fn mean(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    let count = step.node.input.len().max(1) as f64;
    give_all(emit, tape, step, &step.gradient()?.scaled(1.0 / count))
}

/// Gives every input the same gradient, which has the output's shape.
fn give_all(
    emit: &mut Emitter<'_>,
    tape: &mut Tape,
    step: &Step,
    gradient: &Gradient,
) -> Result<()> {
    for index in 0..step.node.input.len() {
        if tape.wants(step, index) {
            give_part(emit, tape, step, index, gradient.clone())?;
        }
    }
    Ok(())
}

pub(super) fn sub(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    let gradient = step.gradient()?;
    if tape.wants(step, 0) {
        give_part(emit, tape, step, 0, gradient.clone())?;
    }
    if tape.wants(step, 1) {
        give_part(emit, tape, step, 1, gradient.scaled(-1.0))?;
    }
    Ok(())
}

pub(super) fn neg(_: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    let gradient = step.gradient()?;
    tape.give(step.input(0), gradient.scaled(-1.0));
    Ok(())
}

pub(super) fn mul(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    let gradient = step.gradient()?;
    if let Some(gelu) = patterns::gelu(emit, step) {
        let result = activation::gelu_exact(emit, &gelu.input, &gradient);
        tape.give(&gelu.input, result.scaled(2.0 * gelu.factor));
        return Ok(());
    }
    if let Some(unit) = patterns::normalization(emit, step) {
        normalization::decomposed(emit, tape, &unit, &gradient);
        return Ok(());
    }
    if step.input(0) == step.input(1) {
        let product = emit.node("Mul", &[&gradient.name, step.input(0)], vec![]);
        tape.give(step.input(0), gradient.with(product).scaled(2.0));
        return Ok(());
    }
    for (index, other) in [(0, 1), (1, 0)] {
        if !tape.wants(step, index) {
            continue;
        }
        let part = match factor(emit, step, other) {
            Some(value) => gradient.scaled(value),
            None => gradient.with(emit.node("Mul", &[&gradient.name, step.input(other)], vec![])),
        };
        give_part(emit, tape, step, index, part)?;
    }
    Ok(())
}

/// `da = g / b`, `db = -g y / b`
pub(super) fn div(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    let gradient = step.gradient()?;
    if let Some(unit) = patterns::normalization(emit, step) {
        normalization::decomposed(emit, tape, &unit, &gradient);
        return Ok(());
    }
    let quotient = match factor(emit, step, 1) {
        Some(value) => gradient.scaled(1.0 / value),
        None => gradient.with(emit.node("Div", &[&gradient.name, step.input(1)], vec![])),
    };
    if tape.wants(step, 0) {
        give_part(emit, tape, step, 0, quotient.clone())?;
    }
    if tape.wants(step, 1) {
        let product = emit.node("Mul", &[&quotient.name, step.output()], vec![]);
        give_part(emit, tape, step, 1, quotient.with(product).scaled(-1.0))?;
    }
    Ok(())
}

/// `dx = p g x^(p-1)`
pub(super) fn pow(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    let gradient = step.gradient()?;
    let (base, exponent) = (step.input(0), step.input(1));
    if tape.wants(step, 1) {
        return Err(refused("the exponent needs a gradient"));
    }
    let Some(exponent) = emit.constant_scalar(exponent) else {
        let to = emit.data_type(base);
        let exponent = emit.cast(exponent, to);
        let one = emit.scalar_like(base, 1.0);
        let lower = emit.node("Sub", &[&exponent, &one], vec![]);
        let power = emit.node("Pow", &[base, &lower], vec![]);
        let slope = emit.node("Mul", &[&power, &exponent], vec![]);
        let product = emit.node("Mul", &[&gradient.name, &slope], vec![]);
        return give_part(emit, tape, step, 0, gradient.with(product));
    };
    let product = if exponent == 2.0 {
        emit.node("Mul", &[&gradient.name, base], vec![])
    } else {
        let lower = emit.scalar_like(base, exponent - 1.0);
        let power = emit.node("Pow", &[base, &lower], vec![]);
        emit.node("Mul", &[&gradient.name, &power], vec![])
    };
    give_part(emit, tape, step, 0, gradient.with(product).scaled(exponent))
}
