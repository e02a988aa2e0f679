//! Scaled dot-product attention of several heads (Vaswani et al., arXiv 1706.03762), in the parts
//! that every fused attention consists of.

use super::fused::Fused;
use crate::autodiff::emit::Emitter;
use crate::graph::attr;

/// What one attention needs; each tensor is `[batch, heads, tokens, size]`.
pub(super) struct Heads {
    pub query: String,
    pub key: String,
    pub value: String,
    /// Factor on the scores.
    pub scale: f64,
    /// Tensors added to the scores, which they broadcast to: `[batch, heads, queries, keys]`.
    pub added: Vec<String>,
    /// Truth values that broadcast to the scores: a query that sees no key at all gets zeros.
    pub shown: Option<String>,
}

/// `[batch, tokens, heads * size]` as `[batch, heads, tokens, size]`.
pub(super) fn split(emit: &mut Emitter<'_>, tensor: &str, heads: i64) -> String {
    let split = emit.reshape(tensor, &[0, 0, heads, -1]);
    emit.transpose(&split, &[0, 2, 1, 3])
}

/// Makes the fused node's first output, `[batch, tokens, heads * size]`, of
/// `[batch, heads, tokens, size]`.
pub(super) fn merge(emit: &mut Emitter<'_>, fused: &Fused<'_>, tensor: &str) {
    let rows = emit.transpose(tensor, &[0, 2, 1, 3]);
    let sizes = emit.ints(&[0, 0, -1]);
    fused.result(emit, "Reshape", &[&rows, &sizes], vec![]);
}

/// The values, weighted by the softmax of the scores: `[batch, heads, queries, size]`.
pub(super) fn attend(emit: &mut Emitter<'_>, fused: &Fused<'_>, heads: &Heads) -> String {
    let key = emit.transpose(&heads.key, &[0, 1, 3, 2]);
    let scores = emit.node("MatMul", &[&heads.query, &key], vec![]);
    let mut scores = fused.scaled(emit, &scores, heads.scale);
    for added in &heads.added {
        scores = emit.node("Add", &[&scores, added], vec![]);
    }
    let mut shares = emit.node("Softmax", &[&scores], vec![attr::int("axis", -1)]);
    if let Some(shown) = &heads.shown {
        let zero = fused.scalar(emit, 0.0);
        shares = emit.node("Where", &[shown, &shares, &zero], vec![]);
    }
    emit.node("MatMul", &[&shares, &heads.value], vec![])
}

/// The tensor behind what came before it, along the axis of tokens, under a name where it has to
/// have one.
pub(super) fn concatenate(
    emit: &mut Emitter<'_>,
    past: Option<&str>,
    tensor: String,
    output: Option<&str>,
) -> String {
    match (past, output) {
        (None, None) => tensor,
        (None, Some(output)) => {
            emit.named("Identity", &[&tensor], output, vec![]);
            tensor
        }
        (Some(past), None) => emit.node("Concat", &[past, &tensor], vec![attr::int("axis", 2)]),
        (Some(past), Some(output)) => {
            let axis = vec![attr::int("axis", 2)];
            emit.named("Concat", &[past, &tensor], output, axis);
            output.to_owned()
        }
    }
}
