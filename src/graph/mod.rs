//! ONNX as data: read and write models, map their weights, know their types, edit their graphs.
//!
//! In flow the bytes of a `.onnx` file and its external data; out flow plain structs, views of
//! mapped weights, inferred types, and bytes again. Everything that comes from a file is hostile
//! until checked here. This part must never run a model, never copy weights it can map, never
//! write into a mapped file, and never lose anything of a model it does not understand.

pub mod proto;
mod types;

pub use proto::*;
pub use types::{Dim, TensorType, data_type, element_count};
