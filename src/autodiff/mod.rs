//! The backward graph: reverse-mode differentiation of an ONNX graph into plain ONNX.
//!
//! In flow a graph whose loss is a scalar, what is known of its shapes, and the names of the
//! tensors whose gradients are wanted; out flows the same graph with the gradients' computation
//! appended. One rule per operator says how the gradient of its outputs becomes that of its
//! inputs; `tape.rs` carries gradients from rule to rule and adds them up, and `path.rs` decides
//! which tensors need one at all.
//!
//! Only what lies between a wanted tensor and the loss is touched: frozen weights get no gradient,
//! and nothing is computed below the lowest wanted tensor. The forward nodes stay as they are,
//! except that a `LayerNormalization` on the way is written out in its parts, which the backward
//! graph needs. An operator without a rule is an error that names it; this part must never guess a
//! derivative, and never runs a model.

mod emit;
mod frozen;
mod path;
mod patterns;
mod rules;
mod tape;

use std::collections::BTreeMap;

use crate::error::{Code, Error, Result};
use crate::graph::{GraphProto, Shapes, constants_first, describe, topological_order};
use path::Path;
use tape::{Step, Tape};

/// Appends the backward graph of the scalar `loss` to `graph`; gives for each name in `wanted`
/// (inputs or any other tensor) the name of its gradient, which has the tensor's shape and type.
///
/// `opset` is the version of the graph's standard operators, 11 or later, and `shapes` what
/// [`Shapes::infer`] found in this graph; the types of the gradients are added to it. Every
/// gradient has a name of its own, so all of them can become outputs. On failure the graph is as
/// it was.
///
/// # Errors
/// [`Code::GraphUnsupported`] when an operator on the way has no rule, or its rule needs a shape
/// that is not known or a form it does not cover: the message names the node, the operator, its
/// domain and the opset. [`Code::ArgumentInvalid`] when the loss is not a scalar of the graph or
/// does not depend on a wanted tensor. [`Code::GraphMalformed`] for a graph that is none.
pub fn backward(
    graph: &mut GraphProto,
    opset: i64,
    shapes: &mut Shapes,
    loss: &str,
    wanted: &[String],
) -> Result<BTreeMap<String, String>> {
    let mut extended = graph.clone();
    let mut known = shapes.clone();
    let gradients = append(&mut extended, opset, &mut known, loss, wanted)?;
    *graph = extended;
    *shapes = known;
    Ok(gradients)
}

/// Every operator that has a rule, as (domain, name); the standard domain is empty.
pub fn supported_operators() -> impl Iterator<Item = (&'static str, &'static str)> {
    rules::TABLE.iter().map(|(domain, operator, _)| (*domain, *operator))
}

fn append(
    graph: &mut GraphProto,
    opset: i64,
    shapes: &mut Shapes,
    loss: &str,
    wanted: &[String],
) -> Result<BTreeMap<String, String>> {
    let order = topological_order(graph)?;
    let path = Path::find(graph, &order, shapes, loss, wanted)?;
    let mut tape = Tape::new(graph, opset, shapes, path)?;
    tape.seed(loss)?;
    for position in order.into_iter().rev() {
        let Some(step) = tape.step(position) else { continue };
        let rule = rules::find(step.node.domain(), step.node.op_type())
            .ok_or_else(|| unsupported(&step, opset, "there is no derivative rule for it"))?;
        tape.check_precision(&step)?;
        rule(&mut tape, &step)?;
    }
    let gradients = tape.finish(wanted)?;
    constants_first(graph);
    Ok(gradients)
}

/// The error for a node that cannot be differentiated.
fn unsupported(step: &Step, opset: i64, why: &str) -> Error {
    let node = describe(&step.node, step.position);
    let domain = match step.node.domain() {
        "" => "ai.onnx",
        other => other,
    };
    let operator = step.node.op_type();
    Error::new(
        Code::GraphUnsupported,
        format!("{node}: cannot differentiate {operator} (domain {domain}, opset {opset}): {why}"),
    )
}
