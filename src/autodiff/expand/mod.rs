//! Expands fused operators into operators that have rules.
//!
//! A fused operator hides values that its derivative needs, such as the scores of an attention or
//! the sum of a skip connection. Each function expands one operator. Nodes off the gradient path
//! stay fused. An expansion must compute what ONNX Runtime's kernel computes, and refuse the forms
//! that it does not cover by name.
//!
//! Input: a graph and the tensors that get a gradient. Output: the graph with each fused node on
//! that path replaced by nodes that produce the same outputs.

mod attention;
mod fused;
mod grouped;
mod heads;
mod mask;
mod multi_head;
mod normalization;
mod product;
mod rotary;
mod standard;

use super::emit::Emitter;
use super::operators::{OperatorFacts, find};
use super::path::Path;
use crate::error::{Error, Result};
use crate::graph::{GraphProto, NodeProto, Shapes};
use fused::Fused;

/// Appends the expansion of a node.
pub(super) type Expansion = fn(&mut Emitter<'_>, &Fused<'_>) -> Result<()>;

const fn standard(
    operator: &'static str,
    since_opset: i64,
    how: Expansion,
) -> OperatorFacts<Expansion> {
    OperatorFacts::standard(operator, since_opset, how)
}

const fn microsoft(operator: &'static str, how: Expansion) -> OperatorFacts<Expansion> {
    OperatorFacts::microsoft(operator, how)
}

pub(super) const TABLE: &[OperatorFacts<Expansion>] = &[
    standard("Attention", 23, standard::attention)
        .limits("no `softcap`, no scores as output, no past keys where it is causal"),
    standard("RotaryEmbedding", 23, rotary::standard),
    microsoft("Attention", attention::attention)
        .limits("no `do_rotary`, no shared buffer of past and present, no mask of rank 4"),
    microsoft("FusedMatMul", product::fused_mat_mul),
    microsoft("GroupQueryAttention", grouped::group_query_attention)
        .limits("no past keys, no window, no `softcap`, no sink, no scores as output"),
    microsoft("MultiHeadAttention", multi_head::multi_head_attention).limits(
        "no packed operands of rank 5, no shared buffer of past and present, no scores as output",
    ),
    microsoft("RotaryEmbedding", rotary::microsoft).limits("no `is_packed_batching`"),
    microsoft("SkipLayerNormalization", normalization::skip_layer)
        .limits("the statistics are no outputs"),
    microsoft("SkipSimplifiedLayerNormalization", normalization::skip_simplified)
        .limits("the statistics are no outputs"),
];

/// The origin of each node of an expanded graph.
pub(super) struct Origins(Vec<usize>);

impl Origins {
    /// The position, before the expansion, of the node at `position`.
    pub fn of(&self, position: usize) -> usize {
        self.0.get(position).copied().unwrap_or(position)
    }
}

/// Handles a node that cannot be expanded, at a position: an error ends the expansion, otherwise
/// the node stays.
pub(super) type Refused<'a> = dyn FnMut(&NodeProto, usize, Error) -> Result<()> + 'a;

/// Expands every fused node that a gradient has to pass; adds the types of the new tensors to
/// `shapes`.
pub(super) fn expand(
    graph: &mut GraphProto,
    opset: i64,
    shapes: &mut Shapes,
    path: &Path,
    refused: &mut Refused<'_>,
) -> Result<Origins> {
    let fused = |node: &NodeProto| find(TABLE, node).filter(|_| path.passes(node));
    if !graph.node.iter().any(|node| fused(node).is_some()) {
        return Ok(Origins(Vec::new()));
    }
    let mut emit = Emitter::new(graph, opset, shapes, "parts/")?;
    for position in 0..emit.given_count() {
        let node = emit.given(position).clone();
        let Some(facts) = fused(&node) else { continue };
        emit.enter_node(&node);
        let cursor = emit.cursor();
        match (facts.derive)(&mut emit, &Fused(&node)) {
            Ok(()) => emit.replace(position, cursor),
            Err(cause) => {
                emit.cut(cursor);
                refused(&node, position, cause)?;
            }
        }
    }
    Ok(Origins(emit.place_replacements(true)))
}
