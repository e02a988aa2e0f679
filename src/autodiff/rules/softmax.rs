//! Softmax and LogSoftmax.
//!
//! Before opset 13 they normalize over all axes from `axis` on, taken as one.

use super::output_gradient;
use crate::autodiff::tape::{Gradient, Step, Tape};
use crate::error::Result;
use crate::graph::attribute_int;

/// First opset in which the operators normalize over one axis.
const OPSET_ONE_AXIS: i64 = 13;

/// The axes that are normalized over.
fn axes(tape: &Tape<'_>, step: &Step) -> Result<Vec<i64>> {
    let stated = attribute_int(&step.node, "axis");
    if tape.opset >= OPSET_ONE_AXIS {
        return Ok(vec![stated.unwrap_or(-1)]);
    }
    let rank = tape.rank(step, step.input(0))?;
    let first = tape.axis(step, stated.unwrap_or(1), rank)?;
    Ok((first as i64..rank as i64).collect())
}

/// `dx = y (g - Σ g y)`
pub(super) fn softmax(tape: &mut Tape<'_>, step: &Step) -> Result<()> {
    let gradient = output_gradient(tape, step)?;
    let axes = axes(tape, step)?;
    let product = tape.node("Mul", &[&gradient.name, step.output()], vec![]);
    let total = tape.reduce("ReduceSum", &product, &axes, true);
    let rest = tape.node("Sub", &[&gradient.name, &total], vec![]);
    let result = tape.node("Mul", &[&rest, step.output()], vec![]);
    tape.give(step.input(0), gradient.with(result));
    Ok(())
}

/// `dx = g - exp(y) Σ g`
pub(super) fn log_softmax(tape: &mut Tape<'_>, step: &Step) -> Result<()> {
    let gradient: Gradient = output_gradient(tape, step)?;
    let axes = axes(tape, step)?;
    let total = tape.reduce("ReduceSum", &gradient.name, &axes, true);
    let shares = tape.node("Exp", &[step.output()], vec![]);
    let product = tape.node("Mul", &[&shares, &total], vec![]);
    let result = tape.node("Sub", &[&gradient.name, &product], vec![]);
    tape.give(step.input(0), gradient.with(result));
    Ok(())
}
