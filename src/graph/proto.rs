//! The whole ONNX schema (IR version 14) as Rust structs, field for field and tag for tag.
//!
//! Names are those of `onnx.proto3`, with fields in snake case. Presence is kept (`Option`), so a
//! decoded message encodes to what was decoded. Enumerations stay raw numbers, so unknown values
//! survive a round trip; the known values are in [`data_type`](super::data_type) and
//! [`attribute_type`]. Nothing here interprets, checks or repairs a message.

mod device;
mod entry;
mod graph;
mod tensor;
mod types;

pub use device::{
    DeviceConfigurationProto, IntIntListEntryProto, NodeDeviceConfigurationProto, ShardedDimProto,
    ShardingSpecProto, SimpleShardedDimProto, simple_sharded_dim_proto,
};
pub use entry::{OperatorSetIdProto, StringStringEntryProto};
pub use graph::{AttributeProto, FunctionProto, GraphProto, NodeProto, TensorAnnotation};
pub use tensor::{SparseTensorProto, TensorProto, tensor_proto};
pub use types::{TensorShapeProto, TypeProto, ValueInfoProto, tensor_shape_proto, type_proto};

use prost::Message;

/// A model: one graph, the operator sets it needs, model-local functions and metadata.
#[derive(Clone, PartialEq, Message)]
pub struct ModelProto {
    /// The version of the format this model was written for.
    #[prost(int64, optional, tag = "1")]
    pub ir_version: Option<i64>,
    /// Operator sets that the model relies on, one per domain.
    #[prost(message, repeated, tag = "8")]
    pub opset_import: Vec<OperatorSetIdProto>,
    /// The tool that wrote the model.
    #[prost(string, optional, tag = "2")]
    pub producer_name: Option<String>,
    /// The version of that tool.
    #[prost(string, optional, tag = "3")]
    pub producer_version: Option<String>,
    /// The model's namespace, in reverse domain notation.
    #[prost(string, optional, tag = "4")]
    pub domain: Option<String>,
    /// The version of the graph, as its author counts.
    #[prost(int64, optional, tag = "5")]
    pub model_version: Option<i64>,
    /// A description for people.
    #[prost(string, optional, tag = "6")]
    pub doc_string: Option<String>,
    /// The graph to run.
    #[prost(message, optional, tag = "7")]
    pub graph: Option<GraphProto>,
    /// Named values of the author.
    #[prost(message, repeated, tag = "14")]
    pub metadata_props: Vec<StringStringEntryProto>,
    /// Training graphs that belong to the model.
    #[prost(message, repeated, tag = "20")]
    pub training_info: Vec<TrainingInfoProto>,
    /// Operators that the model itself defines.
    #[prost(message, repeated, tag = "25")]
    pub functions: Vec<FunctionProto>,
    /// Device configurations that nodes refer to.
    #[prost(message, repeated, tag = "26")]
    pub configuration: Vec<DeviceConfigurationProto>,
}

/// How to train the model, as graphs of its own.
#[derive(Clone, PartialEq, Message)]
pub struct TrainingInfoProto {
    /// Computes the initial tensors.
    #[prost(message, optional, tag = "1")]
    pub initialization: Option<GraphProto>,
    /// Computes one training step.
    #[prost(message, optional, tag = "2")]
    pub algorithm: Option<GraphProto>,
    /// Which initializers the outputs of `initialization` replace.
    #[prost(message, repeated, tag = "3")]
    pub initialization_binding: Vec<StringStringEntryProto>,
    /// Which initializers the outputs of `algorithm` replace.
    #[prost(message, repeated, tag = "4")]
    pub update_binding: Vec<StringStringEntryProto>,
}

/// Values of the field `type` of [`AttributeProto`].
pub mod attribute_type {
    /// No type stated (models of IR version 1 only).
    pub const UNDEFINED: i32 = 0;
    /// One 32-bit float in `f`.
    pub const FLOAT: i32 = 1;
    /// One 64-bit integer in `i`.
    pub const INT: i32 = 2;
    /// One byte string in `s`.
    pub const STRING: i32 = 3;
    /// One tensor in `t`.
    pub const TENSOR: i32 = 4;
    /// One graph in `g`.
    pub const GRAPH: i32 = 5;
    /// Floats in `floats`.
    pub const FLOATS: i32 = 6;
    /// Integers in `ints`.
    pub const INTS: i32 = 7;
    /// Byte strings in `strings`.
    pub const STRINGS: i32 = 8;
    /// Tensors in `tensors`.
    pub const TENSORS: i32 = 9;
    /// Graphs in `graphs`.
    pub const GRAPHS: i32 = 10;
    /// One sparse tensor in `sparse_tensor`.
    pub const SPARSE_TENSOR: i32 = 11;
    /// Sparse tensors in `sparse_tensors`.
    pub const SPARSE_TENSORS: i32 = 12;
    /// One type in `tp`.
    pub const TYPE_PROTO: i32 = 13;
    /// Types in `type_protos`.
    pub const TYPE_PROTOS: i32 = 14;
}
