//! What PyTorch computed for one architecture.

use std::collections::BTreeMap;
use std::path::Path;

use polygraft::adapter::Tensor;
use polygraft::runtime::Value;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

/// The file of one architecture and one kind of weights.
pub struct Oracle {
    bytes: Vec<u8>,
    /// The file that has the adapters' tensors, where that is another one.
    tensors: Option<Vec<u8>>,
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
    /// Each after one step of AdamW; empty for rounded weights, where a step shows nothing that the
    /// gradients do not.
    pub stepped: BTreeMap<String, Tensor>,
}

impl Oracle {
    /// Reads the oracle at `path`; `tensors` is that of the float32 weights where `path` is not.
    pub fn read(path: &Path, tensors: Option<&Path>) -> Self {
        let read =
            |path: &Path| std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let (bytes, tensors) = (read(path), tensors.map(read));
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        let output = header.metadata().as_ref().unwrap()["output"].clone();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let inputs = file.iter().filter_map(|(name, view)| {
            Some((name.strip_prefix("input/")?.to_owned(), value(&view)))
        });
        let inputs = inputs.collect();
        let cotangent = value(&file.tensor("cotangent").unwrap());
        Self { inputs, cotangent, output, bytes, tensors }
    }

    /// Whether there are results with a kind of adapter.
    pub fn has(&self, kind: &str) -> bool {
        let file = SafeTensors::deserialize(&self.bytes).unwrap();
        file.tensor(&format!("{kind}/output")).is_ok()
    }

    /// The results with a kind of adapter.
    pub fn reference(&self, kind: &str) -> Reference {
        let file = SafeTensors::deserialize(&self.bytes).unwrap();
        let output = floats(file.tensor(&format!("{kind}/output")).unwrap().data());
        let gradients = group(&file, &format!("{kind}/gradient/"));
        let stepped = group(&file, &format!("{kind}/step/"));
        assert_eq!(stepped.is_empty(), self.tensors.is_some(), "steps of float32 weights alone");
        let other = self.tensors.as_ref().map(|bytes| SafeTensors::deserialize(bytes).unwrap());
        let tensors = group(other.as_ref().unwrap_or(&file), &format!("{kind}/value/"));
        assert!(!tensors.is_empty(), "the oracle has tensors of {kind}");
        assert!(tensors.keys().eq(gradients.keys()), "each tensor of {kind} has its gradient");
        Reference { output, tensors, gradients, stepped }
    }
}

/// The tensors whose names begin with `prefix`, without it.
fn group(file: &SafeTensors<'_>, prefix: &str) -> BTreeMap<String, Tensor> {
    let tensors = file
        .iter()
        .filter_map(|(name, view)| Some((name.strip_prefix(prefix)?.to_owned(), tensor(&view))));
    tensors.collect()
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
