//! Rules of fused attention and embedding operators: the result and the cached keys and values.

use super::dims;
use super::known::{Outputs, Uses};
use crate::graph::attr::{attribute_int, attribute_ints};
use crate::graph::types::{Dim, TensorType, data_type};

fn typed(uses: &Uses, shape: Vec<Dim>) -> Option<TensorType> {
    Some(TensorType::new(uses.data_type(0), shape))
}

/// `com.microsoft.Attention`: tokens `[batch, tokens, in]`, weight `[in, q + k + v]`.
pub(super) fn packed(uses: &Uses) -> Outputs {
    let Some([batch, tokens, _]) = uses.shape(0) else { return Vec::new() };
    let width = match attribute_ints(uses.node, "qkv_hidden_sizes") {
        Some(sizes) => sizes.get(2).map_or(Dim::Unknown, |&size| Dim::Known(size)),
        None => match uses.shape(1) {
            Some([_, total]) => dims::divide(total, &Dim::Known(3)),
            _ => Dim::Unknown,
        },
    };
    let heads = attribute_int(uses.node, "num_heads").map_or(Dim::Unknown, Dim::Known);
    let past = match uses.shape(4) {
        Some([_, _, _, past, _]) => past.clone(),
        Some(_) => Dim::Unknown,
        None => Dim::Known(0),
    };
    let keys = dims::add(&past, tokens);
    let size = dims::divide(&width, &heads);
    let present = vec![Dim::Known(2), batch.clone(), heads, keys, size];
    let result = vec![batch.clone(), tokens.clone(), width];
    vec![typed(uses, result), typed(uses, present)]
}

/// `com.microsoft.MultiHeadAttention`: query `[batch, tokens, width]`, key and value
/// `[batch, keys, width]` or `[batch, heads, keys, size]`.
pub(super) fn multi_head(uses: &Uses) -> Outputs {
    let Some([batch, tokens, query_width]) = uses.shape(0) else { return Vec::new() };
    let heads = attribute_int(uses.node, "num_heads").map_or(Dim::Unknown, Dim::Known);
    let (keys, width) = match uses.shape(2) {
        Some([_, keys, width]) => (keys.clone(), width.clone()),
        Some([_, _, keys, size]) => (keys.clone(), dims::multiply(&heads, size)),
        _ => (Dim::Unknown, Dim::Unknown),
    };
    let past = match uses.shape(6) {
        Some([_, _, past, _]) => past.clone(),
        Some(_) => Dim::Unknown,
        None => Dim::Known(0),
    };
    let keys = dims::add(&past, &keys);
    let kept = |width: &Dim| {
        let size = dims::divide(width, &heads);
        typed(uses, vec![batch.clone(), heads.clone(), keys.clone(), size])
    };
    let result = vec![batch.clone(), tokens.clone(), width.clone()];
    vec![typed(uses, result), kept(query_width), kept(&width)]
}

/// `com.microsoft.GroupQueryAttention`: query `[batch, tokens, width]`, or query, key and value
/// side by side.
pub(super) fn grouped(uses: &Uses) -> Outputs {
    let Some([batch, tokens, width]) = uses.shape(0) else { return Vec::new() };
    let stated = |name| attribute_int(uses.node, name).filter(|&count| count > 0);
    let (Some(heads), Some(key_heads)) = (stated("num_heads"), stated("kv_num_heads")) else {
        return Vec::new();
    };
    let parts = match uses.name(1) {
        Some(_) => heads,
        None => heads.saturating_add(key_heads.saturating_mul(2)),
    };
    let size = dims::divide(width, &Dim::Known(parts));
    let result = dims::multiply(&Dim::Known(heads), &size);
    let keys = match uses.name(3) {
        Some(_) => Dim::Unknown, // past and present may share a buffer
        None => tokens.clone(),
    };
    let kept = typed(uses, vec![batch.clone(), Dim::Known(key_heads), keys, size]);
    vec![typed(uses, vec![batch.clone(), tokens.clone(), result]), kept.clone(), kept]
}

/// The standard `Attention`, whose operands are `[batch, heads, tokens, size]` or
/// `[batch, tokens, width]`.
pub(super) fn standard(uses: &Uses) -> Outputs {
    let known = |name| attribute_int(uses.node, name).map_or(Dim::Unknown, Dim::Known);
    let past = match uses.shape(4) {
        Some([_, _, past, _]) => past.clone(),
        Some(_) => Dim::Unknown,
        None => Dim::Known(0),
    };
    match (uses.shape(0), uses.shape(1), uses.shape(2)) {
        (Some([b, heads, tokens, _]), Some([_, n, keys, size]), Some([_, _, _, value_size])) => {
            let keys = dims::add(&past, keys);
            let kept =
                |size: &Dim| typed(uses, vec![b.clone(), n.clone(), keys.clone(), size.clone()]);
            let result = vec![b.clone(), heads.clone(), tokens.clone(), value_size.clone()];
            vec![typed(uses, result), kept(size), kept(value_size)]
        }
        (Some([b, tokens, _]), Some([_, keys, width]), Some([_, _, value_width])) => {
            let (queries, n) = (known("q_num_heads"), known("kv_num_heads"));
            let keys = dims::add(&past, keys);
            let kept = |width: &Dim| {
                let size = dims::divide(width, &n);
                typed(uses, vec![b.clone(), n.clone(), keys.clone(), size])
            };
            let width_out = dims::multiply(&queries, &dims::divide(value_width, &n));
            let result = vec![b.clone(), tokens.clone(), width_out];
            vec![typed(uses, result), kept(width), kept(value_width)]
        }
        _ => Vec::new(),
    }
}

/// `com.microsoft.EmbedLayerNormalization`: tokens `[batch, tokens]`; the third input is a table
/// `[words, width]`.
pub(super) fn embedding(uses: &Uses) -> Outputs {
    let (Some([batch, tokens]), Some([_, width])) = (uses.shape(0), uses.shape(2)) else {
        return Vec::new();
    };
    let element = uses.data_type(2);
    let of = |shape| Some(TensorType::new(element, shape));
    let result = vec![batch.clone(), tokens.clone(), width.clone()];
    let lengths = TensorType::new(data_type::INT32, vec![batch.clone()]);
    vec![of(result.clone()), Some(lengths), of(result)]
}
