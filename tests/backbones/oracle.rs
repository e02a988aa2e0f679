//! What PyTorch computed for one architecture.

use std::collections::BTreeMap;
use std::path::Path;

use polygraft::adapter::Tensor;
use polygraft::runtime::Value;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

/// The file of one architecture.
pub struct Oracle {
    bytes: Vec<u8>,
    /// The model's inputs.
    pub inputs: BTreeMap<String, Value>,
    /// What the output is multiplied with.
    pub cotangent: Value,
    /// Name of the output.
    pub output: String,
}

/// What one kind of adapter gave.
pub struct Reference {
    /// The output with the adapter.
    pub output: Vec<f32>,
    /// The adapter's tensors, with PyTorch's module names.
    pub tensors: BTreeMap<String, Tensor>,
    /// The gradient of each.
    pub gradients: BTreeMap<String, Tensor>,
    /// Each after one step of AdamW.
    pub stepped: BTreeMap<String, Tensor>,
}

impl Oracle {
    pub fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        let output = header.metadata().as_ref().unwrap()["output"].clone();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let inputs = file.iter().filter_map(|(name, view)| {
            Some((name.strip_prefix("input/")?.to_owned(), value(&view)))
        });
        let inputs = inputs.collect();
        let cotangent = value(&file.tensor("cotangent").unwrap());
        Self { inputs, cotangent, output, bytes }
    }

    /// The results with a kind of adapter; `None` when there are none of it.
    pub fn reference(&self, kind: &str) -> Option<Reference> {
        let file = SafeTensors::deserialize(&self.bytes).unwrap();
        let group = |group: &str| -> BTreeMap<String, Tensor> {
            let prefix = format!("{kind}/{group}/");
            let tensors = file.iter().filter_map(|(name, view)| {
                Some((name.strip_prefix(&prefix)?.to_owned(), tensor(&view)))
            });
            tensors.collect()
        };
        let output = floats(file.tensor(&format!("{kind}/output")).ok()?.data());
        let (tensors, gradients, stepped) = (group("value"), group("gradient"), group("step"));
        assert!(!tensors.is_empty(), "the oracle has tensors of {kind}");
        Some(Reference { output, tensors, gradients, stepped })
    }
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|chunk| f32::from_le_bytes(chunk.try_into().unwrap())).collect()
}

fn tensor(view: &TensorView<'_>) -> Tensor {
    Tensor { shape: view.shape().to_vec(), values: floats(view.data()).into() }
}

fn value(view: &TensorView<'_>) -> Value {
    if view.dtype() == Dtype::F32 {
        return Value::f32(view.shape(), floats(view.data())).unwrap();
    }
    let ints = view.data().chunks_exact(8);
    let ints = ints.map(|chunk| i64::from_le_bytes(chunk.try_into().unwrap())).collect();
    Value::i64(view.shape(), ints).unwrap()
}
