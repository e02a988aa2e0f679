//! Tensors with their values, dense and sparse.

use prost::Message;
use prost::bytes::Bytes;

use super::entry::StringStringEntryProto;

/// A tensor: its type, its dimensions, and its values in one of the data fields or in a file.
#[derive(Clone, PartialEq, Message)]
pub struct TensorProto {
    /// The dimensions; none for a scalar.
    #[prost(int64, repeated, packed = "false", tag = "1")]
    pub dims: Vec<i64>,
    /// One of [`data_type`](crate::graph::data_type).
    #[prost(int32, optional, tag = "2")]
    pub data_type: Option<i32>,
    /// The segment of a larger tensor that this is; known writers do not use it.
    #[prost(message, optional, tag = "3")]
    pub segment: Option<tensor_proto::Segment>,
    /// Values of float and complex64 tensors.
    #[prost(float, repeated, tag = "4")]
    pub float_data: Vec<f32>,
    /// Values of the integer types up to 32 bits, bool, and bit patterns of the small floats.
    #[prost(int32, repeated, tag = "5")]
    pub int32_data: Vec<i32>,
    /// Values of string tensors.
    #[prost(bytes = "vec", repeated, tag = "6")]
    pub string_data: Vec<Vec<u8>>,
    /// Values of int64 tensors.
    #[prost(int64, repeated, tag = "7")]
    pub int64_data: Vec<i64>,
    /// The name.
    #[prost(string, optional, tag = "8")]
    pub name: Option<String>,
    /// A description for people.
    #[prost(string, optional, tag = "12")]
    pub doc_string: Option<String>,
    /// The values as little-endian bytes, row-major. They are shared, not copied: decoded from a
    /// mapped file, they are a view of the mapping.
    #[prost(bytes = "bytes", optional, tag = "9")]
    pub raw_data: Option<Bytes>,
    /// Where external values lie: `location`, `offset`, `length`, `checksum`.
    #[prost(message, repeated, tag = "13")]
    pub external_data: Vec<StringStringEntryProto>,
    /// [`tensor_proto::DEFAULT`] or [`tensor_proto::EXTERNAL`].
    #[prost(int32, optional, tag = "14")]
    pub data_location: Option<i32>,
    /// Values of double and complex128 tensors.
    #[prost(double, repeated, tag = "10")]
    pub double_data: Vec<f64>,
    /// Values of uint32 and uint64 tensors.
    #[prost(uint64, repeated, tag = "11")]
    pub uint64_data: Vec<u64>,
    /// Named values of the author.
    #[prost(message, repeated, tag = "16")]
    pub metadata_props: Vec<StringStringEntryProto>,
}

/// Types of [`TensorProto`].
pub mod tensor_proto {
    use prost::Message;

    /// The values are in one of the data fields.
    pub const DEFAULT: i32 = 0;
    /// The values are in the file that `external_data` names.
    pub const EXTERNAL: i32 = 1;

    /// A range of elements of a larger tensor.
    #[derive(Clone, Copy, PartialEq, Message)]
    pub struct Segment {
        /// The first element.
        #[prost(int64, optional, tag = "1")]
        pub begin: Option<i64>,
        /// One past the last element.
        #[prost(int64, optional, tag = "2")]
        pub end: Option<i64>,
    }
}

/// A tensor that is mostly zero.
#[derive(Clone, PartialEq, Message)]
pub struct SparseTensorProto {
    /// The values that are not zero; its name is the tensor's name.
    #[prost(message, optional, tag = "1")]
    pub values: Option<TensorProto>,
    /// Where they stand: linear indices, or one row of coordinates per value.
    #[prost(message, optional, tag = "2")]
    pub indices: Option<TensorProto>,
    /// The dimensions of the whole tensor.
    #[prost(int64, repeated, packed = "false", tag = "3")]
    pub dims: Vec<i64>,
}
