//! Access to one fused node: its inputs, outputs and attributes.

use crate::autodiff::emit::{Emitter, refused};
use crate::error::Result;
use crate::graph::{AttributeProto, NodeProto, attribute_float, attribute_int};

pub(in crate::autodiff) struct Fused<'a>(pub &'a NodeProto);

impl<'a> Fused<'a> {
    /// The name of an input; `None` when it is omitted.
    pub fn input(&self, index: usize) -> Option<&'a str> {
        self.0.input.get(index).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// The name of an input that the operator requires.
    pub fn required(&self, index: usize) -> Result<&'a str> {
        self.input(index).ok_or_else(|| refused(format!("input {index} is missing")))
    }

    /// The name of an output; `None` when it is omitted.
    pub fn output(&self, index: usize) -> Option<&'a str> {
        self.0.output.get(index).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// An integer attribute, or its default.
    pub fn int(&self, name: &str, default: i64) -> i64 {
        attribute_int(self.0, name).unwrap_or(default)
    }

    /// A float attribute, or its default.
    pub fn float(&self, name: &str, default: f64) -> f64 {
        attribute_float(self.0, name).map_or(default, f64::from)
    }

    /// Refuses outputs from `first` on.
    pub fn refuse_outputs(&self, first: usize, what: &str) -> Result<()> {
        match (first..self.0.output.len()).find_map(|index| self.output(index)) {
            None => Ok(()),
            Some(name) => Err(refused(format!("it also makes {name:?}, {what}"))),
        }
    }

    /// Appends a node of the standard domain that produces the fused node's first output.
    pub fn result(
        &self,
        emit: &mut Emitter<'_>,
        op: &str,
        inputs: &[&str],
        attributes: Vec<AttributeProto>,
    ) {
        emit.named(op, inputs, self.output(0).unwrap_or_default(), attributes);
    }

    /// A scalar constant of the element type of the first input.
    pub fn scalar(&self, emit: &mut Emitter<'_>, value: f64) -> String {
        emit.scalar_like(self.input(0).unwrap_or_default(), value)
    }

    /// `tensor` times a factor; `tensor` itself when the factor is one.
    pub fn scaled(&self, emit: &mut Emitter<'_>, tensor: &str, factor: f64) -> String {
        if factor == 1.0 {
            return tensor.to_owned();
        }
        let factor = self.scalar(emit, factor);
        emit.node("Mul", &[tensor, &factor], vec![])
    }
}
