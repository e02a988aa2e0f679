//! Renames the values and nodes of a graph and of its subgraphs.

use std::collections::BTreeSet;

use super::proto::{GraphProto, NodeProto};

/// The names of all values of a graph and of its subgraphs.
pub fn value_names(graph: &GraphProto) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    collect(graph, &mut names);
    names.remove("");
    names
}

fn collect(graph: &GraphProto, names: &mut BTreeSet<String>) {
    let infos = graph.input.iter().chain(&graph.output).chain(&graph.value_info);
    names.extend(infos.map(|info| info.name().to_owned()));
    names.extend(graph.initializer.iter().map(|tensor| tensor.name().to_owned()));
    let sparse = graph.sparse_initializer.iter().filter_map(|tensor| tensor.values.as_ref());
    names.extend(sparse.map(|values| values.name().to_owned()));
    for node in &graph.node {
        names.extend(node.input.iter().chain(&node.output).cloned());
        for inner in super::index::subgraphs(node) {
            collect(inner, names);
        }
    }
}

/// Renames every value by `new_name`, which must be injective. The empty name, which stands for an
/// omitted input, stays.
pub fn rename_values(graph: &mut GraphProto, new_name: &dyn Fn(&str) -> String) {
    let rename = |name: &mut Option<String>| {
        if let Some(name) = name.as_mut().filter(|name| !name.is_empty()) {
            *name = new_name(name);
        }
    };
    let infos = graph.input.iter_mut().chain(&mut graph.output).chain(&mut graph.value_info);
    infos.for_each(|info| rename(&mut info.name));
    graph.initializer.iter_mut().for_each(|tensor| rename(&mut tensor.name));
    let sparse = graph.sparse_initializer.iter_mut().filter_map(|tensor| tensor.values.as_mut());
    sparse.for_each(|values| rename(&mut values.name));
    for annotation in &mut graph.quantization_annotation {
        rename(&mut annotation.tensor_name);
    }
    for node in &mut graph.node {
        let names = node.input.iter_mut().chain(&mut node.output);
        names.filter(|name| !name.is_empty()).for_each(|name| *name = new_name(name));
        inner_graphs(node).for_each(|inner| rename_values(inner, new_name));
    }
}

/// Changes every node, including those in subgraphs.
pub fn change_nodes(graph: &mut GraphProto, change: &dyn Fn(&mut NodeProto)) {
    for node in &mut graph.node {
        change(node);
        inner_graphs(node).for_each(|inner| change_nodes(inner, change));
    }
}

/// The graphs in a node's attributes.
pub(super) fn inner_graphs(node: &mut NodeProto) -> impl Iterator<Item = &mut GraphProto> {
    let attributes = node.attribute.iter_mut();
    attributes.flat_map(|attribute| {
        attribute.g.iter_mut().map(|graph| &mut **graph).chain(&mut attribute.graphs)
    })
}
