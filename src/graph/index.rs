//! The producer and the consumers of each value of a graph, and the order of its nodes.

use std::collections::{HashMap, HashSet};

use super::proto::{GraphProto, NodeProto};
use crate::error::{Code, Error, Result};

/// Maps value names of one graph to the nodes that produce and use them, by position in
/// `graph.node`.
///
/// The index is a snapshot; it is out of date once the graph is edited. A node whose subgraph uses
/// a value of the outer graph counts as a consumer of it.
#[derive(Clone, Debug, Default)]
pub struct Index {
    producers: HashMap<String, usize>,
    consumers: HashMap<String, Vec<usize>>,
}

impl Index {
    /// Indexes a graph.
    ///
    /// Errors: [`Code::GraphMalformed`] when two nodes produce the same value.
    pub fn new(graph: &GraphProto) -> Result<Self> {
        let mut index = Self::default();
        for (position, node) in graph.node.iter().enumerate() {
            for output in node.output.iter().filter(|output| !output.is_empty()) {
                if let Some(other) = index.producers.insert(output.clone(), position) {
                    let message = format!(
                        "value {output:?} is made by two nodes: {} and {}",
                        describe(&graph.node[other], other),
                        describe(node, position)
                    );
                    return Err(Error::new(Code::GraphMalformed, message));
                }
            }
            for input in used_values(node) {
                index.consumers.entry(input.to_owned()).or_default().push(position);
            }
        }
        Ok(index)
    }

    /// The node that produces a value; `None` for inputs, initializers and unknown names.
    pub fn producer(&self, name: &str) -> Option<usize> {
        self.producers.get(name).copied()
    }

    /// The nodes that use a value, in ascending order and without repetition.
    pub fn consumers(&self, name: &str) -> &[usize] {
        self.consumers.get(name).map_or(&[], Vec::as_slice)
    }

    /// Every value that one of `outputs` is computed from, including the outputs themselves.
    /// `graph` is the one that was indexed.
    pub fn values_behind<'a>(
        &self,
        graph: &'a GraphProto,
        outputs: &[&'a str],
    ) -> HashSet<&'a str> {
        let (mut reached, mut open) = (HashSet::new(), outputs.to_vec());
        while let Some(name) = open.pop() {
            if reached.insert(name)
                && let Some(position) = self.producer(name)
            {
                open.extend(used_values(&graph.node[position]));
            }
        }
        reached
    }
}

/// A node as messages name it: operator, name, first output and position.
pub fn describe(node: &NodeProto, position: usize) -> String {
    let domain = node.domain();
    let dot = if domain.is_empty() { "" } else { "." };
    let output = node.output.first().map_or("", String::as_str);
    format!("{domain}{dot}{} {:?} (node {position}, makes {output:?})", node.op_type(), node.name())
}

/// The graphs in a node's attributes.
pub(crate) fn subgraphs(node: &NodeProto) -> impl Iterator<Item = &GraphProto> {
    node.attribute
        .iter()
        .flat_map(|attribute| attribute.g.as_deref().into_iter().chain(&attribute.graphs))
}

/// The values of the enclosing graph that a node uses, in order and without repetition: its inputs
/// and what its subgraphs capture.
pub fn used_values(node: &NodeProto) -> Vec<&str> {
    let mut seen = HashSet::new();
    let mut used = Vec::new();
    let inputs = node.input.iter().map(String::as_str);
    for name in inputs.chain(subgraphs(node).flat_map(captured_values)) {
        if !name.is_empty() && seen.insert(name) {
            used.push(name);
        }
    }
    used
}

/// The names that a subgraph uses without defining them.
pub(crate) fn captured_values(graph: &GraphProto) -> Vec<&str> {
    let mut defined: HashSet<&str> = HashSet::new();
    defined.extend(graph.input.iter().map(|info| info.name()));
    defined.extend(graph.initializer.iter().map(|tensor| tensor.name()));
    let sparse = graph.sparse_initializer.iter().filter_map(|tensor| tensor.values.as_ref());
    defined.extend(sparse.map(|values| values.name()));
    defined.extend(graph.node.iter().flat_map(|node| node.output.iter().map(String::as_str)));
    let used = graph.node.iter().flat_map(used_values);
    let outputs = graph.output.iter().map(|info| info.name());
    used.chain(outputs).filter(|name| !defined.contains(name)).collect()
}

/// An order in which the nodes can run, as positions in `graph.node`.
///
/// Ties are broken by the original position, so the result is the same on every run, and nodes that
/// are in order stay in place. A value that no node produces counts as given.
///
/// Errors: [`Code::GraphMalformed`] for a cycle (the message names a node on it) and as
/// [`Index::new`].
pub fn topological_order(graph: &GraphProto) -> Result<Vec<usize>> {
    let index = Index::new(graph)?;
    let mut waits_for: Vec<usize> = Vec::with_capacity(graph.node.len());
    for node in &graph.node {
        let made = used_values(node).into_iter().filter(|name| index.producer(name).is_some());
        waits_for.push(made.count());
    }
    let ready = (0..graph.node.len()).filter(|&position| waits_for[position] == 0);
    let mut ready: std::collections::BinaryHeap<_> = ready.map(std::cmp::Reverse).collect();
    let mut order = Vec::with_capacity(graph.node.len());
    while let Some(std::cmp::Reverse(position)) = ready.pop() {
        order.push(position);
        for output in graph.node[position].output.iter().filter(|output| !output.is_empty()) {
            for &consumer in index.consumers(output) {
                waits_for[consumer] -= 1;
                if waits_for[consumer] == 0 {
                    ready.push(std::cmp::Reverse(consumer));
                }
            }
        }
    }
    match waits_for.iter().position(|&count| count > 0) {
        None => Ok(order),
        Some(stuck) => {
            let node = describe(&graph.node[stuck], stuck);
            Err(Error::new(Code::GraphMalformed, format!("the graph has a cycle at {node}")))
        }
    }
}

/// Every value that one of `outputs` is computed from, including the outputs themselves.
///
/// Errors: as [`topological_order`].
pub fn values_behind(graph: &GraphProto, outputs: &[&str]) -> Result<HashSet<String>> {
    let mut reached: HashSet<String> = outputs.iter().map(|&name| name.to_owned()).collect();
    for position in topological_order(graph)?.into_iter().rev() {
        let node = &graph.node[position];
        if node.output.iter().any(|name| reached.contains(name)) {
            reached.extend(used_values(node).into_iter().map(str::to_owned));
        }
    }
    Ok(reached)
}

/// Whether every node stands after the nodes whose values it uses.
pub fn is_topologically_sorted(graph: &GraphProto) -> bool {
    let mut later: HashSet<&str> = HashSet::new();
    for node in graph.node.iter().rev() {
        let outputs = node.output.iter().map(String::as_str).filter(|name| !name.is_empty());
        later.extend(outputs);
        if used_values(node).iter().any(|name| later.contains(name)) {
            return false;
        }
    }
    true
}

/// Sorts the nodes topologically and moves as few as the tie-break allows.
///
/// Errors: as [`topological_order`]; the graph is then unchanged.
pub fn sort_topologically(graph: &mut GraphProto) -> Result<()> {
    let order = topological_order(graph)?;
    let mut nodes: Vec<Option<NodeProto>> = graph.node.drain(..).map(Some).collect();
    graph.node.extend(order.into_iter().filter_map(|position| nodes[position].take()));
    Ok(())
}

/// Moves the nodes that compute from constants alone before all others, which keep their order.
///
/// The order decides how long large constants, such as dequantised weights, exist. ONNX Runtime
/// orders nodes by walking back from the results; of several inputs it follows first the one whose
/// producer stands last in the file. With the constant nodes in front, each runs right before its
/// first use and its result is freed after its last; where they stand beside their uses, all of
/// them run before anything else. An initializer that is also an input does not count as constant,
/// because a run may replace it.
pub fn constants_first(graph: &mut GraphProto) {
    let inputs: HashSet<&str> = graph.input.iter().map(|info| info.name()).collect();
    let names = graph.initializer.iter().map(|tensor| tensor.name());
    let mut constants: HashSet<String> =
        names.filter(|name| !inputs.contains(name)).map(str::to_owned).collect();
    let (mut first, mut rest) = (Vec::new(), Vec::new());
    for node in graph.node.drain(..) {
        if used_values(&node).iter().all(|name| constants.contains(*name)) {
            constants.extend(node.output.iter().cloned());
            first.push(node);
        } else {
            rest.push(node);
        }
    }
    first.append(&mut rest);
    graph.node = first;
}
