//! Rules of operators that select elements: Where, Concat, Split, Gather.

use super::scatter;
use crate::autodiff::emit::{Emitter, axis_of, refused};
use crate::autodiff::tape::{Gradient, Step, Tape};
use crate::error::Result;
use crate::graph::{Dim, attr, attribute_int};

/// Each side gets the gradient where it was selected, and zero elsewhere.
pub(super) fn r#where(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    let gradient = step.gradient()?;
    let zero = emit.scalar_like(step.output(), 0.0);
    for index in [1, 2] {
        if !tape.wants(step, index) {
            continue;
        }
        let condition = step.input(0);
        let sides = if index == 1 {
            [condition, &gradient.name, &zero]
        } else {
            [condition, &zero, &gradient.name]
        };
        let chosen = emit.node("Where", &sides, vec![]);
        let part = emit.unbroadcast(&chosen, step.output(), step.input(index))?;
        tape.give(step.input(index), gradient.with(part));
    }
    Ok(())
}

/// Each input gets its slice of the gradient.
pub(super) fn concat(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    let gradient = step.gradient()?;
    let rank = emit.rank(step.output())?;
    let axis = axis_of(attribute_int(&step.node, "axis").unwrap_or(0), rank)?;
    let mut start = Some(0);
    let mut before: Vec<usize> = Vec::new();
    for index in 0..step.node.input.len() {
        let name = step.input(index);
        let size = emit.dims(name)?.get(axis).and_then(Dim::known);
        let end = start.zip(size).and_then(|(start, size): (i64, i64)| start.checked_add(size));
        if tape.wants(step, index) {
            let part = match (start, end) {
                (Some(start), Some(end)) => emit.slice(&gradient.name, axis as i64, start, end),
                _ => {
                    let start = run_time_end(emit, step, axis, &before);
                    let size = run_time_end(emit, step, axis, &[index]);
                    let end = emit.node("Add", &[&start, &size], vec![]);
                    let axis = emit.ints(&[axis as i64]);
                    emit.node("Slice", &[&gradient.name, &start, &end, &axis], vec![])
                }
            };
            tape.give(name, gradient.with(part));
        }
        before.push(index);
        start = end;
    }
    Ok(())
}

/// The number of elements that some inputs have along an axis, at run time.
fn run_time_end(emit: &mut Emitter<'_>, step: &Step, axis: usize, inputs: &[usize]) -> String {
    let axis = emit.ints(&[axis as i64]);
    let mut total = emit.ints(&[0]);
    for &index in inputs {
        let sizes = emit.sizes_of(step.input(index));
        let size = emit.node("Gather", &[&sizes, &axis], vec![]);
        total = emit.node("Add", &[&total, &size], vec![]);
    }
    total
}

/// The gradients of the pieces are concatenated; a piece without one counts as zeros.
pub(super) fn split(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    let axis = attribute_int(&step.node, "axis").unwrap_or(0);
    let mut pieces = Vec::new();
    for (name, gradient) in step.node.output.iter().zip(&step.gradients) {
        pieces.push(match gradient {
            Some(gradient) => gradient.plain(emit, name),
            None if name.is_empty() => {
                return Err(refused("one of its outputs has no name"));
            }
            None => {
                let zero = emit.scalar_like(name, 0.0);
                let sizes = emit.sizes_of(name);
                emit.node("Expand", &[&zero, &sizes], vec![])
            }
        });
    }
    let inputs: Vec<&str> = pieces.iter().map(String::as_str).collect();
    let whole = emit.node("Concat", &inputs, vec![attr::int("axis", axis)]);
    tape.give(step.input(0), Gradient { name: whole, factor: 1.0 });
    Ok(())
}

/// The gradient of the data. For one constant index it is a product with a one-hot row, which the
/// runtime fuses with what follows; all other indices are scattered.
pub(super) fn gather(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    let gradient = step.gradient()?;
    let rank = emit.rank(step.input(0))?;
    let axis = axis_of(attribute_int(&step.node, "axis").unwrap_or(0), rank)?;
    let indices = emit.constant_ints(step.input(1));
    let indices_rank = emit.rank(step.input(1))?;
    let (Some(&[index]), 0..=1) = (indices.as_deref(), indices_rank) else {
        return scatter::gather(emit, tape, step);
    };
    let mut chosen = gradient.name.clone();
    if indices_rank == 0 {
        chosen = emit.change_axes("Unsqueeze", &chosen, &[axis as i64]);
    }
    let sizes = emit.sizes_of(step.input(0));
    let [axis_scalar, zero, one, index_scalar] =
        [axis as i64, 0, 1, index].map(|value| emit.int(value));
    let size = emit.node("Gather", &[&sizes, &axis_scalar], vec![]);
    let place =
        if index < 0 { emit.node("Add", &[&size, &index_scalar], vec![]) } else { index_scalar };
    let places = emit.node("Range", &[&zero, &size, &one], vec![]);
    let is_chosen = emit.node("Equal", &[&places, &place], vec![]);
    let to = emit.data_type(step.input(0));
    let mut mask = emit.cast(&is_chosen, to);
    let trailing: Vec<i64> = (1..(rank - axis) as i64).collect();
    if !trailing.is_empty() {
        mask = emit.change_axes("Unsqueeze", &mask, &trailing);
    }
    let spread = emit.node("Mul", &[&chosen, &mask], vec![]);
    tape.give(step.input(0), gradient.with(spread));
    Ok(())
}
