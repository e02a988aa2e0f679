//! Rules of Softmax and LogSoftmax.
//!
//! Before opset 13 they normalize over all axes from `axis` on as one.

use crate::autodiff::emit::{Emitter, axis_of};
use crate::autodiff::tape::{Gradient, Step, Tape};
use crate::error::Result;
use crate::graph::attribute_int;

/// First opset in which the operators normalize over one axis.
const OPSET_ONE_AXIS: i64 = 13;

/// The axes that are normalized over.
fn axes(emit: &Emitter<'_>, step: &Step) -> Result<Vec<i64>> {
    let stated = attribute_int(&step.node, "axis");
    if emit.opset() >= OPSET_ONE_AXIS {
        return Ok(vec![stated.unwrap_or(-1)]);
    }
    let rank = emit.rank(step.input(0))?;
    let first = axis_of(stated.unwrap_or(1), rank)?;
    Ok((first as i64..rank as i64).collect())
}

/// `dx = y (g - Σ g y)`
pub(super) fn softmax(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    let gradient = step.gradient()?;
    let axes = axes(emit, step)?;
    let product = emit.node("Mul", &[&gradient.name, step.output()], vec![]);
    let total = emit.reduce("ReduceSum", &product, &axes, true);
    let rest = emit.node("Sub", &[&gradient.name, &total], vec![]);
    let result = emit.node("Mul", &[&rest, step.output()], vec![]);
    tape.give(step.input(0), gradient.with(result));
    Ok(())
}

/// `dx = g - exp(y) Σ g`
pub(super) fn log_softmax(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    let gradient: Gradient = step.gradient()?;
    let axes = axes(emit, step)?;
    let total = emit.reduce("ReduceSum", &gradient.name, &axes, true);
    let shares = emit.node("Exp", &[step.output()], vec![]);
    let product = emit.node("Mul", &[&shares, &total], vec![]);
    let result = emit.node("Sub", &[&gradient.name, &product], vec![]);
    tape.give(step.input(0), gradient.with(result));
    Ok(())
}
