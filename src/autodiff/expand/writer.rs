//! What expansions write with: nodes and constants in the form that the opset knows.
//!
//! In flow names of tensors; out flow names of appended tensors, the last of which bear the names
//! of the fused node's outputs.

use crate::autodiff::emit::{change_axes, scalar_bytes};
use crate::error::{Code, Error, Result};
use crate::graph::{
    AttributeProto, Builder, Dim, NodeProto, Shapes, attr, attribute_float, attribute_int,
    data_type,
};

/// One fused node, and where its parts go.
pub(in crate::autodiff) struct Parts<'a, 'g> {
    builder: &'a mut Builder<'g>,
    shapes: &'a Shapes,
    opset: i64,
    node: &'a NodeProto,
}

impl<'a, 'g> Parts<'a, 'g> {
    pub fn new(
        builder: &'a mut Builder<'g>,
        shapes: &'a Shapes,
        opset: i64,
        node: &'a NodeProto,
    ) -> Self {
        Self { builder, shapes, opset, node }
    }

    // ---- The fused node ------------------------------------------------------------------------

    /// The name of an input; `None` when it is left out.
    pub fn input(&self, index: usize) -> Option<&'a str> {
        self.node.input.get(index).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// The name of an input that the operator requires.
    pub fn required(&self, index: usize) -> Result<&'a str> {
        self.input(index).ok_or_else(|| self.refuse(&format!("input {index} is missing")))
    }

    /// The name of an output; `None` when it is left out.
    pub fn output(&self, index: usize) -> Option<&'a str> {
        self.node.output.get(index).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// An integer attribute, or its default.
    pub fn int(&self, name: &str, default: i64) -> i64 {
        attribute_int(self.node, name).unwrap_or(default)
    }

    /// A float attribute, or its default.
    pub fn float(&self, name: &str, default: f64) -> f64 {
        attribute_float(self.node, name).map_or(default, f64::from)
    }

    /// The fused node.
    pub fn fused(&self) -> &'a NodeProto {
        self.node
    }

    /// The dimensions of one of the graph's tensors, of which at least the rank is known.
    pub fn dims(&self, tensor: &str) -> Result<&'a [Dim]> {
        let known = self.shapes.shape(tensor);
        known.ok_or_else(|| self.refuse(&format!("the rank of {tensor:?} is not known")))
    }

    /// The size of one axis of one of the graph's tensors, counted from the end if negative.
    pub fn size(&self, tensor: &str, axis: i64) -> Result<i64> {
        let dims = self.dims(tensor)?;
        let place = if axis < 0 { dims.len() as i64 + axis } else { axis };
        let dim = usize::try_from(place).ok().and_then(|place| dims.get(place));
        dim.and_then(Dim::known).ok_or_else(|| {
            self.refuse(&format!("the size of {tensor:?} along axis {axis} is not known"))
        })
    }

    /// The element type of one of the graph's tensors; float where it is not known.
    pub fn data_type(&self, tensor: &str) -> i32 {
        self.shapes.data_type(tensor).unwrap_or(data_type::FLOAT)
    }

    /// The element type of the first input.
    pub fn element(&self) -> i32 {
        self.input(0).map_or(data_type::FLOAT, |name| self.data_type(name))
    }

    /// The error for a form of the operator that is not covered.
    pub fn refuse(&self, why: &str) -> Error {
        Error::new(Code::GraphUnsupported, why)
    }

    /// Refuses outputs from `first` on.
    pub fn refuse_outputs(&self, first: usize, what: &str) -> Result<()> {
        match (first..self.node.output.len()).find_map(|index| self.output(index)) {
            None => Ok(()),
            Some(name) => Err(self.refuse(&format!("it also makes {name:?}, {what}"))),
        }
    }

    // ---- Its parts -----------------------------------------------------------------------------

    /// Appends a node of the standard domain; gives its output's name.
    pub fn node(&mut self, op: &str, inputs: &[&str], attributes: Vec<AttributeProto>) -> String {
        self.builder.node(op, inputs, attributes)
    }

    /// Appends a node of that domain whose output has that name.
    pub fn named(
        &mut self,
        (domain, op): (&str, &str),
        inputs: &[&str],
        output: &str,
        attributes: Vec<AttributeProto>,
    ) {
        self.builder.node_named(op, domain, inputs, &[output], attributes);
    }

    /// Appends a node of the standard domain that makes the fused node's first output.
    pub fn result(&mut self, op: &str, inputs: &[&str], attributes: Vec<AttributeProto>) {
        let output = self.node.output.first().cloned().unwrap_or_default();
        self.named(("", op), inputs, &output, attributes);
    }

    /// A scalar constant of the element type of the first input.
    pub fn scalar(&mut self, value: f64) -> String {
        let data_type = self.element();
        self.builder.constant(data_type, &[], scalar_bytes(data_type, value))
    }

    /// A vector of integers.
    pub fn ints(&mut self, values: &[i64]) -> String {
        self.builder.constant_i64(values)
    }

    /// One integer.
    pub fn int_scalar(&mut self, value: i64) -> String {
        self.builder.constant_i64_scalar(value)
    }

    /// `Squeeze` or `Unsqueeze` of `axes`.
    pub fn change_axes(&mut self, op: &str, tensor: &str, axes: &[i64]) -> String {
        change_axes(self.builder, self.opset, op, tensor, axes)
    }

    /// `Reshape` to constant sizes, of which 0 keeps the input's and one may be -1.
    pub fn reshape(&mut self, tensor: &str, sizes: &[i64]) -> String {
        let sizes = self.ints(sizes);
        self.node("Reshape", &[tensor, &sizes], vec![])
    }

    /// `Transpose`.
    pub fn transpose(&mut self, tensor: &str, axes: &[i64]) -> String {
        self.node("Transpose", &[tensor], vec![attr::ints("perm", axes)])
    }

    /// The elements of an axis from `start` to `end`.
    pub fn slice(&mut self, tensor: &str, axis: i64, start: i64, end: i64) -> String {
        let [start, end, axis] = [start, end, axis].map(|value| self.ints(&[value]));
        self.node("Slice", &[tensor, &start, &end, &axis], vec![])
    }

    /// The size of an axis when the graph runs, as a vector of one element.
    pub fn run_time_size(&mut self, tensor: &str, axis: i64) -> String {
        let sizes = self.node("Shape", &[tensor], vec![]);
        let place = self.ints(&[axis]);
        self.node("Gather", &[&sizes, &place], vec![])
    }

    /// `tensor` times a number; the same tensor for one.
    pub fn scaled(&mut self, tensor: &str, factor: f64) -> String {
        if factor == 1.0 {
            return tensor.to_owned();
        }
        let factor = self.scalar(factor);
        self.node("Mul", &[tensor, &factor], vec![])
    }
}
