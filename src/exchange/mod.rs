//! Reads and writes adapters of other libraries in their own formats.
//!
//! Input: a folder or a file in the format of PEFT, AdapterHub's `adapters` or ONNX Runtime, and
//! the backbone that it is for. Output: an [`Adapter`](crate::adapter::Adapter) that computes the
//! same; and the reverse. `docs/formats.md` describes the formats, with every field that is
//! understood and every field that is refused.
//!
//! This module must never lose anything that matters: a setting or tensor that changes what the
//! adapter computes and cannot be represented refuses the whole adapter, and the error names it.
//! What was trained after the backbone's output is left out, with a note. It must never run code
//! from a file (pickles), and never guess: a name that could mean two layers is an error.

mod adapterhub;
mod compose;
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

pub use compose::{combine_files, stack_files};
pub use convert::{import, read, write};
pub use describe::{Description, TensorInfo, describe};
pub use format::Format;
pub use options::{Backbone, Imported, ReadOptions, WriteOptions};
