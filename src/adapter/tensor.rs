//! Tensors, and views of their values as arrays, without copies.

use crate::error::{Code, Error, Result};
use ndarray::{Array, ArrayView, ArrayView1, ArrayView2, ArrayViewD, Dimension, Ix1, Ix2};
use std::sync::Arc;

/// A dense float32 tensor in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// The extent of each axis.
    pub shape: Vec<usize>,
    /// The values; as many as the product of `shape`.
    pub values: Arc<[f32]>,
}

impl Tensor {
    pub(crate) fn zeros(shape: &[usize]) -> Self {
        let count = shape.iter().product();
        Self { shape: shape.to_vec(), values: vec![0.0; count].into() }
    }

    /// A tensor of one axis.
    pub(crate) fn of_values(values: Vec<f32>) -> Self {
        Self { shape: vec![values.len()], values: values.into() }
    }

    /// The values as an array of that shape; `name` is for the message.
    ///
    /// # Errors
    /// [`Code::AdapterTensors`] when the number of values does not fit the shape.
    pub(crate) fn array(&self, name: &str) -> Result<ArrayViewD<'_, f32>> {
        ArrayView::from_shape(self.shape.as_slice(), &self.values)
            .map_err(|_| self.unfit(name, "as many values as it has"))
    }

    /// The values as a matrix.
    ///
    /// # Errors
    /// [`Code::AdapterTensors`] when the tensor is not a matrix.
    pub(crate) fn matrix(&self, name: &str) -> Result<ArrayView2<'_, f32>> {
        let matrix = self.array(name)?.into_dimensionality::<Ix2>();
        matrix.map_err(|_| self.unfit(name, "two axes"))
    }

    /// The values as a vector.
    ///
    /// # Errors
    /// [`Code::AdapterTensors`] when the tensor is not a vector.
    pub(crate) fn vector(&self, name: &str) -> Result<ArrayView1<'_, f32>> {
        let vector = self.array(name)?.into_dimensionality::<Ix1>();
        vector.map_err(|_| self.unfit(name, "one axis"))
    }

    fn unfit(&self, name: &str, expected: &str) -> Error {
        let message = format!("{name}: expected {expected}, found the shape {:?}", self.shape);
        Error::new(Code::AdapterTensors, message)
    }
}

impl<D: Dimension> From<Array<f32, D>> for Tensor {
    fn from(array: Array<f32, D>) -> Self {
        // Collects in row-major order, whatever the memory order of the array is.
        let shape = array.shape().to_vec();
        let values = match array.as_slice() {
            Some(values) => values.into(),
            None => array.iter().copied().collect(),
        };
        Self { shape, values }
    }
}
