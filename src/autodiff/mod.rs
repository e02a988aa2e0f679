//! The backward graph: reverse-mode differentiation of an ONNX graph into plain ONNX.
//!
//! One rule per operator derives the gradients of its inputs from those of its outputs (`rules/`);
//! `emit.rs` appends the nodes, `tape.rs` passes gradients from rule to rule and accumulates them,
//! and `path.rs` decides which tensors need one. `expand/` first expands fused operators into
//! standard ones.
//!
//! Only tensors between a wanted tensor and the loss get a gradient: frozen weights get none, and
//! nothing is computed below the lowest wanted tensor. The forward nodes stay as they are, except
//! that normalizations and fused operators on the path are expanded, because the backward graph
//! needs their intermediate values. An operator without a rule is an error that names it; this part
//! must never guess a derivative, and never run a model.
//!
//! Input: a graph whose loss is a scalar, its known shapes, and the names of the tensors whose
//! gradients are wanted. Output: the same graph with the computation of the gradients appended.

mod emit;
mod expand;
mod frozen;
mod obstacle;
mod operators;
mod path;
mod patterns;
mod rules;
mod sizes;
mod tape;

use std::collections::BTreeMap;

use crate::error::{Code, Error, Result};
use crate::graph::{GraphProto, NodeProto, Shapes, constants_first, describe, topological_order};
use emit::Emitter;
use operators::OperatorFacts;
use path::Path;
use tape::Tape;

pub use obstacle::{Obstacle, obstacles};

/// Appends the backward graph of the scalar `loss` to `graph`; returns for each name in `wanted`
/// (inputs or any other tensor) the name of its gradient, which has the tensor's shape and type.
///
/// `opset` is the version of the graph's standard operators, 11 or later, and `shapes` the result
/// of [`Shapes::infer`] for this graph; the types of the gradients are added to it. Every gradient
/// has a name of its own, so all of them can become outputs. On failure the graph is unchanged.
///
/// # Errors
/// [`Code::GraphUnsupported`] when an operator on the path has no rule, or its rule needs an
/// unknown shape or does not support its form: the message names the node, the operator, its domain
/// and the opset, and says what would help. [`Code::ArgumentInvalid`] when the loss is not a scalar
/// of the graph or does not depend on a wanted tensor. [`Code::GraphMalformed`] for an invalid
/// graph.
pub fn backward(
    graph: &mut GraphProto,
    opset: i64,
    shapes: &mut Shapes,
    loss: &str,
    wanted: &[String],
) -> Result<BTreeMap<String, String>> {
    let (mut extended, mut known) = (graph.clone(), shapes.clone());
    let find = |graph: &GraphProto, order: &[usize], shapes: &Shapes| {
        Path::find(graph, order, shapes, loss, wanted, rules::carries_gradient)
    };
    let path = find(&extended, &topological_order(&extended)?, &known)?;
    let origins =
        expand::expand(&mut extended, opset, &mut known, &path, &mut |node, position, cause| {
            Err(refusal(node, position, opset, &cause))
        })?;
    let order = topological_order(&extended)?;
    let mut tape = Tape::new(find(&extended, &order, &known)?);
    let mut emit = Emitter::new(&mut extended, opset, &mut known, "grad/")?;
    tape.seed(&mut emit, loss)?;
    for position in order.into_iter().rev() {
        if let Some(step) = tape.step(&mut emit, position) {
            rules::apply(&mut emit, &mut tape, &step)
                .map_err(|cause| refusal(&step.node, origins.of(position), opset, &cause))?;
        }
    }
    let gradients = tape.finish(emit, wanted)?;
    constants_first(&mut extended);
    *graph = extended;
    *shapes = known;
    Ok(gradients)
}

/// An operator that gradients can pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operator {
    /// The domain; empty for the standard one.
    pub domain: &'static str,
    /// The operator's name.
    pub name: &'static str,
    /// The first opset of its domain in which it is differentiated: 11, or the one that added it.
    pub since: i64,
    /// Whether it is expanded into other operators instead of having a rule of its own.
    pub expanded: bool,
    /// The unsupported forms; empty when there are none.
    pub limits: &'static str,
}

/// Every operator that gradients can pass, by domain and name.
pub fn operators() -> Vec<Operator> {
    let mut all: Vec<Operator> =
        public(rules::TABLE, false).chain(public(expand::TABLE, true)).collect();
    all.sort_by_key(|operator| (operator.domain, operator.name));
    all
}

fn public<D>(table: &'static [OperatorFacts<D>], expanded: bool) -> impl Iterator<Item = Operator> {
    table.iter().map(move |facts| Operator {
        domain: facts.domain,
        name: facts.operator,
        since: facts.since_opset,
        expanded,
        limits: facts.limits,
    })
}

/// The error for a node that cannot be differentiated. Rules and expansions give only the reason;
/// the node and the advice are added here.
fn refusal(node: &NodeProto, position: usize, opset: i64, cause: &Error) -> Error {
    let place = describe(node, position);
    let domain = match node.domain() {
        "" => "ai.onnx",
        other => other,
    };
    let (operator, why) = (node.op_type(), cause.message());
    let advice = obstacle::advice(node, opset);
    Error::new(
        Code::GraphUnsupported,
        format!(
            "{place}: cannot differentiate {operator} (domain {domain}, opset {opset}): {why}; \
             {advice}"
        ),
    )
}
