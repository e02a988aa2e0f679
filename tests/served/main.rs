//! What is served is what was recorded: the weights, the way texts are read, and finite numbers.

#[path = "../cli_support/mod.rs"]
mod cli_support;
mod finite;
mod reading;
mod remembered;
mod small;
#[path = "../support/engine.rs"]
mod support;
mod vectors;
