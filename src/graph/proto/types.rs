//! Types and shapes of values.

use prost::Message;

use super::entry::StringStringEntryProto;

/// The name and the type of a value.
#[derive(Clone, PartialEq, Message)]
pub struct ValueInfoProto {
    /// The name.
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    /// The type.
    #[prost(message, optional, tag = "2")]
    pub r#type: Option<TypeProto>,
    /// A description for people.
    #[prost(string, optional, tag = "3")]
    pub doc_string: Option<String>,
    /// Named values of the author.
    #[prost(message, repeated, tag = "4")]
    pub metadata_props: Vec<StringStringEntryProto>,
}

/// The dimensions of a tensor; an empty list is a scalar.
#[derive(Clone, PartialEq, Message)]
pub struct TensorShapeProto {
    /// The dimensions.
    #[prost(message, repeated, tag = "1")]
    pub dim: Vec<tensor_shape_proto::Dimension>,
}

/// Types of [`TensorShapeProto`].
pub mod tensor_shape_proto {
    use prost::Message;

    /// One dimension; it is unknown without a value.
    #[derive(Clone, PartialEq, Message)]
    pub struct Dimension {
        /// The size or a symbol for it.
        #[prost(oneof = "dimension::Value", tags = "1, 2")]
        pub value: Option<dimension::Value>,
        /// What the dimension stands for, such as `DATA_BATCH`.
        #[prost(string, optional, tag = "3")]
        pub denotation: Option<String>,
    }

    /// Types of [`Dimension`].
    pub mod dimension {
        use prost::Oneof;

        /// A size or a symbol.
        #[derive(Clone, PartialEq, Oneof)]
        pub enum Value {
            /// The size.
            #[prost(int64, tag = "1")]
            DimValue(i64),
            /// A symbol: equal symbols are equal sizes within a graph.
            #[prost(string, tag = "2")]
            DimParam(String),
        }
    }
}

/// The type of a value.
#[derive(Clone, PartialEq, Message)]
pub struct TypeProto {
    /// The kind of type.
    #[prost(oneof = "type_proto::Value", tags = "1, 4, 5, 7, 8, 9")]
    pub value: Option<type_proto::Value>,
    /// What the value stands for, such as `TENSOR`.
    #[prost(string, optional, tag = "6")]
    pub denotation: Option<String>,
}

/// Types of [`TypeProto`].
pub mod type_proto {
    use crate::graph::proto::types::{TensorShapeProto, TypeProto};
    use prost::{Message, Oneof};

    /// A dense tensor.
    #[derive(Clone, PartialEq, Message)]
    pub struct Tensor {
        /// One of [`data_type`](crate::graph::data_type).
        #[prost(int32, optional, tag = "1")]
        pub elem_type: Option<i32>,
        /// The shape; absent when even the rank is unknown.
        #[prost(message, optional, tag = "2")]
        pub shape: Option<TensorShapeProto>,
    }

    /// A sequence of values of one type.
    #[derive(Clone, PartialEq, Message)]
    pub struct Sequence {
        /// The type of the elements.
        #[prost(message, optional, boxed, tag = "1")]
        pub elem_type: Option<Box<TypeProto>>,
    }

    /// A map from integers or strings to values of one type.
    #[derive(Clone, PartialEq, Message)]
    pub struct Map {
        /// One of [`data_type`](crate::graph::data_type).
        #[prost(int32, optional, tag = "1")]
        pub key_type: Option<i32>,
        /// The type of the values.
        #[prost(message, optional, boxed, tag = "2")]
        pub value_type: Option<Box<TypeProto>>,
    }

    /// A value that may be absent.
    #[derive(Clone, PartialEq, Message)]
    pub struct Optional {
        /// The type of the value.
        #[prost(message, optional, boxed, tag = "1")]
        pub elem_type: Option<Box<TypeProto>>,
    }

    /// A sparse tensor.
    #[derive(Clone, PartialEq, Message)]
    pub struct SparseTensor {
        /// One of [`data_type`](crate::graph::data_type).
        #[prost(int32, optional, tag = "1")]
        pub elem_type: Option<i32>,
        /// The shape; absent when even the rank is unknown.
        #[prost(message, optional, tag = "2")]
        pub shape: Option<TensorShapeProto>,
    }

    /// A type that only its domain knows.
    #[derive(Clone, PartialEq, Message)]
    pub struct Opaque {
        /// The domain; absent means the standard one.
        #[prost(string, optional, tag = "1")]
        pub domain: Option<String>,
        /// The name of the type.
        #[prost(string, optional, tag = "2")]
        pub name: Option<String>,
    }

    /// The kinds of types.
    #[derive(Clone, PartialEq, Oneof)]
    pub enum Value {
        /// A dense tensor.
        #[prost(message, tag = "1")]
        TensorType(Tensor),
        /// A sequence.
        #[prost(message, tag = "4")]
        SequenceType(Sequence),
        /// A map.
        #[prost(message, tag = "5")]
        MapType(Map),
        /// An opaque type.
        #[prost(message, tag = "7")]
        OpaqueType(Opaque),
        /// A sparse tensor.
        #[prost(message, tag = "8")]
        SparseTensorType(SparseTensor),
        /// An optional value.
        #[prost(message, tag = "9")]
        OptionalType(Optional),
    }
}
