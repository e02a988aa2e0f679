//! What the manifest says about a decoder.

use serde::{Deserialize, Serialize};

use super::interface::DecoderInterface;
use crate::bundle::Tokenizer;
use crate::error::{Code, Error, Result};

/// More ends than any model has.
const ENDS_MAX: usize = 16;

/// The decoder's part of a [`Manifest`](crate::bundle::Manifest).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decoder {
    /// The ONNX file of the decoder that goes on from a cache; without it, every step computes the
    /// whole target anew. Its weights lie in the backbone's data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with_past: Option<String>,
    /// Inputs and outputs by role.
    #[serde(flatten)]
    pub interface: DecoderInterface,
    /// The tokens with a meaning of their own.
    pub ids: SpecialIds,
    /// The most tokens of one target, the end included and the start not.
    pub tokens_max: usize,
}

/// The tokens that a decoder begins and ends with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpecialIds {
    /// What every target begins with, as input only.
    #[serde(rename = "start")]
    pub decoder_start_token_id: u32,
    /// What ends a target; a target that is learnt ends with the first of them.
    #[serde(rename = "ends")]
    pub eos_token_ids: Vec<u32>,
    /// What fills up short rows.
    #[serde(rename = "pad")]
    pub pad_token_id: u32,
    /// The first token of every target, where the model was trained so: often its language.
    #[serde(default, rename = "forced_begin", skip_serializing_if = "Option::is_none")]
    pub forced_bos_token_id: Option<u32>,
    /// The token that a target is cut off with where it reaches its limit.
    #[serde(default, rename = "forced_end", skip_serializing_if = "Option::is_none")]
    pub forced_eos_token_id: Option<u32>,
}

impl SpecialIds {
    /// Checks that every token has a logit.
    ///
    /// # Errors
    /// [`Code::BundleTokenizer`] naming the token, or saying that there is no end.
    pub fn check(&self, vocabulary: usize) -> Result<()> {
        if self.eos_token_ids.is_empty() || self.eos_token_ids.len() > ENDS_MAX {
            return Err(Error::new(
                Code::BundleTokenizer,
                format!(
                    "the decoder has {} tokens that end a target, expected 1 to {ENDS_MAX}",
                    self.eos_token_ids.len()
                ),
            ));
        }
        let named =
            [("start", Some(self.decoder_start_token_id)), ("pad", Some(self.pad_token_id))]
                .into_iter();
        let forced =
            [("forced begin", self.forced_bos_token_id), ("forced end", self.forced_eos_token_id)];
        let ends = self.eos_token_ids.iter().map(|&id| ("end", Some(id)));
        for (name, id) in named.chain(forced).chain(ends) {
            if let Some(id) = id.filter(|&id| id as usize >= vocabulary) {
                return Err(Error::new(
                    Code::BundleTokenizer,
                    format!(
                        "the {name} token has id {id}, expected less than {vocabulary}, the number \
                         of logits"
                    ),
                ));
            }
        }
        Ok(())
    }
}

impl Decoder {
    /// Checks what the manifest says against the graphs and the tokenizer.
    pub(in crate::bundle) fn check(
        &self,
        found: &DecoderInterface,
        tokenizer: &Tokenizer,
    ) -> Result<()> {
        if &self.interface != found {
            return Err(Error::new(
                Code::BundleManifest,
                format!(
                    "the manifest: the decoder's interface: stated {}, the graphs have {}",
                    as_json(&self.interface),
                    as_json(found)
                ),
            ));
        }
        self.ids.check(found.vocabulary)?;
        if tokenizer.vocabulary_size() > found.vocabulary {
            return Err(Error::new(
                Code::BundleTokenizer,
                format!(
                    "the tokenizer does not fit the decoder: it gives ids up to {}, expected less \
                     than {}, the number of logits",
                    tokenizer.vocabulary_size() - 1,
                    found.vocabulary
                ),
            ));
        }
        Ok(())
    }
}

/// An interface as the manifest writes it.
fn as_json(interface: &DecoderInterface) -> String {
    serde_json::to_string(interface).unwrap_or_default()
}
