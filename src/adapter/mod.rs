//! Adapters: the trainable tensors that make a frozen backbone serve a task in a language.
//!
//! An [`Adapter`] is made of [`Component`]s at sites of the backbone: low-rank products,
//! bottlenecks, factors. It holds their tensors together with what makes them safe to use: the hash
//! of the backbone that they were trained on, how texts were read during training, and the shapes
//! that they must have. An [`InputSignature`] says which components are at which sites, and
//! [`attach()`] makes each of their tensors a graph input with a default that changes nothing, so
//! that one session serves the bare backbone and every adapter. A [`TensorId`] is the name of a
//! tensor.
//!
//! Input: a graph, or the bytes of an adapter file. Output: a graph with adapter inputs, or checked
//! tensors. This module must never run a model, and must never accept an adapter partially: one
//! missing, extra or misshapen tensor refuses the whole adapter.

mod attach;
mod bottleneck;
mod component;
mod compose;
mod concatenate;
mod contents;
mod file;
mod head;
mod header;
mod ia3;
mod kind;
mod lora;
mod merge;
mod signature;
mod surgery;
mod targets;
mod tensor;
mod tensor_id;

pub use attach::attach;
pub use bottleneck::{Activation, BottleneckConfig, Placement};
pub use component::{BOTTLENECKS_MAX, Component, tensor_shapes, validate};
pub use compose::{combine, stack};
pub use contents::{Adapter, NumberScale};
pub use file::{ADAPTER_BYTES_MAX, FORMAT_NAME, FORMAT_VERSION, tensors_to_bytes};
pub use header::{TENSORS_MAX, open_tensors};
pub use ia3::Ia3Config;
pub use kind::Kind;
pub use lora::LoraConfig;
pub use merge::{WeightedDelta, add_deltas};
pub use signature::{InputSignature, Renamed};
pub use surgery::declare;
pub use tensor::Tensor;
pub use tensor_id::{
    BottleneckTensor, HEAD_BIAS, HEAD_WEIGHT, HeadInputs, HeadName, Side, TAGS_BIAS, TAGS_WEIGHT,
    TensorId,
};
