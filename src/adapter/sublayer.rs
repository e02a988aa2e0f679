//! Sub-layers: what a transformer adds to its residual stream, found by data flow alone.
//!
//! A sub-layer's last linear layer is the one whose output, through bias, Identity and Dropout,
//! meets a residual sum: an addition whose other operand the layer itself depends on. The sub-layer
//! is an attention if a Softmax (or a fused attention) lies between that operand and the layer, and
//! a feed-forward otherwise.

use super::linear::{Linear, View};
use crate::graph::NodeProto;
use std::collections::{BTreeMap, HashSet, VecDeque};

/// Most operators between a linear layer and the sum.
const STEPS_MAX: usize = 6;
/// Most nodes that are looked at between a sum and its other operand; a decomposed attention has
/// some dozens, and a graph made to be slow must not be.
const NODES_MAX: usize = 2_048;

/// One sub-layer.
#[derive(Clone, Debug)]
pub(super) struct SubLayer {
    /// The node of the last linear layer.
    pub last: usize,
    /// What is added to the residual stream: the last layer's output, bias included unless the sum
    /// itself adds it.
    pub output: String,
    /// The node that makes the sum.
    pub sum: usize,
    /// The position of `output` among its inputs.
    pub operand: usize,
    /// The other operand.
    pub residual: String,
    /// Attention, or else feed-forward.
    pub is_attention: bool,
    /// The other linear layers of the sub-layer, in graph order.
    pub others: Vec<usize>,
}

/// Finds the sub-layers of a graph whose linear layers are given by node, in graph order.
pub(super) fn find(view: &View<'_>, linears: &BTreeMap<usize, Linear>) -> Vec<SubLayer> {
    linears.keys().filter_map(|&last| of(view, linears, last)).collect()
}

/// The sub-layer that ends with the linear layer at `last`.
pub(super) fn of(
    view: &View<'_>,
    linears: &BTreeMap<usize, Linear>,
    last: usize,
) -> Option<SubLayer> {
    let input = view.graph.node[last].input.get(linears.get(&last)?.input)?;
    sums(view, last).into_iter().find_map(|sum| {
        let node = &view.graph.node[sum.node];
        let residual = node.input.get(1 - sum.operand)?.clone();
        let between = between(view, input, &residual)?;
        Some(SubLayer {
            last,
            output: node.input[sum.operand].clone(),
            sum: sum.node,
            operand: sum.operand,
            residual,
            is_attention: between.iter().any(|&node| is_attention(&view.graph.node[node])),
            others: between.into_iter().filter(|node| linears.contains_key(node)).collect(),
        })
    })
}

/// An addition of activations, and which operand was followed to it.
struct Sum {
    node: usize,
    operand: usize,
}

/// The sums that the output of `node` meets, nearest first.
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
fn is_sum(view: &View<'_>, node: &NodeProto, operand: usize) -> bool {
    let adds = match (node.domain(), node.op_type()) {
        ("" | "ai.onnx", "Add") => node.input.len() == 2,
        ("com.microsoft", "SkipLayerNormalization" | "SkipSimplifiedLayerNormalization") => {
            operand < 2 && node.input.len() > 2
        }
        _ => false,
    };
    let other = node.input.get(1usize.wrapping_sub(operand));
    adds && other.is_some_and(|other| !other.is_empty() && !frozen(view, other))
}

fn frozen(view: &View<'_>, value: &str) -> bool {
    view.weights.get(value).is_some()
        || view.index.producer(value).is_some_and(|position| {
            let node = &view.graph.node[position];
            node.op_type() == "Constant"
                || ["Cast", "Identity", "DequantizeLinear"].contains(&node.op_type())
                    && node.input.first().is_some_and(|input| view.weights.get(input).is_some())
        })
}

/// Whether the node hands its input on: a bias, or nothing in inference.
fn passes(view: &View<'_>, node: &NodeProto, operand: usize) -> bool {
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

/// The nodes that `value` depends on, down to `source` and no further, in graph order; `None` when
/// it does not depend on it.
fn between(view: &View<'_>, value: &str, source: &str) -> Option<Vec<usize>> {
    let source = root(view, source);
    let mut open = VecDeque::from([value]);
    let (mut seen, mut nodes) = (HashSet::from([value]), Vec::new());
    let mut depends = false;
    while let Some(value) = open.pop_front() {
        if root(view, value) == source {
            depends = true;
            continue;
        }
        let Some(position) = view.index.producer(value) else { continue };
        if nodes.len() == NODES_MAX {
            break;
        }
        nodes.push(position);
        let inputs = view.graph.node[position].input.iter().filter(|input| !input.is_empty());
        open.extend(inputs.map(String::as_str).filter(|input| seen.insert(input)));
    }
    nodes.sort_unstable();
    nodes.dedup();
    depends.then_some(nodes)
}

/// The value that `value` is a copy of.
fn root<'a>(view: &View<'a>, value: &'a str) -> &'a str {
    let mut value = value;
    for _ in 0..STEPS_MAX {
        let Some(position) = view.index.producer(value) else { break };
        let node = &view.graph.node[position];
        match (node.op_type(), node.input.first()) {
            ("Identity" | "Dropout" | "Cast", Some(input)) => value = input,
            ("QuantizeLinear" | "DequantizeLinear", Some(input)) => value = input,
            _ => break,
        }
    }
    value
}
