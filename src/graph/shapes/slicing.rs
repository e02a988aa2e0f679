//! The rule of `Slice` and the arithmetic of its bounds.

use super::dims;
use super::known::{Outputs, Uses};
use crate::graph::attr::attribute_ints;
use crate::graph::types::{Dim, TensorType};

/// The bounds of a `Slice`, from inputs in new operator sets and attributes in old ones.
pub(super) struct Bounds {
    pub(super) starts: Vec<Dim>,
    pub(super) ends: Vec<Dim>,
    /// The axes of the bounds; `None` means the first ones.
    pub(super) axes: Option<Vec<i64>>,
    pub(super) steps: Option<Vec<i64>>,
}

impl Bounds {
    pub(super) fn of(uses: &Uses) -> Option<Self> {
        if uses.node.input.len() == 1 {
            let numbers = |name| {
                let ints = attribute_ints(uses.node, name)?;
                Some(ints.iter().map(|&value| Dim::Known(value)).collect())
            };
            let axes = attribute_ints(uses.node, "axes").map(<[i64]>::to_vec);
            return Some(Self {
                starts: numbers("starts")?,
                ends: numbers("ends")?,
                axes,
                steps: None,
            });
        }
        let optional = |position| match uses.name(position) {
            None => Some(None),
            Some(_) => uses.ints(position).map(Some),
        };
        Some(Self {
            starts: uses.value(1)?.elements.clone(),
            ends: uses.value(2)?.elements.clone(),
            axes: optional(3)?,
            steps: optional(4)?,
        })
    }
}

pub(super) fn slice(uses: &Uses) -> Outputs {
    let shape = uses
        .shape(0)
        .map(|shape| sliced(shape, uses).unwrap_or_else(|| vec![Dim::Unknown; shape.len()]));
    vec![Some(TensorType { data_type: uses.data_type(0), shape })]
}

fn sliced(shape: &[Dim], uses: &Uses) -> Option<Vec<Dim>> {
    let bounds = Bounds::of(uses)?;
    let count = bounds.starts.len();
    let axes = bounds.axes.unwrap_or_else(|| (0..count as i64).collect());
    let steps = bounds.steps.unwrap_or_else(|| vec![1; count]);
    if bounds.ends.len() != count || axes.len() != count || steps.len() != count {
        return None;
    }
    let mut shape = shape.to_vec();
    for position in 0..count {
        let axis = dims::axis(axes[position], shape.len())?;
        let (start, end) = (&bounds.starts[position], &bounds.ends[position]);
        shape[axis] = slice_length(&shape[axis], start, end, steps[position]);
    }
    Some(shape)
}

/// The number of elements a slice keeps.
fn slice_length(dim: &Dim, start: &Dim, end: &Dim, step: i64) -> Dim {
    if let (Dim::Known(dim), Dim::Known(start), Dim::Known(end)) = (dim, start, end) {
        return slice_positions(*dim, *start, *end, step)
            .map_or(Dim::Unknown, |positions| Dim::Known(positions.len() as i64));
    }
    let from_start = matches!(start, Dim::Known(0)) && step == 1;
    match (dim, end) {
        // An end past any size keeps everything.
        (dim, Dim::Known(end)) if from_start && *end >= i64::from(i32::MAX) => dim.clone(),
        (dim, end) if from_start && dim == end => dim.clone(),
        // A table cut to a run-time size, such as positions to the sequence length. Exceeding
        // the table would cut it short, and what the table is added to would no longer fit.
        (Dim::Known(table), Dim::Symbol(_)) if from_start && *table > 1 => end.clone(),
        _ => Dim::Unknown,
    }
}

/// The positions a slice keeps of `length`; `None` for a step of zero.
pub(super) fn slice_positions(length: i64, start: i64, end: i64, step: i64) -> Option<Positions> {
    let from_front = |value: i64| if value < 0 { value.saturating_add(length) } else { value };
    let (start, end) = if length <= 0 {
        (0, 0)
    } else if step > 0 {
        (from_front(start).clamp(0, length), from_front(end).clamp(0, length))
    } else if step < 0 {
        (from_front(start).clamp(0, length - 1), from_front(end).clamp(-1, length - 1))
    } else {
        return None;
    };
    // An empty axis has nothing to step over, whatever the step.
    Some(Positions { start, end, step: if step == 0 { 1 } else { step } })
}

/// The positions a slice keeps.
pub(super) struct Positions {
    start: i64,
    end: i64,
    step: i64,
}

impl Positions {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        let distance = if self.step > 0 { self.end - self.start } else { self.start - self.end };
        let count = (distance.max(0) as u64).div_ceil(self.step.unsigned_abs());
        usize::try_from(count).unwrap_or(usize::MAX)
    }

    /// The positions, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = i64> {
        let (start, step) = (self.start, self.step);
        (0..self.len() as i64).map(move |index| start + index * step)
    }
}
