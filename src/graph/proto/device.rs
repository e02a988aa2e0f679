//! How a model is spread over devices. polygraft keeps these messages and never uses them.

use prost::Message;

/// A named set of devices.
#[derive(Clone, PartialEq, Message)]
pub struct DeviceConfigurationProto {
    /// The name nodes refer to.
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    /// How many devices there are.
    #[prost(int32, optional, tag = "2")]
    pub num_devices: Option<i32>,
    /// Their names, when stated.
    #[prost(string, repeated, tag = "3")]
    pub device: Vec<String>,
}

/// How one node uses a configuration.
#[derive(Clone, PartialEq, Message)]
pub struct NodeDeviceConfigurationProto {
    /// The name of the configuration.
    #[prost(string, optional, tag = "1")]
    pub configuration_id: Option<String>,
    /// How its tensors are sharded.
    #[prost(message, repeated, tag = "2")]
    pub sharding_spec: Vec<ShardingSpecProto>,
    /// The pipeline stage of the node.
    #[prost(int32, optional, tag = "3")]
    pub pipeline_stage: Option<i32>,
}

/// How one tensor is sharded over devices.
#[derive(Clone, PartialEq, Message)]
pub struct ShardingSpecProto {
    /// The tensor.
    #[prost(string, optional, tag = "1")]
    pub tensor_name: Option<String>,
    /// Devices or, when negative, keys of the group map.
    #[prost(int64, repeated, packed = "false", tag = "2")]
    pub device: Vec<i64>,
    /// Groups of devices.
    #[prost(message, repeated, tag = "3")]
    pub index_to_device_group_map: Vec<IntIntListEntryProto>,
    /// The sharded dimensions.
    #[prost(message, repeated, tag = "4")]
    pub sharded_dim: Vec<ShardedDimProto>,
}

/// A number and the numbers it stands for.
#[derive(Clone, PartialEq, Message)]
pub struct IntIntListEntryProto {
    /// The key.
    #[prost(int64, optional, tag = "1")]
    pub key: Option<i64>,
    /// The values.
    #[prost(int64, repeated, packed = "false", tag = "2")]
    pub value: Vec<i64>,
}

/// How one axis is sharded.
#[derive(Clone, PartialEq, Message)]
pub struct ShardedDimProto {
    /// The axis, negative from the end.
    #[prost(int64, optional, tag = "1")]
    pub axis: Option<i64>,
    /// The shards, outermost first.
    #[prost(message, repeated, tag = "2")]
    pub simple_sharding: Vec<SimpleShardedDimProto>,
}

/// A split of an axis into equal shards.
#[derive(Clone, PartialEq, Message)]
pub struct SimpleShardedDimProto {
    /// The size that is split, or a symbol for it.
    #[prost(oneof = "simple_sharded_dim_proto::Dim", tags = "1, 2")]
    pub dim: Option<simple_sharded_dim_proto::Dim>,
    /// The number of shards.
    #[prost(int64, optional, tag = "3")]
    pub num_shards: Option<i64>,
}

/// Types of [`SimpleShardedDimProto`].
pub mod simple_sharded_dim_proto {
    use prost::Oneof;

    /// A size or a symbol.
    #[derive(Clone, PartialEq, Oneof)]
    pub enum Dim {
        /// The size.
        #[prost(int64, tag = "1")]
        DimValue(i64),
        /// A symbol.
        #[prost(string, tag = "2")]
        DimParam(String),
    }
}
