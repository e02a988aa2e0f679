//! The self-attention of `com.microsoft`, which holds the projections of query, key and value in
//! one weight.

use super::heads::{Heads, attend, behind, merge, split};
use super::mask::Mask;
use super::writer::Parts;
use crate::error::Result;
use crate::graph::{attr, attribute_ints};

/// Inputs: tokens `[batch, tokens, in]`, weight `[in, q + k + v]`, bias `[q + k + v]`, mask, past
/// `[2, batch, heads, past, size]`, added `[batch or 1, heads or 1, tokens, keys]`. Outputs: the
/// result `[batch, tokens, v]` and, where asked for, keys and values `[2, batch, heads, keys,
/// size]`.
pub(super) fn attention(parts: &mut Parts<'_, '_>) -> Result<()> {
    check(parts)?;
    let (tokens, weight) = (parts.required(0)?, parts.required(1)?);
    let heads = parts.int("num_heads", 0);
    let sizes = hidden_sizes(parts, weight)?;
    let mut joint = parts.node("MatMul", &[tokens, weight], vec![]);
    if let Some(bias) = parts.input(2) {
        joint = parts.node("Add", &[&joint, bias], vec![]);
    }
    let mut start = 0;
    let [query, key, value] = sizes.map(|size| {
        let part = parts.slice(&joint, 2, start, start + size);
        start += size;
        split(parts, &part, heads)
    });
    let past = |parts: &mut Parts<'_, '_>, index: i64| {
        parts.input(4).map(|past| {
            let index = parts.int_scalar(index);
            parts.node("Gather", &[past, &index], vec![attr::int("axis", 0)])
        })
    };
    let (past_key, past_value) = (past(parts, 0), past(parts, 1));
    let key = behind(parts, past_key.as_deref(), key, None);
    let value = behind(parts, past_value.as_deref(), value, None);
    if let Some(present) = parts.output(1) {
        let pair = [&key, &value].map(|tensor| parts.change_axes("Unsqueeze", tensor, &[0]));
        let axis = vec![attr::int("axis", 0)];
        parts.named(("", "Concat"), &[&pair[0], &pair[1]], present, axis);
    }
    let mask = Mask {
        mask: parts.input(3),
        causal: parts.int("unidirectional", 0) != 0,
        filter: parts.float("mask_filter_value", -10_000.0),
    };
    let mut added = Vec::from_iter(mask.added(parts, (&query, &key))?);
    added.extend(parts.input(5).map(str::to_owned));
    let size = sizes[0] / heads;
    let scale = scale(parts, size);
    let result = attend(parts, &Heads { query, key, value, scale, added, shown: None });
    merge(parts, &result);
    Ok(())
}

/// The factor on the scores; zero stands for the usual one.
pub(super) fn scale(parts: &Parts<'_, '_>, size: i64) -> f64 {
    match parts.float("scale", 0.0) {
        0.0 => 1.0 / (size as f64).sqrt(),
        scale => scale,
    }
}

fn check(parts: &Parts<'_, '_>) -> Result<()> {
    if parts.int("do_rotary", 0) != 0 {
        return Err(parts.refuse("it rotates queries and keys"));
    }
    if parts.int("past_present_share_buffer", 0) != 0 || parts.input(6).is_some() {
        return Err(parts.refuse("past and present share a buffer"));
    }
    parts.refuse_outputs(2, "which is not known to this operator")
}

/// The widths of query, key and value.
fn hidden_sizes(parts: &Parts<'_, '_>, weight: &str) -> Result<[i64; 3]> {
    let heads = parts.int("num_heads", 0);
    let total = parts.size(weight, -1)?;
    let sizes = match attribute_ints(parts.fused(), "qkv_hidden_sizes") {
        Some(&[query, key, value]) => [query, key, value],
        Some(_) => return Err(parts.refuse("qkv_hidden_sizes is not three numbers")),
        None => [total / 3; 3],
    };
    let divides = |size: &i64| *size > 0 && size.checked_rem(heads) == Some(0);
    let sum = sizes.iter().try_fold(0i64, |sum, &size| sum.checked_add(size));
    if heads > 0 && sizes.iter().all(divides) && sum == Some(total) {
        return Ok(sizes);
    }
    Err(parts.refuse(&format!("its weight of {total} columns is not {heads} heads of {sizes:?}")))
}
