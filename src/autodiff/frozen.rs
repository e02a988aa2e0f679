//! Frozen operands that the graph computes from stored constants: dequantised and upcast weights.
//!
//! The forward pass computes such an operand, multiplies by it and frees it. If the backward pass
//! read the same tensor, the runtime would keep it alive in between, and all of them together are a
//! float32 copy of the model. So the nodes that compute it are duplicated for the backward pass:
//! the operand exists twice for a short time instead of once for a long time.

use super::emit::{Emitter, refused};
use crate::error::Result;
use crate::graph::{Dim, NodeProto, attribute_int, data_type, inline_bytes, shape_text};

/// Operators whose result is larger than their stored input.
const UPCASTING: &[&str] = &["DequantizeLinear", "Cast"];

/// The most nodes that compute one operand; exports have up to four.
const NODES_MAX: usize = 32;

/// How quantised values are dequantised: `(value - zero point) x scale`, along `axis` of the values
/// where scale and zero point are vectors. Empty names are absent.
pub(super) struct Quantization<'a> {
    pub values: &'a str,
    pub scale: &'a str,
    pub zero_point: &'a str,
    pub axis: usize,
}

impl Emitter<'_> {
    /// The operand that the backward graph uses for a frozen one of the forward graph.
    pub fn frozen(&mut self, tensor: &str) -> String {
        match self.upcasts(tensor, &mut NODES_MAX.clone()) {
            Some(true) => self.made_again(tensor),
            _ => tensor.to_owned(),
        }
    }

    /// Whether a constant is computed by upcasting; `None` for a tensor that is not constant.
    fn upcasts(&self, tensor: &str, nodes_left: &mut usize) -> Option<bool> {
        if self.initializer(tensor).is_some() {
            return Some(false);
        }
        let node = self.producer(tensor).filter(|node| node.output.len() == 1)?;
        *nodes_left = nodes_left.checked_sub(1)?;
        let mut upcasts = UPCASTING.contains(&node.op_type());
        for name in node.input.iter().filter(|name| !name.is_empty()) {
            upcasts |= self.upcasts(name, nodes_left)?;
        }
        Some(upcasts)
    }

    /// Duplicates the nodes that compute an upcast constant.
    fn made_again(&mut self, tensor: &str) -> String {
        let Some(node) = self.producer(tensor).cloned() else { return tensor.to_owned() };
        if self.upcasts(tensor, &mut NODES_MAX.clone()) != Some(true) {
            return tensor.to_owned();
        }
        let inputs: Vec<String> = node.input.iter().map(|name| self.made_again(name)).collect();
        if let Some(numbers) = self.dequantized_by_parts(&node, &inputs) {
            return numbers;
        }
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let output = self.copy(&node, &inputs);
        self.set_type_like(&output, tensor);
        output
    }

    /// Expands a `DequantizeLinear` of bytes. ONNX Runtime runs the parts on all threads and
    /// several times as fast as the whole. `None` for forms that the parts do not cover.
    fn dequantized_by_parts(&mut self, node: &NodeProto, inputs: &[String]) -> Option<String> {
        if node.op_type() != "DequantizeLinear" {
            return None;
        }
        let [values, scale, rest @ ..] = inputs else { return None };
        let is_byte = |kind: i32| matches!(kind, data_type::INT8 | data_type::UINT8);
        let is_blocked = attribute_int(node, "block_size").unwrap_or(0) != 0;
        let known = self.shapes().data_type(values).is_some_and(is_byte)
            && self.shapes().data_type(scale) == Some(data_type::FLOAT);
        if is_blocked || !known {
            return None;
        }
        let rank = self.shapes().rank(values)? as i64;
        let axis = attribute_int(node, "axis").unwrap_or(1);
        let axis = usize::try_from(if axis < 0 { axis + rank } else { axis }).ok()?;
        let zero_point = rest.first().map_or("", String::as_str);
        self.dequantized(&Quantization { values, scale, zero_point, axis })
    }

    /// Bytes as float32; `None` where the shapes do not determine how the scales apply.
    pub fn dequantized(&mut self, parts: &Quantization<'_>) -> Option<String> {
        let rank = self.shapes().rank(parts.values)?;
        // This can fail, so it comes before anything is appended.
        let scale_axes = self.trailing_axes(parts.scale, parts.axis, rank)?;
        let numbers = self.as_numbers(parts)?;
        let scale = self.along_axis(parts.scale, &scale_axes);
        Some(self.node("Mul", &[&numbers, &scale], vec![]))
    }

    /// `value - zero point` as float32.
    pub fn as_numbers(&mut self, parts: &Quantization<'_>) -> Option<String> {
        let rank = self.shapes().rank(parts.values)?;
        let is_shifted = !parts.zero_point.is_empty() && !self.is_zero(parts.zero_point);
        let axes = match is_shifted {
            true => self.trailing_axes(parts.zero_point, parts.axis, rank)?,
            false => Vec::new(),
        };
        let numbers = self.cast(parts.values, data_type::FLOAT);
        if !is_shifted {
            return Some(numbers);
        }
        let zero = self.cast(parts.zero_point, data_type::FLOAT);
        let zero = self.along_axis(&zero, &axes);
        Some(self.node("Sub", &[&numbers, &zero], vec![]))
    }

    /// The axes to append to a scale so that it lies along `axis` of a tensor of that rank; empty
    /// for a scalar. `None` if its shape is unknown or has more axes.
    fn trailing_axes(&self, scale: &str, axis: usize, rank: usize) -> Option<Vec<i64>> {
        match self.shapes().shape(scale)? {
            [] | [Dim::Known(1)] => Some(Vec::new()),
            [_] if axis < rank => Some((1..(rank - axis) as i64).collect()),
            _ => None,
        }
    }

    fn along_axis(&mut self, vector: &str, trailing: &[i64]) -> String {
        match trailing {
            [] => vector.to_owned(),
            axes => self.change_axes("Unsqueeze", vector, axes),
        }
    }

    /// The scale of an activation, shaped to multiply a tensor that is quantised along `axis`.
    pub fn scale_along(&mut self, scale: &str, axis: usize, rank: usize) -> Result<String> {
        match self.trailing_axes(scale, axis, rank) {
            Some(axes) => Ok(self.along_axis(scale, &axes)),
            None => {
                let shape = shape_text(self.shapes().shape(scale));
                let why = format!("its scale {scale:?} has the shape {shape}, expected one axis");
                Err(refused(why))
            }
        }
    }

    /// Whether a constant can be read and all its elements are zero.
    fn is_zero(&self, tensor: &str) -> bool {
        self.initializer(tensor)
            .and_then(|tensor| inline_bytes(tensor).ok())
            .is_some_and(|bytes| bytes.iter().all(|&byte| byte == 0))
    }
}
