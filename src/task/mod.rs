//! Tasks: encode inputs as tensors, and decode the raw outputs of a run into outputs and scores.
//!
//! A [`Task`] encodes inputs and targets, adds a loss to the backbone's graph, decodes the raw
//! outputs of a run and scores them. There is one for each [`TaskKind`](crate::example::TaskKind);
//! those of a family share a folder: `sentence` (labels and numbers), `token` (tags) and `sequence`
//! (texts). Every function depends only on its arguments. This module must never hold a session,
//! run a model, or decide what to train on or what to activate.
//!
//! Input: examples, adapters, raw outputs. Output: tensors, graphs with a loss, outputs, scores.

mod dispatch;
pub mod loss;
mod metric;
mod output;
mod sample;
pub mod sentence;
pub mod sequence;
mod soft;
pub mod token;

pub use dispatch::Task;
pub use loss::TargetValues;
pub use metric::{Metric, mean};
pub use output::{LabelScore, TaggedSpan, TaggedWord, Tagging, TaskOutput};
pub use sample::{Encoded, EncodedTarget, PlacedWord, Sample, Totals};
pub use soft::SoftTarget;
