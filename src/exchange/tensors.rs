//! Converts tensors of other libraries to float32 and back.
//!
//! PyTorch stores the weight of a linear layer as `[outputs, inputs]`; we store `[inputs,
//! outputs]`. Half precision is upcast, which is exact. Tensors are taken one by one by their
//! names, so that those left at the end are found and refused.

use super::files::read;
use super::message::{malformed, pickled, unsupported};
use crate::adapter::{ADAPTER_BYTES_MAX, TENSORS_MAX, Tensor, open_tensors, tensors_to_bytes};
use crate::error::{Code, Error, Result};
use crate::graph::{bf16, f16};
use safetensors::tensor::{Dtype, TensorView};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The largest number of left-over names in an error.
const NAMES_SHOWN_MAX: usize = 4;

/// The tensors of a safetensors file, by name.
pub struct TensorFile {
    file: PathBuf,
    tensors: BTreeMap<String, Tensor>,
}

impl TensorFile {
    /// Reads the file `name` of a folder. The file `pickle` is the same as a pickle, which is not
    /// read.
    pub fn open(folder: &Path, name: &str, pickle: &str) -> Result<Self> {
        let (file, pickle) = (folder.join(name), folder.join(pickle));
        if !file.exists() && pickle.exists() {
            return Err(pickled(&pickle));
        }
        Self::parse(&file, &read(&file, ADAPTER_BYTES_MAX)?)
    }

    /// Reads every tensor of the file.
    pub fn parse(file: &Path, bytes: &[u8]) -> Result<Self> {
        let parsed = open_tensors(bytes, TENSORS_MAX)
            .map_err(|cause| malformed(file, format!("expected safetensors, found: {cause}")))?;
        let mut tensors = BTreeMap::new();
        for (name, view) in parsed.iter() {
            tensors.insert(name.to_owned(), upcast(file, name, &view)?);
        }
        Ok(Self { file: file.to_owned(), tensors })
    }

    /// The file that the tensors come from.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The names of the tensors that have not been taken yet.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// The shape of a tensor that has not been taken yet.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|tensor| tensor.shape.as_slice())
    }

    pub fn take(&mut self, name: &str) -> Option<Tensor> {
        self.tensors.remove(name)
    }

    /// Removes every tensor whose name begins with `start`.
    pub fn take_all(&mut self, start: &str) {
        self.tensors.retain(|name, _| !name.starts_with(start));
    }

    /// Takes a tensor that must have this shape, which is determined by the backbone.
    pub fn expect(&mut self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let Some(tensor) = self.take(name) else {
            let message = format!("{name} is missing, expected shape {shape:?}");
            return Err(malformed(&self.file, message));
        };
        if tensor.shape != shape {
            let found = &tensor.shape;
            let message = format!(
                "{name}: expected shape {shape:?} on this backbone, found {found:?}: the adapter \
                 belongs to a model of other sizes"
            );
            return Err(unsupported(&self.file, message));
        }
        Ok(tensor)
    }

    /// Refuses the tensors that were not taken, naming some of them.
    pub fn finish(&self) -> Result<()> {
        let names: Vec<&str> = self.names().collect();
        if names.is_empty() {
            return Ok(());
        }
        let more = names.len().saturating_sub(NAMES_SHOWN_MAX);
        let shown = names[..names.len() - more].join(", ");
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        Err(unsupported(
            &self.file,
            format!("tensors that no adapter here has a place for: {shown}{more}"),
        ))
    }
}

fn upcast(file: &Path, name: &str, view: &TensorView<'_>) -> Result<Tensor> {
    let wrong = |message: String| malformed(file, format!("{name}: {message}"));
    let format = match view.dtype() {
        Dtype::F32 => FloatFormat::F32,
        Dtype::F16 => FloatFormat::F16,
        Dtype::BF16 => FloatFormat::Bf16,
        other => {
            let message = format!(
                "{name}: expected F32, F16 or BF16, found {other}; save the adapter as float32"
            );
            return Err(unsupported(file, message));
        }
    };
    let values = format.upcast(view.data());
    if values.len() != view.shape().iter().product::<usize>() {
        return Err(wrong("its bytes do not fill its shape".to_owned()));
    }
    finite(&values).map_err(wrong)?;
    Ok(Tensor { shape: view.shape().to_vec(), values: values.into() })
}

/// Refuses values that are not finite, naming the position of the first one.
pub fn finite(values: &[f32]) -> std::result::Result<(), String> {
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(position) => Err(format!("value {position} is not a finite number")),
    }
}

/// The storage format of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FloatFormat {
    /// 32 bits.
    F32,
    /// IEEE 754 half precision.
    F16,
    /// The upper half of a float32.
    Bf16,
}

impl FloatFormat {
    pub fn size_bytes(self) -> usize {
        if self == Self::F32 { 4 } else { 2 }
    }

    /// The numbers as float32, which is exact. Bytes after the last whole number are ignored.
    pub fn upcast(self, bytes: &[u8]) -> Vec<f32> {
        let wide = || bytes.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes));
        let narrow = || bytes.as_chunks().0.iter().map(|bytes| u16::from_le_bytes(*bytes));
        match self {
            Self::F32 => wide().map(f32::from_bits).collect(),
            Self::F16 => narrow().map(f16).collect(),
            Self::Bf16 => narrow().map(bf16).collect(),
        }
    }
}

/// The transpose of a matrix; any other tensor is returned unchanged.
pub fn transposed(tensor: &Tensor) -> Tensor {
    match tensor.matrix("") {
        Ok(matrix) => matrix.t().to_owned().into(),
        Err(_) => tensor.clone(),
    }
}

/// Every value multiplied by `factor`.
pub fn scaled(tensor: &Tensor, factor: f32) -> Tensor {
    let values = tensor.values.iter().map(|value| value * factor).collect();
    Tensor { shape: tensor.shape.clone(), values }
}

/// The same values in another shape with the same number of elements.
pub fn reshaped(tensor: &Tensor, shape: &[usize]) -> Tensor {
    Tensor { shape: shape.to_vec(), values: tensor.values.clone() }
}

/// A safetensors file as PyTorch writes it: sorted names, and the metadata that its loader
/// requires.
pub fn serialize(tensors: &BTreeMap<String, Tensor>) -> Result<Vec<u8>> {
    tensors_to_bytes(tensors, "format", "pt".to_owned())
        .map_err(|cause| Error::new(Code::Internal, format!("writing tensors: {cause}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transposing_twice_changes_nothing() {
        let values: Vec<f32> = (0..6).map(|value| value as f32).collect();
        let tensor = Tensor { shape: vec![2, 3], values: values.into() };
        let turned = transposed(&tensor);
        assert_eq!(
            (turned.shape.as_slice(), &turned.values[..3]),
            (&[3, 2][..], &[0.0, 3.0, 1.0][..])
        );
        assert_eq!(transposed(&turned), tensor);
    }
}
