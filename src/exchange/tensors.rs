//! Tensors of other libraries as float32, and back.
//!
//! PyTorch keeps the weight of a linear layer as `[outputs, inputs]`; here it is `[inputs,
//! outputs]`. Half precision is upcast, which is exact. Names are taken out one by one, so that
//! whatever nobody asked for is found at the end and refused.

use super::{malformed, unsupported};
use crate::adapter::{TENSORS_MAX, Tensor, open_tensors};
use crate::error::Result;
use crate::graph::{bf16, f16};
use safetensors::tensor::{Dtype, TensorView};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

/// How many left-over names an error lists.
const NAMES_SHOWN_MAX: usize = 4;

/// The tensors of a safetensors file, by name.
pub struct TensorFile {
    file: PathBuf,
    tensors: BTreeMap<String, Tensor>,
}

impl TensorFile {
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

    /// The names that are left.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// The shape of a tensor that has not been taken yet.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|tensor| tensor.shape.as_slice())
    }

    /// Takes a tensor out.
    pub fn take(&mut self, name: &str) -> Option<Tensor> {
        self.tensors.remove(name)
    }

    /// Takes out every tensor whose name begins with `start`.
    pub fn take_all(&mut self, start: &str) {
        self.tensors.retain(|name, _| !name.starts_with(start));
    }

    /// Takes out a tensor that must have this shape, which is one of the backbone's.
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

    /// Refuses the tensors that are left, naming some of them.
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
    let data = view.data();
    let values: Vec<f32> = match view.dtype() {
        Dtype::F32 => data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
        Dtype::F16 => {
            data.as_chunks().0.iter().map(|bytes| f16(u16::from_le_bytes(*bytes))).collect()
        }
        Dtype::BF16 => {
            data.as_chunks().0.iter().map(|bytes| bf16(u16::from_le_bytes(*bytes))).collect()
        }
        other => {
            let message = format!(
                "{name}: expected F32, F16 or BF16, found {other}; save the adapter as float32"
            );
            return Err(unsupported(file, message));
        }
    };
    if values.len() != view.shape().iter().product::<usize>() {
        return Err(wrong("its bytes do not fill its shape".to_owned()));
    }
    finite(&values).map_err(wrong)?;
    Ok(Tensor { shape: view.shape().to_vec(), values: values.into() })
}

/// Refuses values that are no finite numbers, saying where the first one is.
pub fn finite(values: &[f32]) -> std::result::Result<(), String> {
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(position) => Err(format!("value {position} is not a finite number")),
    }
}

/// The transpose of a matrix; anything else comes back as it is.
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

/// The same values in another shape of as many elements.
pub fn reshaped(tensor: &Tensor, shape: &[usize]) -> Tensor {
    Tensor { shape: shape.to_vec(), values: tensor.values.clone() }
}

/// A safetensors file as PyTorch writes it: names in order, and the metadata that its loader asks
/// for.
pub fn serialize(tensors: &BTreeMap<String, Tensor>) -> Result<Vec<u8>> {
    let failed = |cause: safetensors::SafeTensorError| {
        crate::error::Error::new(crate::error::Code::Internal, format!("writing tensors: {cause}"))
    };
    let bytes: Vec<Vec<u8>> = tensors
        .values()
        .map(|tensor| tensor.values.iter().flat_map(|value| value.to_le_bytes()).collect())
        .collect();
    let mut views = Vec::with_capacity(tensors.len());
    for ((name, tensor), bytes) in tensors.iter().zip(&bytes) {
        let view = TensorView::new(Dtype::F32, tensor.shape.clone(), bytes).map_err(failed)?;
        views.push((name.as_str(), view));
    }
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    safetensors::serialize(views, Some(metadata)).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_upcast_exactly() {
        // Bit patterns from IEEE 754-2019, table 3.5 for binary16.
        let cases = [
            (0x0000, 0.0),
            (0x0001, 5.960_464_5e-8),
            (0x03ff, 6.097_555e-5),
            (0x0400, 6.103_515_6e-5),
            (0x3555, 0.333_251_95),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x7c00, f32::INFINITY),
        ];
        for (bits, expected) in cases {
            assert_eq!(f16(bits), expected, "{bits:#06x}");
        }
        assert!(f16(0x7e00).is_nan());
    }

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
