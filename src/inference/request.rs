//! The request for a run, and its raw outputs.

use super::generation::{GenerateOptions, GeneratedText};
use super::lower::LowerStates;
use crate::error::{Code, Error, Result};
use crate::runtime::Cancel;

/// What a run is to return.
#[derive(Clone, Copy, Debug)]
pub enum Request {
    /// These outputs of the encoder's session, by name.
    Outputs(&'static [&'static str]),
    /// A text for each input.
    Text,
}

/// The raw outputs of a run.
#[derive(Debug)]
pub enum RawOutputs {
    /// The values of each requested output, in the order of the inputs.
    Tensors(Vec<Vec<f32>>),
    /// A text for each input.
    Texts(Vec<GeneratedText>),
}

impl RawOutputs {
    /// The values of the requested output at `position`; empty when something else was requested.
    pub fn values(&self, position: usize) -> &[f32] {
        match self {
            Self::Tensors(found) => found.get(position).map_or(&[], Vec::as_slice),
            Self::Texts(_) => &[],
        }
    }

    /// The values of `N` outputs.
    ///
    /// # Errors
    /// [`Code::Internal`] when something else was requested.
    pub fn tensors<const N: usize>(self) -> Result<[Vec<f32>; N]> {
        let found = match self {
            Self::Tensors(found) => found.try_into().ok(),
            Self::Texts(_) => None,
        };
        found.ok_or_else(|| Error::new(Code::Internal, format!("a run did not give {N} outputs")))
    }

    /// The texts.
    ///
    /// # Errors
    /// [`Code::Internal`] when something else was requested.
    pub fn texts(self) -> Result<Vec<GeneratedText>> {
        match self {
            Self::Texts(texts) => Ok(texts),
            Self::Tensors(_) => Err(Error::new(Code::Internal, "a run did not give texts")),
        }
    }
}

/// The options of a run.
#[derive(Clone, Copy, Default)]
pub struct RunOptions<'a> {
    /// Ends the run from another thread.
    pub cancel: Option<&'a Cancel>,
    /// How texts are generated; by default greedily, up to the bundle's limit.
    pub generate: Option<&'a GenerateOptions>,
    /// Kept hidden states of texts, for adapters that attach above them alone.
    pub lower: Option<&'a LowerStates>,
}
