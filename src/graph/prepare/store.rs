//! Stores 16-bit weights of a file as float32.
//!
//! Upcasting a weight at every use costs time in every run, most of all where one token is
//! generated at a time; storing it as float32 costs twice the bytes on disk. The values are the
//! same: upcasting rounds nothing. This changes weights, so it is for making bundles, never for
//! opening them.

use std::collections::{HashMap, HashSet};

use super::ir_version::raise_ir_version;
use super::upcast::{is_narrow, upcast, upcast_bytes};
use crate::error::Result;
use crate::graph::attr::attribute_int;
use crate::graph::index::Index;
use crate::graph::inline::inline_functions;
use crate::graph::model::Model;
use crate::graph::proto::{GraphProto, NodeProto, TensorProto};
use crate::graph::rename::rename_values;
use crate::graph::types::data_type;
use crate::graph::weights::Weights;

/// Replaces the nodes that upcast a 16-bit weight by its float32 form, where nothing else reads the
/// weight. `weights` are those of `model` before the call; they are invalid afterwards.
///
/// The call takes as much memory as the float32 weights.
///
/// # Errors
/// [`Code::GraphMalformed`](crate::Code::GraphMalformed) when two nodes produce one value.
pub fn store_upcast(model: &mut Model, weights: &Weights) -> Result<()> {
    raise_ir_version(model)?;
    inline_functions(model)?;
    let graph = model.graph_mut()?;
    upcast(graph);
    let casts = casts_of_weights(graph)?;
    let mut names = HashMap::<String, String>::new();
    for tensor in &mut graph.initializer {
        let (Some(made), Some(weight)) = (casts.get(tensor.name()), weights.get(tensor.name()))
        else {
            continue;
        };
        // The framework's parameter name is the name of the float32 value.
        let name = made[0].clone();
        names.extend(made[1..].iter().map(|other| (other.clone(), name.clone())));
        *tensor = TensorProto {
            name: Some(name),
            dims: tensor.dims.clone(),
            data_type: Some(data_type::FLOAT),
            raw_data: Some(upcast_bytes(weight.data_type, weight.bytes).into()),
            ..TensorProto::default()
        };
    }
    let gone: HashSet<&str> = casts.values().flatten().map(String::as_str).collect();
    let stays = |node: &NodeProto| !node.output.first().is_some_and(|name| gone.contains(&**name));
    graph.node.retain(stays);
    if !names.is_empty() {
        rename_values(graph, &|name| names.get(name).map_or(name, String::as_str).to_owned());
    }
    Ok(())
}

/// The 16-bit weights that only casts to float32 read, with the outputs of those casts.
fn casts_of_weights(graph: &GraphProto) -> Result<HashMap<String, Vec<String>>> {
    let index = Index::new(graph)?;
    let fixed: HashSet<&str> =
        graph.input.iter().chain(&graph.output).map(|info| info.name()).collect();
    let mut found = HashMap::new();
    for tensor in graph.initializer.iter().filter(|tensor| is_narrow(tensor.data_type())) {
        let users = index.consumers(tensor.name());
        let made = users.iter().map(|&position| {
            let node = &graph.node[position];
            let output = node.output.first().filter(|_| is_upcasting(node))?;
            (!fixed.contains(output.as_str())).then(|| output.clone())
        });
        match made.collect::<Option<Vec<String>>>() {
            Some(made) if !made.is_empty() && !fixed.contains(tensor.name()) => {
                found.insert(tensor.name().to_owned(), made);
            }
            _ => {}
        }
    }
    Ok(found)
}

fn is_upcasting(node: &NodeProto) -> bool {
    node.op_type() == "Cast"
        && matches!(node.domain(), "" | "ai.onnx")
        && attribute_int(node, "to").is_some_and(|to| to == i64::from(data_type::FLOAT))
}
