//! Sequence to sequence: bundles of Optimum's layout, generation, and learning, compared with
//! `transformers` and PyTorch (`tests/oracle/sequence/build.py`).

mod bundle;
#[path = "../support/engine.rs"]
mod engine;
mod generation;
mod many;
#[path = "../support/oracle.rs"]
mod oracle;
mod reference;
mod support;
mod training;
