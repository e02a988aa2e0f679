//! Expands the self-attention of `com.microsoft`, whose one weight holds the projections of query,
//! key and value.

use super::fused::Fused;
use super::heads::{Heads, attend, concatenate, merge, split};
use super::mask::Mask;
use crate::autodiff::emit::{Emitter, refused};
use crate::error::Result;
use crate::graph::{attr, attribute_ints};

/// Inputs: tokens `[batch, tokens, in]`, weight `[in, q + k + v]`, bias `[q + k + v]`, mask, past
/// `[2, batch, heads, past, size]`, attention bias `[batch or 1, heads or 1, tokens, keys]`.
/// Outputs: the result `[batch, tokens, v]` and, optionally, keys and values `[2, batch, heads,
/// keys, size]`.
pub(super) fn attention(emit: &mut Emitter<'_>, fused: &Fused<'_>) -> Result<()> {
    check(fused)?;
    let (tokens, weight) = (fused.required(0)?, fused.required(1)?);
    let heads = fused.int("num_heads", 0);
    let sizes = hidden_sizes(emit, fused, weight)?;
    let mut joint = emit.node("MatMul", &[tokens, weight], vec![]);
    if let Some(bias) = fused.input(2) {
        joint = emit.node("Add", &[&joint, bias], vec![]);
    }
    let mut start = 0;
    let [query, key, value] = sizes.map(|size| {
        let part = emit.slice(&joint, 2, start, start + size);
        start += size;
        split(emit, &part, heads)
    });
    let past = |emit: &mut Emitter<'_>, index: i64| {
        fused.input(4).map(|past| {
            let index = emit.int(index);
            emit.node("Gather", &[past, &index], vec![attr::int("axis", 0)])
        })
    };
    let (past_key, past_value) = (past(emit, 0), past(emit, 1));
    let key = concatenate(emit, past_key.as_deref(), key, None);
    let value = concatenate(emit, past_value.as_deref(), value, None);
    if let Some(present) = fused.output(1) {
        let pair = [&key, &value].map(|tensor| emit.change_axes("Unsqueeze", tensor, &[0]));
        let axis = vec![attr::int("axis", 0)];
        emit.named("Concat", &[&pair[0], &pair[1]], present, axis);
    }
    let mask = Mask {
        mask: fused.input(3),
        causal: fused.int("unidirectional", 0) != 0,
        filter: fused.float("mask_filter_value", -10_000.0),
    };
    let mut added = Vec::from_iter(mask.added(emit, fused, (&query, &key))?);
    added.extend(fused.input(5).map(str::to_owned));
    let size = sizes[0] / heads;
    let scale = scale(fused, size);
    let result = attend(emit, fused, &Heads { query, key, value, scale, added, shown: None });
    merge(emit, fused, &result);
    Ok(())
}

/// The factor on the scores; zero stands for the default.
pub(super) fn scale(fused: &Fused<'_>, size: i64) -> f64 {
    match fused.float("scale", 0.0) {
        0.0 => 1.0 / (size as f64).sqrt(),
        scale => scale,
    }
}

fn check(fused: &Fused<'_>) -> Result<()> {
    if fused.int("do_rotary", 0) != 0 {
        return Err(refused("it rotates queries and keys"));
    }
    if fused.int("past_present_share_buffer", 0) != 0 || fused.input(6).is_some() {
        return Err(refused("past and present share a buffer"));
    }
    fused.refuse_outputs(2, "which is not known to this operator")
}

/// The widths of query, key and value.
fn hidden_sizes(emit: &Emitter<'_>, fused: &Fused<'_>, weight: &str) -> Result<[i64; 3]> {
    let heads = fused.int("num_heads", 0);
    let total = emit.size(weight, -1)?;
    let sizes = match attribute_ints(fused.0, "qkv_hidden_sizes") {
        Some(&[query, key, value]) => [query, key, value],
        Some(_) => return Err(refused("qkv_hidden_sizes is not three numbers")),
        None => [total / 3; 3],
    };
    let divides = |size: &i64| *size > 0 && size.checked_rem(heads) == Some(0);
    let sum = sizes.iter().try_fold(0i64, |sum, &size| sum.checked_add(size));
    if heads > 0 && sizes.iter().all(divides) && sum == Some(total) {
        return Ok(sizes);
    }
    Err(refused(format!("its weight of {total} columns is not {heads} heads of {sizes:?}")))
}
