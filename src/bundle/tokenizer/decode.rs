//! Decodes token ids to text.
//!
//! Special tokens are omitted, as are ids without a token: a model may have more logits than its
//! tokenizer has tokens. Invalid UTF-8 becomes U+FFFD.

use std::sync::OnceLock;

use tokenizers::Decoder;

use super::vocabulary::Backward;
use super::{Encoding, Model, Tokenizer, guarded, library_error};
use crate::error::Result;

/// The reverse lookup of a compiled vocabulary, built on first use.
#[derive(Default)]
pub(super) struct Pieces(OnceLock<Backward>);

impl Tokenizer {
    /// The text of `ids` without special tokens.
    ///
    /// # Errors
    /// [`Code::BundleTokenizer`](crate::Code::BundleTokenizer) when the tokenizer's own decoder
    /// fails or cannot be run.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        let decoder = self.stages.decoder()?;
        guarded("decoding tokens", || match &self.model {
            Model::Library { .. } => {
                let library = self.stages.last();
                // The library's decoders subtract one from the number of tokens.
                if library.decode_tokens(ids, true).is_empty() {
                    return Ok(String::new());
                }
                library.decode(ids, true).map_err(library_error)
            }
            Model::Compiled { .. } => {
                let tokens: Vec<String> = ids.iter().filter_map(|&id| self.token(id)).collect();
                match decoder {
                    _ if tokens.is_empty() => Ok(String::new()),
                    Some(decoder) => decoder.decode(tokens).map_err(library_error),
                    // Compiled vocabularies are SentencePiece's, which writes spaces this way.
                    None => Ok(tokens.concat().replace('\u{2581}', " ").trim_start().to_owned()),
                }
            }
        })?
    }

    /// The token of an id as the decoder is given it; `None` for those that it is not given.
    pub(super) fn token(&self, id: u32) -> Option<String> {
        match &self.model {
            Model::Library { .. } => self.stages.last().decode_tokens(&[id], true).pop(),
            Model::Compiled { vocabulary, pieces } => match self.stages.added_token(id) {
                Some(token) => (!token.special).then_some(token.content),
                None => vocabulary.text(id, pieces.0.get_or_init(|| vocabulary.backward())),
            },
        }
    }

    /// The ids of `text` without special tokens around it; at most `tokens_max`.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn encode_plain(&self, text: &str, tokens_max: usize) -> Result<Encoding> {
        let mut ids = self.pieces(text, tokens_max)?;
        let truncated = ids.len() > tokens_max;
        ids.truncate(tokens_max);
        self.check_ids(&ids)?;
        Ok(Encoding { ids, truncated, type_ids: Vec::new() })
    }
}
