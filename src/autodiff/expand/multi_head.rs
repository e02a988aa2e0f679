//! Expands the attention of `com.microsoft` over projected queries, keys and values.

use super::attention::scale;
use super::fused::Fused;
use super::heads::{Heads, attend, concatenate, merge, split};
use super::mask::Mask;
use crate::autodiff::emit::{Emitter, refused};
use crate::error::Result;
use crate::graph::shape_text;

/// Inputs: query `[batch, tokens, width]`; key and value `[batch, keys, width]` or `[batch, heads,
/// keys, size]`; bias of all three, mask, attention bias `[batch or 1, heads or 1, tokens, keys]`,
/// past key, past value. Outputs: the result `[batch, tokens, width]` and, optionally, all keys and
/// all values.
pub(super) fn multi_head_attention(emit: &mut Emitter<'_>, fused: &Fused<'_>) -> Result<()> {
    fused.refuse_outputs(3, "the scores")?;
    if fused.input(8).or(fused.input(9)).is_some() {
        return Err(refused("past and present share a buffer"));
    }
    let heads = fused.int("num_heads", 0);
    let [query, key, value] = [0, 1, 2].map(|index| fused.required(index));
    let (query, key, value) = (query?, key?, value?);
    let width = emit.size(query, -1)?;
    if emit.dims(query)?.len() != 3 || heads <= 0 || width % heads != 0 {
        let found = shape_text(Some(&emit.dims(query)?));
        return Err(refused(format!("its queries {found} are not {heads} heads")));
    }
    let second = width.saturating_mul(2);
    let places = [(0, width), (width, second), (second, i64::MAX)];
    let mut projected = Vec::with_capacity(3);
    for (tensor, (start, end)) in [query, key, value].into_iter().zip(places) {
        let mut tensor = tensor.to_owned();
        match (emit.dims(&tensor)?.len(), fused.input(3)) {
            (4, None) => {}
            (3, bias) => {
                if let Some(bias) = bias {
                    let part = emit.slice(bias, 0, start, end);
                    tensor = emit.node("Add", &[&tensor, &part], vec![]);
                }
                tensor = split(emit, &tensor, heads);
            }
            (rank, _) => return Err(refused(format!("an operand has the rank {rank}"))),
        }
        projected.push(tensor);
    }
    let [query, key, value] = projected.try_into().unwrap_or_default();
    let key = concatenate(emit, fused.input(6), key, fused.output(1));
    let value = concatenate(emit, fused.input(7), value, fused.output(2));
    let mask = Mask {
        mask: fused.input(4),
        causal: fused.int("unidirectional", 0) != 0,
        filter: fused.float("mask_filter_value", -10_000.0),
    };
    let mut added = Vec::from_iter(mask.added(emit, fused, (&query, &key))?);
    added.extend(fused.input(5).map(str::to_owned));
    let scale = scale(fused, width / heads);
    let result = attend(emit, fused, &Heads { query, key, value, scale, added, shown: None });
    merge(emit, fused, &result);
    Ok(())
}
