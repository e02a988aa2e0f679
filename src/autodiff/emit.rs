//! The emitter appends nodes and constants to a graph in the form that its opset requires.
//!
//! Derivative rules and expansions of fused operators use nothing else to change a graph. The
//! emitter knows nothing of gradients, and must never change a given node unless a caller replaces
//! it.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::error::{Code, Error, Result};
use crate::graph::{
    AttributeProto, Builder, Dim, GraphProto, Index, NodeProto, Shapes, TensorProto, attr,
    attribute_float, attribute_tensor, data_type, inline_bytes,
};

/// First opset in which ReduceSum, Squeeze and Unsqueeze take their axes as an input.
pub(super) const OPSET_AXES_AS_INPUT: i64 = 13;
/// First opset in which the other reductions take their axes as an input.
pub(super) const OPSET_REDUCE_AXES_AS_INPUT: i64 = 18;

/// Appends nodes and constants to a graph.
pub(super) struct Emitter<'a> {
    builder: Builder<'a>,
    shapes: &'a mut Shapes,
    opset: i64,
    /// The prefix of all appended names.
    root: &'static str,
    /// The index of the given graph.
    index: Index,
    nodes_given: usize,
    initializers_given: usize,
    /// The positions of the initializers that no input can replace.
    constants: HashMap<String, usize>,
    /// Nodes that replace a given node.
    replacements: BTreeMap<usize, Vec<NodeProto>>,
    /// For a view with more axes, the matrix it was made from.
    pub(super) matrices: HashMap<String, String>,
    /// For some dimensions, the tensor that holds them as a vector.
    pub(super) sizes: HashMap<Vec<Dim>, String>,
}

/// The error for a form of an operator that is not supported; the caller of a rule adds the node.
pub(super) fn refused(why: impl Into<String>) -> Error {
    Error::new(Code::GraphUnsupported, why)
}

impl<'a> Emitter<'a> {
    pub fn new(
        graph: &'a mut GraphProto,
        opset: i64,
        shapes: &'a mut Shapes,
        root: &'static str,
    ) -> Result<Self> {
        let index = Index::new(graph)?;
        let replaceable: HashSet<&str> = graph.input.iter().map(|info| info.name()).collect();
        let constants = graph.initializer.iter().enumerate();
        let constants = constants
            .filter(|(_, tensor)| !replaceable.contains(tensor.name()))
            .map(|(position, tensor)| (tensor.name().to_owned(), position))
            .collect();
        Ok(Self {
            nodes_given: graph.node.len(),
            initializers_given: graph.initializer.len(),
            builder: Builder::new(graph, root),
            shapes,
            opset,
            root,
            index,
            constants,
            replacements: BTreeMap::new(),
            matrices: HashMap::new(),
            sizes: HashMap::new(),
        })
    }

    pub fn given(&self, position: usize) -> &NodeProto {
        &self.builder.graph().node[position]
    }

    /// The number of given nodes.
    pub fn given_count(&self) -> usize {
        self.nodes_given
    }

    /// The nodes appended so far.
    pub fn appended(&self) -> &[NodeProto] {
        &self.builder.graph().node[self.nodes_given..]
    }

    /// Starts the names that follow with `label`.
    pub fn enter(&mut self, label: &str) {
        self.builder.set_prefix(format!("{}{label}/", self.root));
    }

    /// Starts the names that follow with the name of a node.
    pub fn enter_node(&mut self, node: &NodeProto) {
        let label = if node.name().is_empty() { node.op_type() } else { node.name() };
        self.enter(label.trim_start_matches('/'));
    }

    /// The position of the next node.
    pub fn cursor(&self) -> usize {
        self.builder.graph().node.len()
    }

    /// Removes all nodes from `cursor` on.
    pub fn cut(&mut self, cursor: usize) -> Vec<NodeProto> {
        self.builder.graph_mut().node.split_off(cursor)
    }

    /// Replaces the given node at `position` by all nodes from `cursor` on. They must produce its
    /// outputs and use nothing that is produced after it.
    pub fn replace(&mut self, position: usize, cursor: usize) {
        let nodes = self.cut(cursor);
        self.replacements.insert(position, nodes);
    }

    /// Removes appended nodes and constants that neither `used` nor a kept value needs.
    pub fn drop_unused(&mut self, mut used: HashSet<String>) {
        let graph = self.builder.graph_mut();
        let appended = graph.node.split_off(self.nodes_given);
        let is_used = |node: &NodeProto| {
            let keep = node.output.iter().any(|name| used.contains(name));
            if keep {
                used.extend(node.input.iter().cloned());
            }
            keep
        };
        let mut kept: Vec<_> = appended.into_iter().rev().filter(is_used).collect();
        kept.reverse();
        graph.node.extend(kept);
        let replacements = self.replacements.values().flatten();
        used.extend(replacements.flat_map(|node| node.input.iter().cloned()));
        let constants = graph.initializer.split_off(self.initializers_given);
        let constants = constants.into_iter().filter(|tensor| used.contains(tensor.name()));
        graph.initializer.extend(constants);
    }

    /// Moves replacements to the positions of the nodes they replace. With `infer` set, the types
    /// of the new tensors are inferred. Returns for every node its original position, or that of
    /// the node it replaces.
    pub fn place_replacements(mut self, infer: bool) -> Vec<usize> {
        let graph = self.builder.graph_mut();
        if infer {
            self.shapes.extend(&graph.initializer[self.initializers_given..], &[], self.opset);
        }
        let mut origins = Vec::new();
        for (position, node) in std::mem::take(&mut graph.node).into_iter().enumerate() {
            let replacement = self.replacements.remove(&position);
            if let (true, Some(nodes)) = (infer, &replacement) {
                self.shapes.extend(&[], nodes, self.opset);
            }
            let nodes = replacement.unwrap_or_else(|| vec![node]);
            origins.resize(origins.len() + nodes.len(), position);
            graph.node.extend(nodes);
        }
        origins
    }

    /// Appends a node of the standard domain; returns its output's name.
    pub fn node(&mut self, op: &str, inputs: &[&str], attributes: Vec<AttributeProto>) -> String {
        self.builder.node(op, inputs, attributes)
    }

    /// Appends a node of the standard domain whose output has the given name.
    pub fn named(
        &mut self,
        op: &str,
        inputs: &[&str],
        output: &str,
        attributes: Vec<AttributeProto>,
    ) {
        self.builder.node_named(op, "", inputs, &[output], attributes);
    }

    /// Appends a copy of a one-output node with other inputs; returns its output's name.
    pub fn copy(&mut self, node: &NodeProto, inputs: &[&str]) -> String {
        let output = self.builder.unique(node.op_type());
        let (op, domain) = (node.op_type(), node.domain());
        self.builder.node_named(op, domain, inputs, &[&output], node.attribute.clone());
        output
    }

    /// A constant with one value: a double, or a float for every other type.
    pub fn number(&mut self, data_type: i32, dims: &[i64], value: f64) -> String {
        let bytes = match data_type {
            data_type::DOUBLE => value.to_le_bytes().to_vec(),
            _ => (value as f32).to_le_bytes().to_vec(),
        };
        self.constant(data_type, dims, bytes)
    }

    pub fn scalar(&mut self, data_type: i32, value: f64) -> String {
        self.number(data_type, &[], value)
    }

    /// A scalar constant of the element type that the gradient of `tensor` has.
    pub fn scalar_like(&mut self, tensor: &str, value: f64) -> String {
        let data_type = match self.data_type(tensor) {
            quantised if data_type::is_integer(quantised) => data_type::FLOAT,
            other => other,
        };
        self.scalar(data_type, value)
    }

    /// A constant from little-endian bytes.
    pub fn constant(&mut self, data_type: i32, dims: &[i64], bytes: Vec<u8>) -> String {
        self.builder.constant(data_type, dims, bytes)
    }

    /// An int64 vector constant.
    pub fn ints(&mut self, values: &[i64]) -> String {
        self.builder.constant_i64(values)
    }

    /// An int64 constant of one element.
    pub fn int(&mut self, value: i64) -> String {
        self.builder.constant_i64_scalar(value)
    }

    /// `ReduceSum` or `ReduceMean` over `axes`.
    pub fn reduce(&mut self, op: &str, tensor: &str, axes: &[i64], keep: bool) -> String {
        let keep = attr::int("keepdims", keep.into());
        let input =
            if op == "ReduceSum" { OPSET_AXES_AS_INPUT } else { OPSET_REDUCE_AXES_AS_INPUT };
        self.with_axes(op, tensor, axes, vec![keep], input)
    }

    /// `Squeeze` or `Unsqueeze` of `axes`.
    pub fn change_axes(&mut self, op: &str, tensor: &str, axes: &[i64]) -> String {
        self.with_axes(op, tensor, axes, vec![], OPSET_AXES_AS_INPUT)
    }

    /// A node over `axes`, which are an input from that opset on and an attribute before it.
    fn with_axes(
        &mut self,
        op: &str,
        tensor: &str,
        axes: &[i64],
        mut attributes: Vec<AttributeProto>,
        opset_as_input: i64,
    ) -> String {
        if self.opset >= opset_as_input {
            let axes = self.ints(axes);
            return self.node(op, &[tensor, &axes], attributes);
        }
        attributes.push(attr::ints("axes", axes));
        self.node(op, &[tensor], attributes)
    }

    /// `Cast`.
    pub fn cast(&mut self, tensor: &str, to: i32) -> String {
        self.node("Cast", &[tensor], vec![attr::int("to", to.into())])
    }

    /// `Reshape` to constant sizes; 0 keeps the input's size, and one size may be -1.
    pub fn reshape(&mut self, tensor: &str, sizes: &[i64]) -> String {
        let sizes = self.ints(sizes);
        self.node("Reshape", &[tensor, &sizes], vec![])
    }

    /// The elements of an axis from `start` to `end`.
    pub fn slice(&mut self, tensor: &str, axis: i64, start: i64, end: i64) -> String {
        let [start, end, axis] = [start, end, axis].map(|value| self.ints(&[value]));
        self.node("Slice", &[tensor, &start, &end, &axis], vec![])
    }

    /// Transposes. A swap of the last two axes before a MatMul costs nothing where the runtime
    /// fuses the two.
    pub fn transpose(&mut self, tensor: &str, axes: &[i64]) -> String {
        self.node("Transpose", &[tensor], vec![attr::ints("perm", axes)])
    }

    /// Swaps the last two axes of a tensor of that rank, at least 2.
    pub fn transpose_last(&mut self, tensor: &str, rank: usize) -> String {
        let mut axes: Vec<i64> = (0..rank as i64).collect();
        axes.swap(rank - 1, rank - 2);
        self.transpose(tensor, &axes)
    }

    /// The known types and shapes.
    pub fn shapes(&self) -> &Shapes {
        self.shapes
    }

    /// The version of the standard operators.
    pub fn opset(&self) -> i64 {
        self.opset
    }

    /// Declares that a tensor has the type and shape of another.
    pub fn set_type_like(&mut self, tensor: &str, like: &str) {
        if let Some(known) = self.shapes.get(like).cloned() {
            self.shapes.insert(tensor, known);
        }
    }

    /// The element type of a tensor; float where it is unknown.
    pub fn data_type(&self, tensor: &str) -> i32 {
        self.shapes.data_type(tensor).unwrap_or(data_type::FLOAT)
    }

    /// The dimensions of a tensor whose rank is known.
    pub fn dims(&self, tensor: &str) -> Result<Vec<Dim>> {
        let known = self.shapes.shape(tensor).map(<[Dim]>::to_vec);
        known.ok_or_else(|| refused(format!("the rank of {tensor:?} is not known")))
    }

    pub fn rank(&self, tensor: &str) -> Result<usize> {
        Ok(self.dims(tensor)?.len())
    }

    /// The size of one axis of a tensor; negative axes count from the end.
    pub fn size(&self, tensor: &str, axis: i64) -> Result<i64> {
        let dims = self.dims(tensor)?;
        let place = if axis < 0 { dims.len() as i64 + axis } else { axis };
        let dim = usize::try_from(place).ok().and_then(|place| dims.get(place));
        dim.and_then(Dim::known).ok_or_else(|| {
            refused(format!("the size of {tensor:?} along axis {axis} is not known"))
        })
    }

    pub fn producer(&self, tensor: &str) -> Option<&NodeProto> {
        self.builder.graph().node.get(self.index.producer(tensor)?)
    }

    /// The elements of a small integer constant.
    pub fn constant_ints(&self, tensor: &str) -> Option<Vec<i64>> {
        self.shapes.constant_ints(tensor)
    }

    /// The initializer of that name, if no input can replace it.
    pub fn initializer(&self, tensor: &str) -> Option<&TensorProto> {
        self.builder.graph().initializer.get(*self.constants.get(tensor)?)
    }

    /// The value of a constant of one element, if it can be read here.
    pub fn constant_scalar(&self, tensor: &str) -> Option<f64> {
        if let Some(initializer) = self.initializer(tensor) {
            return one_number(initializer);
        }
        let node = self.producer(tensor).filter(|node| node.op_type() == "Constant")?;
        if let Some(value) = attribute_float(node, "value_float") {
            return Some(value.into());
        }
        one_number(attribute_tensor(node, "value")?)
    }
}

/// The axis counted from the front.
pub(super) fn axis_of(axis: i64, rank: usize) -> Result<usize> {
    let rank = rank as i64;
    if !(-rank..rank).contains(&axis) {
        return Err(refused(format!("axis {axis} is outside a tensor of rank {rank}")));
    }
    Ok(if axis < 0 { axis + rank } else { axis } as usize)
}

/// The value of a tensor of one element.
fn one_number(tensor: &TensorProto) -> Option<f64> {
    if tensor.dims.iter().any(|&dim| dim != 1) {
        return None;
    }
    let bytes = inline_bytes(tensor).ok()?;
    let bytes: &[u8] = &bytes;
    match tensor.data_type() {
        data_type::FLOAT => Some(f32::from_le_bytes(bytes.try_into().ok()?).into()),
        data_type::DOUBLE => Some(f64::from_le_bytes(bytes.try_into().ok()?)),
        data_type::INT64 => Some(i64::from_le_bytes(bytes.try_into().ok()?) as f64),
        data_type::INT32 => Some(i32::from_le_bytes(bytes.try_into().ok()?).into()),
        _ => None,
    }
}
