//! Operators that choose elements: Where, Concat, Split, Gather.

use super::{output_gradient, scatter};
use crate::autodiff::tape::{Gradient, Step, Tape};
use crate::error::Result;
use crate::graph::{Dim, attr, attribute_int};

/// Each side gets the gradient where it was chosen, and zero elsewhere.
pub(super) fn r#where(tape: &mut Tape<'_>, step: &Step) -> Result<()> {
    let gradient = output_gradient(tape, step)?;
    let zero = tape.scalar_like(step.output(), 0.0);
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
        let chosen = tape.node("Where", &sides, vec![]);
        let part = tape.unbroadcast(step, &chosen, step.input(index))?;
        tape.give(step.input(index), gradient.with(part));
    }
    Ok(())
}

/// Each input gets its slice of the gradient.
pub(super) fn concat(tape: &mut Tape<'_>, step: &Step) -> Result<()> {
    let gradient = output_gradient(tape, step)?;
    let rank = tape.rank(step, step.output())?;
    let axis = tape.axis(step, attribute_int(&step.node, "axis").unwrap_or(0), rank)?;
    let mut start = Some(0);
    let mut before: Vec<usize> = Vec::new();
    for index in 0..step.node.input.len() {
        let name = step.input(index);
        let size = tape.dims(step, name)?.get(axis).and_then(Dim::known);
        let end = start.zip(size).map(|(start, size)| start + size);
        if tape.wants(step, index) {
            let part = match (start, end) {
                (Some(start), Some(end)) => {
                    let [start, end] = [start, end].map(|v| tape.builder.constant_i64(&[v]));
                    slice_of(tape, &gradient.name, axis, (&start, &end))
                }
                _ => {
                    let start = run_time_end(tape, step, axis, &before);
                    let size = run_time_end(tape, step, axis, &[index]);
                    let end = tape.node("Add", &[&start, &size], vec![]);
                    slice_of(tape, &gradient.name, axis, (&start, &end))
                }
            };
            tape.give(name, gradient.with(part));
        }
        before.push(index);
        start = end;
    }
    Ok(())
}

/// How many elements some inputs have along an axis, when the graph runs.
fn run_time_end(tape: &mut Tape<'_>, step: &Step, axis: usize, inputs: &[usize]) -> String {
    let axis = tape.builder.constant_i64(&[axis as i64]);
    let mut total = tape.builder.constant_i64(&[0]);
    for &index in inputs {
        let sizes = tape.sizes_of(step.input(index));
        let size = tape.node("Gather", &[&sizes, &axis], vec![]);
        total = tape.node("Add", &[&total, &size], vec![]);
    }
    total
}

fn slice_of(tape: &mut Tape<'_>, tensor: &str, axis: usize, (start, end): (&str, &str)) -> String {
    let axis = tape.builder.constant_i64(&[axis as i64]);
    tape.node("Slice", &[tensor, start, end, &axis], vec![])
}

/// The gradients of the pieces are put together again; a piece without one counts as zeros.
pub(super) fn split(tape: &mut Tape<'_>, step: &Step) -> Result<()> {
    let axis = attribute_int(&step.node, "axis").unwrap_or(0);
    let mut pieces = Vec::new();
    for (name, gradient) in step.node.output.iter().zip(&step.gradients) {
        pieces.push(match gradient {
            Some(gradient) => tape.plain(name, gradient),
            None if name.is_empty() => {
                return Err(tape.refuse(step, "one of its outputs has no name"));
            }
            None => {
                let zero = tape.scalar_like(name, 0.0);
                let sizes = tape.sizes_of(name);
                tape.node("Expand", &[&zero, &sizes], vec![])
            }
        });
    }
    let inputs: Vec<&str> = pieces.iter().map(String::as_str).collect();
    let whole = tape.node("Concat", &inputs, vec![attr::int("axis", axis)]);
    tape.give(step.input(0), Gradient { name: whole, factor: 1.0 });
    Ok(())
}

/// The gradient of the data. For one constant number that is a product with zeros and a one, which
/// the runtime merges with what follows; all other indices are scattered.
pub(super) fn gather(tape: &mut Tape<'_>, step: &Step) -> Result<()> {
    let gradient = output_gradient(tape, step)?;
    let rank = tape.rank(step, step.input(0))?;
    let axis = tape.axis(step, attribute_int(&step.node, "axis").unwrap_or(0), rank)?;
    let indices = tape.constant_ints(step.input(1));
    let indices_rank = tape.rank(step, step.input(1))?;
    let (Some(&[index]), 0..=1) = (indices.as_deref(), indices_rank) else {
        return scatter::gather(tape, step);
    };
    let mut chosen = gradient.name.clone();
    if indices_rank == 0 {
        chosen = tape.change_axes("Unsqueeze", &chosen, &[axis as i64]);
    }
    let sizes = tape.sizes_of(step.input(0));
    let [axis_scalar, zero, one, index_scalar] =
        [axis as i64, 0, 1, index].map(|value| tape.builder.constant_i64_scalar(value));
    let size = tape.node("Gather", &[&sizes, &axis_scalar], vec![]);
    let place =
        if index < 0 { tape.node("Add", &[&size, &index_scalar], vec![]) } else { index_scalar };
    let places = tape.node("Range", &[&zero, &size, &one], vec![]);
    let is_chosen = tape.node("Equal", &[&places, &place], vec![]);
    let to = tape.data_type(step.input(0));
    let mut mask = tape.node("Cast", &[&is_chosen], vec![attr::int("to", to.into())]);
    let trailing: Vec<i64> = (1..(rank - axis) as i64).collect();
    if !trailing.is_empty() {
        mask = tape.change_axes("Unsqueeze", &mask, &trailing);
    }
    let spread = tape.node("Mul", &[&chosen, &mask], vec![]);
    tape.give(step.input(0), gradient.with(spread));
    Ok(())
}
