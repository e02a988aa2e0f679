//! Adapters: the trainable tensors that make a frozen backbone serve a task in a language.
//!
//! A [`Site`] is a place in the backbone's graph where an adapter can attach. [`attach`] makes
//! every adapter tensor a graph input with an empty, rank-0 default, so that one session serves the
//! bare backbone and every adapter. An [`Adapter`] holds the tensors themselves together with what
//! makes them safe to use: the hash of the backbone they were trained on and the shapes they must
//! have.
//!
//! What flows in: a graph, or the bytes of an adapter file. What flows out: a graph with adapter
//! inputs, or checked tensors. This part must never run a model, and must never accept an adapter
//! partially: one tensor missing, extra or misshapen refuses the whole.

mod file;
mod lora;
mod merge;
mod site;

pub use file::{ADAPTER_BYTES_MAX, FORMAT_NAME, FORMAT_VERSION};
pub use lora::{LoraConfig, attach, declare};
pub use merge::{Delta, add_deltas};
pub use site::{Site, find_sites};

use crate::error::{Code, Error, Result};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Name of the head's weight, `[hidden, labels]`.
pub const HEAD_WEIGHT: &str = "head.weight";
/// Name of the head's bias, `[labels]`.
pub const HEAD_BIAS: &str = "head.bias";

/// A dense float32 tensor in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// The extent of each axis.
    pub shape: Vec<usize>,
    /// The values; as many as the product of `shape`.
    pub values: Arc<[f32]>,
}

/// A complete adapter for one task: LoRA tensors for a set of sites, and the task's head.
#[derive(Clone, Debug, PartialEq)]
pub struct Adapter {
    /// blake3 hash (hexadecimal) of the backbone that the adapter was trained on.
    pub backbone: String,
    /// Rank, scaling and targets.
    pub lora: LoraConfig,
    /// The label of each output of the head, in order.
    pub labels: Vec<String>,
    /// All tensors by name. LoRA tensors are stored unscaled.
    pub tensors: BTreeMap<String, Tensor>,
}

impl Adapter {
    /// Checks that the adapter belongs to the backbone with hash `backbone`, whose sites are
    /// `sites` and whose hidden size is `hidden`.
    ///
    /// # Errors
    /// [`Code::AdapterBaseMismatch`] with both hashes; [`Code::AdapterTensors`] naming
    /// each missing, extra and misshapen tensor.
    pub fn check(&self, backbone: &str, sites: &[Site], hidden: usize) -> Result<()> {
        if self.backbone != backbone {
            return Err(Error::new(
                Code::AdapterBaseMismatch,
                format!(
                    "the adapter was trained on another backbone: expected {backbone}, found {}",
                    self.backbone
                ),
            ));
        }
        let expected = self.expected_shapes(sites, hidden)?;
        let mut problems = Vec::new();
        for (name, shape) in &expected {
            match self.tensors.get(name) {
                None => problems.push(format!("{name} is missing, expected shape {shape:?}")),
                Some(tensor) if tensor.shape != *shape => problems
                    .push(format!("{name} has shape {:?}, expected {shape:?}", tensor.shape)),
                Some(_) => {}
            }
        }
        for name in self.tensors.keys().filter(|name| !expected.contains_key(*name)) {
            problems.push(format!("{name} is extra: the backbone has no such adapter tensor"));
        }
        if problems.is_empty() {
            return Ok(());
        }
        Err(Error::new(Code::AdapterTensors, problems.join("; ")))
    }

    /// The shape that each tensor of this adapter must have on a backbone with these sites.
    fn expected_shapes(
        &self,
        sites: &[Site],
        hidden: usize,
    ) -> Result<BTreeMap<String, Vec<usize>>> {
        let rank = self.lora.rank;
        let mut expected = BTreeMap::new();
        for site in self.lora.select(sites)? {
            expected.insert(site.lora_a(), vec![site.inputs, rank]);
            expected.insert(site.lora_b(), vec![rank, site.outputs]);
        }
        expected.insert(HEAD_WEIGHT.to_owned(), vec![hidden, self.labels.len()]);
        expected.insert(HEAD_BIAS.to_owned(), vec![self.labels.len()]);
        Ok(expected)
    }
}
