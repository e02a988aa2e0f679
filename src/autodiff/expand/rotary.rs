//! Expands rotary position embeddings (Su et al., arXiv 2104.09864): pairs of elements of each head
//! are rotated by an angle that grows with the token's position.

use super::fused::Fused;
use crate::autodiff::emit::{Emitter, refused};
use crate::error::Result;
use crate::graph::attr;

/// `com.microsoft`; inputs: tokens, positions, cosines, sines.
pub(super) fn microsoft(emit: &mut Emitter<'_>, fused: &Fused<'_>) -> Result<()> {
    if fused.int("is_packed_batching", 0) != 0 {
        return Err(refused("it works on packed batches"));
    }
    let (tokens, places) = (fused.required(0)?, fused.required(1)?);
    let mut places = places.to_owned();
    let one_start = emit.dims(&places)?.len() == 1;
    if one_start {
        // One element: the position of the first token.
        let axis = if emit.dims(tokens)?.len() == 3 { 1 } else { 2 };
        let count = emit.run_time_size(tokens, axis);
        let count = emit.change_axes("Squeeze", &count, &[0]);
        let (zero, one) = (emit.int(0), emit.int(1));
        let range = emit.node("Range", &[&zero, &count, &one], vec![]);
        places = emit.node("Add", &[&range, &places], vec![]);
    }
    let mut angles = [2, 3].map(|index| {
        let table = fused.required(index)?;
        Ok(emit.node("Gather", &[table, &places], vec![attr::int("axis", 0)]))
    });
    if one_start {
        angles = angles.map(|angle| Ok(emit.change_axes("Unsqueeze", &angle?, &[0])));
    }
    let [cosines, sines] = angles;
    let half = emit.size(fused.required(2)?, -1)?;
    turn(emit, fused, half, [cosines?, sines?])
}

/// The standard domain; inputs: tokens, cosines, sines and, where those are tables, positions.
pub(super) fn standard(emit: &mut Emitter<'_>, fused: &Fused<'_>) -> Result<()> {
    let half = emit.size(fused.required(1)?, -1)?;
    let [cosines, sines] = [1, 2].map(|index| {
        let angle = fused.required(index)?;
        Ok(match fused.input(3) {
            Some(places) => emit.node("Gather", &[angle, places], vec![attr::int("axis", 0)]),
            None => angle.to_owned(),
        })
    });
    turn(emit, fused, half, [cosines?, sines?])
}

/// Rotates pairs of the first `2 * half` elements of each head; the angles are `[batch or 1,
/// tokens, half]`.
fn turn(emit: &mut Emitter<'_>, fused: &Fused<'_>, half: i64, angles: [String; 2]) -> Result<()> {
    let tokens = fused.required(0)?;
    let merged = emit.dims(tokens)?.len() == 3;
    let (turned, interleaved) = (half.saturating_mul(2), fused.int("interleaved", 0) != 0);
    let (heads, size) = head_sizes(emit, fused, tokens, turned)?;
    // [batch, tokens, heads, size] if the input merges the heads, else [batch, heads, tokens,
    // size].
    let x = if merged { emit.reshape(tokens, &[0, 0, heads, size]) } else { tokens.to_owned() };
    let shared = if merged { 2 } else { 1 };
    let result = rotate(emit, x, &Turn { size, half, interleaved, shared }, angles);
    match merged {
        true => {
            let sizes = emit.ints(&[0, 0, heads * size]);
            fused.result(emit, "Reshape", &[&result, &sizes], vec![]);
        }
        false => fused.result(emit, "Identity", &[&result], vec![]),
    }
    Ok(())
}

/// How pairs of elements of each head are rotated.
pub(super) struct Turn {
    /// The elements of a head.
    pub size: i64,
    /// The number of pairs, which stand in front.
    pub half: i64,
    /// Whether the elements of a pair are neighbours; else they are `half` apart.
    pub interleaved: bool,
    /// The axis of the heads, for which the angles are the same.
    pub shared: i64,
}

/// Rotates a tensor of rank 4, whose last axis is that of a head's elements.
pub(super) fn rotate(
    emit: &mut Emitter<'_>,
    x: String,
    turn: &Turn,
    angles: [String; 2],
) -> String {
    let Turn { size, half, interleaved, shared } = *turn;
    let turned = half.saturating_mul(2);
    let axis = if interleaved { 4 } else { 3 };
    let pairs = if interleaved { [0, 0, 0, half, 2] } else { [0, 0, 0, 2, half] };
    let front = if size == turned { x.clone() } else { emit.slice(&x, 3, 0, turned) };
    let front = emit.reshape(&front, &pairs);
    let (a, b) = (emit.slice(&front, axis, 0, 1), emit.slice(&front, axis, 1, 2));
    let [cosines, sines] =
        angles.map(|angle| emit.change_axes("Unsqueeze", &angle, &[shared, axis]));
    let product =
        |emit: &mut Emitter<'_>, left: &str, right: &str| emit.node("Mul", &[left, right], vec![]);
    let (a_cosine, b_sine) = (product(emit, &a, &cosines), product(emit, &b, &sines));
    let (b_cosine, a_sine) = (product(emit, &b, &cosines), product(emit, &a, &sines));
    let first = emit.node("Sub", &[&a_cosine, &b_sine], vec![]);
    let second = emit.node("Add", &[&b_cosine, &a_sine], vec![]);
    let joined = emit.node("Concat", &[&first, &second], vec![attr::int("axis", axis)]);
    let mut result = emit.reshape(&joined, &[0, 0, 0, turned]);
    if size != turned {
        let rest = emit.slice(&x, 3, turned, i64::MAX);
        result = emit.node("Concat", &[&result, &rest], vec![attr::int("axis", 3)]);
    }
    result
}

/// The number of heads and the width of each.
fn head_sizes(
    emit: &Emitter<'_>,
    fused: &Fused<'_>,
    tokens: &str,
    turned: i64,
) -> Result<(i64, i64)> {
    let width = emit.size(tokens, -1)?;
    let (heads, size) = match (emit.dims(tokens)?.len(), fused.int("num_heads", 0)) {
        (3, 0) => (width.checked_div(turned).unwrap_or(0), turned),
        (3, heads) => (heads, width.checked_div(heads).unwrap_or(0)),
        (4, _) => (1, width),
        (rank, _) => return Err(refused(format!("its tokens have the rank {rank}"))),
    };
    let fits = emit.dims(tokens)?.len() == 4 || heads.checked_mul(size) == Some(width);
    if heads <= 0 || turned <= 0 || size < turned || !fits {
        return Err(refused(format!("{width} is not {heads} heads with {turned} to turn")));
    }
    Ok((heads, size))
}
