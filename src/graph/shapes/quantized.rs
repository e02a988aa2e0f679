//! Rules of operators that quantise, dequantise or multiply by quantised weights.

use super::known::{Outputs, Uses, like};
use super::products;
use crate::graph::attr::attribute_int;
use crate::graph::types::{Dim, TensorType, data_type};

/// `QuantizeLinear`: quantised values of the zero point's type or of the stated type.
pub(super) fn quantize(uses: &Uses) -> Outputs {
    let stated = attribute_int(uses.node, "output_dtype").and_then(|to| i32::try_from(to).ok());
    let values = match (uses.name(2), stated) {
        (Some(_), _) => uses.data_type(2),
        (None, Some(stated)) if stated != 0 => stated,
        (None, _) => data_type::UINT8,
    };
    vec![like(uses, 0, values)]
}

/// `DequantizeLinear`: values of the scale's type.
pub(super) fn dequantize(uses: &Uses) -> Outputs {
    vec![like(uses, 0, uses.data_type(1))]
}

/// `DynamicQuantizeLinear`: bytes, with one scale and one zero point for all of them.
pub(super) fn quantize_dynamically(uses: &Uses) -> Outputs {
    let scalar = |data_type| Some(TensorType::new(data_type, Vec::new()));
    let quantized = like(uses, 0, data_type::UINT8);
    vec![quantized, scalar(data_type::FLOAT), scalar(data_type::UINT8)]
}

/// `MatMulNBits`: the weight is packed; attributes state its sizes.
pub(super) fn packed_product(uses: &Uses) -> Outputs {
    let columns = attribute_int(uses.node, "N").filter(|&size| size > 0);
    let shape = uses.shape(0).filter(|shape| !shape.is_empty()).map(|shape| {
        let mut shape = shape.to_vec();
        shape.pop();
        shape.push(columns.map_or(Dim::Unknown, Dim::Known));
        shape
    });
    vec![Some(TensorType { data_type: uses.data_type(0), shape })]
}

/// Products with an integer matrix that return floats.
pub(super) fn float_product(uses: &Uses) -> Outputs {
    products::matmul(uses, data_type::FLOAT)
}
