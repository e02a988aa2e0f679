//! Adapters of other libraries, read and written in their own formats.
//!
//! Input: a folder or a file as PEFT, AdapterHub's `adapters` or ONNX Runtime write it, and the
//! backbone that it is for. Output: an [`Adapter`](crate::adapter::Adapter) that computes the same;
//! and the other way round. The formats are described in `docs/formats.md`, each field that is
//! understood and each that is refused.
//!
//! This module must never drop anything that matters: a setting or a tensor that changes what the
//! adapter computes and has no place here refuses the whole, by its name. What was trained behind
//! the backbone's output is left out, with a note. It must never run code from a file
//! (pickles), and never guess: a name that could mean two layers is an error.

mod adapterhub;
mod convert;
mod describe;
mod fields;
mod files;
mod flat;
mod format;
mod head;
mod message;
mod names;
mod options;
mod ort_adapter;
mod output;
mod peft;
mod prefix;
mod skipped;
mod tensors;
mod trunk;

pub use convert::{import, read, write};
pub use describe::{Description, TensorInfo, describe};
pub use format::Format;
pub use options::{Backbone, Imported, ReadOptions, WriteOptions};
