//! Puts fused operators in the place of groups of standard nodes.
//!
//! Each file finds one kind of group. What a group makes for others, such as the shares of an
//! attention that its gradient reads, becomes an output of the fused node; what nothing reads any
//! more is removed. A group of another form than expected, or of another type than float32, stays
//! as it is.

mod attention;
mod group;
mod pattern;
mod pointwise;
mod ranks;

pub use ranks::add_ranks;

use super::DOMAIN;
use crate::error::Result;
use crate::graph::{
    GraphProto, Index, Model, NodeProto, OperatorSetIdProto, Shapes, Weights, sort_topologically,
    used_values,
};
use group::Group;
use pattern::Known;
use std::collections::HashSet;

/// The first version of the standard operators whose forms are known here: Softmax normalizes one
/// axis.
const OPSET_MIN: i64 = 13;

/// Fuses what can be fused; returns whether the model has a fused node now. `weights` are its
/// external initializers. On failure the model is unchanged.
///
/// # Errors
/// [`Code::GraphMalformed`](crate::Code::GraphMalformed) when two nodes make one value or the graph
/// has a cycle.
pub fn fuse(model: &mut Model, weights: Option<&Weights>) -> Result<bool> {
    let Some(opset) = model.opset("").filter(|&opset| opset >= OPSET_MIN) else {
        return Ok(false);
    };
    // Only nodes made here may run: those that a file brings are left to be refused.
    if model.opset(DOMAIN).is_some() {
        return Ok(false);
    }
    let graph = model.graph()?;
    let shapes = Shapes::infer(graph, opset, weights)?;
    let known = Known::new(graph, Index::new(graph)?, &shapes, weights);
    let groups = find(&known);
    if groups.is_empty() {
        return Ok(false);
    }
    let fused = replaced(&known, groups)?;
    model.proto.graph = Some(fused);
    model
        .proto
        .opset_import
        .push(OperatorSetIdProto { domain: Some(DOMAIN.to_owned()), version: Some(1) });
    Ok(true)
}

/// The groups of a graph, in the order of their last nodes. No two make the same value.
fn find(known: &Known<'_>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut made: HashSet<String> = HashSet::new();
    for position in 0..known.graph.node.len() {
        let finders = [attention::forward, attention::backward];
        let found =
            finders.iter().chain(&pointwise::FINDERS).find_map(|find| find(known, position));
        let Some(group) = found else { continue };
        if group.node.output.iter().any(|name| made.contains(name)) {
            continue;
        }
        made.extend(group.node.output.iter().filter(|name| !name.is_empty()).cloned());
        groups.push(group);
    }
    groups
}

/// The graph with the fused nodes, without the nodes that nothing needs any more.
fn replaced(known: &Known<'_>, groups: Vec<Group>) -> Result<GraphProto> {
    let mut graph = known.graph.clone();
    let outputs: Vec<&str> = known.graph.output.iter().map(|info| info.name()).collect();
    // A node that nothing needed stays, with all that it reads.
    let needed_before = known.index.values_behind(known.graph, &outputs);
    let is_made = |node: &NodeProto, values: &HashSet<&str>| {
        node.output.iter().any(|name| values.contains(name.as_str()))
    };
    let unneeded = known.graph.node.iter().filter(|node| !is_made(node, &needed_before));
    let roots: Vec<&str> = outputs.iter().copied().chain(unneeded.flat_map(used_values)).collect();
    let stated: HashSet<String> =
        graph.value_info.iter().map(|info| info.name().to_owned()).collect();
    let mut fused: Vec<Option<NodeProto>> = vec![None; graph.node.len()];
    let mut replaced: HashSet<usize> = HashSet::new();
    for group in groups {
        for name in group.node.output.iter().filter(|name| !name.is_empty()) {
            replaced.extend(known.index.producer(name));
            // The library infers no shapes of operators that it does not know.
            if let Some(found) = known.shapes.get(name).filter(|_| !stated.contains(name)) {
                graph.value_info.push(found.to_value_info(name));
            }
        }
        fused[group.position] = Some(group.node);
    }
    let nodes = std::mem::take(&mut graph.node).into_iter().enumerate();
    graph.node = nodes
        .flat_map(|(position, node)| {
            let kept = (!replaced.contains(&position)).then_some(node);
            kept.into_iter().chain(fused[position].take())
        })
        .collect();
    let needed = Index::new(&graph)?.values_behind(&graph, &roots);
    let is_kept = |node: &NodeProto| is_made(node, &needed) || !is_made(node, &needed_before);
    let kept: Vec<bool> = graph.node.iter().map(is_kept).collect();
    let mut kept = kept.into_iter();
    graph.node.retain(|_| kept.next() == Some(true));
    sort_topologically(&mut graph)?;
    Ok(graph)
}
