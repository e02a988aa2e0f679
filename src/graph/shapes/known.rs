//! What is known of the values of a graph, and of the inputs of one node.

use crate::graph::proto::{NodeProto, TensorProto};
use crate::graph::types::{Dim, TensorType};
use crate::graph::weights::{inline_bytes, integers};
use std::collections::HashMap;

/// The longest vector of sizes that is followed, in elements.
pub(super) const VALUE_LENGTH_MAX: usize = 64;

/// The highest rank that is followed; no runtime supports more axes. Without a limit a chain of
/// `Gather` nodes doubles the rank at every step.
pub(super) const RANK_MAX: i64 = 64;

/// The known types of the values of one graph, by name.
#[derive(Clone, Debug, Default)]
pub struct Shapes {
    pub(super) types: HashMap<String, TensorType>,
    pub(super) values: HashMap<String, KnownElements>,
}

/// An integer or boolean tensor of rank 0 or 1 whose elements are known, at least in part.
///
/// A symbol stands for a size, so it is never negative.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownElements {
    pub(super) elements: Vec<Dim>,
    pub(super) scalar: bool,
}

impl Shapes {
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
}

impl KnownElements {
    pub(super) fn scalar(element: Dim) -> Self {
        Self { elements: vec![element], scalar: true }
    }

    /// `None` when the vector is too long to follow.
    pub(super) fn vector(elements: Vec<Dim>) -> Option<Self> {
        (elements.len() <= VALUE_LENGTH_MAX).then_some(Self { elements, scalar: false })
    }

    pub(super) fn read(data_type: i32, dims: &[i64], bytes: &[u8]) -> Option<Self> {
        if dims.len() > 1 || bytes.len() > VALUE_LENGTH_MAX * size_of::<i64>() {
            return None;
        }
        let elements = integers(data_type, bytes)?.into_iter().map(Dim::Known).collect();
        Some(Self { elements, scalar: dims.is_empty() })
    }

    pub(super) fn of_tensor(tensor: &TensorProto) -> Option<Self> {
        // Checked first, so that large tensors are never converted.
        if tensor.dims.len() > 1 || tensor.dims.iter().any(|&d| d > VALUE_LENGTH_MAX as i64) {
            return None;
        }
        Self::read(tensor.data_type(), &tensor.dims, &inline_bytes(tensor).ok()?)
    }
}

/// A node with what is known of its inputs.
pub struct Uses<'a> {
    pub(super) shapes: &'a Shapes,
    pub(super) node: &'a NodeProto,
    pub(super) opset: i64,
}

impl<'a> Uses<'a> {
    /// The name of an input; `None` when it is left out.
    pub(super) fn name(&self, position: usize) -> Option<&'a str> {
        self.node.input.get(position).map(String::as_str).filter(|name| !name.is_empty())
    }

    pub(super) fn r#type(&self, position: usize) -> Option<&'a TensorType> {
        self.shapes.get(self.name(position)?)
    }

    pub(super) fn data_type(&self, position: usize) -> i32 {
        self.r#type(position).map_or(0, |known| known.data_type)
    }

    pub(super) fn shape(&self, position: usize) -> Option<&'a [Dim]> {
        self.r#type(position)?.shape.as_deref()
    }

    pub(super) fn value(&self, position: usize) -> Option<&'a KnownElements> {
        self.shapes.values.get(self.name(position)?)
    }

    pub(super) fn ints(&self, position: usize) -> Option<Vec<i64>> {
        self.shapes.constant_ints(self.name(position)?)
    }
}

/// The inferred type of each output; `None` is unknown.
pub(super) type Outputs = Vec<Option<TensorType>>;

pub(super) fn known(data_type: i32, shape: &[Dim]) -> TensorType {
    TensorType::new(data_type, shape.to_vec())
}

/// An input's shape with another element type; unranked when the input is unknown.
pub(super) fn like(uses: &Uses, position: usize, data_type: i32) -> Option<TensorType> {
    let shape = uses.shape(position).map(<[Dim]>::to_vec);
    Some(TensorType { data_type, shape })
}
