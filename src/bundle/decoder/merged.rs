//! Splits a merged decoder into two graphs.
//!
//! Optimum can write the decoders without and with a cache as the branches of one `If`, over
//! initializers of the enclosing graph. Adapters and gradients need plain graphs, so each branch
//! becomes one.

use super::{INPUT_HIDDEN_STATES, PAST_PREFIX, is_cross, is_present};
use crate::error::{Code, Error, Result};
use crate::graph::{self, GraphProto, Model, NodeProto, ValueInfoProto, attribute_of};

const INPUT_CHOICE: &str = "use_cache_branch";

/// The decoder for the first step, and the one with a cache.
pub(super) fn take_apart(model: &Model) -> Result<(Model, Model)> {
    let graph = model.graph()?;
    let position = graph.node.iter().position(|node| node.op_type() == "If");
    let node = position
        .map(|position| &graph.node[position])
        .ok_or_else(|| malformed("it has no If node, so it is no merged decoder".to_owned()))?;
    if graph.node.iter().filter(|node| node.op_type() == "If").count() > 1 {
        return Err(malformed("it has several If nodes, expected one".to_owned()));
    }
    if !graph.input.iter().any(|input| input.name() == INPUT_CHOICE) {
        return Err(malformed(format!("it has no input {INPUT_CHOICE:?}")));
    }
    let first =
        branch(model, node, "else_branch", &|name| !name.starts_with(PAST_PREFIX), &|_| true)?;
    // Its output for the source's cache is a placeholder: that cache never changes.
    let later = branch(model, node, "then_branch", &|name| name != INPUT_HIDDEN_STATES, &|name| {
        !(is_present(name) && is_cross(name))
    })?;
    Ok((first, later))
}

/// The model of one branch, with the inputs and outputs that are wanted.
fn branch(
    model: &Model,
    choice: &NodeProto,
    name: &str,
    takes: &dyn Fn(&str) -> bool,
    gives: &dyn Fn(&str) -> bool,
) -> Result<Model> {
    let inner = attribute_of(choice, name).and_then(|attribute| attribute.g.as_deref());
    let inner = inner.ok_or_else(|| malformed(format!("its If node has no {name}")))?;
    if inner.output.len() != choice.output.len() || !inner.input.is_empty() {
        return Err(malformed(format!(
            "its {name} has {} outputs and {} inputs, expected {} and none",
            inner.output.len(),
            inner.input.len(),
            choice.output.len()
        )));
    }
    let outer = model.graph()?;
    let mut whole = GraphProto { name: outer.name.clone(), ..GraphProto::default() };
    whole.initializer = [outer.initializer.as_slice(), &inner.initializer].concat();
    whole.sparse_initializer =
        [outer.sparse_initializer.as_slice(), &inner.sparse_initializer].concat();
    let others = outer.node.iter().filter(|node| node.op_type() != "If");
    whole.node = others.chain(&inner.node).cloned().collect();
    for (made, wanted) in inner.output.iter().zip(&choice.output) {
        if made.name() != wanted {
            whole.node.push(NodeProto {
                op_type: Some("Identity".to_owned()),
                input: vec![made.name().to_owned()],
                output: vec![wanted.clone()],
                ..NodeProto::default()
            });
        }
    }
    let wanted = |infos: &[ValueInfoProto], wants: &dyn Fn(&str) -> bool| -> Vec<_> {
        infos.iter().filter(|info| wants(info.name())).cloned().collect()
    };
    let inputs = wanted(&outer.input, &|name| takes(name) && name != INPUT_CHOICE);
    let outputs = wanted(&outer.output, gives);
    let mut proto = model.proto.clone();
    proto.graph = Some(graph::extract(&whole, inputs, outputs)?);
    Model::new(proto, model.folder())
}

fn malformed(message: String) -> Error {
    Error::new(Code::GraphMalformed, format!("the merged decoder: {message}"))
}
