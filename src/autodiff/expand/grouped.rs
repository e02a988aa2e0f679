//! Expands the attention of `com.microsoft` in which several heads of queries share one of keys and
//! values.

use super::attention::scale;
use super::fused::Fused;
use super::heads::{Heads, attend, concatenate, merge, repeat, split};
use super::mask::Mask;
use super::rotary::{Turn, rotate};
use crate::autodiff::emit::{Emitter, refused};
use crate::error::Result;
use crate::graph::{attr, attribute_float, attribute_int};

/// Inputs: query `[batch, tokens, heads * size]`, key and value with fewer heads, or all three side
/// by side in the first; past key and value; the number of tokens of each text minus one; the
/// number of tokens; tables of cosines and sines, positions, attention bias. Outputs: the result
/// `[batch, tokens, heads * size]` and, optionally, keys and values `[batch, heads, tokens, size]`.
///
/// A query sees the keys up to its own position. Those behind a text's last token are seen from
/// there only, so the numbers of tokens change no result that counts.
pub(super) fn group_query_attention(emit: &mut Emitter<'_>, fused: &Fused<'_>) -> Result<()> {
    check(fused)?;
    let (heads, key_heads) = (fused.int("num_heads", 0), fused.int("kv_num_heads", 0));
    let query = fused.required(0)?;
    let width = emit.size(query, -1)?;
    if heads <= 0 || key_heads <= 0 || heads % key_heads != 0 {
        return Err(refused(format!("{heads} heads of queries share {key_heads} of keys")));
    }
    let parts = if fused.input(1).is_some() {
        heads
    } else {
        heads.saturating_add(key_heads.saturating_mul(2))
    };
    if width < parts || width % parts != 0 {
        return Err(refused(format!("its queries of {width} columns are not {parts} heads")));
    }
    let size = width / parts;
    let operands = match fused.input(1) {
        Some(key) => [query, key, fused.required(2)?].map(str::to_owned),
        None => {
            let keys = heads * size;
            let values = keys + key_heads * size;
            [(0, keys), (keys, values), (values, i64::MAX)]
                .map(|(start, end)| emit.slice(query, 2, start, end))
        }
    };
    let [query, key, value] = operands;
    let mut query = split(emit, &query, heads);
    let mut key = split(emit, &key, key_heads);
    let value = split(emit, &value, key_heads);
    if fused.int("do_rotary", 0) != 0 {
        let angles = angles(emit, fused, &query)?;
        let half = emit.size(fused.required(7)?, -1)?;
        if half <= 0 || half.saturating_mul(2) > size {
            return Err(refused(format!("{half} pairs of heads of {size} are rotated")));
        }
        let interleaved = fused.int("rotary_interleaved", 0) != 0;
        let turn = Turn { size, half, interleaved, shared: 1 };
        query = rotate(emit, query, &turn, angles.clone());
        key = rotate(emit, key, &turn, angles);
    }
    let key = concatenate(emit, None, key, fused.output(1));
    let value = concatenate(emit, None, value, fused.output(2));
    let [key, value] = [key, value].map(|tensor| repeat(emit, tensor, heads, heads / key_heads));
    let behind_query = Mask { mask: None, causal: true, filter: 0.0 };
    let mut added = Vec::from_iter(behind_query.added(emit, fused, (&query, &key))?);
    added.extend(fused.input(10).map(str::to_owned));
    let scale = scale(fused, size);
    let result = attend(emit, fused, &Heads { query, key, value, scale, added, shown: None });
    merge(emit, fused, &result);
    Ok(())
}

/// Cosines and sines of each token, `[batch or 1, tokens, half]`.
fn angles(emit: &mut Emitter<'_>, fused: &Fused<'_>, query: &str) -> Result<[String; 2]> {
    let places = match fused.input(9) {
        Some(places) => places.to_owned(),
        None => {
            let count = emit.run_time_size(query, 2);
            let count = emit.change_axes("Squeeze", &count, &[0]);
            let (zero, one) = (emit.int(0), emit.int(1));
            let range = emit.node("Range", &[&zero, &count, &one], vec![]);
            emit.change_axes("Unsqueeze", &range, &[0])
        }
    };
    let tables = [fused.required(7)?, fused.required(8)?];
    Ok(tables.map(|table| emit.node("Gather", &[table, &places], vec![attr::int("axis", 0)])))
}

/// Refuses what the steps above do not compute.
fn check(fused: &Fused<'_>) -> Result<()> {
    if fused.input(3).or(fused.input(4)).is_some() {
        return Err(refused("it reads keys of earlier tokens: export the encoder without a cache"));
    }
    if fused.float("softcap", 0.0) != 0.0 {
        return Err(refused("it caps the scores"));
    }
    let window = fused.int("local_window_size", -1);
    if window != -1 {
        return Err(refused(format!("a query sees the last {window} keys only")));
    }
    if fused.int("smooth_softmax", 0) > 0 || fused.input(11).is_some() {
        return Err(refused("its softmax has a sink"));
    }
    // Attributes and inputs of later versions change the result, too.
    let known = ["num_heads", "kv_num_heads", "scale", "do_rotary", "rotary_interleaved"];
    let plain = |name: &str| {
        let none = attribute_int(fused.0, name).is_some_and(|value| value == 0 || value == -1);
        let float = attribute_float(fused.0, name).is_some_and(|value| value == 0.0);
        match name {
            "causal" => fused.int(name, 1) == 1,
            "k_quant_type" | "v_quant_type" => true,
            _ => none || float || name.ends_with("_epsilon"),
        }
    };
    let other = fused.0.attribute.iter().map(|one| one.name());
    if let Some(name) = other.into_iter().find(|name| !known.contains(name) && !plain(name)) {
        return Err(refused(format!("its attribute {name} is not known")));
    }
    if let Some(index) = (12..fused.0.input.len()).find(|&index| fused.input(index).is_some()) {
        return Err(refused(format!("its input {index} is not known")));
    }
    fused.refuse_outputs(3, "the scores")
}
