//! Tensors as ONNX Runtime values.

use std::ffi::c_void;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use ort::sys::{ONNXTensorElementDataType as OrtElement, OrtTensorTypeAndShapeInfo, OrtValue};

use super::{Memory, Ort, call, not_null};
use crate::error::{Code, Error, Result};
use crate::graph::data_type;

/// An ONNX Runtime tensor, over memory of ours or over its own.
pub struct Tensor {
    ort: &'static Ort,
    pointer: NonNull<OrtValue>,
    data_type: i32,
    shape: Vec<i64>,
    /// The first element; readable for `size_bytes` bytes while the value lives.
    address: *const u8,
    size_bytes: usize,
    /// The memory of the elements, unless ONNX Runtime owns it.
    _memory: Option<Arc<dyn Memory>>,
}

// SAFETY: neither side changes a tensor after it was made: runs only read what they are given, and
// there is no function here that writes. Releasing one is allowed on any thread.
unsafe impl Send for Tensor {}
// SAFETY: as for `Send`.
unsafe impl Sync for Tensor {}

impl Tensor {
    /// A tensor over `memory`, which must hold the bytes of its elements and be aligned for them.
    ///
    /// `data_type` is ONNX's number of the element type.
    pub fn over(
        ort: &'static Ort,
        memory: Arc<dyn Memory>,
        data_type: i32,
        shape: &[i64],
    ) -> Result<Tensor> {
        let element = element_of(data_type)?;
        let size_bytes = size_bytes(data_type, shape)?;
        let bytes = memory.bytes();
        if bytes.len() < size_bytes || !bytes.as_ptr().addr().is_multiple_of(alignment(data_type)) {
            return Err(Error::new(
                Code::Internal,
                format!(
                    "a tensor of {} and shape {shape:?} cannot lie in {} bytes at {:p}",
                    data_type::name(data_type),
                    bytes.len(),
                    bytes.as_ptr(),
                ),
            ));
        }
        let address = bytes.as_ptr();
        let mut pointer = ptr::null_mut();
        // SAFETY: the bytes are valid and stay so while the tensor lives, since it owns `memory`,
        // and they suffice for the shape. They are not written to, although the function takes a
        // mutable pointer: ONNX Runtime writes to no input and to no shared initializer.
        unsafe {
            call!(
                ort,
                CreateTensorWithDataAsOrtValue(
                    ort.memory.as_ptr(),
                    address.cast_mut().cast(),
                    bytes.len(),
                    shape.as_ptr(),
                    shape.len(),
                    element,
                    &raw mut pointer,
                )
            )?;
        }
        let pointer = not_null(pointer, "tensor")?;
        let shape = shape.to_vec();
        Ok(Tensor { ort, pointer, data_type, shape, address, size_bytes, _memory: Some(memory) })
    }

    /// Takes over a value that ONNX Runtime allocated.
    pub(super) fn adopt(ort: &'static Ort, pointer: NonNull<OrtValue>) -> Result<Tensor> {
        // Owned at once, so that the value is released on every error.
        let mut tensor = Tensor {
            ort,
            pointer,
            data_type: data_type::UNDEFINED,
            shape: Vec::new(),
            address: NonNull::dangling().as_ptr(),
            size_bytes: 0,
            _memory: None,
        };
        tensor.describe()?;
        tensor.size_bytes = size_bytes(tensor.data_type, &tensor.shape)?;
        if tensor.size_bytes > 0 {
            let mut data: *mut c_void = ptr::null_mut();
            // SAFETY: the value is alive, and the call writes one pointer to the place given.
            unsafe { call!(ort, GetTensorMutableData(pointer.as_ptr(), &raw mut data))? };
            tensor.address = not_null(data, "elements")?.as_ptr().cast_const().cast();
        }
        Ok(tensor)
    }

    /// Reads the element type and the shape.
    fn describe(&mut self) -> Result<()> {
        let (ort, value) = (self.ort, self.pointer.as_ptr());
        let mut is_tensor = 0;
        // SAFETY: the value is alive, and the call writes one number to the place it is given.
        unsafe { call!(ort, IsTensor(value, &raw mut is_tensor))? };
        if is_tensor == 0 {
            return Err(Error::new(
                Code::GraphUnsupported,
                "an output is a sequence, a map or absent; only tensors can be read",
            ));
        }
        let mut info: *mut OrtTensorTypeAndShapeInfo = ptr::null_mut();
        // SAFETY: the value is alive, and the call writes one pointer to the place it is given.
        unsafe { call!(ort, GetTensorTypeAndShape(value, &raw mut info))? };
        let mut read = || -> Result<()> {
            let mut element: i32 = 0;
            let mut rank = 0;
            // SAFETY: the description is alive, and each call writes to the place it is given. The
            // type is received as a number, since the library may know more types than are named
            // here; the shape has room for the rank just told.
            unsafe {
                call!(ort, GetTensorElementType(info, (&raw mut element).cast()))?;
                call!(ort, GetDimensionsCount(info, &raw mut rank))?;
                self.shape.resize(rank, 0);
                call!(ort, GetDimensions(info, self.shape.as_mut_ptr(), rank))?;
            }
            self.data_type = onnx_number(element);
            Ok(())
        };
        let outcome = read();
        // SAFETY: the description is owned and released exactly once.
        unsafe { (ort.api.ReleaseTensorTypeAndShapeInfo)(info) };
        outcome
    }

    /// The pointer that C functions take.
    pub(super) fn pointer(&self) -> *const OrtValue {
        self.pointer.as_ptr()
    }

    /// The element type as an ONNX number.
    pub fn data_type(&self) -> i32 {
        self.data_type
    }

    /// The sizes of its dimensions.
    pub fn shape(&self) -> &[i64] {
        &self.shape
    }

    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the elements are that many bytes, allocated by ONNX Runtime for this type and
        // shape or part of the memory owned; they live and stay as they are with the tensor. The
        // address of an empty tensor is not NULL.
        unsafe { std::slice::from_raw_parts(self.address, self.size_bytes) }
    }
}

impl Drop for Tensor {
    fn drop(&mut self) {
        // SAFETY: the value is owned and released exactly once, before the memory it lies in.
        unsafe { (self.ort.api.ReleaseValue)(self.pointer.as_ptr()) };
    }
}

fn size_bytes(data_type: i32, shape: &[i64]) -> Result<usize> {
    data_type::tensor_size_bytes(data_type, shape).ok_or_else(|| {
        let name = data_type::name(data_type);
        Error::new(
            Code::GraphUnsupported,
            format!("a tensor of {name} and shape {shape:?} is not plain memory of a known size"),
        )
    })
}

/// The alignment of an element of this type, in bytes.
pub fn alignment(data_type: i32) -> usize {
    // Packed types have no element of their own; complex numbers are aligned as their halves.
    data_type::size_bits(data_type).map_or(1, |bits| (bits / 8).clamp(1, 8))
}

/// ONNX Runtime's element types in the order of ONNX's numbers, where both agree.
const ELEMENTS: [OrtElement; 24] = {
    use OrtElement::*;
    [
        ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED,
        ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT,
        ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8,
        ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8,
        ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16,
        ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16,
        ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32,
        ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64,
        ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING,
        ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL,
        ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16,
        ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE,
        ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT32,
        ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64,
        ONNX_TENSOR_ELEMENT_DATA_TYPE_COMPLEX64,
        ONNX_TENSOR_ELEMENT_DATA_TYPE_COMPLEX128,
        ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16,
        ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT8E4M3FN,
        ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT8E4M3FNUZ,
        ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT8E5M2,
        ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT8E5M2FNUZ,
        ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT4,
        ONNX_TENSOR_ELEMENT_DATA_TYPE_INT4,
        ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT4E2M1,
    ]
};

/// ONNX Runtime's element type for an ONNX number; strings are not plain memory.
fn element_of(data_type: i32) -> Result<OrtElement> {
    let index = usize::try_from(data_type).ok();
    match index.and_then(|index| ELEMENTS.get(index)) {
        Some(&element)
            if element != OrtElement::ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING
                && element != OrtElement::ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED =>
        {
            Ok(element)
        }
        _ => Err(Error::new(
            Code::GraphUnsupported,
            format!("element type {data_type} is not one that ONNX Runtime takes from memory"),
        )),
    }
}

/// The ONNX number of an element type; 0 (undefined) for those numbered differently.
fn onnx_number(element: i32) -> i32 {
    if (0..ELEMENTS.len() as i32).contains(&element) { element } else { data_type::UNDEFINED }
}
