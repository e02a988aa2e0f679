//! Sequence to sequence: bundles of Optimum's layout, generation, and learning, compared with
//! `transformers` and PyTorch (`tests/oracle/sequence/build.py`).

mod bundle;
mod generation;
#[path = "../support/oracle.rs"]
mod oracle;
mod reference;
#[path = "../support/runtime.rs"]
mod runtime;
mod support;
mod training;
