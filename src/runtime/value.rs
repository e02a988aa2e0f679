//! Tensors that are inputs and outputs of runs.

use std::ffi::CStr;
use std::fmt;
use std::sync::{Arc, OnceLock};

use super::raw::{self, Memory, Ort, Plain, Tensor};
use crate::error::{Code, Error, Result};
use crate::graph::data_type;

/// The element type of a [`Value`], as an ONNX number.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ElementType(i32);

impl ElementType {
    /// 32-bit floats.
    pub const F32: Self = Self(data_type::FLOAT);
    /// 64-bit floats.
    pub const F64: Self = Self(data_type::DOUBLE);
    /// 32-bit signed integers.
    pub const I32: Self = Self(data_type::INT32);
    /// 64-bit signed integers.
    pub const I64: Self = Self(data_type::INT64);
    /// Bytes.
    pub const U8: Self = Self(data_type::UINT8);
    /// Booleans, one byte each.
    pub const BOOL: Self = Self(data_type::BOOL);

    /// The ONNX number.
    pub fn number(self) -> i32 {
        self.0
    }
}

impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(data_type::name(self.0))
    }
}

impl fmt::Debug for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An owned, immutable tensor: any number of runs on any number of threads may read it.
///
/// Elements are in row-major order. A dimension may be 0; the tensor then has no elements.
pub struct Value {
    element_type: ElementType,
    shape: Vec<i64>,
    storage: Storage,
}

enum Storage {
    /// Memory of ours, and its ONNX Runtime tensor, which the first run creates.
    Host { memory: Arc<dyn Memory>, tensor: OnceLock<Tensor> },
    /// Memory that ONNX Runtime allocated for an output.
    Runtime(Tensor),
}

impl Value {
    /// A tensor of 32-bit floats.
    ///
    /// # Errors
    /// For every constructor: [`Code::ArgumentInvalid`] if the number of elements is not the
    /// product of the shape.
    pub fn f32(shape: &[usize], elements: Vec<f32>) -> Result<Value> {
        Self::of_vec(ElementType::F32, shape, elements)
    }

    /// A tensor of 32-bit floats that are shared with the caller.
    pub fn f32_shared(shape: &[usize], elements: Arc<[f32]>) -> Result<Value> {
        let length = elements.len();
        Self::host(ElementType::F32, shape, length, Arc::new(elements))
    }

    /// A tensor of 64-bit floats.
    pub fn f64(shape: &[usize], elements: Vec<f64>) -> Result<Value> {
        Self::of_vec(ElementType::F64, shape, elements)
    }

    /// A tensor of 32-bit integers.
    pub fn i32(shape: &[usize], elements: Vec<i32>) -> Result<Value> {
        Self::of_vec(ElementType::I32, shape, elements)
    }

    /// A tensor of 64-bit integers.
    pub fn i64(shape: &[usize], elements: Vec<i64>) -> Result<Value> {
        Self::of_vec(ElementType::I64, shape, elements)
    }

    /// A tensor of bytes.
    pub fn u8(shape: &[usize], elements: Vec<u8>) -> Result<Value> {
        Self::of_vec(ElementType::U8, shape, elements)
    }

    /// A tensor of booleans.
    pub fn bool(shape: &[usize], elements: &[bool]) -> Result<Value> {
        let bytes: Vec<u8> = elements.iter().map(|&element| u8::from(element)).collect();
        Self::of_vec(ElementType::BOOL, shape, bytes)
    }

    fn of_vec<T: Plain>(
        element_type: ElementType,
        shape: &[usize],
        elements: Vec<T>,
    ) -> Result<Value> {
        let length = elements.len();
        Self::host(element_type, shape, length, Arc::new(elements))
    }

    fn host(
        element_type: ElementType,
        shape: &[usize],
        length: usize,
        memory: Arc<dyn Memory>,
    ) -> Result<Value> {
        let dims: Option<Vec<i64>> = shape.iter().map(|&size| i64::try_from(size).ok()).collect();
        let count = dims.as_deref().and_then(crate::graph::element_count);
        match dims {
            Some(shape) if count == Some(length) => {
                let storage = Storage::Host { memory, tensor: OnceLock::new() };
                Ok(Value { element_type, shape, storage })
            }
            _ => Err(Error::new(
                Code::ArgumentInvalid,
                format!(
                    "a tensor of {element_type} and shape {shape:?} was given {length} elements"
                ),
            )),
        }
    }

    /// An output of a run. It is copied if it lies in the memory of an input, which it would not
    /// keep alive.
    pub(super) fn output(tensor: Tensor, inputs: &[(&CStr, &Tensor)]) -> Value {
        let element_type = ElementType(tensor.data_type());
        let shape = tensor.shape().to_vec();
        let first = tensor.bytes().as_ptr();
        let inside = |(_, input): &(&CStr, &Tensor)| input.bytes().as_ptr_range().contains(&first);
        let storage = if inputs.iter().any(inside) {
            let memory: Arc<dyn Memory> = Arc::new(raw::AlignedBytes::copy(tensor.bytes()));
            Storage::Host { memory, tensor: OnceLock::new() }
        } else {
            Storage::Runtime(tensor)
        };
        Value { element_type, shape, storage }
    }

    /// The ONNX Runtime tensor of this value.
    pub(super) fn tensor(&self, ort: &'static Ort) -> Result<&Tensor> {
        match &self.storage {
            Storage::Runtime(tensor) => Ok(tensor),
            Storage::Host { memory, tensor } => {
                if let Some(tensor) = tensor.get() {
                    return Ok(tensor);
                }
                let number = self.element_type.number();
                let made = Tensor::over(ort, Arc::clone(memory), number, &self.shape)?;
                // If two threads create one at once, the slower drops its own.
                Ok(tensor.get_or_init(|| made))
            }
        }
    }

    /// The sizes of the dimensions.
    pub fn shape(&self) -> &[i64] {
        &self.shape
    }

    /// The element type.
    pub fn element_type(&self) -> ElementType {
        self.element_type
    }

    /// The bytes of all elements, in native byte order.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.storage {
            Storage::Runtime(tensor) => tensor.bytes(),
            Storage::Host { memory, .. } => memory.bytes(),
        }
    }

    /// The elements of a tensor of 32-bit floats.
    ///
    /// # Errors
    /// For every reader: [`Code::ArgumentInvalid`] if the elements are of another type.
    pub fn as_f32(&self) -> Result<&[f32]> {
        self.elements(ElementType::F32)
    }

    /// The elements of a tensor of 64-bit floats.
    pub fn as_f64(&self) -> Result<&[f64]> {
        self.elements(ElementType::F64)
    }

    /// The elements of a tensor of 64-bit integers.
    pub fn as_i64(&self) -> Result<&[i64]> {
        self.elements(ElementType::I64)
    }

    fn elements<T: Plain>(&self, wanted: ElementType) -> Result<&[T]> {
        if self.element_type != wanted {
            return Err(Error::new(
                Code::ArgumentInvalid,
                format!(
                    "a tensor of {} and shape {:?} was read as {wanted}",
                    self.element_type, self.shape
                ),
            ));
        }
        raw::from_bytes(self.as_bytes()).ok_or_else(|| {
            let shape = &self.shape;
            Error::new(Code::Internal, format!("a tensor of shape {shape:?} is not aligned"))
        })
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Value({}, {:?})", self.element_type, self.shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_must_fill_the_shape() {
        assert_eq!(Value::f32(&[2, 3], vec![0.0; 6]).unwrap().shape(), [2, 3]);
        for (shape, length) in [(&[2, 3][..], 5), (&[][..], 0), (&[usize::MAX, 2][..], 2)] {
            let error = Value::f32(shape, vec![0.0; length]).unwrap_err();
            assert_eq!(error.code(), Code::ArgumentInvalid, "{shape:?} {length}");
        }
    }

    #[test]
    fn a_dimension_of_zero_makes_an_empty_value() {
        let value = Value::f32_shared(&[384, 0], Arc::from([])).unwrap();
        assert_eq!(value.shape(), [384, 0]);
        assert!(value.as_f32().unwrap().is_empty());
    }

    #[test]
    fn reading_another_type_names_both() {
        let value = Value::i64(&[1], vec![7]).unwrap();
        assert_eq!(value.as_i64().unwrap(), [7]);
        let error = value.as_f32().unwrap_err();
        assert_eq!(error.code(), Code::ArgumentInvalid);
        assert!(error.message().contains("float") && error.message().contains("int64"), "{error}");
    }

    #[test]
    fn shared_elements_are_not_copied() {
        let elements: Arc<[f32]> = Arc::from([1.0, 2.0]);
        let value = Value::f32_shared(&[2], Arc::clone(&elements)).unwrap();
        assert_eq!(value.as_f32().unwrap().as_ptr(), elements.as_ptr());
    }
}
