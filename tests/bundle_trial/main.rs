//! What a new bundle goes through: limits that are found, and models that are refused.

#[path = "../support/runtime.rs"]
mod runtime;

mod exports;
mod limits;
mod model;
mod refusals;
mod rows;
mod sequence;
