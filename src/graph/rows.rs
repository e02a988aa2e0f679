//! Finds out whether one row of a batch changes the results of the others.
//!
//! In a graph of floats each text of a batch is computed independently. That does not hold for
//! dynamically quantised activations: the scale follows from the largest value of the whole tensor,
//! over all texts and their padding. The result for a text then depends on the batch it runs in, so
//! such texts run alone.

use std::collections::HashSet;

use super::index::{describe, subgraphs};
use super::model::{MICROSOFT, Model, canonical_domain};
use super::proto::{GraphProto, NodeProto};

/// Operators that compute the scale of an activation from the activation.
const DYNAMIC: &[&str] = &["DynamicQuantizeLinear", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM"];

/// Operators that round their results.
const ROUNDING: &[&str] = &["QuantizeLinear", "Round", "QAttention"];

/// A description of the first node that computes one scale for a whole batch; `None` if there is
/// none.
pub fn mixes_rows(model: &Model) -> Option<String> {
    find(model, &|node, constants| {
        let input = |position: usize| node.input.get(position).map(String::as_str);
        let is_constant = |name: Option<&str>| name.is_none_or(|name| constants.contains(name));
        let is_dynamic = DYNAMIC.contains(&node.op_type()) && !is_constant(input(0));
        let is_scaled = node.op_type() == "QuantizeLinear" && !is_constant(input(1));
        is_dynamic || is_scaled
    })
}

/// Whether some results are rounded, so that a difference of one bit may grow to a rounding step.
pub fn has_rounding(model: &Model) -> bool {
    let rounds = |node: &NodeProto, _: &HashSet<&str>| {
        let name = node.op_type();
        DYNAMIC.contains(&name) || ROUNDING.contains(&name) || name.starts_with("QLinear")
    };
    find(model, &rounds).is_some()
}

/// The first node for which `wanted` is true, in subgraphs and model-local functions too. `wanted`
/// is given the names of all constants.
fn find(model: &Model, wanted: &dyn Fn(&NodeProto, &HashSet<&str>) -> bool) -> Option<String> {
    let functions = model.proto.functions.iter();
    let main = model.proto.graph.iter().map(|graph| graph.node.as_slice());
    let bodies: Vec<&[NodeProto]> =
        main.chain(functions.map(|function| function.node.as_slice())).collect();
    let mut constants = HashSet::new();
    let mut nodes: Vec<(usize, &NodeProto)> = Vec::new();
    model.proto.graph.iter().for_each(|graph| initializers(graph, &mut constants));
    let mut open: Vec<&[NodeProto]> = bodies.into_iter().rev().collect();
    while let Some(body) = open.pop() {
        for (position, node) in body.iter().enumerate() {
            if node.op_type() == "Constant" {
                constants.extend(node.output.iter().map(String::as_str));
            }
            nodes.push((position, node));
            for inner in subgraphs(node) {
                initializers(inner, &mut constants);
                open.push(&inner.node);
            }
        }
    }
    let is_ours = |node: &NodeProto| ["", MICROSOFT].contains(&canonical_domain(node.domain()));
    let found = nodes.into_iter().find(|(_, node)| is_ours(node) && wanted(node, &constants));
    found.map(|(position, node)| describe(node, position))
}

fn initializers<'a>(graph: &'a GraphProto, names: &mut HashSet<&'a str>) {
    names.extend(graph.initializer.iter().map(|tensor| tensor.name()));
}
