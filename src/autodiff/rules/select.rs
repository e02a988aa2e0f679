//! Operators that choose elements: Where, Concat, Split, Slice, Gather.

use super::output_gradient;
use crate::autodiff::tape::{Gradient, Step, Tape};
use crate::error::Result;
use crate::graph::{attr, attribute_int};

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
    let mut sizes = Vec::new();
    for name in &step.node.input {
        let size = tape.dims(step, name)?.get(axis).and_then(|dim| dim.known());
        let why = format!("the size of {name:?} along axis {axis} is not known");
        sizes.push(size.ok_or_else(|| tape.refuse(step, &why))?);
    }
    let mut start = 0;
    for (index, size) in sizes.iter().enumerate() {
        if tape.wants(step, index) {
            let part = slice_of(tape, &gradient.name, axis, start, start + size);
            tape.give(step.input(index), gradient.with(part));
        }
        start += size;
    }
    Ok(())
}

fn slice_of(tape: &mut Tape<'_>, tensor: &str, axis: usize, start: i64, end: i64) -> String {
    let [start, end, axis] = [start, end, axis as i64].map(|v| tape.builder.constant_i64(&[v]));
    tape.node("Slice", &[tensor, &start, &end, &axis], vec![])
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

/// The gradient with zeros around it, where the steps are 1 and the starts constant.
pub(super) fn slice(tape: &mut Tape<'_>, step: &Step) -> Result<()> {
    let gradient = output_gradient(tape, step)?;
    let rank = tape.rank(step, step.input(0))?;
    let constant = |index: usize, what: &str| {
        let known = tape.constant_ints(step.input(index));
        known.ok_or_else(|| tape.refuse(step, &format!("the {what} are not constant")))
    };
    let starts = constant(1, "starts")?;
    let axes = match step.input(3) {
        "" => (0..starts.len() as i64).collect(),
        _ => constant(3, "axes")?,
    };
    if !step.input(4).is_empty() && constant(4, "steps")?.iter().any(|&stride| stride != 1) {
        return Err(tape.refuse(step, "a step is not 1"));
    }
    // A negative start counts from the end, whose place is known only when the graph runs.
    let (mut start, mut from_end) = (vec![0; rank], vec![0; rank]);
    for (&axis, &value) in axes.iter().zip(&starts) {
        let axis = tape.axis(step, axis, rank)?;
        start[axis] = value;
        from_end[axis] = i64::from(value < 0);
    }
    let sizes = tape.sizes_of(step.input(0));
    let sliced = tape.sizes_of(step.output());
    let mut before = tape.builder.constant_i64(&start);
    if from_end.contains(&1) {
        let from_end = tape.builder.constant_i64(&from_end);
        let end = tape.node("Mul", &[&sizes, &from_end], vec![]);
        let place = tape.node("Add", &[&before, &end], vec![]);
        let zero = tape.builder.constant_i64(&[0]);
        before = tape.node("Max", &[&place, &zero], vec![]);
    }
    let rest = tape.node("Sub", &[&sizes, &sliced], vec![]);
    let after = tape.node("Sub", &[&rest, &before], vec![]);
    let pads = tape.node("Concat", &[&before, &after], vec![attr::int("axis", 0)]);
    let whole = tape.node("Pad", &[&gradient.name, &pads], vec![]);
    tape.give(step.input(0), gradient.with(whole));
    Ok(())
}

/// The gradient of the data, where the index is one constant number.
pub(super) fn gather(tape: &mut Tape<'_>, step: &Step) -> Result<()> {
    let gradient = output_gradient(tape, step)?;
    let rank = tape.rank(step, step.input(0))?;
    let axis = tape.axis(step, attribute_int(&step.node, "axis").unwrap_or(0), rank)?;
    let indices = tape.constant_ints(step.input(1));
    let Some(&[index]) = indices.as_deref() else {
        return Err(tape.refuse(step, "the indices are not one constant number"));
    };
    let mut chosen = gradient.name.clone();
    match tape.rank(step, step.input(1))? {
        0 => chosen = tape.change_axes("Unsqueeze", &chosen, &[axis as i64]),
        1 => {}
        _ => return Err(tape.refuse(step, "the indices have more than one axis")),
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
