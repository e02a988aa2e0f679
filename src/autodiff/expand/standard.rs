//! Expands the attention of the standard domain, from opset 23 on.

use super::fused::Fused;
use super::heads::{Heads, attend, concatenate, merge, repeat, split};
use super::mask::Mask;
use crate::autodiff::emit::{Emitter, refused};
use crate::error::Result;
use crate::graph::data_type;

/// Inputs: query, key and value, each `[batch, heads, tokens, size]` or `[batch, tokens, width]`; a
/// mask that broadcasts to the scores, of booleans or of numbers to add; past key and value.
/// Outputs: the result in the layout of the query and, optionally, all keys and all values.
pub(super) fn attention(emit: &mut Emitter<'_>, fused: &Fused<'_>) -> Result<()> {
    fused.refuse_outputs(3, "the scores")?;
    if fused.float("softcap", 0.0) != 0.0 {
        return Err(refused("it caps the scores"));
    }
    let causal = fused.int("is_causal", 0) != 0;
    if causal && fused.input(4).is_some() {
        return Err(refused("it is causal and has past keys"));
    }
    let (query, key, value) = (fused.required(0)?, fused.required(1)?, fused.required(2)?);
    let merged = emit.dims(query)?.len() == 3;
    let counts = if merged {
        [fused.int("q_num_heads", 0), fused.int("kv_num_heads", 0)]
    } else {
        [emit.size(query, 1)?, emit.size(key, 1)?]
    };
    let [queries, keys] = counts;
    if queries <= 0 || keys <= 0 || queries % keys != 0 {
        return Err(refused(format!("{queries} heads of queries share {keys} of keys")));
    }
    let width = emit.size(query, -1)?;
    let size = if merged { width / queries } else { width };
    let heads = [(query, queries), (key, keys), (value, keys)];
    let [query, key, value] = heads.map(|(tensor, count)| match merged {
        true => split(emit, tensor, count),
        false => tensor.to_owned(),
    });
    let key = concatenate(emit, fused.input(4), key, fused.output(1));
    let value = concatenate(emit, fused.input(5), value, fused.output(2));
    let [key, value] = [key, value].map(|tensor| repeat(emit, tensor, queries, queries / keys));
    let shown = fused.input(3).filter(|mask| emit.data_type(mask) == data_type::BOOL);
    let shown = shown.map(str::to_owned);
    let mut added = Vec::from_iter(stated_mask(emit, fused));
    let behind_query = Mask { mask: None, causal, filter: 0.0 };
    added.extend(behind_query.added(emit, fused, (&query, &key))?);
    let scale = fused.float("scale", 1.0 / (size as f64).sqrt());
    let result = attend(emit, fused, &Heads { query, key, value, scale, added, shown });
    match merged {
        true => merge(emit, fused, &result),
        false => fused.result(emit, "Identity", &[&result], vec![]),
    }
    Ok(())
}

/// The fourth input as numbers to add.
fn stated_mask(emit: &mut Emitter<'_>, fused: &Fused<'_>) -> Option<String> {
    let mask = fused.input(3)?;
    if emit.data_type(mask) != data_type::BOOL {
        return Some(mask.to_owned());
    }
    let (shown, hidden) = (fused.scalar(emit, 0.0), fused.scalar(emit, f64::from(f32::MIN)));
    Some(emit.node("Where", &[mask, &shown, &hidden], vec![]))
}
