//! Operators of our own: what ONNX Runtime would do in several passes over memory, in one.
//!
//! `fuse/` finds groups of standard nodes in a finished graph, forward or backward, and puts one
//! node of the domain [`DOMAIN`] in the place of each. The other files compute these operators on
//! plain slices. They are the same numbers as those of the standard nodes, up to rounding.
//!
//! A kernel must never read or write outside of what its checked shapes allow, never keep memory
//! between calls, and never add numbers up in an order that depends on the threads: the same
//! inputs give the same bytes on one machine, whatever the number of threads. This part knows
//! nothing of sessions: `runtime` registers [`OPERATORS`] and calls them. Vector instructions come
//! from `fearless_simd`, which chooses among those of the processor when a kernel runs.
//!
//! Input: a model, and slices of float32 with their shapes. Output: a model with fewer nodes, and
//! slices filled.

mod attention;
mod fuse;
mod gelu;
mod lanes;
mod low_rank;
mod normalization;
mod operator;
mod rows;

pub use fuse::{add_ranks, fuse};
pub use operator::{Attributes, Call, Kernel, Operator, Threads, View};

/// The domain of the operators.
pub const DOMAIN: &str = "polygraft";

/// Every operator of the domain.
pub static OPERATORS: [&Operator; 7] = [
    &attention::ATTENTION,
    &attention::ATTENTION_GRADIENT,
    &gelu::GELU,
    &gelu::GELU_GRADIENT,
    &low_rank::LOW_RANK_SUM,
    &normalization::NORMALIZATION,
    &normalization::NORMALIZATION_GRADIENT,
];
