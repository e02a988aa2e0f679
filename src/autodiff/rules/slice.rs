//! Slice, with any starts and steps.
//!
//! Where a step is one and the start a constant, the gradient gets zeros around it. Along every
//! other axis the kept places are listed when the graph runs, and the gradient is spread to them.

use super::output_gradient;
use super::scatter::{Choice, spread};
use crate::autodiff::tape::{Step, Tape};
use crate::error::Result;
use crate::graph::{attr, data_type};

/// The bounds of one axis.
struct Bound {
    axis: usize,
    /// Where it stands among the bounds.
    position: usize,
    /// The start, if it is a constant and the step is one.
    start: Option<i64>,
    step: i64,
}

pub(super) fn slice(tape: &mut Tape<'_>, step: &Step) -> Result<()> {
    let gradient = output_gradient(tape, step)?;
    let bounds = bounds(tape, step)?;
    let mut part = gradient.name.clone();
    for bound in bounds.iter().filter(|bound| bound.start.is_none()) {
        part = spread_axis(tape, step, bound, &part)?;
    }
    let spread = part != gradient.name;
    let whole = pad(tape, step, &bounds, (&part, spread))?;
    tape.give(step.input(0), gradient.with(whole));
    Ok(())
}

fn bounds(tape: &Tape<'_>, step: &Step) -> Result<Vec<Bound>> {
    let rank = tape.rank(step, step.input(0))?;
    let constant = |index: usize, what: &str| {
        let known = tape.constant_ints(step.input(index));
        known.ok_or_else(|| tape.refuse(step, &format!("the {what} are not constant")))
    };
    let starts = tape.shapes.elements(step.input(1)).map(<[_]>::to_vec);
    let lengths = [1, 2, 3, 4].map(|index| match tape.shapes.shape(step.input(index)) {
        Some([length]) => length.known(),
        _ => None,
    });
    let Some(count) = lengths.into_iter().flatten().next().map(|count| count as usize) else {
        return Err(tape.refuse(step, "how many axes are cut is not known"));
    };
    let axes = match step.input(3) {
        "" => (0..count as i64).collect(),
        _ => constant(3, "axes")?,
    };
    let steps = match step.input(4) {
        "" => vec![1; count],
        _ => constant(4, "steps")?,
    };
    if axes.len() != count || steps.len() != count {
        return Err(tape.refuse(step, "starts, axes and steps are not equally many"));
    }
    let mut bounds = Vec::with_capacity(count);
    for (position, (&axis, &stride)) in axes.iter().zip(&steps).enumerate() {
        let axis = tape.axis(step, axis, rank)?;
        let known = starts.as_ref().and_then(|starts| starts.get(position)?.known());
        let start = known.filter(|_| stride == 1);
        bounds.push(Bound { axis, position, start, step: stride });
    }
    Ok(bounds)
}

/// Undoes the cut along one axis; the others stay as they are.
fn spread_axis(tape: &mut Tape<'_>, step: &Step, bound: &Bound, part: &str) -> Result<String> {
    let data = step.input(0);
    let rank = tape.rank(step, data)?;
    let whole = tape.sizes_of(data);
    let [axis, zero, one] =
        [bound.axis as i64, 0, 1].map(|value| tape.builder.constant_i64_scalar(value));
    let size = tape.node("Gather", &[&whole, &axis], vec![]);
    let places = tape.node("Range", &[&zero, &size, &one], vec![]);
    let position = tape.builder.constant_i64(&[bound.position as i64]);
    let [start, end] = [1, 2].map(|index| {
        let to_int = vec![attr::int("to", data_type::INT64.into())];
        let all = tape.node("Cast", &[step.input(index)], to_int);
        tape.node("Gather", &[&all, &position], vec![])
    });
    let first = tape.builder.constant_i64(&[0]);
    let stride = tape.builder.constant_i64(&[bound.step]);
    let kept = tape.node("Slice", &[&places, &start, &end, &first, &stride], vec![]);
    let found = tape.node("Shape", &[part], vec![]);
    let is_axis = (0..rank).map(|axis| u8::from(axis == bound.axis)).collect();
    let is_axis = tape.builder.constant(data_type::BOOL, &[rank as i64], is_axis);
    let sizes = tape.node("Where", &[&is_axis, &whole, &found], vec![]);
    let choice = Choice {
        gradient: part,
        rank,
        indices: &kept,
        indices_rank: 1,
        axis: bound.axis,
        sizes: &sizes,
        data_type: tape.data_type(data),
    };
    Ok(spread(tape, &choice))
}

/// Puts zeros around what was cut with a constant start and a step of one.
fn pad(
    tape: &mut Tape<'_>,
    step: &Step,
    bounds: &[Bound],
    (part, spread): (&str, bool),
) -> Result<String> {
    let rank = tape.rank(step, step.input(0))?;
    // A negative start counts from the end, whose place is known only when the graph runs.
    let (mut start, mut from_end) = (vec![0; rank], vec![0; rank]);
    for bound in bounds {
        if let Some(value) = bound.start {
            start[bound.axis] = value;
            from_end[bound.axis] = i64::from(value < 0);
        }
    }
    if bounds.iter().all(|bound| bound.start.is_none()) {
        return Ok(part.to_owned());
    }
    let sizes = tape.sizes_of(step.input(0));
    let sliced = match spread {
        true => tape.node("Shape", &[part], vec![]),
        false => tape.sizes_of(step.output()),
    };
    let mut before = tape.builder.constant_i64(&start);
    if from_end.contains(&1) {
        let from_end = tape.builder.constant_i64(&from_end);
        let end = tape.node("Mul", &[&sizes, &from_end], vec![]);
        let place = tape.node("Add", &[&before, &end], vec![]);
        // Max of integers exists from opset 12 on.
        let zero = tape.builder.constant_i64(&[0]);
        let outside = tape.node("Less", &[&place, &zero], vec![]);
        before = tape.node("Where", &[&outside, &zero, &place], vec![]);
    }
    let rest = tape.node("Sub", &[&sizes, &sliced], vec![]);
    let after = tape.node("Sub", &[&rest, &before], vec![]);
    let pads = tape.node("Concat", &[&before, &after], vec![attr::int("axis", 0)]);
    Ok(tape.node("Pad", &[part, &pads], vec![]))
}
