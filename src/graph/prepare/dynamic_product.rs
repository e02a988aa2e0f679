//! Fuses products of a dynamically quantised activation and a frozen matrix into one node.
//!
//! Dynamic quantisation writes `DynamicQuantizeLinear`, `MatMulInteger`, `Cast` and two `Mul`. ONNX
//! Runtime has one operator with the same result and fuses the five nodes itself. As one node, the
//! layer takes and returns floats, and adapters attach there.

use std::collections::HashSet;

use crate::error::Result;
use crate::graph::index::{Index, used_values};
use crate::graph::model::MICROSOFT;
use crate::graph::proto::{GraphProto, NodeProto};
use crate::graph::weights::Weights;

/// The nodes of one product, by position, and the inputs of the fused node.
struct Product {
    nodes: [usize; 4],
    inputs: Vec<String>,
}

/// Fuses all such products of the main graph; returns whether there were any.
pub(super) fn fuse(graph: &mut GraphProto, weights: &Weights) -> Result<bool> {
    let index = Index::new(graph)?;
    let kept: HashSet<&str> = graph.output.iter().map(|output| output.name()).collect();
    let view = View { graph, index: &index, weights, kept };
    let products: Vec<Product> =
        (0..graph.node.len()).filter_map(|position| view.product(position)).collect();
    let mut dropped = HashSet::new();
    for product in &products {
        let [matrix, cast, scales, last] = product.nodes;
        let whole = &mut graph.node[last];
        whole.op_type = Some("DynamicQuantizeMatMul".to_owned());
        whole.domain = Some(MICROSOFT.to_owned());
        whole.input.clone_from(&product.inputs);
        whole.attribute.clear();
        dropped.extend([matrix, cast, scales]);
    }
    let mut position = 0;
    graph.node.retain(|_| {
        position += 1;
        !dropped.contains(&(position - 1))
    });
    if !products.is_empty() {
        drop_unused_quantizers(graph);
    }
    Ok(!products.is_empty())
}

/// Removes the quantisation nodes that no node uses any more.
fn drop_unused_quantizers(graph: &mut GraphProto) {
    let mut used: HashSet<String> = graph.output.iter().map(|o| o.name().to_owned()).collect();
    used.extend(graph.node.iter().flat_map(used_values).map(str::to_owned));
    graph.node.retain(|node| {
        node.op_type() != "DynamicQuantizeLinear"
            || node.output.iter().any(|name| used.contains(name))
    });
}

struct View<'a> {
    graph: &'a GraphProto,
    index: &'a Index,
    weights: &'a Weights,
    /// The outputs of the graph, which must stay.
    kept: HashSet<&'a str>,
}

impl View<'_> {
    /// The product whose `MatMulInteger` stands at `position`.
    fn product(&self, position: usize) -> Option<Product> {
        let matrix = &self.graph.node[position];
        if !is(matrix, "MatMulInteger") {
            return None;
        }
        let [values, weight, zero, ..] = matrix.input.as_slice() else { return None };
        let quantizer = self.producer(values).filter(|node| is(node, "DynamicQuantizeLinear"))?;
        let [quantized, scale, zero_point] = quantizer.output.as_slice() else { return None };
        if values != quantized || zero != zero_point || self.weights.get(weight)?.dims.len() != 2 {
            return None;
        }
        let cast = self.only_user(position).filter(|&next| is(&self.graph.node[next], "Cast"))?;
        let last = self.only_user(cast).filter(|&next| is(&self.graph.node[next], "Mul"))?;
        let sums = self.graph.node[cast].output.first()?;
        let both = other_operand(&self.graph.node[last], sums)?;
        let scales = self.index.producer(both)?;
        let weight_scale = other_operand(&self.graph.node[scales], scale)?;
        let is_product =
            is(&self.graph.node[scales], "Mul") && self.only_user(scales) == Some(last);
        let stored = self.weights.get(weight_scale)?;
        if !is_product || stored.dims.len() > 1 {
            return None;
        }
        let mut inputs = vec![quantizer.input.first()?.clone(), weight.clone()];
        inputs.push(weight_scale.to_owned());
        inputs.extend(matrix.input.get(3).cloned());
        Some(Product { nodes: [position, cast, scales, last], inputs })
    }

    fn producer(&self, value: &str) -> Option<&NodeProto> {
        self.index.producer(value).map(|position| &self.graph.node[position])
    }

    /// The only consumer of a node's only output, unless that is an output of the graph.
    fn only_user(&self, position: usize) -> Option<usize> {
        let [output] = self.graph.node[position].output.as_slice() else { return None };
        match self.index.consumers(output) {
            [next] if !self.kept.contains(output.as_str()) => Some(*next),
            _ => None,
        }
    }
}

fn is(node: &NodeProto, operator: &str) -> bool {
    matches!(node.domain(), "" | "ai.onnx") && node.op_type() == operator
}

/// The other operand of a node of two inputs, of which one is `value`.
fn other_operand<'a>(node: &'a NodeProto, value: &str) -> Option<&'a str> {
    match node.input.as_slice() {
        [left, right] if left == value && right != value => Some(right),
        [left, right] if right == value && left != value => Some(left),
        _ => None,
    }
}
