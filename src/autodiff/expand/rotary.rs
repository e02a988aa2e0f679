//! Rotary position embeddings (Su et al., arXiv 2104.09864): pairs of elements of each head, turned
//! by an angle that grows with the token's place.

use super::writer::Parts;
use crate::error::Result;
use crate::graph::attr;

/// `com.microsoft`: tokens, places, cosines, sines.
pub(super) fn microsoft(parts: &mut Parts<'_, '_>) -> Result<()> {
    if parts.int("is_packed_batching", 0) != 0 {
        return Err(parts.refuse("it works on packed batches"));
    }
    let (tokens, places) = (parts.required(0)?, parts.required(1)?);
    let mut places = places.to_owned();
    let one_start = parts.dims(&places)?.len() == 1;
    if one_start {
        // One number: where the first token stands.
        let axis = if parts.dims(tokens)?.len() == 3 { 1 } else { 2 };
        let count = parts.run_time_size(tokens, axis);
        let count = parts.change_axes("Squeeze", &count, &[0]);
        let (zero, one) = (parts.int_scalar(0), parts.int_scalar(1));
        let range = parts.node("Range", &[&zero, &count, &one], vec![]);
        places = parts.node("Add", &[&range, &places], vec![]);
    }
    let mut angles = [2, 3].map(|index| {
        let table = parts.required(index)?;
        Ok(parts.node("Gather", &[table, &places], vec![attr::int("axis", 0)]))
    });
    if one_start {
        angles = angles.map(|angle| Ok(parts.change_axes("Unsqueeze", &angle?, &[0])));
    }
    let [cosines, sines] = angles;
    let half = parts.size(parts.required(2)?, -1)?;
    turn(parts, half, [cosines?, sines?])
}

/// The standard domain: tokens, cosines, sines and, where those are tables, places.
pub(super) fn standard(parts: &mut Parts<'_, '_>) -> Result<()> {
    let half = parts.size(parts.required(1)?, -1)?;
    let [cosines, sines] = [1, 2].map(|index| {
        let angle = parts.required(index)?;
        Ok(match parts.input(3) {
            Some(places) => parts.node("Gather", &[angle, places], vec![attr::int("axis", 0)]),
            None => angle.to_owned(),
        })
    });
    turn(parts, half, [cosines?, sines?])
}

/// Turns pairs of the first `2 * half` elements of each head; the angles are
/// `[batch or 1, tokens, half]`.
fn turn(parts: &mut Parts<'_, '_>, half: i64, angles: [String; 2]) -> Result<()> {
    let tokens = parts.required(0)?;
    let merged = parts.dims(tokens)?.len() == 3;
    let (turned, interleaved) = (2 * half, parts.int("interleaved", 0) != 0);
    let (heads, size) = head_sizes(parts, tokens, turned)?;
    // [batch, tokens, heads, size] where heads are merged, else [batch, heads, tokens, size].
    let x = if merged { parts.reshape(tokens, &[0, 0, heads, size]) } else { tokens.to_owned() };
    let axis = if interleaved { 4 } else { 3 };
    let pairs = if interleaved { [0, 0, 0, half, 2] } else { [0, 0, 0, 2, half] };
    let front = if size == turned { x.clone() } else { parts.slice(&x, 3, 0, turned) };
    let front = parts.reshape(&front, &pairs);
    let (a, b) = (parts.slice(&front, axis, 0, 1), parts.slice(&front, axis, 1, 2));
    let shared = if merged { 2 } else { 1 };
    let [cosines, sines] =
        angles.map(|angle| parts.change_axes("Unsqueeze", &angle, &[shared, axis]));
    let product = |parts: &mut Parts<'_, '_>, left: &str, right: &str| {
        parts.node("Mul", &[left, right], vec![])
    };
    let (a_cosine, b_sine) = (product(parts, &a, &cosines), product(parts, &b, &sines));
    let (b_cosine, a_sine) = (product(parts, &b, &cosines), product(parts, &a, &sines));
    let first = parts.node("Sub", &[&a_cosine, &b_sine], vec![]);
    let second = parts.node("Add", &[&b_cosine, &a_sine], vec![]);
    let joined = parts.node("Concat", &[&first, &second], vec![attr::int("axis", axis)]);
    let mut result = parts.reshape(&joined, &[0, 0, 0, turned]);
    if size != turned {
        let rest = parts.slice(&x, 3, turned, i64::MAX);
        result = parts.node("Concat", &[&result, &rest], vec![attr::int("axis", 3)]);
    }
    match merged {
        true => {
            let sizes = parts.ints(&[0, 0, heads * size]);
            parts.result("Reshape", &[&result, &sizes], vec![]);
        }
        false => parts.result("Identity", &[&result], vec![]),
    }
    Ok(())
}

/// How many heads there are and how wide each is.
fn head_sizes(parts: &Parts<'_, '_>, tokens: &str, turned: i64) -> Result<(i64, i64)> {
    let width = parts.size(tokens, -1)?;
    let (heads, size) = match (parts.dims(tokens)?.len(), parts.int("num_heads", 0)) {
        (3, 0) => (width.checked_div(turned).unwrap_or(0), turned),
        (3, heads) => (heads, width.checked_div(heads).unwrap_or(0)),
        (4, _) => (1, width),
        (rank, _) => return Err(parts.refuse(&format!("its tokens have the rank {rank}"))),
    };
    if heads <= 0 || size < turned || (parts.dims(tokens)?.len() == 3 && heads * size != width) {
        return Err(parts.refuse(&format!("{width} is not {heads} heads with {turned} to turn")));
    }
    Ok((heads, size))
}
