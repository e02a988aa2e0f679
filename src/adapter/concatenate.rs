//! Concatenates matrices of adapters, so that several components become one.

use super::contents::Adapter;
use super::tensor::Tensor;
use crate::error::{Code, Error, Result};

/// The error for tensors that do not fit together.
pub fn unfit(message: impl Into<String>) -> Error {
    Error::new(Code::AdapterTensors, message.into())
}

/// A tensor of an adapter, checked to have `axes` axes and as many values as its shape says.
pub fn tensor<'a>(adapter: &'a Adapter, name: &str, axes: usize) -> Result<&'a Tensor> {
    let tensor = adapter.tensor(name)?;
    let count = tensor.shape.iter().try_fold(1usize, |count, &size| count.checked_mul(size));
    if tensor.shape.len() != axes || count != Some(tensor.values.len()) {
        let found = &tensor.shape;
        return Err(unfit(format!("{name}: expected {axes} axes, found the shape {found:?}")));
    }
    Ok(tensor)
}

/// Concatenates the columns of matrices `[rows, columns]`, in the given order.
pub fn columns(name: &str, matrices: &[&Tensor]) -> Result<Tensor> {
    let rows = matrices.first().map_or(0, |matrix| matrix.shape[0]);
    if let Some(other) = matrices.iter().find(|matrix| matrix.shape[0] != rows) {
        let found = other.shape[0];
        return Err(unfit(format!("{name}: expected {rows} inputs, found {found}")));
    }
    let columns = matrices.iter().map(|matrix| matrix.shape[1]).sum();
    let mut values = Vec::with_capacity(rows * columns);
    for row in 0..rows {
        for matrix in matrices {
            let width = matrix.shape[1];
            values.extend_from_slice(&matrix.values[row * width..(row + 1) * width]);
        }
    }
    Ok(Tensor { shape: vec![rows, columns], values: values.into() })
}

/// Concatenates the rows of matrices `[rows, columns]`, each matrix multiplied by its factor.
pub fn rows(name: &str, matrices: &[(&Tensor, f64)]) -> Result<Tensor> {
    let columns = matrices.first().map_or(0, |(matrix, _)| matrix.shape[1]);
    if let Some((other, _)) = matrices.iter().find(|(matrix, _)| matrix.shape[1] != columns) {
        let found = other.shape[1];
        return Err(unfit(format!("{name}: expected {columns} outputs, found {found}")));
    }
    let rows = matrices.iter().map(|(matrix, _)| matrix.shape[0]).sum();
    let scaled = |(matrix, factor): &(&Tensor, f64)| {
        let factor = *factor;
        let values = matrix.values.iter().map(move |value| (f64::from(*value) * factor) as f32);
        values.collect::<Vec<_>>()
    };
    let values: Vec<f32> = matrices.iter().flat_map(scaled).collect();
    Ok(Tensor { shape: vec![rows, columns], values: values.into() })
}
