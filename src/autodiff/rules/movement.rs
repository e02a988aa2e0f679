//! Rules of operators that move or copy elements without changing them: Reshape and similar ones,
//! Transpose, Expand, Tile, Pad, Trilu, CumSum, Identity, Dropout at inference, Cast between
//! floats.

use crate::autodiff::emit::{Emitter, axis_of, refused};
use crate::autodiff::tape::{Step, Tape};
use crate::error::Result;
use crate::graph::{attr, attribute_int, attribute_ints, attribute_string, data_type};

pub(super) fn identity(_: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    let gradient = step.gradient()?;
    tape.give(step.input(0), gradient);
    Ok(())
}

/// Dropout is the identity unless its third input, from opset 12 on, selects training mode.
pub(super) fn dropout(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    let training = step.input(2);
    if !training.is_empty() && emit.constant_ints(training).as_deref() != Some(&[0]) {
        return Err(refused("it may be in training mode"));
    }
    identity(emit, tape, step)
}

pub(super) fn cast(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    let gradient = step.gradient()?;
    let from = emit.data_type(step.input(0));
    if data_type::is_integer(from) {
        // Quantised values before they are scaled; their gradient is a float tensor already.
        tape.give(step.input(0), gradient);
        return Ok(());
    }
    if !matches!(from, data_type::FLOAT | data_type::DOUBLE) {
        let why = format!("its input has the type {}", data_type::name(from));
        return Err(refused(why));
    }
    let back = emit.cast(&gradient.name, from);
    tape.give(step.input(0), gradient.with(back));
    Ok(())
}

/// Reshape, Flatten, Squeeze and Unsqueeze: the gradient is reshaped to the sizes of the input.
pub(super) fn reshape(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    let gradient = step.gradient()?;
    let from = emit.shapes().shape(step.output()).map(<[_]>::to_vec);
    let back = emit.reshape_like(&gradient.name, from.as_deref(), step.input(0));
    tape.give(step.input(0), gradient.with(back));
    Ok(())
}

pub(super) fn transpose(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    let gradient = step.gradient()?;
    let axes = match attribute_ints(&step.node, "perm") {
        Some(axes) => axes.to_vec(),
        None => (0..emit.rank(step.input(0))? as i64).rev().collect(),
    };
    let mut inverse = vec![0; axes.len()];
    for (to, &from) in axes.iter().enumerate() {
        inverse[axis_of(from, axes.len())?] = to as i64;
    }
    let back = emit.transpose(&gradient.name, &inverse);
    tape.give(step.input(0), gradient.with(back));
    Ok(())
}

/// The gradients of all copies of an element are summed.
pub(super) fn expand(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    let gradient = step.gradient()?;
    let back = emit.unbroadcast(&gradient.name, step.output(), step.input(0))?;
    tape.give(step.input(0), gradient.with(back));
    Ok(())
}

/// The copies become a separate axis before each axis and are summed over.
pub(super) fn tile(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    let gradient = step.gradient()?;
    let rank = emit.rank(step.input(0))? as i64;
    if rank == 0 {
        tape.give(step.input(0), gradient);
        return Ok(());
    }
    let sizes = emit.sizes_of(step.input(0));
    let repeats = emit.change_axes("Unsqueeze", step.input(1), &[1]);
    let sizes = emit.change_axes("Unsqueeze", &sizes, &[1]);
    let pairs = emit.node("Concat", &[&repeats, &sizes], vec![attr::int("axis", 1)]);
    let flat = emit.ints(&[-1]);
    let pairs = emit.node("Reshape", &[&pairs, &flat], vec![]);
    let apart = emit.node("Reshape", &[&gradient.name, &pairs], vec![]);
    let copies: Vec<i64> = (0..rank).map(|axis| 2 * axis).collect();
    let total = emit.reduce("ReduceSum", &apart, &copies, false);
    tape.give(step.input(0), gradient.with(total));
    Ok(())
}

/// Padding is cut off the gradient, and elements that were cut off get zeros.
pub(super) fn pad(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    let gradient = step.gradient()?;
    let mode = attribute_string(&step.node, "mode").unwrap_or("constant");
    if mode != "constant" {
        return Err(refused(format!("its mode is {mode:?}")));
    }
    if tape.wants(step, 2) {
        return Err(refused("the value put around needs a gradient"));
    }
    let back = emit.node("Neg", &[step.input(1)], vec![]);
    let mut inputs = vec![gradient.name.as_str(), &back];
    if !step.input(3).is_empty() {
        inputs.extend(["", step.input(3)]);
    }
    let part = emit.node("Pad", &inputs, vec![]);
    tape.give(step.input(0), gradient.with(part));
    Ok(())
}

/// The same triangle of the gradient.
pub(super) fn trilu(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    let gradient = step.gradient()?;
    let upper = vec![attr::int("upper", attribute_int(&step.node, "upper").unwrap_or(1))];
    let mut inputs = vec![gradient.name.as_str()];
    if !step.input(1).is_empty() {
        inputs.push(step.input(1));
    }
    let part = emit.node("Trilu", &inputs, upper);
    tape.give(step.input(0), gradient.with(part));
    Ok(())
}

/// An element is in all sums from its position on, so its gradient is their sum, from the other
/// end.
pub(super) fn cum_sum(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    let gradient = step.gradient()?;
    let flag = |name: &str| attribute_int(&step.node, name).unwrap_or(0);
    let options = vec![
        attr::int("exclusive", flag("exclusive")),
        attr::int("reverse", i64::from(flag("reverse") == 0)),
    ];
    let part = emit.node("CumSum", &[&gradient.name, step.input(1)], options);
    tape.give(step.input(0), gradient.with(part));
    Ok(())
}
