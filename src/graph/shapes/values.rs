//! Follows the values of small integer vectors and scalars where a graph computes shapes.
//!
//! A symbol stands for a size, so it is never negative; that settles comparisons with -1, which
//! exporters emit around `Expand`.

use super::dims;
use super::known::{KnownElements, RANK_MAX, Uses, VALUE_LENGTH_MAX};
use super::movement::{range_length, shape_range};
use super::slicing::{Bounds, slice_positions};
use crate::graph::attr::{attribute_int, attribute_ints, attribute_tensor};
use crate::graph::model::canonical_domain;
use crate::graph::types::{Dim, data_type};
use crate::graph::weights::{inline_bytes, integers};

/// The elements of a node's first output, if they follow from known ones.
pub(super) fn output_value(uses: &Uses) -> Option<KnownElements> {
    if !canonical_domain(uses.node.domain()).is_empty() {
        return None;
    }
    match uses.node.op_type() {
        "Constant" => constant(uses),
        "ConstantOfShape" => constant_of_shape(uses),
        "Shape" => {
            let shape = uses.shape(0)?;
            KnownElements::vector(shape[shape_range(uses, shape.len())].to_vec())
        }
        "Size" => Some(KnownElements::scalar(dims::product(uses.shape(0)?))),
        "Identity" => uses.value(0).cloned(),
        "Cast" => cast(uses),
        "Squeeze" | "Unsqueeze" | "Reshape" => reshaped(uses),
        "Concat" => concat(uses),
        "Gather" => gather(uses),
        "Slice" => slice(uses),
        "Range" => range(uses),
        "ReduceProd" => reduce_product(uses),
        "Expand" => expand(uses),
        "Where" => r#where(uses),
        "Add" => zip(uses, dims::add),
        "Sub" => zip(uses, dims::subtract),
        "Mul" => zip(uses, dims::multiply),
        "Div" => zip(uses, dims::divide),
        "Max" => zip(uses, |l, r| number(l, r, i64::max)),
        "Min" => zip(uses, |l, r| number(l, r, i64::min)),
        "Equal" => zip(uses, equal),
        "Not" => map(uses, |element| match element {
            Dim::Known(truth) => Dim::Known(i64::from(*truth == 0)),
            _ => Dim::Unknown,
        }),
        "Neg" => map(uses, |element| dims::subtract(&Dim::Known(0), element)),
        _ => None,
    }
}

fn constant(uses: &Uses) -> Option<KnownElements> {
    if let Some(tensor) = attribute_tensor(uses.node, "value") {
        return KnownElements::of_tensor(tensor);
    }
    if let Some(value) = attribute_int(uses.node, "value_int") {
        return Some(KnownElements::scalar(Dim::Known(value)));
    }
    let ints = attribute_ints(uses.node, "value_ints")?;
    KnownElements::vector(ints.iter().map(|&value| Dim::Known(value)).collect())
}

fn constant_of_shape(uses: &Uses) -> Option<KnownElements> {
    let tensor = attribute_tensor(uses.node, "value")?;
    let bytes = inline_bytes(tensor).ok()?;
    let fill = Dim::Known(*integers(tensor.data_type(), &bytes)?.first()?);
    match uses.ints(0)?.as_slice() {
        [] => Some(KnownElements::scalar(fill)),
        [length] => {
            let length = usize::try_from(*length).ok().filter(|&n| n <= VALUE_LENGTH_MAX)?;
            KnownElements::vector(vec![fill; length])
        }
        _ => None,
    }
}

fn cast(uses: &Uses) -> Option<KnownElements> {
    let value = uses.value(0)?;
    match i32::try_from(attribute_int(uses.node, "to")?).ok()? {
        data_type::INT64 => Some(value.clone()),
        // A number that does not fit would wrap.
        data_type::INT32 => {
            let fits = |element: &Dim| match element {
                Dim::Known(number) => i32::try_from(*number).is_ok(),
                Dim::Symbol(_) | Dim::Unknown => true,
            };
            value.elements.iter().all(fits).then(|| value.clone())
        }
        data_type::BOOL => map(uses, |element| match element {
            Dim::Known(number) => Dim::Known(i64::from(*number != 0)),
            _ => Dim::Unknown,
        }),
        _ => None,
    }
}

/// The same elements, as a scalar or a vector according to the inferred shape.
fn reshaped(uses: &Uses) -> Option<KnownElements> {
    let elements = uses.value(0)?.elements.clone();
    let outputs = super::rules::output_types(uses);
    match outputs.first()?.as_ref()?.rank()? {
        0 if elements.len() == 1 => Some(KnownElements { elements, scalar: true }),
        1 => KnownElements::vector(elements),
        _ => None,
    }
}

fn concat(uses: &Uses) -> Option<KnownElements> {
    let mut elements = Vec::new();
    for position in 0..uses.node.input.len() {
        match uses.value(position) {
            Some(value) if !value.scalar => elements.extend_from_slice(&value.elements),
            Some(_) => return None,
            // An unknown part of known length leaves the other parts known.
            None => match uses.shape(position)? {
                [Dim::Known(length @ 0..=RANK_MAX)] => {
                    elements.extend(std::iter::repeat_n(Dim::Unknown, *length as usize));
                }
                _ => return None,
            },
        }
        if elements.len() > VALUE_LENGTH_MAX {
            return None;
        }
    }
    KnownElements::vector(elements)
}

fn gather(uses: &Uses) -> Option<KnownElements> {
    let data = uses.value(0).filter(|data| !data.scalar)?;
    let indices = uses.value(1)?;
    let pick = |index: &Dim| -> Option<Dim> {
        let position = dims::axis(index.known()?, data.elements.len())?;
        Some(data.elements[position].clone())
    };
    let elements: Option<Vec<Dim>> = indices.elements.iter().map(pick).collect();
    Some(KnownElements { elements: elements?, scalar: indices.scalar })
}

fn slice(uses: &Uses) -> Option<KnownElements> {
    let data = uses.value(0).filter(|data| !data.scalar)?;
    let bounds = Bounds::of(uses)?;
    let ([start], [end]) = (bounds.starts.as_slice(), bounds.ends.as_slice()) else { return None };
    if bounds.axes.is_some_and(|axes| axes != [0] && axes != [-1]) {
        return None;
    }
    let step = bounds.steps.map_or(Some(1), |steps| steps.first().copied())?;
    let length = data.elements.len() as i64;
    let positions = slice_positions(length, start.known()?, end.known()?, step)?;
    let kept = positions.iter().map(|position| data.elements.get(position as usize).cloned());
    KnownElements::vector(kept.collect::<Option<Vec<Dim>>>()?)
}

fn range(uses: &Uses) -> Option<KnownElements> {
    let number = |position: usize| uses.value(position)?.elements.first()?.known();
    let (start, limit, delta) = (number(0)?, number(1)?, number(2)?);
    let count = range_length(start, limit, delta)?;
    if count > VALUE_LENGTH_MAX as i64 {
        return None;
    }
    let element = |index: i64| Some(Dim::Known(start.checked_add(delta.checked_mul(index)?)?));
    KnownElements::vector((0..count).map(element).collect::<Option<Vec<Dim>>>()?)
}

fn reduce_product(uses: &Uses) -> Option<KnownElements> {
    let product = dims::product(&uses.value(0)?.elements);
    let keep = attribute_int(uses.node, "keepdims").unwrap_or(1) != 0;
    Some(KnownElements { elements: vec![product], scalar: !keep })
}

fn expand(uses: &Uses) -> Option<KnownElements> {
    let value = uses.value(0)?;
    let [length] = uses.ints(1)?[..] else { return None };
    let length = usize::try_from(length).ok().filter(|&length| length <= VALUE_LENGTH_MAX)?;
    match value.elements.as_slice() {
        [one] => KnownElements::vector(vec![one.clone(); length.max(1)]),
        _ => None,
    }
}

fn r#where(uses: &Uses) -> Option<KnownElements> {
    let (condition, yes, no) = (uses.value(0)?, uses.value(1)?, uses.value(2)?);
    let values = [condition, yes, no];
    let length = values.iter().map(|value| value.elements.len()).max()?;
    let mut elements = Vec::with_capacity(length);
    for position in 0..length {
        let [condition, yes, no] = values.map(|value| value.element(position));
        elements.push(match (condition?, yes?, no?) {
            (Dim::Known(0), _, no) => no.clone(),
            (Dim::Known(_), yes, _) => yes.clone(),
            (_, yes, no) if yes == no => yes.clone(),
            _ => Dim::Unknown,
        });
    }
    Some(KnownElements { elements, scalar: values.iter().all(|value| value.scalar) })
}

impl KnownElements {
    /// An element; one-element values repeat. `None` when the lengths do not broadcast.
    fn element(&self, position: usize) -> Option<&Dim> {
        match self.elements.as_slice() {
            [one] => Some(one),
            elements => elements.get(position),
        }
    }
}

fn zip(uses: &Uses, operation: impl Fn(&Dim, &Dim) -> Dim) -> Option<KnownElements> {
    if uses.node.input.len() != 2 {
        return None;
    }
    let (left, right) = (uses.value(0)?, uses.value(1)?);
    // An empty vector broadcasts with one element to an empty vector.
    if left.elements.is_empty() || right.elements.is_empty() {
        return None;
    }
    let length = left.elements.len().max(right.elements.len());
    let mut elements = Vec::with_capacity(length);
    for position in 0..length {
        elements.push(operation(left.element(position)?, right.element(position)?));
    }
    Some(KnownElements { elements, scalar: left.scalar && right.scalar })
}

fn map(uses: &Uses, operation: impl Fn(&Dim) -> Dim) -> Option<KnownElements> {
    let value = uses.value(0)?;
    let elements = value.elements.iter().map(operation).collect();
    Some(KnownElements { elements, scalar: value.scalar })
}

fn number(left: &Dim, right: &Dim, operation: impl Fn(i64, i64) -> i64) -> Dim {
    match (left, right) {
        (Dim::Known(l), Dim::Known(r)) => Dim::Known(operation(*l, *r)),
        (left, right) if left == right => left.clone(),
        _ => Dim::Unknown,
    }
}

fn equal(left: &Dim, right: &Dim) -> Dim {
    match (left, right) {
        (Dim::Known(l), Dim::Known(r)) => Dim::Known(i64::from(l == r)),
        (Dim::Symbol(l), Dim::Symbol(r)) if l == r => Dim::Known(1),
        (Dim::Symbol(_), Dim::Known(negative)) | (Dim::Known(negative), Dim::Symbol(_))
            if *negative < 0 =>
        {
            Dim::Known(0)
        }
        _ => Dim::Unknown,
    }
}
