//! The C boundary: handles, errors, texts and callbacks, and nothing else.
//!
//! Every exported function has the same shape: it enters the [`gate`], checks its pointers, borrows
//! what they name, calls the Rust API once and writes its outputs last. This part must never hold
//! logic of its own, never unwind into the caller, never print, and never dereference a handle: a
//! handle is a number in the table of [`handle`], so that a closed one is an error and not a crash.
//!
//! In: NUL-terminated UTF-8, sized option structs, handles. Out: statuses, handles, owned result
//! objects and views into them. `include/polygraft.h` is generated from these files; the rules that
//! its users rely on are in `docs/abi.md`, and `tests/abi.rs` and `tests/header.rs` check them.

#![expect(
    clippy::missing_safety_doc,
    reason = "the header's first page and the Ownership and Threads lines state what callers owe"
)]

pub mod cancel;
pub mod engine;
pub mod error;
pub mod examples;
mod gate;
pub mod generation;
mod handle;
pub mod input;
pub mod model;
pub mod predict;
pub mod prediction;
pub mod reason;
pub mod report;
pub mod reports;
mod sized;
pub mod store;
pub mod tagging;
mod text;
pub mod update;
pub mod update_options;
mod uses;
pub mod vectors;
pub mod version;

pub use gate::Status;
pub use text::StringView;
