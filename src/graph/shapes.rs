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
mod movement;
mod products;
mod quantized;
mod rules;
mod slicing;
mod values;

use std::collections::HashMap;

use super::index::topological_order;
use super::proto::{GraphProto, NodeProto, TensorProto, ValueInfoProto, tensor_proto};
use super::types::{Dim, TensorType};
use super::weights::{Weights, inline_bytes, integers};
use crate::error::{Code, Error, Result};

/// The longest vector of sizes that is followed, in elements.
const VALUE_LENGTH_MAX: usize = 64;

/// The highest rank that is followed; no runtime supports more axes. Without a limit a chain of
/// `Gather` nodes doubles the rank at every step.
const RANK_MAX: i64 = 64;

/// The most dimensions and elements that one graph may have in all. A graph of a hundred thousand
/// nodes stays far below.
const DIMS_MAX: usize = 1 << 22;

/// The known types of the values of one graph, by name.
#[derive(Clone, Debug, Default)]
pub struct Shapes {
    types: HashMap<String, TensorType>,
    values: HashMap<String, KnownElements>,
}

/// An integer or boolean tensor of rank 0 or 1 whose elements are known, at least in part.
///
/// A symbol stands for a size, so it is never negative.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KnownElements {
    elements: Vec<Dim>,
    scalar: bool,
}

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

    /// The known type of a value; `None` when nothing is known.
    pub fn get(&self, name: &str) -> Option<&TensorType> {
        self.types.get(name)
    }

    /// The rank of a value, if known.
    pub fn rank(&self, name: &str) -> Option<usize> {
        self.get(name)?.rank()
    }

    /// The dimensions of a value, if at least the rank is known.
    pub fn shape(&self, name: &str) -> Option<&[Dim]> {
        self.get(name)?.shape.as_deref()
    }

    /// The element type of a value, if known.
    pub fn data_type(&self, name: &str) -> Option<i32> {
        self.get(name).map(|known| known.data_type).filter(|&data_type| data_type != 0)
    }

    /// The elements of a small integer vector or scalar, numbers or symbols, if it is computed from
    /// sizes and constants alone.
    pub fn elements(&self, name: &str) -> Option<&[Dim]> {
        self.values.get(name).map(|value| value.elements.as_slice())
    }

    /// The elements of a small integer vector or scalar, if all are numbers.
    pub fn constant_ints(&self, name: &str) -> Option<Vec<i64>> {
        self.elements(name)?.iter().map(Dim::known).collect()
    }

    /// All values with known types, unordered.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &TensorType)> {
        self.types.iter().map(|(name, known)| (name.as_str(), known))
    }

    /// States the type of a value, for example of one just added to the graph.
    pub fn insert(&mut self, name: impl Into<String>, r#type: TensorType) {
        self.types.insert(name.into(), r#type);
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

impl KnownElements {
    fn scalar(element: Dim) -> Self {
        Self { elements: vec![element], scalar: true }
    }

    /// `None` when the vector is too long to follow.
    fn vector(elements: Vec<Dim>) -> Option<Self> {
        (elements.len() <= VALUE_LENGTH_MAX).then_some(Self { elements, scalar: false })
    }

    fn read(data_type: i32, dims: &[i64], bytes: &[u8]) -> Option<Self> {
        if dims.len() > 1 || bytes.len() > VALUE_LENGTH_MAX * size_of::<i64>() {
            return None;
        }
        let elements = integers(data_type, bytes)?.into_iter().map(Dim::Known).collect();
        Some(Self { elements, scalar: dims.is_empty() })
    }

    fn of_tensor(tensor: &TensorProto) -> Option<Self> {
        // Checked first, so that large tensors are never converted.
        if tensor.dims.len() > 1 || tensor.dims.iter().any(|&d| d > VALUE_LENGTH_MAX as i64) {
            return None;
        }
        Self::read(tensor.data_type(), &tensor.dims, &inline_bytes(tensor).ok()?)
    }
}

/// A node with what is known of its inputs.
pub(super) struct Uses<'a> {
    shapes: &'a Shapes,
    node: &'a NodeProto,
    opset: i64,
}

impl<'a> Uses<'a> {
    /// The name of an input; `None` when it is left out.
    fn name(&self, position: usize) -> Option<&'a str> {
        self.node.input.get(position).map(String::as_str).filter(|name| !name.is_empty())
    }

    fn r#type(&self, position: usize) -> Option<&'a TensorType> {
        self.shapes.get(self.name(position)?)
    }

    fn data_type(&self, position: usize) -> i32 {
        self.r#type(position).map_or(0, |known| known.data_type)
    }

    fn shape(&self, position: usize) -> Option<&'a [Dim]> {
        self.r#type(position)?.shape.as_deref()
    }

    fn value(&self, position: usize) -> Option<&'a KnownElements> {
        self.shapes.values.get(self.name(position)?)
    }

    fn ints(&self, position: usize) -> Option<Vec<i64>> {
        self.shapes.constant_ints(self.name(position)?)
    }
}
