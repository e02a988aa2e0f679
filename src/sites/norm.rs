//! Recognizes the norm of a value, as one operator or decomposed.
//!
//! LayerNorm and RMSNorm are recognized by their operators: powers, means over the last axis, a
//! root, a quotient, and then a weight and a bias of one axis.

use super::linear::View;
use crate::graph::NodeProto;
use std::collections::BTreeSet;

/// The most nodes of a decomposed norm; LayerNorm takes nine, and casts add some.
const NODES_MAX: usize = 16;

/// A norm of one value.
#[derive(Clone, Debug)]
pub struct Norm {
    /// Its nodes, in graph order.
    pub nodes: Vec<usize>,
    /// The normalised value.
    pub output: String,
}

/// The norm of `value`, if there is exactly one.
pub fn after(view: &View<'_>, value: &str) -> Option<Norm> {
    let users = view.index.consumers(value);
    let whole = users.iter().filter(|user| is_norm(&view.graph.node[**user], value));
    if let [only] = whole.collect::<Vec<_>>().as_slice() {
        let output = view.graph.node[**only].output.first()?.clone();
        return Some(Norm { nodes: vec![**only], output });
    }
    written_out(view, value)
}

fn is_norm(node: &NodeProto, value: &str) -> bool {
    let is_norm = matches!(
        node.op_type(),
        "LayerNormalization" | "SimplifiedLayerNormalization" | "RMSNormalization"
    );
    is_norm && node.input.first().is_some_and(|input| input == value)
}

/// Follows the operators of a norm from `value` while all their inputs come from it.
fn written_out(view: &View<'_>, value: &str) -> Option<Norm> {
    let mut made = BTreeSet::from([value]);
    let mut nodes = BTreeSet::new();
    let mut open: BTreeSet<usize> = view.index.consumers(value).iter().copied().collect();
    while let Some(position) = open.pop_first() {
        let node = &view.graph.node[position];
        if nodes.contains(&position) || !belongs(view, node, &made) {
            continue;
        }
        if nodes.len() == NODES_MAX {
            return None;
        }
        nodes.insert(position);
        let output = node.output.first()?;
        made.insert(output);
        open.extend(view.index.consumers(output).iter().copied());
    }
    let has = |op: &str| nodes.iter().any(|node| view.graph.node[*node].op_type() == op);
    if !has("ReduceMean") || !(has("Sqrt") || has("Pow")) {
        return None;
    }
    // The norm's output is the value that other nodes read; there must be exactly one.
    let read_outside = |name: &&&str| {
        let users = view.index.consumers(name);
        users.is_empty() || users.iter().any(|user| !nodes.contains(user))
    };
    let made: Vec<&&str> =
        made.iter().filter(|name| **name != value).filter(read_outside).collect();
    let [output] = made.as_slice() else { return None };
    Some(Norm { output: (**output).to_owned(), nodes: nodes.into_iter().collect() })
}

/// Whether a node may belong to a norm, given the values that do.
fn belongs<'a>(view: &View<'a>, node: &'a NodeProto, made: &BTreeSet<&str>) -> bool {
    if !matches!(node.domain(), "" | "ai.onnx") || node.output.len() != 1 {
        return false;
    }
    let constant = |name: &'a String| view.frozen(name).map(|(_, dims)| dims);
    match node.op_type() {
        "ReduceMean" => node.input.first().is_some_and(|name| made.contains(name.as_str())),
        "Sqrt" | "Reciprocal" | "Cast" => {
            node.input.iter().all(|name| made.contains(name.as_str()))
        }
        op @ ("Sub" | "Pow" | "Div" | "Mul" | "Add") => node.input.iter().all(|name| {
            made.contains(name.as_str())
                || constant(name).is_some_and(|dims| {
                    // A weight or a bias has one axis; a scalar factor does not belong to a norm.
                    op != "Mul" || dims.iter().product::<usize>() > 1
                })
        }),
        _ => false,
    }
}
