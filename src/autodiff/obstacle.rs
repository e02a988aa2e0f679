//! Finds what keeps gradients from passing through a graph: it derives the graph and records every
//! refusal instead of stopping at the first.
//!
//! It must apply the rules themselves, so that it never accepts what [`backward`](super::backward)
//! refuses.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::emit::Emitter;
use super::operators::find;
use super::path::Path;
use super::tape::{Gradient, Tape};
use super::{expand, rules};
use crate::error::{Code, Error, Result, listed};
use crate::graph::{
    GraphProto, NodeProto, Shapes, canonical_domain, topological_order, used_values,
};

/// From this opset on all transformer operators have their present form.
const OPSET_ADVISED: i64 = 18;

/// A node that stops gradients.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Obstacle {
    /// The node's name, or its position where it has none; empty when no single node is the cause.
    pub node: String,
    /// The operator.
    pub operator: String,
    /// Its domain; `ai.onnx` for the standard one.
    pub domain: String,
    /// The version of the graph's standard operators.
    pub opset: i64,
    /// Why gradients do not pass.
    pub reason: String,
    /// What would help.
    pub advice: String,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { node, operator, domain, opset, reason, advice } = self;
        if !operator.is_empty() {
            write!(f, "node {node:?} (operator {operator}, domain {domain}, opset {opset}): ")?;
        }
        write!(f, "{reason}; {advice}")
    }
}

impl Obstacle {
    fn of(node: &NodeProto, position: usize, opset: i64, cause: &Error) -> Self {
        let name = match node.name() {
            "" => format!("{position}"),
            name => name.to_owned(),
        };
        let domain = if node.domain().is_empty() { "ai.onnx" } else { node.domain() };
        Self {
            node: name,
            operator: node.op_type().to_owned(),
            domain: domain.to_owned(),
            opset,
            reason: cause.message().to_owned(),
            advice: advice(node, opset),
        }
    }

    /// An obstacle that no single node causes.
    fn of_graph(opset: i64, cause: &Error) -> Self {
        Self {
            node: String::new(),
            operator: String::new(),
            domain: String::new(),
            opset,
            reason: cause.message().to_owned(),
            advice: "choose an output that is computed from the adapted layers, in float".into(),
        }
    }
}

/// Everything that stops gradients of the tensors `to` on their way to the tensors `from`, nearest
/// to `to` first. An empty list means that [`backward`](super::backward) succeeds for a loss of
/// `to` and any of `from` that it depends on.
///
/// `opset` and `shapes` are as there. The graph is not changed.
pub fn obstacles(
    graph: &GraphProto,
    opset: i64,
    shapes: &Shapes,
    from: &[String],
    to: &[String],
) -> Vec<Obstacle> {
    let mut found = Vec::new();
    if let Err(cause) = collect(graph, opset, shapes, (from, to), &mut found) {
        found.push(Obstacle::of_graph(opset, &cause));
    }
    found
}

fn collect(
    graph: &GraphProto,
    opset: i64,
    shapes: &Shapes,
    (from, to): (&[String], &[String]),
    found: &mut Vec<Obstacle>,
) -> Result<()> {
    let mut graph = graph.clone();
    let mut shapes = shapes.clone();
    let between = |graph: &GraphProto, order: &[usize], shapes: &Shapes| {
        Path::between(graph, order, shapes, to, from, rules::carries_gradient)
    };
    let path = between(&graph, &topological_order(&graph)?, &shapes);
    if !to.iter().any(|name| path.contains(name)) {
        let to = listed(to);
        let message = format!("no floating-point tensor leads from the layers to {to}");
        return Err(Error::new(Code::GraphUnsupported, message));
    }
    let mut fused = BTreeMap::new();
    let origins =
        expand::expand(&mut graph, opset, &mut shapes, &path, &mut |node, position, cause| {
            fused.insert(position, Obstacle::of(node, position, opset, &cause));
            Ok(())
        })?;
    let order = topological_order(&graph)?;
    let mut tape = Tape::new(between(&graph, &order, &shapes));
    let mut emit = Emitter::new(&mut graph, opset, &mut shapes, "grad/")?;
    // Nothing runs here, so any tensor of the right shape can stand for a gradient.
    for name in to {
        tape.give(name, Gradient::of(name));
    }
    for position in order.into_iter().rev() {
        let Some(step) = tape.step(&mut emit, position) else { continue };
        let Err(cause) = rules::apply(&mut emit, &mut tape, &step) else { continue };
        let origin = origins.of(position);
        found.push(match fused.remove(&origin) {
            Some(obstacle) => obstacle,
            None => Obstacle::of(&step.node, origin, opset, &cause),
        });
        for name in used_values(&step.node) {
            tape.give(name, Gradient::of(name));
        }
    }
    Ok(())
}

/// Advice for a node that gradients cannot pass.
pub(super) fn advice(node: &NodeProto, opset: i64) -> String {
    let operator = node.op_type();
    let has_rule = find(rules::TABLE, node).is_some();
    match canonical_domain(node.domain()) {
        "" if matches!(operator, "If" | "Loop" | "Scan" | "SequenceMap") => {
            "export the model without control flow: traced for one case, and a decoder without \
             its past key values"
                .to_owned()
        }
        "" if has_rule && opset < OPSET_ADVISED => {
            format!("export the model with opset {OPSET_ADVISED} or later")
        }
        "" if has_rule => {
            "export the model with constant axes and sizes here; docs/operators.md lists the \
             forms that are covered"
                .to_owned()
        }
        "" => "attach adapters only to layers above this node, or export the model in the \
               operators of docs/operators.md"
            .to_owned(),
        "com.microsoft" => "export the model without ONNX Runtime's optimiser; sessions optimise \
                            it when they open it"
            .to_owned(),
        _ => "export the model in standard operators, with its functions inlined".to_owned(),
    }
}
