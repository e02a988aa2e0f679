//! Element types, dimensions and tensor types, as far as a graph states or implies them.
//!
//! Sizes are in bytes or bits of one element. Counting elements never overflows silently.

use super::proto::tensor_shape_proto::{Dimension, dimension::Value};
use super::proto::{TensorShapeProto, TypeProto, ValueInfoProto, type_proto};

/// ONNX element types: values of `TensorProto::data_type` and `elem_type`.
pub mod data_type {
    macro_rules! data_types {
        ($( $name:ident = $number:literal, $bits:expr, $text:literal; )+) => {
            $( #[doc = concat!("`", $text, "`")] pub const $name: i32 = $number; )+

            /// The size of one element in bits; `None` for strings and unknown types.
            ///
            /// Types below 8 bits are packed, so a tensor of them takes whole bytes only.
            pub fn size_bits(data_type: i32) -> Option<usize> {
                match data_type { $( $name => $bits, )+ _ => None }
            }

            /// The name as ONNX spells it, in lower case; `unknown` for unknown numbers.
            pub fn name(data_type: i32) -> &'static str {
                match data_type { $( $name => $text, )+ _ => "unknown" }
            }
        };
    }

    data_types! {
        UNDEFINED = 0, None, "undefined";
        FLOAT = 1, Some(32), "float";
        UINT8 = 2, Some(8), "uint8";
        INT8 = 3, Some(8), "int8";
        UINT16 = 4, Some(16), "uint16";
        INT16 = 5, Some(16), "int16";
        INT32 = 6, Some(32), "int32";
        INT64 = 7, Some(64), "int64";
        STRING = 8, None, "string";
        BOOL = 9, Some(8), "bool";
        FLOAT16 = 10, Some(16), "float16";
        DOUBLE = 11, Some(64), "double";
        UINT32 = 12, Some(32), "uint32";
        UINT64 = 13, Some(64), "uint64";
        COMPLEX64 = 14, Some(64), "complex64";
        COMPLEX128 = 15, Some(128), "complex128";
        BFLOAT16 = 16, Some(16), "bfloat16";
        FLOAT8E4M3FN = 17, Some(8), "float8e4m3fn";
        FLOAT8E4M3FNUZ = 18, Some(8), "float8e4m3fnuz";
        FLOAT8E5M2 = 19, Some(8), "float8e5m2";
        FLOAT8E5M2FNUZ = 20, Some(8), "float8e5m2fnuz";
        UINT4 = 21, Some(4), "uint4";
        INT4 = 22, Some(4), "int4";
        FLOAT4E2M1 = 23, Some(4), "float4e2m1";
        FLOAT8E8M0 = 24, Some(8), "float8e8m0";
        UINT2 = 25, Some(2), "uint2";
        INT2 = 26, Some(2), "int2";
        FLOAT6E2M3 = 27, Some(6), "float6e2m3";
        FLOAT6E3M2 = 28, Some(6), "float6e3m2";
    }

    /// Whether elements are integers.
    pub fn is_integer(data_type: i32) -> bool {
        matches!(data_type, UINT8..=INT64 | UINT32 | UINT64 | UINT4 | INT4 | UINT2 | INT2)
    }

    /// The bytes of a dense tensor of these dimensions; packed types are rounded up to a byte.
    ///
    /// `None` for strings, unknown types, negative dimensions and sizes beyond `usize`.
    pub fn tensor_size_bytes(data_type: i32, dims: &[i64]) -> Option<usize> {
        let elements = crate::graph::types::element_count(dims)?;
        let bits = size_bits(data_type)?;
        elements.checked_mul(bits).map(|total| total.div_ceil(8)).or_else(|| {
            // Bits overflow eight times earlier than bytes; whole-byte types may still fit.
            if bits % 8 == 0 { elements.checked_mul(bits / 8) } else { None }
        })
    }
}

/// The number of elements of a tensor; `None` for negative dimensions and beyond `usize`.
pub fn element_count(dims: &[i64]) -> Option<usize> {
    let sizes: Option<Vec<usize>> = dims.iter().map(|&dim| usize::try_from(dim).ok()).collect();
    let sizes = sizes?;
    // A zero makes the tensor empty even where the other sizes alone would overflow.
    if sizes.contains(&0) {
        return Some(0);
    }
    sizes.into_iter().try_fold(1usize, usize::checked_mul)
}

/// The longest symbol that is kept, in bytes: symbols are copied along a graph, and formulas grow.
pub const SYMBOL_LENGTH_MAX: usize = 200;

fn is_usable(symbol: &str) -> bool {
    !symbol.is_empty() && symbol.len() <= SYMBOL_LENGTH_MAX
}

/// One dimension, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Dim {
    /// The size.
    Known(i64),
    /// A name for the size; equal names are equal sizes within one graph.
    Symbol(String),
    /// Unknown.
    Unknown,
}

impl Dim {
    /// The size, if it is a number.
    pub fn known(&self) -> Option<i64> {
        match self {
            Dim::Known(size) => Some(*size),
            Dim::Symbol(_) | Dim::Unknown => None,
        }
    }

    /// Whether the dimension is unknown.
    pub fn is_unknown(&self) -> bool {
        *self == Dim::Unknown
    }
}

impl std::fmt::Display for Dim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Dim::Known(size) => size.fmt(f),
            Dim::Symbol(symbol) => f.write_str(symbol),
            Dim::Unknown => f.write_str("?"),
        }
    }
}

/// A shape as messages show it: `[batch, ?, 32]`.
pub fn shape_text(shape: Option<&[Dim]>) -> String {
    match shape {
        None => "of unknown rank".to_owned(),
        Some(dims) => {
            let dims: Vec<String> = dims.iter().map(Dim::to_string).collect();
            format!("[{}]", dims.join(", "))
        }
    }
}

/// The known type of a tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorType {
    /// One of [`data_type`]; `UNDEFINED` when unknown.
    pub data_type: i32,
    /// The dimensions; `None` when even the rank is unknown.
    pub shape: Option<Vec<Dim>>,
}

impl TensorType {
    /// A tensor type with a known rank.
    pub fn new(data_type: i32, shape: Vec<Dim>) -> Self {
        Self { data_type, shape: Some(shape) }
    }

    /// A tensor type of which only the element type is known.
    pub fn unranked(data_type: i32) -> Self {
        Self { data_type, shape: None }
    }

    /// The type of a tensor with these dimensions; negative ones become unknown.
    pub fn of_dims(data_type: i32, dims: &[i64]) -> Self {
        let dim = |&size: &i64| if size >= 0 { Dim::Known(size) } else { Dim::Unknown };
        Self::new(data_type, dims.iter().map(dim).collect())
    }

    /// The rank, if known.
    pub fn rank(&self) -> Option<usize> {
        self.shape.as_ref().map(Vec::len)
    }

    /// The dimensions, if all of them are numbers.
    pub fn dims(&self) -> Option<Vec<i64>> {
        self.shape.as_ref()?.iter().map(Dim::known).collect()
    }

    /// Converts a stated type; `None` when it is not a dense tensor.
    ///
    /// Negative sizes, which some writers use for "unknown", and symbols that are empty or longer
    /// than [`SYMBOL_LENGTH_MAX`] become unknown.
    pub fn from_proto(proto: &TypeProto) -> Option<Self> {
        let Some(type_proto::Value::TensorType(tensor)) = &proto.value else { return None };
        let dim = |value: &Option<Value>| match value {
            Some(Value::DimValue(size)) if *size >= 0 => Dim::Known(*size),
            Some(Value::DimParam(symbol)) if is_usable(symbol) => Dim::Symbol(symbol.clone()),
            _ => Dim::Unknown,
        };
        let shape = tensor.shape.as_ref();
        Some(Self {
            data_type: tensor.elem_type(),
            shape: shape.map(|shape| shape.dim.iter().map(|d| dim(&d.value)).collect()),
        })
    }

    /// The type as a message.
    pub fn to_proto(&self) -> TypeProto {
        let dimension = |dim: &Dim| Dimension {
            value: match dim {
                Dim::Known(size) => Some(Value::DimValue(*size)),
                Dim::Symbol(symbol) => Some(Value::DimParam(symbol.clone())),
                Dim::Unknown => None,
            },
            denotation: None,
        };
        let shape = self.shape.as_ref().map(|dims| dims.iter().map(dimension).collect());
        TypeProto {
            value: Some(type_proto::Value::TensorType(type_proto::Tensor {
                elem_type: Some(self.data_type),
                shape: shape.map(|dim| TensorShapeProto { dim }),
            })),
            denotation: None,
        }
    }

    /// The type with a name, as graphs declare inputs and outputs.
    pub fn to_value_info(&self, name: &str) -> ValueInfoProto {
        ValueInfoProto {
            name: Some(name.to_owned()),
            r#type: Some(self.to_proto()),
            ..ValueInfoProto::default()
        }
    }
}
