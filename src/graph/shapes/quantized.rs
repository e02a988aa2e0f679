//! Rules of operators that quantise, dequantise or multiply by quantised weights.

use super::dims;
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

/// `GatherBlockQuantized`: rows of a table in blocks, of the type of the scales. A byte of a table
/// of `UINT8` holds as many elements of the axis that has the blocks as have room in it.
pub(super) fn gather_blocks(uses: &Uses) -> Outputs {
    let (Some(table), Some(indices)) = (uses.shape(0), uses.shape(1)) else { return Vec::new() };
    let place =
        |name, default| dims::axis(attribute_int(uses.node, name).unwrap_or(default), table.len());
    let (Some(gathered), Some(blocks)) = (place("gather_axis", 0), place("quantize_axis", 1))
    else {
        return Vec::new();
    };
    let mut shape = table.to_vec();
    let bits = attribute_int(uses.node, "bits").unwrap_or(4);
    if uses.data_type(0) == data_type::UINT8 && bits == 4 {
        shape[blocks] = dims::multiply(&shape[blocks], &Dim::Known(2));
    }
    shape.splice(gathered..=gathered, indices.iter().cloned());
    vec![Some(TensorType::new(uses.data_type(2), shape))]
}

/// Products with an integer matrix that return floats.
pub(super) fn float_product(uses: &Uses) -> Outputs {
    products::matmul(uses, data_type::FLOAT)
}
