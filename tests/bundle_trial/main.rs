//! What a new bundle goes through: limits that are found, and models that are refused.

#[path = "../support/engine.rs"]
mod engine;

mod exports;
mod limits;
mod model;
mod refusals;
mod rows;
mod sequence;
