//! Where adapters can attach: linear layers with a frozen two-dimensional weight.
//!
//! Exporters name things differently. A weight keeps its module name (`encoder.layer.0...weight`)
//! or gets a serial number (`onnx::MatMul_1017`), in which case the node's name still tells the
//! module path (`/encoder/layer.0/attention/self/query/MatMul`). Both give the same site name.

use crate::graph::{GraphProto, NodeProto, Weights, attr};
use std::collections::HashMap;

/// A linear layer of the backbone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Module path in dots, for example `encoder.layer.0.attention.self.query`.
    pub module: String,
    /// Index of the MatMul or Gemm node in the graph that was searched.
    pub node: usize,
    /// Size of the layer's input.
    pub inputs: usize,
    /// Size of the layer's output.
    pub outputs: usize,
}

impl Site {
    /// Name of the tensor `[inputs, rank]` that projects down.
    pub fn lora_a(&self) -> String {
        format!("{}.lora_A", self.module)
    }

    /// Name of the tensor `[rank, outputs]` that projects up.
    pub fn lora_b(&self) -> String {
        format!("{}.lora_B", self.module)
    }

    /// Whether `pattern` names this site: its whole path, or its last parts (`query`,
    /// `attention.self.query`).
    pub fn matches(&self, pattern: &str) -> bool {
        self.module == pattern
            || self
                .module
                .strip_suffix(pattern)
                .is_some_and(|rest| !pattern.is_empty() && rest.ends_with('.'))
    }
}

/// Finds every site of `graph`, in graph order. Layers that share a weight get one site each, with
/// a serial number after the first, so that names stay unique.
pub fn find_sites(graph: &GraphProto, weights: &Weights) -> Vec<Site> {
    let mut taken = HashMap::<String, usize>::new();
    let mut sites = Vec::new();
    for (index, node) in graph.node.iter().enumerate() {
        let Some((inputs, outputs)) = linear_shape(node, weights) else { continue };
        let path = module_path(node);
        let count = taken.entry(path.clone()).or_default();
        *count += 1;
        let module = if *count == 1 { path } else { format!("{path}.{count}") };
        sites.push(Site { module, node: index, inputs, outputs });
    }
    sites
}

/// `(inputs, outputs)` of a MatMul or Gemm whose right operand is a frozen matrix.
fn linear_shape(node: &NodeProto, weights: &Weights) -> Option<(usize, usize)> {
    if !matches!(node.domain(), "" | "ai.onnx") {
        return None;
    }
    let transposed = match node.op_type() {
        "MatMul" => false,
        // A transposed left operand would make rows of the batch columns of the layer.
        "Gemm" if attr::attribute_int(node, "transA").unwrap_or(0) == 0 => {
            attr::attribute_int(node, "transB").unwrap_or(0) != 0
        }
        _ => return None,
    };
    let weight = weights.get(node.input.get(1)?)?;
    let [rows, columns] = weight.dims else { return None };
    let (rows, columns) = (usize::try_from(*rows).ok()?, usize::try_from(*columns).ok()?);
    Some(if transposed { (columns, rows) } else { (rows, columns) })
}

/// The dotted module path that the exporter left in the weight's or the node's name.
fn module_path(node: &NodeProto) -> String {
    let weight = node.input[1].as_str();
    if let Some(path) = weight.strip_suffix(".weight")
        && !path.contains("::")
    {
        return path.to_owned();
    }
    let mut parts: Vec<_> = node.name().split('/').filter(|part| !part.is_empty()).collect();
    if parts.len() > 1 {
        parts.pop();
    }
    if parts.is_empty() { weight.to_owned() } else { parts.join(".") }
}
