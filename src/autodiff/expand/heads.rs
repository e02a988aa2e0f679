//! Multi-head scaled dot-product attention (Vaswani et al., arXiv 1706.03762): the steps that every
//! fused attention consists of.

use super::fused::Fused;
use crate::autodiff::emit::Emitter;
use crate::graph::attr;

/// The operands of an attention; each tensor is `[batch, heads, tokens, size]`.
pub(super) struct Heads {
    pub query: String,
    pub key: String,
    pub value: String,
    /// Factor on the scores.
    pub scale: f64,
    /// Tensors added to the scores, which they broadcast to: `[batch, heads, queries, keys]`.
    pub added: Vec<String>,
    /// Booleans that broadcast to the scores; a query without any visible key yields zeros.
    pub shown: Option<String>,
}

/// Reshapes `[batch, tokens, heads * size]` to `[batch, heads, tokens, size]`.
pub(super) fn split(emit: &mut Emitter<'_>, tensor: &str, heads: i64) -> String {
    let split = emit.reshape(tensor, &[0, 0, heads, -1]);
    emit.transpose(&split, &[0, 2, 1, 3])
}

/// Produces the fused node's first output, `[batch, tokens, heads * size]`, from `[batch, heads,
/// tokens, size]`.
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

/// Concatenates the past tensor and the current one along the token axis, under the name of the
/// fused node's output if it has one.
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

/// Repeats each of `count` heads `times` times in a row.
pub(super) fn repeat(emit: &mut Emitter<'_>, tensor: String, count: i64, times: i64) -> String {
    if times == 1 {
        return tensor;
    }
    let apart = emit.change_axes("Unsqueeze", &tensor, &[2]);
    let copies = emit.ints(&[1, 1, times, 1, 1]);
    let copied = emit.node("Expand", &[&apart, &copies], vec![]);
    // [batch, keys, times, tokens, size] to [batch, keys * times, tokens, size].
    let sizes = emit.node("Shape", &[&tensor], vec![]);
    let [first, one, rest, end] = [0, 1, 2, 4].map(|place| emit.ints(&[place]));
    let batch = emit.node("Slice", &[&sizes, &first, &one], vec![]);
    let tail = emit.node("Slice", &[&sizes, &rest, &end], vec![]);
    let count = emit.ints(&[count]);
    let sizes = emit.node("Concat", &[&batch, &count, &tail], vec![attr::int("axis", 0)]);
    emit.node("Reshape", &[&copied, &sizes], vec![])
}
