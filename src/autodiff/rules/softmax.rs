//! Softmax and LogSoftmax.
//!
//! Before opset 13 they normalize over all axes from `axis` on, taken as one; that is the same as
//! the present meaning only for the last axis, and only that is covered.

use super::output_gradient;
use crate::autodiff::tape::{Gradient, Step, Tape};
use crate::error::Result;
use crate::graph::attribute_int;

/// First opset in which the operators normalize over one axis.
const OPSET_ONE_AXIS: i64 = 13;

/// The axis that is normalized over.
fn axis(tape: &Tape<'_>, step: &Step) -> Result<i64> {
    let stated = attribute_int(&step.node, "axis");
    if tape.opset >= OPSET_ONE_AXIS {
        return Ok(stated.unwrap_or(-1));
    }
    let rank = tape.rank(step, step.input(0))?;
    let axis = tape.axis(step, stated.unwrap_or(1), rank)?;
    if axis + 1 != rank {
        let why = format!("axis {axis} of rank {rank} is not the last and several are merged");
        return Err(tape.refuse(step, &why));
    }
    Ok(-1)
}

/// `dx = y (g - Σ g y)`
pub(super) fn softmax(tape: &mut Tape<'_>, step: &Step) -> Result<()> {
    let gradient = output_gradient(tape, step)?;
    let axis = axis(tape, step)?;
    let product = tape.node("Mul", &[&gradient.name, step.output()], vec![]);
    let total = tape.reduce("ReduceSum", &product, &[axis], true);
    let rest = tape.node("Sub", &[&gradient.name, &total], vec![]);
    let result = tape.node("Mul", &[&rest, step.output()], vec![]);
    tape.give(step.input(0), gradient.with(result));
    Ok(())
}

/// `dx = g - exp(y) Σ g`
pub(super) fn log_softmax(tape: &mut Tape<'_>, step: &Step) -> Result<()> {
    let gradient: Gradient = output_gradient(tape, step)?;
    let axis = axis(tape, step)?;
    let total = tape.reduce("ReduceSum", &gradient.name, &[axis], true);
    let shares = tape.node("Exp", &[step.output()], vec![]);
    let product = tape.node("Mul", &[&shares, &total], vec![]);
    let result = tape.node("Sub", &[&gradient.name, &product], vec![]);
    tape.give(step.input(0), gradient.with(result));
    Ok(())
}
