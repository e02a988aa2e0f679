//! Cuts part of a graph out as a graph of its own.

use std::collections::HashSet;

use super::index::{Index, used_values};
use super::proto::{GraphProto, ValueInfoProto};
use crate::error::{Code, Error, Result};

/// The nodes and initializers of `graph` that compute `outputs` from `inputs`, in their order.
///
/// Any value may be an input; the nodes that compute it are then left out. Inputs of the graph that
/// have an initializer stay inputs where they are used. Types of intermediate values are dropped.
///
/// # Errors
/// [`Code::GraphUnsupported`] when an output also depends on another input of the graph, or when
/// nothing computes it; [`Code::GraphMalformed`] as [`Index::new`].
pub fn extract(
    graph: &GraphProto,
    inputs: Vec<ValueInfoProto>,
    outputs: Vec<ValueInfoProto>,
) -> Result<GraphProto> {
    let index = Index::new(graph)?;
    let names = graph.initializer.iter().map(|tensor| tensor.name());
    let sparse = graph.sparse_initializer.iter().filter_map(|tensor| tensor.values.as_ref());
    let initializers: HashSet<&str> = names.chain(sparse.map(|values| values.name())).collect();
    let mut open: Vec<&str> = outputs.iter().map(|info| info.name()).collect();
    let given: HashSet<&str> = inputs.iter().map(|info| info.name()).collect();
    let mut nodes = HashSet::new();
    let mut used: HashSet<&str> = HashSet::new();
    while let Some(value) = open.pop() {
        if given.contains(value) || !used.insert(value) {
            continue;
        }
        match index.producer(value) {
            Some(position) if nodes.insert(position) => {
                open.extend(used_values(&graph.node[position]));
            }
            Some(_) => {}
            None if initializers.contains(value) => {}
            None => {
                let message = format!("the part of the graph needs {value:?}, which is not given");
                return Err(Error::new(Code::GraphUnsupported, message));
            }
        }
    }
    let mut part = GraphProto {
        name: graph.name.clone(),
        input: inputs.clone(),
        output: outputs.clone(),
        ..GraphProto::default()
    };
    let defaults = graph
        .input
        .iter()
        .filter(|info| used.contains(info.name()) && initializers.contains(info.name()));
    part.input.extend(defaults.cloned());
    let kept = graph.node.iter().enumerate().filter(|(position, _)| nodes.contains(position));
    part.node = kept.map(|(_, node)| node.clone()).collect();
    let tensors = graph.initializer.iter().filter(|tensor| used.contains(tensor.name()));
    part.initializer = tensors.cloned().collect();
    let is_used = |name: Option<&str>| name.is_some_and(|name| used.contains(name));
    let sparse = graph.sparse_initializer.iter();
    let sparse = sparse.filter(|one| is_used(one.values.as_ref().map(|values| values.name())));
    part.sparse_initializer = sparse.cloned().collect();
    Ok(part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{NodeProto, TensorProto, TensorType, data_type::FLOAT};

    fn info(name: &str) -> ValueInfoProto {
        TensorType::unranked(FLOAT).to_value_info(name)
    }

    fn chain() -> GraphProto {
        let node = |inputs: &[&str], output: &str| NodeProto {
            op_type: Some("Add".to_owned()),
            input: inputs.iter().map(|name| (*name).to_owned()).collect(),
            output: vec![output.to_owned()],
            ..NodeProto::default()
        };
        let weight =
            |name: &str| TensorProto { name: Some(name.to_owned()), ..TensorProto::default() };
        GraphProto {
            input: vec![info("x"), info("y")],
            node: vec![node(&["x", "v"], "a"), node(&["a", "w"], "b"), node(&["b", "y"], "c")],
            initializer: vec![weight("v"), weight("w")],
            output: vec![info("c")],
            ..GraphProto::default()
        }
    }

    #[test]
    fn only_what_lies_between_is_taken() {
        let part = extract(&chain(), vec![info("a")], vec![info("b")]).unwrap();
        assert_eq!(part.node, chain().node[1..2]);
        let names: Vec<&str> = part.initializer.iter().map(|tensor| tensor.name()).collect();
        assert_eq!(names, ["w"]);
    }

    #[test]
    fn an_input_that_is_not_given_is_named() {
        let error = extract(&chain(), vec![info("x")], vec![info("c")]).unwrap_err();
        assert_eq!(error.code(), Code::GraphUnsupported);
        assert!(error.message().contains("\"y\""), "{error}");
    }
}
