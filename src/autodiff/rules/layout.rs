//! Operators that move or copy elements and change none: Reshape and its kin, Transpose, Expand,
//! Identity, Dropout at inference, Cast between floats.

use super::output_gradient;
use crate::autodiff::tape::{Step, Tape};
use crate::error::Result;
use crate::graph::{attr, attribute_ints, data_type};

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
