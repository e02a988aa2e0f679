//! Infers types and shapes of the values of a graph.
//!
//! Input: a graph and, for constants in external data, its weights. Output: the known element type,
//! rank, sizes and symbols of each value. Sizes that a graph computes (`Shape`, `Gather`, `Concat`
//! and arithmetic) are followed as small vectors of numbers and symbols. An operator without a rule
//! or a contradictory graph is not an error: its types stay unknown, and ONNX Runtime judges the
//! graph. This module must never guess: a size that it states holds in every run that the graph
//! accepts.

mod attention;
mod branches;
mod dims;
mod einsum;
mod known;
mod movement;
mod products;
mod quantized;
mod rules;
mod slicing;
mod values;

pub use known::Shapes;

use std::collections::HashMap;

use super::index::topological_order;
use super::proto::{GraphProto, NodeProto, TensorProto, ValueInfoProto, tensor_proto};
use super::types::TensorType;
use super::weights::Weights;
use crate::error::{Code, Error, Result};
use known::{KnownElements, RANK_MAX, Uses};

/// The most dimensions and elements that one graph may have in all. A graph of a hundred thousand
/// nodes stays far below.
const DIMS_MAX: usize = 1 << 22;

impl Shapes {
    /// Infers the types of the values of `graph`, whose standard operators are of version `opset`.
    ///
    /// The inference starts from the stated types of inputs, values and outputs and from the
    /// initializers. An input that has an initializer as its default keeps its stated type, since a
    /// run may replace it. `weights` gives the values of external initializers; without it only
    /// their types are known.
    ///
    /// Errors: [`Code::GraphMalformed`] when two nodes produce one value or the graph has a cycle,
    /// [`Code::GraphUnsupported`] when its values have more than four million dimensions in all.
    pub fn infer(graph: &GraphProto, opset: i64, weights: Option<&Weights>) -> Result<Self> {
        let mut shapes = Self::default();
        for tensor in &graph.initializer {
            shapes.seed_initializer(tensor, weights);
        }
        for info in &graph.input {
            shapes.values.remove(info.name());
            if let Some(stated) = stated_type(info) {
                shapes.types.insert(info.name().to_owned(), stated);
            }
        }
        let infos = graph.value_info.iter().chain(&graph.output);
        let stated: HashMap<&str, TensorType> =
            infos.filter_map(|info| Some((info.name(), stated_type(info)?))).collect();
        let mut dims_left = DIMS_MAX;
        for position in topological_order(graph)? {
            let made = shapes.infer_node(&graph.node[position], opset, &stated);
            dims_left = dims_left.checked_sub(made).ok_or_else(too_large)?;
        }
        for (name, r#type) in stated {
            shapes.types.entry(name.to_owned()).or_insert(r#type);
        }
        Ok(shapes)
    }

    /// Adds the types of values just added to the graph: initializers and nodes, in order. Types
    /// that the outputs had before complete the inferred ones.
    pub fn extend(&mut self, initializers: &[TensorProto], nodes: &[NodeProto], opset: i64) {
        for tensor in initializers {
            self.seed_initializer(tensor, None);
        }
        for node in nodes {
            let names = node.output.iter().map(String::as_str);
            let stated: HashMap<&str, TensorType> =
                names.filter_map(|name| Some((name, self.get(name)?.clone()))).collect();
            self.infer_node(node, opset, &stated);
        }
    }

    fn seed_initializer(&mut self, tensor: &TensorProto, weights: Option<&Weights>) {
        let r#type = TensorType::of_dims(tensor.data_type(), &tensor.dims);
        self.types.insert(tensor.name().to_owned(), r#type);
        let value = if tensor.data_location() == tensor_proto::EXTERNAL {
            let weight = weights.and_then(|weights| weights.get(tensor.name()));
            weight
                .and_then(|weight| KnownElements::read(weight.data_type, weight.dims, weight.bytes))
        } else {
            KnownElements::of_tensor(tensor)
        };
        if let Some(value) = value {
            self.values.insert(tensor.name().to_owned(), value);
        }
    }

    /// Infers the outputs of one node; returns how many dimensions and elements this added.
    fn infer_node(
        &mut self,
        node: &NodeProto,
        opset: i64,
        stated: &HashMap<&str, TensorType>,
    ) -> usize {
        let uses = Uses { shapes: self, node, opset };
        let types = rules::output_types(&uses);
        let value = values::output_value(&uses);
        let mut types = types.into_iter();
        let mut made = 0;
        for (position, name) in node.output.iter().enumerate() {
            let inferred = types.next().flatten();
            if name.is_empty() {
                continue;
            }
            let merged = match (inferred, stated.get(name.as_str())) {
                (Some(inferred), Some(stated)) => Some(dims::refine(inferred, stated)),
                (inferred, stated) => inferred.or_else(|| stated.cloned()),
            };
            let Some(mut merged) = merged else { continue };
            if merged.rank().is_some_and(|rank| rank > RANK_MAX as usize) {
                merged.shape = None;
            }
            made += merged.rank().unwrap_or(0);
            self.types.insert(name.clone(), merged);
            // Only operators with a single output compute sizes.
            if let (0, Some(value)) = (position, &value) {
                made += value.elements.len();
                self.values.insert(name.clone(), value.clone());
            }
        }
        made
    }
}

fn too_large() -> Error {
    let message = format!("the values of the graph have more than {DIMS_MAX} dimensions in all");
    Error::new(Code::GraphUnsupported, message)
}

fn stated_type(info: &ValueInfoProto) -> Option<TensorType> {
    TensorType::from_proto(info.r#type.as_ref()?)
}
