//! The attention of the standard domain, from opset 23 on.

use super::heads::{Heads, attend, behind, merge, split};
use super::mask::Mask;
use super::writer::Parts;
use crate::error::Result;
use crate::graph::{attr, data_type};

/// Inputs: query, key and value, each `[batch, heads, tokens, size]` or `[batch, tokens, width]`;
/// a mask that broadcasts to the scores, truth values or numbers to add; past key and value.
/// Outputs: the result in the form of the query and, where asked for, all keys and all values.
pub(super) fn attention(parts: &mut Parts<'_, '_>) -> Result<()> {
    parts.refuse_outputs(3, "the scores")?;
    if parts.float("softcap", 0.0) != 0.0 {
        return Err(parts.refuse("it caps the scores"));
    }
    let causal = parts.int("is_causal", 0) != 0;
    if causal && parts.input(4).is_some() {
        return Err(parts.refuse("it is causal and has past keys"));
    }
    let (query, key, value) = (parts.required(0)?, parts.required(1)?, parts.required(2)?);
    let merged = parts.dims(query)?.len() == 3;
    let counts = if merged {
        [parts.int("q_num_heads", 0), parts.int("kv_num_heads", 0)]
    } else {
        [parts.size(query, 1)?, parts.size(key, 1)?]
    };
    let [queries, keys] = counts;
    if queries <= 0 || keys <= 0 || queries % keys != 0 {
        return Err(parts.refuse(&format!("{queries} heads of queries share {keys} of keys")));
    }
    let width = parts.size(query, -1)?;
    let size = if merged { width / queries } else { width };
    let heads = [(query, queries), (key, keys), (value, keys)];
    let [query, key, value] = heads.map(|(tensor, count)| match merged {
        true => split(parts, tensor, count),
        false => tensor.to_owned(),
    });
    let key = behind(parts, parts.input(4), key, parts.output(1));
    let value = behind(parts, parts.input(5), value, parts.output(2));
    let [key, value] = [key, value].map(|tensor| repeat(parts, tensor, queries, queries / keys));
    let shown = parts.input(3).filter(|mask| parts.data_type(mask) == data_type::BOOL);
    let shown = shown.map(str::to_owned);
    let mut added = Vec::from_iter(stated_mask(parts));
    let behind_query = Mask { mask: None, causal, filter: 0.0 };
    added.extend(behind_query.added(parts, (&query, &key))?);
    let scale = parts.float("scale", 1.0 / (size as f64).sqrt());
    let result = attend(parts, &Heads { query, key, value, scale, added, shown });
    match merged {
        true => merge(parts, &result),
        false => parts.result("Identity", &[&result], vec![]),
    }
    Ok(())
}

/// Each head `times` times in a row, `count` heads in all.
fn repeat(parts: &mut Parts<'_, '_>, tensor: String, count: i64, times: i64) -> String {
    if times == 1 {
        return tensor;
    }
    let apart = parts.change_axes("Unsqueeze", &tensor, &[2]);
    let copies = parts.ints(&[1, 1, times, 1, 1]);
    let copied = parts.node("Expand", &[&apart, &copies], vec![]);
    // [batch, keys, times, tokens, size] to [batch, keys * times, tokens, size].
    let sizes = parts.node("Shape", &[&tensor], vec![]);
    let [first, one, rest, end] = [0, 1, 2, 4].map(|place| parts.ints(&[place]));
    let batch = parts.node("Slice", &[&sizes, &first, &one], vec![]);
    let tail = parts.node("Slice", &[&sizes, &rest, &end], vec![]);
    let count = parts.ints(&[count]);
    let sizes = parts.node("Concat", &[&batch, &count, &tail], vec![attr::int("axis", 0)]);
    parts.node("Reshape", &[&copied, &sizes], vec![])
}

/// The fourth input as numbers to add.
fn stated_mask(parts: &mut Parts<'_, '_>) -> Option<String> {
    let mask = parts.input(3)?;
    if parts.data_type(mask) != data_type::BOOL {
        return Some(mask.to_owned());
    }
    let (shown, hidden) = (parts.scalar(0.0), parts.scalar(f64::from(f32::MIN)));
    Some(parts.node("Where", &[mask, &shown, &hidden], vec![]))
}
