//! Sub-layers: what a transformer adds to its residual stream, found by data flow alone.
//!
//! The output of a sub-layer's last linear layer reaches a residual sum through bias, Identity and
//! Dropout: an addition whose other operand the layer itself depends on. The sub-layer is an
//! attention if a Softmax (or a fused attention) lies between that operand and the layer, and a
//! feed-forward otherwise.

use super::linear::{Linear, View};
use super::norm::{self, Norm};
use crate::graph::NodeProto;
use std::collections::{BTreeMap, HashSet, VecDeque};

/// The most operators between a linear layer and the sum.
const STEPS_MAX: usize = 6;
/// The most nodes that are searched between a sum and its other operand; a decomposed attention has
/// some dozens, and a hostile graph must not make the search slow.
const NODES_MAX: usize = 2_048;

/// The output of a fused sum and norm that holds the sum.
const SKIP_SUM: usize = 3;

/// One sub-layer.
#[derive(Clone, Debug)]
pub struct SubLayer {
    /// The node of the last linear layer.
    pub last: usize,
    /// The value added to the residual stream: the last layer's output, including its bias unless
    /// the sum itself adds that.
    pub output: String,
    /// The node that computes the sum.
    pub sum: usize,
    /// The other operand of the sum.
    pub residual: String,
    /// Whether the sub-layer is an attention; otherwise it is a feed-forward.
    pub is_attention: bool,
    /// The nodes between the residual and the last layer's output, in graph order.
    pub nodes: Vec<usize>,
    /// Whether the residual is normalised before any other use.
    pub begins_with_norm: bool,
}

/// Finds the sub-layers of a graph whose linear layers are given by node, in graph order.
pub fn find(view: &View<'_>, linears: &BTreeMap<usize, Linear>) -> Vec<SubLayer> {
    linears.keys().filter_map(|&last| of(view, linears, last)).collect()
}

/// The sub-layer that ends with the linear layer at `last`.
pub fn of(view: &View<'_>, linears: &BTreeMap<usize, Linear>, last: usize) -> Option<SubLayer> {
    let input = view.graph.node.get(last)?.input.get(linears.get(&last)?.input)?;
    sums(view, last).into_iter().find_map(|sum| {
        let node = &view.graph.node[sum.node];
        let residual = node.input.get(1usize.wrapping_sub(sum.operand))?.clone();
        let between = between(view, input, &residual)?;
        let nodes = between.nodes;
        Some(SubLayer {
            last,
            output: node.input[sum.operand].clone(),
            sum: sum.node,
            is_attention: nodes.iter().any(|&node| is_attention(&view.graph.node[node])),
            begins_with_norm: between.begins_with_norm || begins_with_norm(view, &residual, &nodes),
            residual,
            nodes,
        })
    })
}

impl SubLayer {
    /// The first linear layer of the sub-layer, in graph order.
    pub fn first(&self, linears: &BTreeMap<usize, Linear>) -> usize {
        self.nodes.iter().copied().find(|node| linears.contains_key(node)).unwrap_or(self.last)
    }

    /// The norm of the sum, if it alone reads the sum and the sub-layer does not begin with a norm
    /// of its own.
    pub fn norm(&self, view: &View<'_>) -> Option<Norm> {
        let node = &view.graph.node[self.sum];
        let value = node.output.first().filter(|_| !self.begins_with_norm)?;
        if is_skip_norm(node) {
            // If another node also reads the sum, the residual stream continues without the norm.
            let is_alone = node.output.get(SKIP_SUM).is_none_or(String::is_empty);
            return is_alone.then(|| Norm { nodes: vec![self.sum], output: value.clone() });
        }
        let norm = norm::after(view, value)?;
        let is_only = view.index.consumers(value).iter().all(|user| norm.nodes.contains(user));
        is_only.then_some(norm)
    }
}

/// Whether only a norm reads the residual, among the nodes of a sub-layer.
fn begins_with_norm(view: &View<'_>, residual: &str, nodes: &[usize]) -> bool {
    let Some(norm) = norm::after(view, residual) else { return false };
    let users = view.index.consumers(residual).iter();
    users.filter(|user| nodes.contains(user)).all(|user| norm.nodes.contains(user))
}

/// Whether the node computes a residual sum and its norm.
pub fn is_skip_norm(node: &NodeProto) -> bool {
    node.domain() == "com.microsoft"
        && matches!(node.op_type(), "SkipLayerNormalization" | "SkipSimplifiedLayerNormalization")
}

/// An addition of activations, and the operand through which it was reached.
struct Sum {
    node: usize,
    operand: usize,
}

/// The sums that the output of `node` reaches, nearest first.
fn sums(view: &View<'_>, node: usize) -> Vec<Sum> {
    let mut found = Vec::new();
    let mut open: VecDeque<(&str, usize)> = VecDeque::new();
    open.extend(view.graph.node[node].output.first().map(|name| (name.as_str(), 0)));
    while let Some((value, steps)) = open.pop_front() {
        for &position in view.index.consumers(value) {
            let node = &view.graph.node[position];
            let Some(operand) = node.input.iter().position(|name| name == value) else { continue };
            if is_sum(view, node, operand) {
                found.push(Sum { node: position, operand });
            } else if steps < STEPS_MAX && passes(view, node, operand) {
                open.extend(node.output.first().map(|name| (name.as_str(), steps + 1)));
            }
        }
    }
    found
}

/// Whether the node adds two activations, one of them at `operand`.
fn is_sum<'a>(view: &View<'a>, node: &'a NodeProto, operand: usize) -> bool {
    let adds = match (node.domain(), node.op_type()) {
        ("" | "ai.onnx", "Add") => node.input.len() == 2,
        _ => is_skip_norm(node) && operand < 2 && node.input.len() > 2,
    };
    let other = node.input.get(1usize.wrapping_sub(operand));
    adds && other.is_some_and(|other| !other.is_empty() && !frozen(view, other))
}

fn frozen<'a>(view: &View<'a>, value: &'a str) -> bool {
    // Vectors that were upcast to float32 exist only in the graph.
    let is_input = || view.graph.input.iter().any(|input| input.name() == value);
    view.frozen(value).is_some() || view.index.producer(value).is_none() && !is_input()
}

/// Whether the node passes its input on: it adds a bias, or is the identity at inference.
fn passes<'a>(view: &View<'a>, node: &'a NodeProto, operand: usize) -> bool {
    match node.op_type() {
        "Add" => node.input.get(1usize.wrapping_sub(operand)).is_some_and(|b| frozen(view, b)),
        "Identity" | "Dropout" | "Cast" | "Reshape" | "Squeeze" | "Unsqueeze" => operand == 0,
        "QuantizeLinear" | "DequantizeLinear" => operand == 0,
        _ => false,
    }
}

fn is_attention(node: &NodeProto) -> bool {
    match node.domain() {
        "" | "ai.onnx" => matches!(node.op_type(), "Softmax" | "Attention"),
        "com.microsoft" => matches!(
            node.op_type(),
            "Attention"
                | "MultiHeadAttention"
                | "PackedAttention"
                | "PackedMultiHeadAttention"
                | "QAttention"
                | "GroupQueryAttention"
                | "DecoderMaskedMultiHeadAttention"
                | "QOrderedAttention"
        ),
        _ => false,
    }
}

/// The nodes between a value and a source that it depends on.
struct Between {
    /// The nodes in graph order.
    nodes: Vec<usize>,
    /// Whether the source was reached through its own norm, where one node computes both.
    begins_with_norm: bool,
}

/// The nodes that `value` depends on, down to `source`; `None` when it does not depend on it.
fn between(view: &View<'_>, value: &str, source: &str) -> Option<Between> {
    let source = root(view, source);
    let mut open = VecDeque::from([value]);
    let (mut seen, mut nodes) = (HashSet::from([value]), Vec::new());
    let (mut depends, mut begins_with_norm) = (false, false);
    while let Some(value) = open.pop_front() {
        if root(view, value) == source {
            depends = true;
            continue;
        }
        let Some(position) = view.index.producer(value) else { continue };
        let node = &view.graph.node[position];
        if is_skip_norm(node) && node.output.get(SKIP_SUM).is_some_and(|sum| sum == source) {
            (depends, begins_with_norm) = (true, true);
            continue;
        }
        if nodes.len() == NODES_MAX {
            break;
        }
        nodes.push(position);
        let inputs = node.input.iter().filter(|input| !input.is_empty());
        open.extend(inputs.map(String::as_str).filter(|input| seen.insert(input)));
    }
    nodes.sort_unstable();
    nodes.dedup();
    depends.then_some(Between { nodes, begins_with_norm })
}

/// The value that `value` is a copy of.
fn root<'a>(view: &View<'a>, value: &'a str) -> &'a str {
    let mut value = value;
    for _ in 0..STEPS_MAX {
        let Some(node) = view.producer(value) else { break };
        match (node.op_type(), node.input.first()) {
            ("Identity" | "Dropout" | "Cast", Some(input)) => value = input,
            ("QuantizeLinear" | "DequantizeLinear", Some(input)) => value = input,
            _ => break,
        }
    }
    value
}
