//! Rules of operators that sum over axes: matrix products, reductions and losses.

use super::dims;
use super::known::{Outputs, Uses, known};
use crate::graph::attr::{attribute_int, attribute_ints, attribute_string};
use crate::graph::types::{Dim, TensorType, data_type};

/// `MatMul`: the last two axes multiply, the others broadcast; vectors lose their added axis.
pub(super) fn matmul(uses: &Uses, data_type: i32) -> Outputs {
    let shape = uses.shape(0).zip(uses.shape(1)).and_then(|(a, b)| product(a, b));
    vec![Some(TensorType { data_type, shape })]
}

fn product(a: &[Dim], b: &[Dim]) -> Option<Vec<Dim>> {
    let (rows, batch_a) = match a.len() {
        0 => return None,
        1 => (None, &[][..]),
        rank => (Some(&a[rank - 2]), &a[..rank - 2]),
    };
    let (columns, batch_b) = match b.len() {
        0 => return None,
        1 => (None, &[][..]),
        rank => (Some(&b[rank - 1]), &b[..rank - 2]),
    };
    let mut shape = dims::broadcast(batch_a, batch_b)?;
    shape.extend(rows.into_iter().chain(columns).cloned());
    Some(shape)
}

/// `FusedMatMul`: a product whose operands may be transposed, or may have their first axis in the
/// place of the rows.
pub(super) fn fused_mat_mul(uses: &Uses) -> Outputs {
    let flag = |name| attribute_int(uses.node, name).is_some_and(|value| value != 0);
    let side = |position: usize, swap: bool, first: bool| {
        let mut shape = swapped(uses.shape(position)?, false);
        let rank = shape.len();
        if first && rank >= 2 {
            shape[..rank - 1].rotate_left(1);
        }
        Some(swapped(&shape, swap))
    };
    let a = side(0, flag("transA"), flag("transBatchA"));
    let b = side(1, flag("transB"), flag("transBatchB"));
    let shape = a.zip(b).and_then(|(a, b)| product(&a, &b));
    vec![Some(TensorType { data_type: uses.data_type(0), shape })]
}

/// The shape with its last two axes exchanged, if `swap` is set and there are two.
fn swapped(shape: &[Dim], swap: bool) -> Vec<Dim> {
    let mut shape = shape.to_vec();
    let rank = shape.len();
    if swap && rank >= 2 {
        shape.swap(rank - 2, rank - 1);
    }
    shape
}

pub(super) fn gemm(uses: &Uses) -> Outputs {
    let flag = |name| attribute_int(uses.node, name).is_some_and(|value| value != 0);
    let side = |position: usize, trans: bool, axis: usize| match uses.shape(position) {
        Some(shape) if shape.len() == 2 => shape[if trans { 1 - axis } else { axis }].clone(),
        _ => Dim::Unknown,
    };
    let shape = [side(0, flag("transA"), 0), side(1, flag("transB"), 1)];
    vec![Some(known(uses.data_type(0), &shape))]
}

/// Reductions, whose axes are an attribute in old operator sets and an input in new ones.
pub(super) fn reduce(uses: &Uses) -> Outputs {
    let data_type = uses.data_type(0);
    let keep = attribute_int(uses.node, "keepdims").unwrap_or(1) != 0;
    let noop = attribute_int(uses.node, "noop_with_empty_axes").unwrap_or(0) != 0;
    let axes = match uses.name(1) {
        Some(_) => uses.ints(1),
        None => Some(attribute_ints(uses.node, "axes").unwrap_or(&[]).to_vec()),
    };
    if !keep && !noop && axes.as_ref().is_some_and(Vec::is_empty) {
        // All axes are reduced, whatever their number.
        return vec![Some(TensorType { data_type, shape: Some(Vec::new()) })];
    }
    let shape = uses.shape(0).and_then(|shape| {
        match axes {
            // The reduced axes are unknown, but all axes are kept.
            None if keep => Some(vec![Dim::Unknown; shape.len()]),
            None => None,
            Some(axes) if axes.is_empty() && noop => Some(shape.to_vec()),
            Some(axes) if axes.is_empty() => reduced(shape, &all(shape.len()), keep),
            Some(axes) => reduced(shape, &dims::axes(&axes, shape.len())?, keep),
        }
    });
    vec![Some(TensorType { data_type, shape })]
}

fn all(rank: usize) -> Vec<usize> {
    (0..rank).collect()
}

fn reduced(shape: &[Dim], axes: &[usize], keep: bool) -> Option<Vec<Dim>> {
    let mut result = Vec::with_capacity(shape.len());
    for (position, dim) in shape.iter().enumerate() {
        match (axes.contains(&position), keep) {
            (false, _) => result.push(dim.clone()),
            (true, true) => result.push(Dim::Known(1)),
            (true, false) => {}
        }
    }
    Some(result)
}

pub(super) fn arg_reduce(uses: &Uses) -> Outputs {
    let keep = attribute_int(uses.node, "keepdims").unwrap_or(1) != 0;
    let shape = uses.shape(0).and_then(|shape| {
        let axis = dims::axis(attribute_int(uses.node, "axis").unwrap_or(0), shape.len())?;
        reduced(shape, &[axis], keep)
    });
    vec![Some(TensorType { data_type: data_type::INT64, shape })]
}

/// Losses over scores `[batch, classes, ...]` and labels `[batch, ...]`, then the
/// log-probabilities.
pub(super) fn loss(uses: &Uses) -> Outputs {
    let data_type = uses.data_type(0);
    let shape = match attribute_string(uses.node, "reduction") {
        Some("none") => uses.shape(1).map(<[Dim]>::to_vec),
        _ => Some(Vec::new()),
    };
    vec![Some(TensorType { data_type, shape }), uses.r#type(0).cloned()]
}
