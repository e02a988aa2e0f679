//! The manifest's section about a decoder.

use serde::{Deserialize, Serialize};

use super::interface::DecoderInterface;
use crate::bundle::Tokenizer;
use crate::error::{Code, Error, Result};

/// The most end tokens; no model has more.
const ENDS_MAX: usize = 16;

/// The decoder's section of a [`Manifest`](crate::bundle::Manifest).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decoder {
    /// The ONNX file of the decoder with a cache; without it, every step recomputes the whole
    /// target. Its weights are in the backbone's data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with_past: Option<String>,
    /// Inputs and outputs by role.
    #[serde(flatten)]
    pub interface: DecoderInterface,
    /// The special tokens.
    pub ids: SpecialIds,
    /// The most tokens of one target, including the end but not the start.
    pub tokens_max: usize,
}

/// The special tokens of a decoder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpecialIds {
    /// The token that every target begins with; it is an input only.
    #[serde(rename = "start")]
    pub decoder_start_token_id: u32,
    /// The tokens that end a target; training uses the first.
    #[serde(rename = "ends")]
    pub eos_token_ids: Vec<u32>,
    /// The token that pads short rows.
    #[serde(rename = "pad")]
    pub pad_token_id: u32,
    /// The first token of every target, for models trained that way: often its language.
    #[serde(default, rename = "forced_begin", skip_serializing_if = "Option::is_none")]
    pub forced_bos_token_id: Option<u32>,
    /// The last token of a target that is cut off at its limit.
    #[serde(default, rename = "forced_end", skip_serializing_if = "Option::is_none")]
    pub forced_eos_token_id: Option<u32>,
}

impl SpecialIds {
    /// Checks that every token has a logit.
    ///
    /// # Errors
    /// [`Code::BundleTokenizer`] naming the token, or saying that there is no end token.
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
    /// Checks the section against the graphs and the tokenizer.
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
