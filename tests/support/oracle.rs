//! What another framework computed, read from its safetensors file and compared with.

use polygraft::runtime::Value;
use safetensors::{Dtype, SafeTensors};

/// Little-endian float32 values.
pub fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|chunk| f32::from_le_bytes(chunk.try_into().unwrap())).collect()
}

/// A tensor of an oracle: float32 or int64.
pub fn value(oracle: &SafeTensors<'_>, name: &str) -> Value {
    let tensor = oracle.tensor(name).unwrap();
    if tensor.dtype() == Dtype::F32 {
        return Value::f32(tensor.shape(), floats(tensor.data())).unwrap();
    }
    let ints = tensor.data().chunks_exact(8);
    let ints = ints.map(|chunk| i64::from_le_bytes(chunk.try_into().unwrap())).collect();
    Value::i64(tensor.shape(), ints).unwrap()
}

/// `|found - expected| / |expected|`, over all values.
pub fn relative_error(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let square = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>();
    let pairs = found.iter().zip(expected);
    let difference = square(&mut pairs.map(|(a, b)| f64::from(a - b)));
    (difference / square(&mut expected.iter().map(|&v| f64::from(v)))).sqrt()
}
