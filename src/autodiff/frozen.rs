//! Frozen operands that the graph makes from stored constants: dequantised and widened weights.
//!
//! The forward pass makes such an operand, multiplies by it and lets it go. If the backward pass
//! read the same tensor, the runtime would keep it from the one to the other, and all of them
//! together are a float32 copy of the model. So the nodes that make it are copied for the backward
//! use, and it exists twice for a moment instead of once for long.
//!
//! In flow names of operands; out flow names of tensors with the same values. This part must never
//! copy what depends on the input of a run.

use super::tape::{Step, Tape};
use crate::error::Result;
use crate::graph::{Dim, NodeProto, attr, attribute_int, data_type, inline_bytes, shape_text};

/// Operators whose result is larger than what is stored.
const WIDENING: &[&str] = &["DequantizeLinear", "Cast"];

/// The most nodes that make one operand; exports have up to four.
const NODES_MAX: usize = 32;

/// How codes become numbers: `(code - zero point) x scale`, along `axis` of the codes where scale
/// and zero point are vectors. Empty names are absent.
pub(super) struct Quantization<'a> {
    pub codes: &'a str,
    pub scale: &'a str,
    pub zero_point: &'a str,
    pub axis: usize,
}

impl Tape<'_> {
    /// The operand to use in the backward graph for a frozen one of the forward graph.
    pub fn frozen(&mut self, tensor: &str) -> String {
        match self.widens(tensor, &mut NODES_MAX.clone()) {
            Some(true) => self.made_again(tensor),
            _ => tensor.to_owned(),
        }
    }

    /// Whether a node that makes a constant widens it; `None` for what is no constant.
    fn widens(&self, tensor: &str, nodes_left: &mut usize) -> Option<bool> {
        if self.initializers.contains_key(tensor) {
            return Some(false);
        }
        let node = self.producer(tensor).filter(|node| node.output.len() == 1)?;
        *nodes_left = nodes_left.checked_sub(1)?;
        let mut widens = WIDENING.contains(&node.op_type());
        for name in node.input.iter().filter(|name| !name.is_empty()) {
            widens |= self.widens(name, nodes_left)?;
        }
        Some(widens)
    }

    /// Copies the nodes that make a widened constant.
    fn made_again(&mut self, tensor: &str) -> String {
        let Some(node) = self.producer(tensor).cloned() else { return tensor.to_owned() };
        if self.widens(tensor, &mut NODES_MAX.clone()) != Some(true) {
            return tensor.to_owned();
        }
        let inputs: Vec<String> = node.input.iter().map(|name| self.made_again(name)).collect();
        if let Some(numbers) = self.dequantized_by_parts(&node, &inputs) {
            return numbers;
        }
        let output = self.builder.unique(node.op_type());
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let (op, domain) = (node.op_type(), node.domain());
        self.builder.node_named(op, domain, &inputs, &[&output], node.attribute.clone());
        if let Some(known) = self.shapes.get(tensor).cloned() {
            self.shapes.insert(output.clone(), known);
        }
        output
    }

    /// A `DequantizeLinear` of bytes in its parts, which ONNX Runtime runs on all threads and
    /// several times as fast as the whole. `None` for forms that the parts do not cover.
    fn dequantized_by_parts(&mut self, node: &NodeProto, inputs: &[String]) -> Option<String> {
        if node.op_type() != "DequantizeLinear" {
            return None;
        }
        let [codes, scale, rest @ ..] = inputs else { return None };
        let is_byte = |kind: i32| matches!(kind, data_type::INT8 | data_type::UINT8);
        let is_blocked = attribute_int(node, "block_size").unwrap_or(0) != 0;
        let known = self.shapes.data_type(codes).is_some_and(is_byte)
            && self.shapes.data_type(scale) == Some(data_type::FLOAT);
        if is_blocked || !known {
            return None;
        }
        let rank = self.shapes.rank(codes)? as i64;
        let axis = attribute_int(node, "axis").unwrap_or(1);
        let axis = usize::try_from(if axis < 0 { axis + rank } else { axis }).ok()?;
        let zero_point = rest.first().map_or("", String::as_str);
        self.dequantized(&Quantization { codes, scale, zero_point, axis })
    }

    /// Bytes as float32 numbers; `None` where the shapes do not say how scales are meant.
    pub fn dequantized(&mut self, parts: &Quantization<'_>) -> Option<String> {
        let rank = self.shapes.rank(parts.codes)?;
        // Found before anything is appended.
        let scale_axes = self.axes_behind(parts.scale, parts.axis, rank)?;
        let numbers = self.codes_as_numbers(parts)?;
        let scale = self.along_axis(parts.scale, &scale_axes);
        Some(self.node("Mul", &[&numbers, &scale], vec![]))
    }

    /// `code - zero point` as float32.
    pub fn codes_as_numbers(&mut self, parts: &Quantization<'_>) -> Option<String> {
        let to_float = || vec![attr::int("to", data_type::FLOAT.into())];
        let rank = self.shapes.rank(parts.codes)?;
        let is_shifted = !parts.zero_point.is_empty() && !self.is_zero(parts.zero_point);
        let axes = match is_shifted {
            true => self.axes_behind(parts.zero_point, parts.axis, rank)?,
            false => Vec::new(),
        };
        let numbers = self.node("Cast", &[parts.codes], to_float());
        if !is_shifted {
            return Some(numbers);
        }
        let zero = self.node("Cast", &[parts.zero_point], to_float());
        let zero = self.along_axis(&zero, &axes);
        Some(self.node("Sub", &[&numbers, &zero], vec![]))
    }

    /// The axes to add behind a scale so that it lies along `axis` of a tensor of that rank; none
    /// for a single number. `None` if its shape is unknown or of more axes.
    fn axes_behind(&self, scale: &str, axis: usize, rank: usize) -> Option<Vec<i64>> {
        match self.shapes.shape(scale)? {
            [] | [Dim::Known(1)] => Some(Vec::new()),
            [_] if axis < rank => Some((1..(rank - axis) as i64).collect()),
            _ => None,
        }
    }

    fn along_axis(&mut self, vector: &str, axes_behind: &[i64]) -> String {
        match axes_behind {
            [] => vector.to_owned(),
            axes => self.change_axes("Unsqueeze", vector, axes),
        }
    }

    /// A scale of an activation, shaped to multiply a tensor that is quantised along `axis`.
    pub fn scale_along(
        &mut self,
        step: &Step,
        scale: &str,
        axis: usize,
        rank: usize,
    ) -> Result<String> {
        match self.axes_behind(scale, axis, rank) {
            Some(axes) => Ok(self.along_axis(scale, &axes)),
            None => {
                let shape = shape_text(self.shapes.shape(scale));
                let why = format!("its scale {scale:?} has the shape {shape}, expected one axis");
                Err(self.refuse(step, &why))
            }
        }
    }

    /// Whether a constant can be read here and is zero throughout.
    fn is_zero(&self, tensor: &str) -> bool {
        let initializer = self.initializers.get(tensor);
        let tensor = initializer.map(|&position| &self.builder.graph().initializer[position]);
        tensor
            .and_then(|tensor| inline_bytes(tensor).ok())
            .is_some_and(|bytes| bytes.iter().all(|&byte| byte == 0))
    }
}
