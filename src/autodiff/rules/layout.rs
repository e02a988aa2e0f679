//! Operators that move or copy elements and change none: Reshape and its kin, Transpose, Expand,
//! Tile, Pad, Trilu, CumSum, Identity, Dropout at inference, Cast between floats.

use super::output_gradient;
use crate::autodiff::tape::{Step, Tape};
use crate::error::Result;
use crate::graph::{attr, attribute_int, attribute_ints, attribute_string, data_type};

pub(super) fn identity(tape: &mut Tape<'_>, step: &Step) -> Result<()> {
    let gradient = output_gradient(tape, step)?;
    tape.give(step.input(0), gradient);
    Ok(())
}

/// Dropout does nothing unless its third input, from opset 12 on, asks for training.
pub(super) fn dropout(tape: &mut Tape<'_>, step: &Step) -> Result<()> {
    let training = step.input(2);
    if !training.is_empty() && tape.constant_ints(training).as_deref() != Some(&[0]) {
        return Err(tape.refuse(step, "it may be in training mode"));
    }
    identity(tape, step)
}

pub(super) fn cast(tape: &mut Tape<'_>, step: &Step) -> Result<()> {
    let gradient = output_gradient(tape, step)?;
    let from = tape.data_type(step.input(0));
    if data_type::is_integer(from) {
        // Codes on their way to be scaled; their gradient is a float tensor already.
        tape.give(step.input(0), gradient);
        return Ok(());
    }
    if !matches!(from, data_type::FLOAT | data_type::DOUBLE) {
        let why = format!("its input has the type {}", data_type::name(from));
        return Err(tape.refuse(step, &why));
    }
    let back = tape.node("Cast", &[&gradient.name], vec![attr::int("to", from.into())]);
    tape.give(step.input(0), gradient.with(back));
    Ok(())
}

/// Reshape, Flatten, Squeeze and Unsqueeze: the gradient gets the sizes of the input back.
pub(super) fn reshape(tape: &mut Tape<'_>, step: &Step) -> Result<()> {
    let gradient = output_gradient(tape, step)?;
    let from = tape.shapes.shape(step.output()).map(<[_]>::to_vec);
    let back = tape.reshape_like(&gradient.name, from.as_deref(), step.input(0));
    tape.give(step.input(0), gradient.with(back));
    Ok(())
}

pub(super) fn transpose(tape: &mut Tape<'_>, step: &Step) -> Result<()> {
    let gradient = output_gradient(tape, step)?;
    let axes = match attribute_ints(&step.node, "perm") {
        Some(axes) => axes.to_vec(),
        None => (0..tape.rank(step, step.input(0))? as i64).rev().collect(),
    };
    let mut inverse = vec![0; axes.len()];
    for (to, &from) in axes.iter().enumerate() {
        inverse[tape.axis(step, from, axes.len())?] = to as i64;
    }
    let back = tape.transpose(&gradient.name, &inverse);
    tape.give(step.input(0), gradient.with(back));
    Ok(())
}

/// The gradients of all copies of an element are summed.
pub(super) fn expand(tape: &mut Tape<'_>, step: &Step) -> Result<()> {
    let gradient = output_gradient(tape, step)?;
    let back = tape.unbroadcast(step, &gradient.name, step.input(0))?;
    tape.give(step.input(0), gradient.with(back));
    Ok(())
}

/// The copies become an axis of their own before each axis, and are summed over.
pub(super) fn tile(tape: &mut Tape<'_>, step: &Step) -> Result<()> {
    let gradient = output_gradient(tape, step)?;
    let rank = tape.rank(step, step.input(0))? as i64;
    if rank == 0 {
        tape.give(step.input(0), gradient);
        return Ok(());
    }
    let sizes = tape.sizes_of(step.input(0));
    let repeats = tape.change_axes("Unsqueeze", step.input(1), &[1]);
    let sizes = tape.change_axes("Unsqueeze", &sizes, &[1]);
    let pairs = tape.node("Concat", &[&repeats, &sizes], vec![attr::int("axis", 1)]);
    let flat = tape.builder.constant_i64(&[-1]);
    let pairs = tape.node("Reshape", &[&pairs, &flat], vec![]);
    let apart = tape.node("Reshape", &[&gradient.name, &pairs], vec![]);
    let copies: Vec<i64> = (0..rank).map(|axis| 2 * axis).collect();
    let total = tape.reduce("ReduceSum", &apart, &copies, false);
    tape.give(step.input(0), gradient.with(total));
    Ok(())
}

/// What was put around is cut off again, and what was cut off gets zeros.
pub(super) fn pad(tape: &mut Tape<'_>, step: &Step) -> Result<()> {
    let gradient = output_gradient(tape, step)?;
    let mode = attribute_string(&step.node, "mode").unwrap_or("constant");
    if mode != "constant" {
        return Err(tape.refuse(step, &format!("its mode is {mode:?}")));
    }
    if tape.wants(step, 2) {
        return Err(tape.refuse(step, "the value put around needs a gradient"));
    }
    let back = tape.node("Neg", &[step.input(1)], vec![]);
    let mut inputs = vec![gradient.name.as_str(), &back];
    if !step.input(3).is_empty() {
        inputs.extend(["", step.input(3)]);
    }
    let part = tape.node("Pad", &inputs, vec![]);
    tape.give(step.input(0), gradient.with(part));
    Ok(())
}

/// The same triangle of the gradient.
pub(super) fn trilu(tape: &mut Tape<'_>, step: &Step) -> Result<()> {
    let gradient = output_gradient(tape, step)?;
    let upper = vec![attr::int("upper", attribute_int(&step.node, "upper").unwrap_or(1))];
    let mut inputs = vec![gradient.name.as_str()];
    if !step.input(1).is_empty() {
        inputs.push(step.input(1));
    }
    let part = tape.node("Trilu", &inputs, upper);
    tape.give(step.input(0), gradient.with(part));
    Ok(())
}

/// An element is in all sums from its place on, so its gradient is their sum, from the other end.
pub(super) fn cum_sum(tape: &mut Tape<'_>, step: &Step) -> Result<()> {
    let gradient = output_gradient(tape, step)?;
    let flag = |name: &str| attribute_int(&step.node, name).unwrap_or(0);
    let options = vec![
        attr::int("exclusive", flag("exclusive")),
        attr::int("reverse", i64::from(flag("reverse") == 0)),
    ];
    let part = tape.node("CumSum", &[&gradient.name, step.input(1)], options);
    tape.give(step.input(0), gradient.with(part));
    Ok(())
}
