//! The delta of one language: what a device learnt, as differences of tensors.
//!
//! Its norm is the Euclidean one over all its values. This module must never accept a delta whose
//! tensors are not exactly those of the base that it says it starts from.

use super::envelope::malformed;
use super::noise;
use crate::adapter::{Adapter, Tensor, TensorId, open_tensors, tensors_to_bytes};
use crate::error::{Code, Error, Result};
use safetensors::tensor::Dtype;
use std::collections::BTreeMap;

/// The metadata key of a delta's safetensors file; its text is the hash of the base version.
const METADATA_KEY: &str = "polygraft-delta-of";

/// A difference for each trained tensor of a base.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Delta {
    tensors: BTreeMap<String, Tensor>,
}

/// Whether rounds with frozen first factors send this tensor.
fn is_sent(name: &str, down_frozen: bool) -> bool {
    !(down_frozen && matches!(TensorId::parse(name), Some(TensorId::LoraA(_))))
}

impl Delta {
    /// The difference between a trained adapter and its base.
    pub fn between(base: &Adapter, trained: &Adapter, down_frozen: bool) -> Result<Self> {
        let mut tensors = BTreeMap::new();
        for (name, from) in base.tensors.iter().filter(|(name, _)| is_sent(name, down_frozen)) {
            let to = trained.tensor(name)?;
            if to.shape != from.shape {
                let (expected, found) = (&from.shape, &to.shape);
                let message = format!("{name}: found the shape {found:?}, expected {expected:?}");
                return Err(Error::new(Code::AdapterTensors, message));
            }
            let values = to.values.iter().zip(&*from.values).map(|(to, from)| to - from).collect();
            tensors.insert(name.clone(), Tensor { shape: from.shape.clone(), values });
        }
        Ok(Self { tensors })
    }

    /// The Euclidean norm over all values.
    pub fn norm(&self) -> f64 {
        let values = self.tensors.values().flat_map(|tensor| tensor.values.iter());
        values.map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt()
    }

    /// How many values it has.
    pub fn values_count(&self) -> usize {
        self.tensors.values().map(|tensor| tensor.values.len()).sum()
    }

    /// Scales it down to the norm `most` if it is longer; returns the norm that it had.
    pub fn clip(&mut self, most: f64) -> f64 {
        let norm = self.norm();
        if norm > most {
            let factor = most / norm;
            for tensor in self.tensors.values_mut() {
                let values = tensor.values.iter();
                tensor.values = values.map(|value| (f64::from(*value) * factor) as f32).collect();
            }
        }
        norm
    }

    /// Adds Gaussian noise to every value.
    pub fn add_noise(&mut self, deviation: f64, seed: &[u8; 32], language: &str) {
        noise::add(&mut self.tensors, deviation, seed, language);
    }

    /// Serialises it as a safetensors file.
    pub fn to_bytes(&self, base: &str) -> Result<Vec<u8>> {
        tensors_to_bytes(&self.tensors, METADATA_KEY, base.to_owned()).map_err(malformed)
    }

    /// Reads a delta of `base`, whose names and shapes it must have.
    ///
    /// # Errors
    /// [`Code::RoundMalformed`] naming the tensor, what was expected and what was found.
    pub fn from_bytes(bytes: &[u8], base: &Adapter, down_frozen: bool) -> Result<Self> {
        let sent = base.tensors.iter().filter(|(name, _)| is_sent(name, down_frozen));
        let expected: BTreeMap<&String, &Tensor> = sent.collect();
        let file = open_tensors(bytes, expected.len()).map_err(malformed)?;
        if file.len() != expected.len() {
            let (expected, found) = (expected.len(), file.len());
            return Err(malformed(format!("delta: expected {expected} tensors, found {found}")));
        }
        let mut tensors = BTreeMap::new();
        for (name, like) in expected {
            let view = file.tensor(name).map_err(|_| malformed(format!("{name} is missing")))?;
            if view.dtype() != Dtype::F32 || view.shape() != like.shape {
                let (shape, found) = (&like.shape, view.shape());
                let dtype = view.dtype();
                let message =
                    format!("{name}: expected F32 of {shape:?}, found {dtype} of {found:?}");
                return Err(malformed(message));
            }
            let (chunks, _) = view.data().as_chunks::<4>();
            let values: Vec<f32> = chunks.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect();
            if let Some(position) = values.iter().position(|value| !value.is_finite()) {
                return Err(malformed(format!("{name}[{position}] is not a finite number")));
            }
            let tensor = Tensor { shape: like.shape.clone(), values: values.into() };
            tensors.insert(name.clone(), tensor);
        }
        Ok(Self { tensors })
    }

    /// Adds `weight` times the delta to `onto`, tensor by tensor, in double precision.
    pub fn add_to(&self, onto: &Adapter, weight: f64) -> Adapter {
        let mut result = onto.clone();
        for (name, delta) in &self.tensors {
            if let Some(tensor) = result.tensors.get_mut(name) {
                let pairs = tensor.values.iter().zip(&*delta.values);
                let add = |(value, delta): (&f32, &f32)| {
                    (f64::from(*value) + weight * f64::from(*delta)) as f32
                };
                tensor.values = pairs.map(add).collect();
            }
        }
        result
    }
}
