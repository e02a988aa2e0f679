//! Operators that keep a number or replace it by another one: Max, Min, Clip, Abs.
//!
//! Where two operands are equal, the first of them gets the whole gradient: the parts always add
//! up to the gradient of the result.

use super::unary;
use crate::autodiff::emit::{Emitter, refused};
use crate::autodiff::tape::{Step, Tape};
use crate::error::Result;

/// Max and Min of any number of tensors: the operand that was chosen gets the gradient.
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

/// What lies within the bounds, ends included, gets the gradient.
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
