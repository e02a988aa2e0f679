//! polygraft: an embedded runtime for multilingual models that keep learning after they ship.
//!
//! It memory-maps one frozen ONNX backbone, hot-swaps small per-language adapter versions on it and
//! finetunes them on the device from new labelled examples, behind a gate that keeps other
//! languages from getting worse. `ARCHITECTURE.md` describes its modules, and the path of a
//! prediction and of an update through them.

#![warn(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
#![warn(clippy::print_stderr, clippy::print_stdout)]

#[macro_use]
mod named;

pub mod adapter;
pub mod autodiff;
pub mod bundle;
#[cfg(feature = "cli")]
pub mod console;
pub mod diagnosis;
pub mod error;
pub mod evaluation;
pub mod example;
pub mod exchange;
pub mod federate;
pub mod ffi;
pub(crate) mod files;
pub mod gradients;
pub mod graph;
pub mod inference;
pub mod kernels;
pub mod language;
pub mod model;
pub mod reading;
pub mod rehearsal;
pub mod report;
pub mod runtime;
pub mod sites;
pub mod store;
pub mod task;
pub mod update;

pub use error::{Code, Error, Result};
