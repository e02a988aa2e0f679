//! The C boundary: handles, errors, texts and callbacks, and nothing else.
//!
//! Every exported function has the same shape: it enters the [`boundary`], checks its pointers,
//! borrows what they name, calls the Rust API once and writes its outputs last. This part must
//! never hold logic of its own, never unwind into the caller, never print, and never dereference a
//! handle. A handle is a number in the table of [`handle`], so that a closed one is an error and
//! not a crash.
//!
//! Input: NUL-terminated UTF-8, sized option structs, handles. Output: statuses, handles, owned
//! result objects and views into them. `include/polygraft.h` is generated from these files;
//! `docs/abi.md` has the rules that its users rely on, and `tests/abi.rs` and `tests/header.rs`
//! check them.

#![expect(
    clippy::missing_safety_doc,
    reason = "the header's first page and the Ownership and Threads lines state what callers owe"
)]

mod boundary;
pub mod cancel;
pub mod checks;
pub mod compose;
pub mod engine;
pub mod error;
pub mod evaluate;
pub mod example_list;
pub mod examples;
pub mod exchange;
pub mod explain;
pub mod format;
pub mod generation;
mod handle;
pub mod imported;
pub mod input;
pub mod model;
mod object;
pub mod predict;
pub mod prediction;
pub mod reason;
pub mod report;
pub mod reports;
pub mod round;
mod sized;
pub mod statistics;
pub mod store;
pub mod tagging;
mod text;
pub mod update;
pub mod update_options;
mod uses;
pub mod vectors;
pub mod version;
pub mod wipe;

pub use error::Status;
pub use text::StringView;
