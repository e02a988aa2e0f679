//! Finds the hidden states below the lowest adapter: the one value of a graph that everything with
//! an adapter can be computed from, so that what lies below needs to run only once for each text.
//!
//! The search follows the data flow. What no adapter changes is the frozen part; the adapted part
//! reads some of its values. Of the frozen part, the value is chosen above which the least has to
//! be recomputed. This module must never look at names.

use super::linear::{View, linears};
use crate::error::Result;
use crate::graph::{
    Dim, GraphProto, Index, Shapes, TensorType, Weights, data_type, topological_order, used_values,
    values_behind,
};
use std::collections::HashSet;

/// Hidden states of a graph that no adapter changes.
#[derive(Clone, Debug, PartialEq)]
pub struct StatesBelow {
    /// The value.
    pub value: String,
    /// Its type, `[texts, tokens, size]` of float32.
    pub found: TensorType,
    /// The number of values for each token.
    pub size: usize,
}

/// The hidden states below everything that `adapters`, inputs of the graph, change on the way to
/// `output`. `text` is the input with the token ids, `[texts, tokens]`.
///
/// There are none when fewer linear layers lie below the states than would have to be computed
/// again above them, or when the graph has no such value with one row for each token of each text.
///
/// # Errors
/// [`Code::GraphMalformed`](crate::Code::GraphMalformed) for a graph with a cycle or with two nodes
/// that make one value.
pub fn states_below(
    graph: &GraphProto,
    weights: &Weights,
    shapes: &Shapes,
    text: &str,
    adapters: &HashSet<&str>,
    output: &str,
) -> Result<Option<StatesBelow>> {
    let index = Index::new(graph)?;
    let mut linears: HashSet<usize> =
        linears(&View::of_weights(graph, &index, weights)).into_keys().collect();
    let order = topological_order(graph)?;
    let needed = values_behind(graph, &[output])?;
    let mut adapted: HashSet<&str> = adapters.clone();
    // What depends on the tokens, not only on their number.
    let mut of_text: HashSet<&str> = HashSet::from([text]);
    // Of these, what no adapter changes, and a linear layer lies below.
    let mut frozen: HashSet<&str> = HashSet::new();
    let mut read: Vec<&str> = Vec::new();
    let mut candidates: Vec<(&str, usize)> = Vec::new();
    for &position in &order {
        let node = &graph.node[position];
        let made = node.output.iter().map(String::as_str).filter(|name| needed.contains(*name));
        let used = used_values(node);
        let uses = |values: &HashSet<&str>| used.iter().any(|name| values.contains(*name));
        let is_of_text = uses(&of_text) && !matches!(node.op_type(), "Shape" | "Size");
        let is_linear = linears.contains(&position) && is_of_text;
        if !is_linear {
            linears.remove(&position);
        }
        if is_of_text {
            of_text.extend(made.clone());
        }
        if uses(&adapted) {
            if made.clone().next().is_some() {
                read.extend(used.iter().filter(|name| frozen.contains(*name)));
            }
            adapted.extend(made);
        } else if is_linear || is_of_text && uses(&frozen) {
            for name in made {
                frozen.insert(name);
                let size = token_size(shapes, name, text);
                candidates.extend(size.map(|size| (name, size)));
            }
        }
    }
    let search = Search { graph, index: &index, order: &order, linears: &linears, read: &read };
    let whole = search.nodes_above(None).iter().filter(|node| linears.contains(*node)).count();
    let costs = candidates.into_iter().filter_map(|(name, size)| {
        let (again, nodes) = search.cost(name)?;
        (again <= whole - again).then_some((again, nodes, name, size))
    });
    Ok(costs.min().and_then(|(.., name, size)| {
        let found = shapes.get(name)?.clone();
        Some(StatesBelow { value: name.to_owned(), found, size })
    }))
}

/// The number of values for each token, if a value has a row of floats for each token of `text`.
fn token_size(shapes: &Shapes, name: &str, text: &str) -> Option<usize> {
    let [texts @ Dim::Symbol(_), tokens @ Dim::Symbol(_)] = shapes.shape(text)? else {
        return None;
    };
    let [first, second, Dim::Known(size)] = shapes.shape(name)? else { return None };
    let is_row = first == texts && second == tokens && texts != tokens;
    let is_float = shapes.data_type(name) == Some(data_type::FLOAT);
    usize::try_from(*size).ok().filter(|size| is_row && is_float && *size > 0)
}

/// The search for the states.
struct Search<'a> {
    graph: &'a GraphProto,
    index: &'a Index,
    order: &'a [usize],
    /// The linear layers that depend on the tokens.
    linears: &'a HashSet<usize>,
    /// What the adapted part reads of the frozen one.
    read: &'a [&'a str],
}

impl Search<'_> {
    /// The frozen nodes that have to run, without those that only compute `states`.
    fn nodes_above(&self, states: Option<&str>) -> HashSet<usize> {
        let mut nodes = HashSet::new();
        let mut open: Vec<&str> = self.read.to_vec();
        while let Some(value) = open.pop() {
            let position = self.index.producer(value).filter(|_| states != Some(value));
            if let Some(position) = position.filter(|position| nodes.insert(*position)) {
                open.extend(used_values(&self.graph.node[position]));
            }
        }
        nodes
    }

    /// How many linear layers and how many nodes have to run above `states`; `None` when one of
    /// these layers does not read them.
    fn cost(&self, states: &str) -> Option<(usize, usize)> {
        let nodes = self.nodes_above(Some(states));
        let mut above: HashSet<&str> = HashSet::from([states]);
        let mut linears_count = 0;
        for position in self.order.iter().filter(|position| nodes.contains(*position)) {
            let node = &self.graph.node[*position];
            let is_above = used_values(node).iter().any(|name| above.contains(name));
            if is_above {
                above.extend(node.output.iter().map(String::as_str));
            }
            if self.linears.contains(position) {
                linears_count += 1;
                is_above.then_some(())?;
            }
        }
        Some((linears_count, nodes.len()))
    }
}
