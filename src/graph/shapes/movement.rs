//! Rules of operators that move, cut, join or repeat elements without computing on them.

use super::dims;
use super::known::{KnownElements, Outputs, RANK_MAX, Uses, known};
use crate::graph::attr::{attribute_int, attribute_ints, attribute_tensor};
use crate::graph::types::{Dim, TensorType, data_type};

/// An output of the first input's element type.
fn output(uses: &Uses, shape: Option<Vec<Dim>>) -> Outputs {
    vec![Some(TensorType { data_type: uses.data_type(0), shape })]
}

/// Axes from an input in new operator sets, from an attribute in old ones: `Some(None)` when
/// neither is present, `None` when unknown.
fn axes_operand(uses: &Uses, position: usize) -> Option<Option<Vec<i64>>> {
    match uses.name(position) {
        Some(_) => uses.ints(position).map(Some),
        None => Some(attribute_ints(uses.node, "axes").map(<[i64]>::to_vec)),
    }
}

/// The range of axes that `Shape` returns: `start` and `end` count from either end and are clamped.
pub(super) fn shape_range(uses: &Uses, rank: usize) -> std::ops::Range<usize> {
    let clamp = |value: i64| {
        let rank = rank as i64;
        let from_front = if value < 0 { value.saturating_add(rank) } else { value };
        from_front.clamp(0, rank) as usize
    };
    let start = clamp(attribute_int(uses.node, "start").unwrap_or(0));
    let end = attribute_int(uses.node, "end").map_or(rank, clamp);
    start..end.max(start)
}

pub(super) fn shape(uses: &Uses) -> Outputs {
    let length = match uses.shape(0) {
        Some(shape) => Dim::Known(shape_range(uses, shape.len()).len() as i64),
        None => Dim::Unknown,
    };
    vec![Some(known(data_type::INT64, &[length]))]
}

/// A shape given by the elements of a vector; its sizes are unknown when only its length is known.
fn shape_operand(uses: &Uses, position: usize) -> Option<Vec<Dim>> {
    if let Some(value) = uses.value(position) {
        return Some(value.elements.iter().map(size).collect());
    }
    match uses.shape(position)? {
        [Dim::Known(rank @ 0..=RANK_MAX)] => Some(vec![Dim::Unknown; *rank as usize]),
        _ => None,
    }
}

/// An element as a size; a negative number is unknown.
fn size(element: &Dim) -> Dim {
    match element {
        Dim::Known(negative) if *negative < 0 => Dim::Unknown,
        other => other.clone(),
    }
}

pub(super) fn constant_of_shape(uses: &Uses) -> Outputs {
    let value = attribute_tensor(uses.node, "value");
    let data_type = value.map_or(data_type::FLOAT, |tensor| tensor.data_type());
    vec![Some(TensorType { data_type, shape: shape_operand(uses, 0) })]
}

pub(super) fn range(uses: &Uses) -> Outputs {
    let element = |position: usize| uses.value(position).and_then(|value| value.elements.first());
    let length = match (element(0), element(1), element(2)) {
        (Some(Dim::Known(start)), Some(Dim::Known(limit)), Some(Dim::Known(delta))) => {
            range_length(*start, *limit, *delta).map_or(Dim::Unknown, Dim::Known)
        }
        (Some(Dim::Known(0)), Some(limit), Some(Dim::Known(1))) => limit.clone(),
        _ => Dim::Unknown,
    };
    vec![Some(known(uses.data_type(0), &[length]))]
}

/// The number of elements of a range; `None` when it is unbounded or overflows.
pub(super) fn range_length(start: i64, limit: i64, delta: i64) -> Option<i64> {
    let distance = limit.checked_sub(start)?;
    match delta {
        0 => None,
        delta if (distance < 0) != (delta < 0) => Some(0),
        delta => i64::try_from(distance.unsigned_abs().div_ceil(delta.unsigned_abs())).ok(),
    }
}

pub(super) fn reshape(uses: &Uses) -> Outputs {
    let data = uses.shape(0);
    let Some(target) = uses.value(1) else {
        return output(uses, shape_operand(uses, 1));
    };
    let keep_zero = attribute_int(uses.node, "allowzero").unwrap_or(0) != 0;
    let mut shape = Vec::with_capacity(target.elements.len());
    let mut rest = None;
    for (position, element) in target.elements.iter().enumerate() {
        shape.push(match element {
            Dim::Known(0) if !keep_zero => {
                data.and_then(|data| data.get(position)).cloned().unwrap_or(Dim::Unknown)
            }
            Dim::Known(-1) => {
                rest = Some(position);
                Dim::Unknown
            }
            // A computed size of zero would copy a dimension, but then the tensor is empty on
            // either reading, unless the symbol is 0 where the data is not; no exporter writes
            // that.
            other => size(other),
        });
    }
    if let (Some(position), Some(data)) = (rest, data) {
        shape[position] = remaining(data, &shape, position);
    }
    output(uses, Some(shape))
}

/// The size that -1 stands for: the elements of `data` divided by the other dimensions of `shape`.
fn remaining(data: &[Dim], shape: &[Dim], position: usize) -> Dim {
    // Dimensions on both sides cancel even where their product is unknown.
    let mut total = data.to_vec();
    let mut taken = Vec::new();
    for (_, dim) in shape.iter().enumerate().filter(|&(other, _)| other != position) {
        match total
            .iter()
            .position(|have| have == dim && !matches!(dim, Dim::Unknown | Dim::Known(0)))
        {
            Some(cancelled) => drop(total.remove(cancelled)),
            None => taken.push(dim.clone()),
        }
    }
    match (dims::product(&total), dims::product(&taken)) {
        (Dim::Known(total), Dim::Known(taken)) => match total.checked_rem(taken) {
            Some(0) => Dim::Known(total / taken),
            _ => Dim::Unknown,
        },
        (total, taken) => dims::divide(&total, &taken),
    }
}

pub(super) fn flatten(uses: &Uses) -> Outputs {
    let shape = uses.shape(0).and_then(|shape| {
        let axis = attribute_int(uses.node, "axis").unwrap_or(1);
        // One past the last axis is allowed here.
        let axis = if usize::try_from(axis).ok() == Some(shape.len()) {
            shape.len()
        } else {
            dims::axis(axis, shape.len())?
        };
        Some(vec![dims::product(&shape[..axis]), dims::product(&shape[axis..])])
    });
    output(uses, shape.or(Some(vec![Dim::Unknown; 2])))
}

pub(super) fn transpose(uses: &Uses) -> Outputs {
    let shape = uses.shape(0).and_then(|shape| match attribute_ints(uses.node, "perm") {
        None => Some(shape.iter().rev().cloned().collect()),
        Some(perm) if perm.len() == shape.len() => {
            perm.iter().map(|&axis| shape.get(usize::try_from(axis).ok()?).cloned()).collect()
        }
        Some(_) => None,
    });
    output(uses, shape)
}

pub(super) fn squeeze(uses: &Uses) -> Outputs {
    let shape = uses.shape(0).zip(axes_operand(uses, 1)).and_then(|(shape, axes)| {
        let removed = match axes {
            Some(axes) => dims::axes(&axes, shape.len())?,
            // Without axes every dimension of 1 is removed, so every size must be known.
            None => {
                let sizes: Option<Vec<i64>> = shape.iter().map(Dim::known).collect();
                let ones = sizes?.into_iter().enumerate().filter(|&(_, size)| size == 1);
                ones.map(|(position, _)| position).collect()
            }
        };
        let kept = shape.iter().enumerate().filter(|(position, _)| !removed.contains(position));
        Some(kept.map(|(_, dim)| dim.clone()).collect())
    });
    output(uses, shape)
}

pub(super) fn unsqueeze(uses: &Uses) -> Outputs {
    let shape = uses.shape(0).zip(axes_operand(uses, 1).flatten()).and_then(|(shape, axes)| {
        let added = dims::axes(&axes, shape.len().checked_add(axes.len())?)?;
        let mut result = shape.to_vec();
        for position in added {
            result.insert(position, Dim::Known(1));
        }
        Some(result)
    });
    output(uses, shape)
}

pub(super) fn expand(uses: &Uses) -> Outputs {
    let target = shape_operand(uses, 1);
    let shape = uses.shape(0).zip(target).and_then(|(data, to)| dims::broadcast(data, &to));
    output(uses, shape)
}

pub(super) fn tile(uses: &Uses) -> Outputs {
    let shape = uses.shape(0).map(|shape| match uses.value(1) {
        Some(repeats) if repeats.elements.len() == shape.len() => {
            let pairs = shape.iter().zip(&repeats.elements);
            pairs.map(|(dim, repeat)| dims::multiply(dim, &size(repeat))).collect()
        }
        _ => vec![Dim::Unknown; shape.len()],
    });
    output(uses, shape)
}

pub(super) fn split(uses: &Uses) -> Outputs {
    let count = uses.node.output.len();
    let data_type = uses.data_type(0);
    let Some(shape) = uses.shape(0) else {
        return vec![Some(TensorType::unranked(data_type)); count];
    };
    let Some(axis) = dims::axis(attribute_int(uses.node, "axis").unwrap_or(0), shape.len()) else {
        return Vec::new();
    };
    let stated = match uses.name(1) {
        Some(_) => uses.ints(1),
        None => attribute_ints(uses.node, "split").map(<[i64]>::to_vec),
    };
    let evenly = uses.name(1).is_none() && stated.is_none();
    let length = |position: usize| match (&stated, &shape[axis]) {
        (Some(sizes), _) => sizes.get(position).map_or(Dim::Unknown, |&s| size(&Dim::Known(s))),
        // The parts are equal; the last one is smaller when the size is not divisible.
        (None, Dim::Known(total)) if evenly => {
            let part = (*total as u64).div_ceil(count as u64);
            let before = part.saturating_mul(position as u64);
            Dim::Known((*total as u64).saturating_sub(before).min(part) as i64)
        }
        _ => Dim::Unknown,
    };
    let part = |position| {
        let mut part = shape.to_vec();
        part[axis] = length(position);
        Some(TensorType::new(data_type, part))
    };
    (0..count).map(part).collect()
}

pub(super) fn concat(uses: &Uses) -> Outputs {
    output(uses, concatenated(uses))
}

fn concatenated(uses: &Uses) -> Option<Vec<Dim>> {
    let inputs: Vec<Option<&[Dim]>> =
        (0..uses.node.input.len()).map(|position| uses.shape(position)).collect();
    // One input with a known rank gives the rank of all.
    let rank = inputs.iter().flatten().next()?.len();
    let axis = dims::axis(attribute_int(uses.node, "axis")?, rank)?;
    let mut shape = vec![Dim::Unknown; rank];
    let mut total = Dim::Known(0);
    for input in &inputs {
        match input {
            Some(input) if input.len() == rank => {
                total = dims::add(&total, &input[axis]);
                for (joined, dim) in shape.iter_mut().zip(*input) {
                    // The other axes are equal, so the best known size of each holds for all.
                    let better = match joined {
                        Dim::Unknown => true,
                        Dim::Symbol(_) => matches!(dim, Dim::Known(_)),
                        Dim::Known(_) => false,
                    };
                    if better {
                        *joined = dim.clone();
                    }
                }
            }
            Some(_) => return None,
            None => total = Dim::Unknown,
        }
    }
    shape[axis] = total;
    Some(shape)
}

pub(super) fn gather(uses: &Uses) -> Outputs {
    let shape = uses.shape(0).zip(uses.shape(1)).and_then(|(data, indices)| {
        let axis = dims::axis(attribute_int(uses.node, "axis").unwrap_or(0), data.len())?;
        Some([&data[..axis], indices, &data[axis + 1..]].concat())
    });
    output(uses, shape)
}

/// One block of the data for each row of indices, after the batch axes.
pub(super) fn gather_nd(uses: &Uses) -> Outputs {
    let shape = uses.shape(0).zip(uses.shape(1)).and_then(|(data, indices)| {
        let (depth, rows) = indices.split_last()?;
        let batch = usize::try_from(attribute_int(uses.node, "batch_dims").unwrap_or(0)).ok()?;
        let depth = usize::try_from(depth.known()?).ok()?.checked_add(batch)?;
        Some([rows, data.get(depth..)?].concat())
    });
    output(uses, shape)
}

/// The input with elements added to or removed from both ends of each axis.
pub(super) fn pad(uses: &Uses) -> Outputs {
    let Some(shape) = uses.shape(0) else { return output(uses, None) };
    output(uses, Some(padded(uses, shape).unwrap_or_else(|| vec![Dim::Unknown; shape.len()])))
}

fn padded(uses: &Uses, shape: &[Dim]) -> Option<Vec<Dim>> {
    let pads = match uses.name(1) {
        Some(_) => uses.value(1)?.elements.clone(),
        None => attribute_ints(uses.node, "pads")?.iter().map(|&pad| Dim::Known(pad)).collect(),
    };
    let axes: Vec<usize> = match uses.name(3) {
        Some(_) => {
            let axes = uses.ints(3)?;
            axes.iter().map(|&axis| dims::axis(axis, shape.len())).collect::<Option<_>>()?
        }
        None => (0..shape.len()).collect(),
    };
    if pads.len() != 2 * axes.len() {
        return None;
    }
    let mut shape = shape.to_vec();
    for (position, &axis) in axes.iter().enumerate() {
        let added = dims::add(&pads[position], &pads[position + axes.len()]);
        shape[axis] = size(&dims::add(&shape[axis], &added));
    }
    Some(shape)
}

pub(super) fn non_zero(uses: &Uses) -> Outputs {
    let rank = uses.shape(0).map_or(Dim::Unknown, |shape| Dim::Known(shape.len() as i64));
    vec![Some(known(data_type::INT64, &[rank, Dim::Unknown]))]
}

pub(super) fn one_hot(uses: &Uses) -> Outputs {
    let shape = uses.shape(0).and_then(|indices| {
        let axis = attribute_int(uses.node, "axis").unwrap_or(-1);
        let axis = dims::axis(axis, indices.len() + 1)?;
        let depth =
            uses.value(1).and_then(|value: &KnownElements| value.elements.first()).map(size);
        let mut shape = indices.to_vec();
        shape.insert(axis, depth.unwrap_or(Dim::Unknown));
        Some(shape)
    });
    vec![Some(TensorType { data_type: uses.data_type(2), shape })]
}
