//! Fused operators, written out in operators that have rules.
//!
//! A fused operator keeps what its derivative needs to itself: the scores of an attention, the sum
//! of a skip connection. In flow the nodes of a graph and which tensors get a gradient; each fused
//! node on that path is replaced by parts that make the same outputs, one function per operator.
//! Nodes off the path stay fused. An expansion must compute what ONNX Runtime's kernel computes,
//! and refuse by name the forms that it does not cover.

mod attention;
mod heads;
mod mask;
mod multi_head;
mod normalization;
mod product;
mod rotary;
mod standard;
mod writer;

use std::collections::BTreeMap;

use super::path::Path;
use crate::error::{Error, Result};
use crate::graph::{Builder, GraphProto, NodeProto, Shapes, canonical_domain};
use writer::Parts;

/// Appends the parts of a node.
pub(super) type Expansion = fn(&mut Parts<'_, '_>) -> Result<()>;

/// Every operator that is written out: domain (empty for the standard one), name, first opset of
/// its domain, expansion, forms that are refused.
#[rustfmt::skip]
pub(super) const TABLE: &[(&str, &str, i64, Expansion, &str)] = &[
    ("", "Attention", 23, standard::attention,
        "no `softcap`, no scores as output, no past keys where it is causal"),
    ("", "RotaryEmbedding", 23, rotary::standard, ""),
    ("com.microsoft", "Attention", 1, attention::attention,
        "no `do_rotary`, no shared buffer of past and present, no mask of rank 4"),
    ("com.microsoft", "FusedMatMul", 1, product::fused_mat_mul, ""),
    ("com.microsoft", "MultiHeadAttention", 1, multi_head::multi_head_attention,
        "no packed operands of rank 5, no shared buffer of past and present, no scores as output"),
    ("com.microsoft", "RotaryEmbedding", 1, rotary::microsoft, "no `is_packed_batching`"),
    ("com.microsoft", "SkipLayerNormalization", 1, normalization::skip_layer,
        "the statistics are no outputs"),
    ("com.microsoft", "SkipSimplifiedLayerNormalization", 1, normalization::skip_simplified,
        "the statistics are no outputs"),
];

fn find(node: &NodeProto) -> Option<Expansion> {
    let key = (canonical_domain(node.domain()), node.op_type());
    TABLE.iter().find(|entry| (entry.0, entry.1) == key).map(|entry| entry.3)
}

/// Where the nodes of an expanded graph come from.
pub(super) struct Origins(Vec<usize>);

impl Origins {
    /// The position, before the expansion, of the node that now stands at `position`.
    pub fn of(&self, position: usize) -> usize {
        self.0.get(position).copied().unwrap_or(position)
    }
}

/// What to do about a node at a position that cannot be written out: an error ends the expansion,
/// otherwise the node stays.
pub(super) type Refused<'a> = dyn FnMut(&NodeProto, usize, Error) -> Result<()> + 'a;

/// Writes out every fused node that a gradient has to pass; the types of the new tensors are added
/// to `shapes`.
pub(super) fn expand(
    graph: &mut GraphProto,
    opset: i64,
    shapes: &mut Shapes,
    path: &Path,
    refused: &mut Refused<'_>,
) -> Result<Origins> {
    let is_fused = |node: &NodeProto| find(node).is_some() && path.passes(node);
    if !graph.node.iter().any(is_fused) {
        return Ok(Origins(Vec::new()));
    }
    let forward = (graph.node.len(), graph.initializer.len());
    let mut builder = Builder::new(graph, "parts/");
    let mut written = BTreeMap::new();
    for position in 0..forward.0 {
        let node = builder.graph().node[position].clone();
        let Some(expansion) = find(&node).filter(|_| path.passes(&node)) else { continue };
        let label = if node.name().is_empty() { node.op_type() } else { node.name() };
        builder.set_prefix(format!("parts/{}/", label.trim_start_matches('/')));
        let result = expansion(&mut Parts::new(&mut builder, shapes, opset, &node));
        let parts = builder.graph_mut().node.split_off(forward.0);
        match result {
            Ok(()) => drop(written.insert(position, parts)),
            Err(cause) => refused(&node, position, cause)?,
        }
    }
    shapes.extend(&graph.initializer[forward.1..], &[], opset);
    let mut origins = Vec::new();
    for (position, node) in std::mem::take(&mut graph.node).into_iter().enumerate() {
        let parts = match written.remove(&position) {
            Some(parts) => {
                shapes.extend(&[], &parts, opset);
                parts
            }
            None => vec![node],
        };
        origins.resize(origins.len() + parts.len(), position);
        graph.node.extend(parts);
    }
    Ok(Origins(origins))
}
