//! Reads and writes the tensors of a run as safetensors files: inputs, cotangents, outputs and
//! gradients.

use crate::adapter::{TENSORS_MAX, Tensor, open_tensors};
use crate::error::{Code, Error, Result, ResultExt};
use crate::runtime::{ElementType, Value};
use safetensors::tensor::{Dtype, TensorView};
use std::collections::BTreeMap;

/// The largest file of tensors that is read, in bytes.
pub const VALUES_BYTES_MAX: u64 = 1 << 30;

/// Reads every tensor of a safetensors file.
///
/// # Errors
/// [`Code::ArgumentInvalid`] for bytes that are no such file, or a tensor of another type than F32,
/// F64, I64, I32, U8 and BOOL.
pub fn read_values(bytes: &[u8]) -> Result<BTreeMap<String, Value>> {
    if bytes.len() as u64 > VALUES_BYTES_MAX {
        return Err(malformed(format!("more than {VALUES_BYTES_MAX} bytes")));
    }
    let file = open_tensors(bytes, TENSORS_MAX).map_err(malformed)?;
    let mut values = BTreeMap::new();
    for (name, view) in file.iter() {
        let value = read_value(&view).context(|| format!("tensor {name:?}"))?;
        values.insert(name.to_owned(), value);
    }
    Ok(values)
}

fn read_value(view: &TensorView<'_>) -> Result<Value> {
    let (shape, data) = (view.shape(), view.data());
    match view.dtype() {
        Dtype::F32 => Value::f32(shape, elements(data, f32::from_le_bytes)),
        Dtype::F64 => Value::f64(shape, elements(data, f64::from_le_bytes)),
        Dtype::I64 => Value::i64(shape, elements(data, i64::from_le_bytes)),
        Dtype::I32 => Value::i32(shape, elements(data, i32::from_le_bytes)),
        Dtype::U8 => Value::u8(shape, data.to_vec()),
        Dtype::BOOL => {
            Value::bool(shape, &data.iter().map(|&byte| byte != 0).collect::<Vec<bool>>())
        }
        other => {
            let message = format!("expected F32, F64, I64, I32, U8 or BOOL, found {other}");
            Err(Error::new(Code::ArgumentInvalid, message))
        }
    }
}

/// A remainder is dropped here; the constructor counts the elements and refuses it.
fn elements<const SIZE: usize, T>(data: &[u8], read: fn([u8; SIZE]) -> T) -> Vec<T> {
    data.as_chunks::<SIZE>().0.iter().map(|chunk| read(*chunk)).collect()
}

/// A safetensors file of the output and of the gradients, each under the name of its tensor.
///
/// # Errors
/// [`Code::ArgumentInvalid`] when a tensor of the adapter has the output's name.
pub fn write_values(
    output_name: &str,
    output: &Value,
    gradients: &BTreeMap<String, Tensor>,
) -> Result<Vec<u8>> {
    if output.element_type() != ElementType::F32 {
        return Err(malformed(format!(
            "expected an output of float, found {}",
            output.element_type()
        )));
    }
    if gradients.contains_key(output_name) {
        return Err(malformed(format!("output and adapter both have a tensor {output_name:?}")));
    }
    let shape: Vec<usize> = output.shape().iter().map(|&size| size as usize).collect();
    let mut all = vec![(output_name, shape, little_endian(output.as_f32()?))];
    for (name, tensor) in gradients {
        all.push((name, tensor.shape.clone(), little_endian(&tensor.values)));
    }
    let mut views = Vec::with_capacity(all.len());
    for (name, shape, bytes) in &all {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes).map_err(malformed)?;
        views.push((*name, view));
    }
    safetensors::serialize(views, None).map_err(malformed)
}

fn little_endian(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn malformed(cause: impl std::fmt::Display) -> Error {
    Error::new(Code::ArgumentInvalid, format!("not a usable safetensors file: {cause}"))
}
