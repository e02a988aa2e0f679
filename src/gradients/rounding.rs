//! Finds nodes that round their input.
//!
//! A rounded value does not move with a small change, or it jumps, so a finite difference cannot
//! confirm a gradient that was passed straight through.

use crate::error::Result;
use crate::graph::{
    GraphProto, NodeProto, attribute_int, data_type, describe, used_values, values_behind,
};
use std::collections::HashSet;

/// The rounding nodes, and the values that they depend on.
#[derive(Debug, Default)]
pub(super) struct Rounding {
    /// Every value that a rounding node before the output is computed from.
    behind: HashSet<String>,
    /// The nodes, as messages name them.
    nodes: Vec<String>,
}

impl Rounding {
    /// Finds the nodes between the tensors `wanted` and `output` that round.
    pub fn find(graph: &GraphProto, wanted: &[String], output: &str) -> Result<Self> {
        let read = values_behind(graph, &[output])?;
        let rounds =
            |node: &&NodeProto| rounds(node) && node.output.iter().any(|name| read.contains(name));
        let inputs = graph.node.iter().filter(rounds).flat_map(used_values);
        let behind = values_behind(graph, &inputs.collect::<Vec<_>>())?;
        let mut depends: HashSet<&str> = wanted.iter().map(String::as_str).collect();
        let mut nodes = Vec::new();
        // A node out of order is found through another rounding node, or not named.
        for (position, node) in graph.node.iter().enumerate() {
            if used_values(node).iter().any(|name| depends.contains(name)) {
                depends.extend(node.output.iter().map(String::as_str));
                if rounds(&node) {
                    nodes.push(describe(node, position));
                }
            }
        }
        Ok(Self { behind, nodes })
    }

    /// Whether the output depends on a tensor through a rounding node.
    pub fn concerns(&self, tensor: &str) -> bool {
        self.behind.contains(tensor)
    }

    /// The nodes, as messages name them.
    pub fn nodes(&self) -> &[String] {
        &self.nodes
    }
}

fn rounds(node: &NodeProto) -> bool {
    match (node.domain(), node.op_type()) {
        ("" | "ai.onnx", "Round" | "Floor" | "Ceil" | "Sign") => true,
        ("" | "ai.onnx", "Cast") => attribute_int(node, "to").is_some_and(is_coarse),
        ("com.microsoft", "DynamicQuantizeMatMul" | "QAttention") => true,
        // At this level the kernel also rounds the activations to bytes.
        ("com.microsoft", "MatMulNBits") => attribute_int(node, "accuracy_level") == Some(4),
        (_, name) => {
            name.starts_with("QLinear")
                || matches!(name, "QuantizeLinear" | "DynamicQuantizeLinear")
        }
    }
}

/// Whether an element type is coarser than float32.
fn is_coarse(kind: i64) -> bool {
    !i32::try_from(kind).is_ok_and(|kind| matches!(kind, data_type::FLOAT | data_type::DOUBLE))
}
