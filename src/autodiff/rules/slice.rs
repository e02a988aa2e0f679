//! The rule of Slice, with any starts and steps.
//!
//! Where the step is one and the start is constant, the gradient is padded with zeros. Along every
//! other axis the kept positions are listed at run time, and the gradient is scattered to them.

use super::scatter::{Choice, spread};
use crate::autodiff::emit::{Emitter, axis_of, refused};
use crate::autodiff::tape::{Step, Tape};
use crate::error::Result;
use crate::graph::{attr, data_type};

struct Bound {
    axis: usize,
    /// Its position in the list of bounds.
    position: usize,
    /// The start, if it is a constant and the step is one.
    start: Option<i64>,
    step: i64,
}

pub(super) fn slice(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    let gradient = step.gradient()?;
    let bounds = bounds(emit, step)?;
    let mut part = gradient.name.clone();
    for bound in bounds.iter().filter(|bound| bound.start.is_none()) {
        part = spread_axis(emit, step, bound, &part)?;
    }
    let spread = part != gradient.name;
    let whole = pad(emit, step, &bounds, (&part, spread))?;
    tape.give(step.input(0), gradient.with(whole));
    Ok(())
}

fn bounds(emit: &Emitter<'_>, step: &Step) -> Result<Vec<Bound>> {
    let rank = emit.rank(step.input(0))?;
    let constant = |index: usize, what: &str| {
        let known = emit.constant_ints(step.input(index));
        known.ok_or_else(|| refused(format!("the {what} are not constant")))
    };
    let starts = emit.shapes().elements(step.input(1)).map(<[_]>::to_vec);
    let lengths = [1, 2, 3, 4].map(|index| match emit.shapes().shape(step.input(index)) {
        Some([length]) => length.known(),
        _ => None,
    });
    let count = lengths.into_iter().flatten().next().and_then(|count| usize::try_from(count).ok());
    let Some(count) = count.filter(|count| *count <= rank) else {
        return Err(refused("how many axes are cut is not known"));
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
        return Err(refused("starts, axes and steps are not equally many"));
    }
    let mut bounds = Vec::with_capacity(count);
    for (position, (&axis, &stride)) in axes.iter().zip(&steps).enumerate() {
        let axis = axis_of(axis, rank)?;
        let known = starts.as_ref().and_then(|starts| starts.get(position)?.known());
        let start = known.filter(|_| stride == 1);
        bounds.push(Bound { axis, position, start, step: stride });
    }
    Ok(bounds)
}

/// Undoes the slice along one axis; the other axes stay as they are.
fn spread_axis(emit: &mut Emitter<'_>, step: &Step, bound: &Bound, part: &str) -> Result<String> {
    let data = step.input(0);
    let rank = emit.rank(data)?;
    let whole = emit.sizes_of(data);
    let [axis, zero, one] = [bound.axis as i64, 0, 1].map(|value| emit.int(value));
    let size = emit.node("Gather", &[&whole, &axis], vec![]);
    let places = emit.node("Range", &[&zero, &size, &one], vec![]);
    let position = emit.ints(&[bound.position as i64]);
    let [start, end] = [1, 2].map(|index| {
        let to_int = vec![attr::int("to", data_type::INT64.into())];
        let all = emit.node("Cast", &[step.input(index)], to_int);
        emit.node("Gather", &[&all, &position], vec![])
    });
    let first = emit.ints(&[0]);
    let stride = emit.ints(&[bound.step]);
    let kept = emit.node("Slice", &[&places, &start, &end, &first, &stride], vec![]);
    let found = emit.node("Shape", &[part], vec![]);
    let is_axis = (0..rank).map(|axis| u8::from(axis == bound.axis)).collect();
    let is_axis = emit.constant(data_type::BOOL, &[rank as i64], is_axis);
    let sizes = emit.node("Where", &[&is_axis, &whole, &found], vec![]);
    let choice = Choice {
        gradient: part,
        rank,
        indices: &kept,
        indices_rank: 1,
        axis: bound.axis,
        sizes: &sizes,
        data_type: emit.data_type(data),
    };
    Ok(spread(emit, &choice))
}

/// Pads axes that were sliced with a constant start and a step of one.
fn pad(
    emit: &mut Emitter<'_>,
    step: &Step,
    bounds: &[Bound],
    (part, spread): (&str, bool),
) -> Result<String> {
    let rank = emit.rank(step.input(0))?;
    // A negative start counts from the end, whose position is known only at run time.
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
    let sizes = emit.sizes_of(step.input(0));
    let sliced = match spread {
        true => emit.node("Shape", &[part], vec![]),
        false => emit.sizes_of(step.output()),
    };
    let mut before = emit.ints(&start);
    if from_end.contains(&1) {
        let from_end = emit.ints(&from_end);
        let end = emit.node("Mul", &[&sizes, &from_end], vec![]);
        let place = emit.node("Add", &[&before, &end], vec![]);
        // Max of integers exists from opset 12 on.
        let zero = emit.ints(&[0]);
        let outside = emit.node("Less", &[&place, &zero], vec![]);
        before = emit.node("Where", &[&outside, &zero, &place], vec![]);
    }
    let rest = emit.node("Sub", &[&sizes, &sliced], vec![]);
    let after = emit.node("Sub", &[&rest, &before], vec![]);
    let pads = emit.node("Concat", &[&before, &after], vec![attr::int("axis", 0)]);
    Ok(emit.node("Pad", &[part, &pads], vec![]))
}
