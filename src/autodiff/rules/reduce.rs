//! Rules of reductions over any axes, given as attribute or input.

use crate::autodiff::emit::{
    Emitter, OPSET_AXES_AS_INPUT, OPSET_REDUCE_AXES_AS_INPUT, axis_of, refused,
};
use crate::autodiff::tape::{Gradient, Step, Tape};
use crate::error::Result;
use crate::graph::{Dim, attr, attribute_int, attribute_ints};

/// Every element of the input gets the gradient of its sum.
pub(super) fn sum(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    let gradient = step.gradient()?;
    let axes = axes(emit, step, OPSET_AXES_AS_INPUT)?;
    let spread = spread(emit, step, &gradient.name, &axes);
    tape.give(step.input(0), gradient.with(spread));
    Ok(())
}

/// The gradient of the sum, divided by the number of elements.
pub(super) fn mean(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    let gradient = step.gradient()?;
    let axes = axes(emit, step, OPSET_REDUCE_AXES_AS_INPUT)?;
    let dims = emit.dims(step.input(0))?;
    let known: Option<Vec<i64>> = axes.iter().map(|&axis| dims[axis as usize].known()).collect();
    if let Some(sizes) = known {
        let count: f64 = sizes.iter().map(|&size| size as f64).product();
        let spread = spread(emit, step, &gradient.name, &axes);
        tape.give(step.input(0), gradient.with(spread).scaled(1.0 / count.max(1.0)));
        return Ok(());
    }
    let count = element_count(emit, step, &axes, &dims);
    let share = emit.node("Div", &[&gradient.name, &count], vec![]);
    let spread = spread(emit, step, &share, &axes);
    tape.give(step.input(0), gradient.with(spread));
    Ok(())
}

/// The elements that equal the extremum share its gradient equally.
pub(super) fn extremum(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    let (gradient, axes) = restored(emit, step)?;
    let extremum = unreduced(emit, step, step.output(), &axes);
    let x = step.input(0);
    let equal = emit.node("Equal", &[x, &extremum], vec![]);
    let to = emit.data_type(x);
    let mask = emit.cast(&equal, to);
    let count = match axes.is_empty() {
        true => mask.clone(),
        false => emit.reduce("ReduceSum", &mask, &axes, true),
    };
    let share = emit.node("Div", &[&gradient.name, &count], vec![]);
    let part = emit.node("Mul", &[&mask, &share], vec![]);
    tape.give(x, gradient.with(part));
    Ok(())
}

/// The root of the sum of squares: `dx = g x / y`, and zero where the root is zero.
pub(super) fn l2(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    let (gradient, axes) = restored(emit, step)?;
    let root = unreduced(emit, step, step.output(), &axes);
    let zero = emit.scalar_like(step.output(), 0.0);
    let is_zero = emit.node("Equal", &[&root, &zero], vec![]);
    let ratio = emit.node("Div", &[&gradient.name, &root], vec![]);
    let ratio = emit.node("Where", &[&is_zero, &zero, &ratio], vec![]);
    let part = emit.node("Mul", &[step.input(0), &ratio], vec![]);
    tape.give(step.input(0), gradient.with(part));
    Ok(())
}

/// `dx = 2 g x`
pub(super) fn sum_square(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    let (gradient, _) = restored(emit, step)?;
    let part = emit.node("Mul", &[step.input(0), &gradient.name], vec![]);
    tape.give(step.input(0), gradient.with(part).scaled(2.0));
    Ok(())
}

/// `dx = g sign(x)`
pub(super) fn l1(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    let (gradient, _) = restored(emit, step)?;
    let sign = emit.node("Sign", &[step.input(0)], vec![]);
    let part = emit.node("Mul", &[&sign, &gradient.name], vec![]);
    tape.give(step.input(0), gradient.with(part));
    Ok(())
}

/// `dx = g exp(x - y)`
pub(super) fn log_sum_exp(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    let (gradient, axes) = restored(emit, step)?;
    let total = unreduced(emit, step, step.output(), &axes);
    let shifted = emit.node("Sub", &[step.input(0), &total], vec![]);
    let share = emit.node("Exp", &[&shifted], vec![]);
    let part = emit.node("Mul", &[&share, &gradient.name], vec![]);
    tape.give(step.input(0), gradient.with(part));
    Ok(())
}

/// The number of elements in one mean, at run time.
fn element_count(emit: &mut Emitter<'_>, step: &Step, axes: &[i64], dims: &[Dim]) -> String {
    let sizes = emit.sizes_of(step.input(0));
    let reduced = if axes.len() == dims.len() {
        sizes
    } else {
        let axes = emit.ints(axes);
        emit.node("Gather", &[&sizes, &axes], vec![])
    };
    let count = emit.node("ReduceProd", &[&reduced], vec![attr::int("keepdims", 0)]);
    let to = emit.data_type(step.input(0));
    emit.cast(&count, to)
}

/// The gradient with its reduced axes restored, and these axes.
fn restored(emit: &mut Emitter<'_>, step: &Step) -> Result<(Gradient, Vec<i64>)> {
    let gradient = step.gradient()?;
    let axes = axes(emit, step, OPSET_REDUCE_AXES_AS_INPUT)?;
    Ok((gradient.with(unreduced(emit, step, &gradient.name, &axes)), axes))
}

/// Repeats a gradient of the reduced tensor over the reduced axes.
fn spread(emit: &mut Emitter<'_>, step: &Step, gradient: &str, axes: &[i64]) -> String {
    let gradient = unreduced(emit, step, gradient, axes);
    let sizes = emit.sizes_of(step.input(0));
    emit.node("Expand", &[&gradient, &sizes], vec![])
}

/// Restores the reduced axes of a reduced tensor, each of size 1.
fn unreduced(emit: &mut Emitter<'_>, step: &Step, tensor: &str, axes: &[i64]) -> String {
    let keep = attribute_int(&step.node, "keepdims").unwrap_or(1) != 0;
    if keep || axes.is_empty() {
        return tensor.to_owned();
    }
    emit.change_axes("Unsqueeze", tensor, axes)
}

/// The reduced axes in ascending order.
fn axes(emit: &Emitter<'_>, step: &Step, opset_as_input: i64) -> Result<Vec<i64>> {
    let rank = emit.rank(step.input(0))?;
    let stated = if emit.opset() < opset_as_input {
        attribute_ints(&step.node, "axes").map(<[i64]>::to_vec)
    } else if step.input(1).is_empty() {
        None
    } else {
        let known = emit.constant_ints(step.input(1));
        Some(known.ok_or_else(|| refused("the axes are not constant"))?)
    };
    let stated = stated.unwrap_or_default();
    if stated.is_empty() {
        let nothing = attribute_int(&step.node, "noop_with_empty_axes").unwrap_or(0) != 0;
        return Ok(if nothing { Vec::new() } else { (0..rank as i64).collect() });
    }
    let from_front = |&axis: &i64| Ok(axis_of(axis, rank)? as i64);
    let mut axes: Vec<i64> = stated.iter().map(from_front).collect::<Result<_>>()?;
    axes.sort_unstable();
    axes.dedup();
    Ok(axes)
}
