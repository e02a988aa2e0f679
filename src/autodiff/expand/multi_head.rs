//! The attention of `com.microsoft` over queries, keys and values that were projected before.

use super::attention::scale;
use super::heads::{Heads, attend, behind, merge, split};
use super::mask::Mask;
use super::writer::Parts;
use crate::error::Result;
use crate::graph::shape_text;

/// Inputs: query `[batch, tokens, width]`; key and value `[batch, keys, width]` or
/// `[batch, heads, keys, size]`; bias of all three, mask, added `[batch or 1, heads or 1, tokens,
/// keys]`, past key, past value. Outputs: the result `[batch, tokens, width]` and, where asked for,
/// all keys and all values.
pub(super) fn multi_head_attention(parts: &mut Parts<'_, '_>) -> Result<()> {
    parts.refuse_outputs(3, "the scores")?;
    if parts.input(8).or(parts.input(9)).is_some() {
        return Err(parts.refuse("past and present share a buffer"));
    }
    let heads = parts.int("num_heads", 0);
    let [query, key, value] = [0, 1, 2].map(|index| parts.required(index));
    let (query, key, value) = (query?, key?, value?);
    let width = parts.size(query, -1)?;
    if parts.dims(query)?.len() != 3 || heads <= 0 || width % heads != 0 {
        let found = shape_text(Some(parts.dims(query)?));
        return Err(parts.refuse(&format!("its queries {found} are not {heads} heads")));
    }
    let second = width.saturating_mul(2);
    let places = [(0, width), (width, second), (second, i64::MAX)];
    let mut projected = Vec::with_capacity(3);
    for (tensor, (start, end)) in [query, key, value].into_iter().zip(places) {
        let mut tensor = tensor.to_owned();
        match (parts.dims(&tensor)?.len(), parts.input(3)) {
            (4, None) => {}
            (3, bias) => {
                if let Some(bias) = bias {
                    let part = parts.slice(bias, 0, start, end);
                    tensor = parts.node("Add", &[&tensor, &part], vec![]);
                }
                tensor = split(parts, &tensor, heads);
            }
            (rank, _) => return Err(parts.refuse(&format!("an operand has the rank {rank}"))),
        }
        projected.push(tensor);
    }
    let [query, key, value] = projected.try_into().unwrap_or_default();
    let key = behind(parts, parts.input(6), key, parts.output(1));
    let value = behind(parts, parts.input(7), value, parts.output(2));
    let mask = Mask {
        mask: parts.input(4),
        causal: parts.int("unidirectional", 0) != 0,
        filter: parts.float("mask_filter_value", -10_000.0),
    };
    let mut added = Vec::from_iter(mask.added(parts, (&query, &key))?);
    added.extend(parts.input(5).map(str::to_owned));
    let scale = scale(parts, width / heads);
    let result = attend(parts, &Heads { query, key, value, scale, added, shown: None });
    merge(parts, &result);
    Ok(())
}
