//! Rules of operators that keep a value or replace it by another: Max, Min, Clip, Abs.
//!
//! Where two operands are equal, the first gets the whole gradient, so the gradients of the
//! operands always add up to that of the result.

use super::unary;
use crate::autodiff::emit::{Emitter, refused};
use crate::autodiff::tape::{Step, Tape};
use crate::error::Result;

/// Max and Min of any number of tensors: the selected operand gets the gradient.
pub(super) fn extremum(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    let gradient = step.gradient()?;
    let zero = emit.scalar_like(step.output(), 0.0);
    let count = step.node.input.len();
    let last = (0..count).rev().find(|&index| tape.wants(step, index)).unwrap_or(0);
    let mut rest = gradient.name.clone();
    for index in 0..=last {
        let chosen = emit.node("Equal", &[step.input(index), step.output()], vec![]);
        if tape.wants(step, index) {
            let part = emit.node("Where", &[&chosen, &rest, &zero], vec![]);
            let part = emit.unbroadcast(&part, step.output(), step.input(index))?;
            tape.give(step.input(index), gradient.with(part));
        }
        if index < last {
            rest = emit.node("Where", &[&chosen, &zero, &rest], vec![]);
        }
    }
    Ok(())
}

/// Values within the bounds, ends included, get the gradient.
pub(super) fn clip(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    if tape.wants(step, 1) || tape.wants(step, 2) {
        return Err(refused("a bound needs a gradient"));
    }
    unary(emit, tape, step, |emit, g| {
        let zero = emit.scalar_like(step.output(), 0.0);
        let inside = emit.node("Equal", &[step.input(0), step.output()], vec![]);
        emit.node("Where", &[&inside, g, &zero], vec![])
    })
}

/// `dx = g sign(x)`
pub(super) fn abs(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    unary(emit, tape, step, |emit, g| {
        let sign = emit.node("Sign", &[step.input(0)], vec![]);
        emit.node("Mul", &[g, &sign], vec![])
    })
}
