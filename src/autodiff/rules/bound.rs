//! Operators that keep a number or replace it by another one: Max, Min, Clip, Abs.
//!
//! Where two operands are equal, the first of them gets the whole gradient: the parts always add
//! up to the gradient of the result.

use super::{output_gradient, unary};
use crate::autodiff::tape::{Step, Tape};
use crate::error::Result;

/// Max and Min of any number of tensors: the operand that was chosen gets the gradient.
pub(super) fn extremum(tape: &mut Tape<'_>, step: &Step) -> Result<()> {
    let gradient = output_gradient(tape, step)?;
    let zero = tape.scalar_like(step.output(), 0.0);
    let count = step.node.input.len();
    let last = (0..count).rev().find(|&index| tape.wants(step, index)).unwrap_or(0);
    let mut rest = gradient.name.clone();
    for index in 0..=last {
        let chosen = tape.node("Equal", &[step.input(index), step.output()], vec![]);
        if tape.wants(step, index) {
            let part = tape.node("Where", &[&chosen, &rest, &zero], vec![]);
            let part = tape.unbroadcast(step, &part, step.input(index))?;
            tape.give(step.input(index), gradient.with(part));
        }
        if index < last {
            rest = tape.node("Where", &[&chosen, &zero, &rest], vec![]);
        }
    }
    Ok(())
}

/// What lies within the bounds, ends included, gets the gradient.
pub(super) fn clip(tape: &mut Tape<'_>, step: &Step) -> Result<()> {
    if tape.wants(step, 1) || tape.wants(step, 2) {
        return Err(tape.refuse(step, "a bound needs a gradient"));
    }
    unary(tape, step, |tape, g| {
        let zero = tape.scalar_like(step.output(), 0.0);
        let inside = tape.node("Equal", &[step.input(0), step.output()], vec![]);
        tape.node("Where", &[&inside, g, &zero], vec![])
    })
}

/// `dx = g sign(x)`
pub(super) fn abs(tape: &mut Tape<'_>, step: &Step) -> Result<()> {
    unary(tape, step, |tape, g| {
        let sign = tape.node("Sign", &[step.input(0)], vec![]);
        tape.node("Mul", &[g, &sign], vec![])
    })
}
