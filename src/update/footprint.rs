//! Estimates the memory of a run of the training graph from the graph alone.
//!
//! The forward pass keeps what the backward pass reads, so a run needs the memory of all values
//! that are alive at its peak. ONNX Runtime runs the nodes in nearly the order of the graph and
//! reuses dead buffers; its fusions and copies are not known here. The estimate is good enough for
//! choosing how many tokens to run at once.

use crate::graph::{Dim, GraphProto, Shapes, TensorType, data_type};
use std::collections::HashMap;

/// The assumed length of a text. The memory of attention grows with its square.
const SEQUENCE_LENGTH: i64 = 64;

/// Bytes per token at the peak of a run. `inputs` are the names of inputs `[batch, sequence]`,
/// whose tokens are counted together; other symbols are assumed to be `other`.
pub fn bytes_per_token(graph: &GraphProto, shapes: &Shapes, inputs: &[&str], other: i64) -> u64 {
    let known: Vec<&[Dim]> = inputs.iter().filter_map(|input| shapes.shape(input)).collect();
    let is = |axis: usize, name: &str| {
        known.iter().any(|dims| dims.get(axis).is_some_and(|dim| symbol(dim) == name))
    };
    let value_of = |name: &str| match name {
        name if is(0, name) => 1,
        name if is(1, name) => SEQUENCE_LENGTH,
        _ => other,
    };
    let size = |name: &str| shapes.get(name).map_or(0, |value| size_bytes(value, &value_of));
    let mut last_uses = HashMap::<&str, usize>::new();
    for (position, node) in graph.node.iter().enumerate() {
        last_uses.extend(node.input.iter().map(|name| (name.as_str(), position)));
    }
    // Values that no node makes belong to the caller and do not count.
    let mut alive = HashMap::<&str, u64>::new();
    let (mut sum, mut most) = (0u64, 0u64);
    for (position, node) in graph.node.iter().enumerate() {
        for name in node.output.iter().filter(|name| !name.is_empty()) {
            let size = size(name);
            sum += size;
            alive.insert(name, size);
        }
        most = most.max(sum);
        for name in &node.input {
            if last_uses.get(name.as_str()) == Some(&position) {
                sum -= alive.remove(name.as_str()).unwrap_or(0);
            }
        }
    }
    most.div_ceil(SEQUENCE_LENGTH as u64 * known.len().max(1) as u64)
}

fn symbol(dim: &Dim) -> &str {
    match dim {
        Dim::Symbol(text) => text,
        Dim::Known(_) | Dim::Unknown => "",
    }
}

/// The size of a value that depends on the batch. Weights and constants are 0, because they exist
/// anyway.
fn size_bytes(value: &TensorType, value_of: &dyn Fn(&str) -> i64) -> u64 {
    let Some(dims) = &value.shape else { return 0 };
    if dims.iter().all(|dim| dim.known().is_some()) {
        return 0;
    }
    let extent = |dim: &Dim| match dim {
        Dim::Known(extent) => *extent,
        // A symbol may be a product such as `12*batch*sequence`.
        Dim::Symbol(text) => text
            .split('*')
            .map(|factor| factor.trim().parse().unwrap_or_else(|_| value_of(factor.trim())))
            .fold(1i64, i64::saturating_mul),
        Dim::Unknown => SEQUENCE_LENGTH,
    };
    let dims: Vec<i64> = dims.iter().map(extent).collect();
    let kind = if value.data_type == 0 { data_type::FLOAT } else { value.data_type };
    data_type::tensor_size_bytes(kind, &dims).unwrap_or(0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{NodeProto, data_type::FLOAT};

    #[test]
    fn what_the_backward_pass_reads_is_counted_and_what_is_dead_is_not() {
        let batch = || vec![Dim::Symbol("b".to_owned()), Dim::Symbol("s".to_owned())];
        let value = |name: &str, width: i64| {
            let shape = [batch(), vec![Dim::Known(width)]].concat();
            TensorType::new(FLOAT, shape).to_value_info(name)
        };
        let node = |op: &str, inputs: &[&str], output: &str| NodeProto {
            op_type: Some(op.to_owned()),
            input: inputs.iter().map(|name| (*name).to_owned()).collect(),
            output: vec![output.to_owned()],
            ..NodeProto::default()
        };
        // x -> a -> c -> d; a is read again at the end, c dies at d.
        let graph = GraphProto {
            input: vec![value("x", 8)],
            node: vec![
                node("Tanh", &["x"], "a"),
                node("Tanh", &["a"], "c"),
                node("Tanh", &["c"], "d"),
                node("Mul", &["d", "a"], "e"),
            ],
            ..GraphProto::default()
        };
        let shapes = Shapes::infer(&graph, 17, None).expect("shapes");
        // Alive at the peaks: a, c and d, or a, d and e; 8 floats per token each.
        assert_eq!(bytes_per_token(&graph, &shapes, &["x"], 1), 3 * 8 * 4);
    }
}
