//! Gives low-rank sums the input that says which ranks are a text's own.

use crate::error::Result;
use crate::graph::{Dim, Model, TensorProto, TensorType, data_type};
use crate::kernels::DOMAIN;
use crate::kernels::low_rank::{LOW_RANK_SUM, RANKS_INPUT};
use std::collections::HashSet;

/// Lets all fused low-rank sums over inputs of the graph read a new input `name`, `[texts, 2]`,
/// whose default has no rows; returns whether there is such a sum.
///
/// # Errors
/// [`Code::GraphMalformed`](crate::Code::GraphMalformed) for a model without a graph.
pub fn add_ranks(model: &mut Model, name: &str) -> Result<bool> {
    let graph = model.graph_mut()?;
    let inputs: HashSet<String> = graph.input.iter().map(|info| info.name().to_owned()).collect();
    let mut has_sums = false;
    for node in &mut graph.node {
        let is_sum = node.domain() == DOMAIN && node.op_type() == LOW_RANK_SUM.name;
        if is_sum && node.input.get(2).is_some_and(|up| inputs.contains(up)) {
            node.input.resize(RANKS_INPUT, String::new());
            node.input.push(name.to_owned());
            has_sums = true;
        }
    }
    if has_sums {
        graph.initializer.push(TensorProto {
            name: Some(name.to_owned()),
            data_type: Some(data_type::FLOAT),
            dims: vec![0, 2],
            raw_data: Some(Vec::new().into()),
            ..TensorProto::default()
        });
        let shape = vec![Dim::Symbol(format!("{name}.texts")), Dim::Known(2)];
        graph.input.push(TensorType::new(data_type::FLOAT, shape).to_value_info(name));
    }
    Ok(has_sums)
}
