//! ONNX as data: reads and writes models, maps their weights, infers types and edits graphs.
//!
//! Input: the bytes of a `.onnx` file and its external data. Output: plain structs, views of mapped
//! weights, inferred types, and bytes again. Everything that comes from a file is hostile until it
//! is checked here. This part must never run a model, never copy weights it can map, never write
//! into a mapped file, and never lose any part of a model that it does not understand.

pub mod attr;
mod decode;
mod edit;
mod external;
mod external_files;
mod extract;
mod index;
mod inline;
mod model;
mod prepare;
pub mod proto;
mod rename;
mod rows;
mod shapes;
mod types;
mod weights;

pub use attr::{
    attribute_float, attribute_int, attribute_ints, attribute_of, attribute_string,
    attribute_tensor,
};
pub use decode::STRUCTURE_SIZE_BYTES_MAX;
pub use edit::Builder;
pub use external::{
    ALIGNMENT_BYTES, INLINE_SIZE_BYTES_MAX, write_sharing_external_data, write_with_external_data,
};
pub use extract::extract;
pub use index::{
    Index, constants_first, describe, is_topologically_sorted, sort_topologically,
    topological_order, used_values, values_behind,
};
pub use inline::inline_functions;
pub(crate) use model::canonical_domain;
pub use model::{FunctionLeft, IR_VERSION_MIN, MODEL_SIZE_BYTES_MAX, Model};
pub(crate) use prepare::{bf16, f16};
pub use prepare::{prepare, raise_ir_version, store_upcast};
pub use prost::bytes::Bytes;
pub use proto::*;
pub use rename::{change_nodes, rename_values, value_names};
pub use rows::{has_rounding, mixes_rows};
pub use shapes::Shapes;
pub use types::{Dim, TensorType, data_type, element_count, shape_text};
pub(crate) use weights::integers;
pub use weights::{Location, Weight, Weights, inline_bytes};
