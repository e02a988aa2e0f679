//! The reading of a backbone: the settings that decide a prediction, apart from weights and
//! adapter.
//!
//! The same weights predict differently with another tokenizer, another prefix or another pooling,
//! and no error would show it. A bundle therefore states its [`Reading`], every adapter records the
//! reading that it was trained with, and messages name each difference. This part must never read a
//! file, and never treat two readings as equal because one lacks a setting.
//!
//! Input: settings and hashes. Output: the differences of two readings, and the identity of a
//! backbone with a reading.

use crate::error::{Code, Error, Result};
use serde::{Deserialize, Serialize};

/// The pooling of a plain reading.
const POOLING_PLAIN: &str = "mean";

/// The longest prefix and the longest name, in bytes.
const TEXT_SIZE_BYTES_MAX: usize = 1 << 16;

/// The maximum number of characters of a text that a message shows.
const SHOWN_CHARS_MAX: usize = 60;

/// The settings that decide a prediction, apart from the backbone's weights and the adapter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reading {
    /// The BLAKE3 hash of the content of the tokenizer's files, 64 hexadecimal digits.
    pub tokenizer: String,
    /// The text that is put before every input.
    pub prefix: String,
    /// How the hidden states of a text become one vector.
    pub pooling: String,
    /// What the pooled vector passes, in a few words; absent where it passes nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layers: Option<String>,
    /// The maximum number of tokens of one text; longer texts are truncated.
    pub tokens_max: usize,
    /// The name of the graph's output with the hidden states.
    pub output: String,
    /// The BLAKE3 hash of the settings of the decoder, 64 hexadecimal digits; absent without a
    /// decoder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decoder: Option<String>,
}

impl Reading {
    /// The identity of a backbone with this reading: the BLAKE3 hash of everything that decides a
    /// prediction apart from the adapter, 64 hexadecimal digits. `docs/formats.md` has the hashed
    /// text.
    pub fn identity(&self, backbone: &str) -> String {
        // Every text is quoted as in JSON, so that no text can imitate another line.
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let text = format!(
            "polygraft-identity 1\nbackbone {backbone}\ntokenizer {}\nprefix {}\npooling {}\n\
             tokens_max {}\noutput {}\ndecoder {}\n",
            self.tokenizer,
            quoted(&self.prefix),
            quoted(&self.pooling),
            self.tokens_max,
            quoted(&self.output),
            self.decoder.as_deref().unwrap_or("-"),
        );
        // Identities of bundles without layers are those of before there were any.
        let layers = self.layers.as_deref().map(|all| format!("layers {}\n", quoted(all)));
        let text = text + layers.as_deref().unwrap_or_default();
        blake3::hash(text.as_bytes()).to_hex().to_string()
    }

    /// Whether the reading has no prefix and no layers and pools by the mean. Nobody can have made
    /// such a reading by adding a setting to a bundle.
    pub fn is_plain(&self) -> bool {
        self.prefix.is_empty() && self.layers.is_none() && self.pooling == POOLING_PLAIN
    }

    /// Checks that hashes are hashes and texts are of bounded length.
    ///
    /// # Errors
    /// [`Code::AdapterMalformed`] naming the field.
    pub fn check(&self) -> Result<()> {
        let digit = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        let is_hash = |text: &str| text.len() == 64 && text.chars().all(digit);
        let hashes = [("tokenizer", Some(&self.tokenizer)), ("decoder", self.decoder.as_ref())];
        for (name, hash) in hashes {
            if let Some(hash) = hash.filter(|hash| !is_hash(hash)) {
                return Err(malformed(name, "64 hexadecimal digits", &shown(hash)));
            }
        }
        let texts =
            [("prefix", &self.prefix), ("pooling", &self.pooling), ("output", &self.output)];
        let layers = self.layers.iter().map(|layers| ("layers", layers));
        for (name, text) in texts.into_iter().chain(layers) {
            if text.len() > TEXT_SIZE_BYTES_MAX {
                let expected = format!("at most {TEXT_SIZE_BYTES_MAX} bytes");
                return Err(malformed(name, &expected, &text.len().to_string()));
            }
        }
        Ok(())
    }

    /// The differences between this reading, with which an adapter was trained, and that of a
    /// bundle: one sentence for each.
    pub fn differences(&self, bundle: &Self) -> Vec<String> {
        let hash = |hash: &str| format!("{}…", hash.get(..12).unwrap_or(hash));
        let decoder = |reading: &Self| match &reading.decoder {
            Some(decoder) => format!("settings {}", hash(decoder)),
            None => "none".to_owned(),
        };
        let layers = |reading: &Self| reading.layers.as_deref().map_or("none".to_owned(), shown);
        let parts = [
            ("tokenizer", hash(&self.tokenizer), hash(&bundle.tokenizer)),
            ("prefix", shown(&self.prefix), shown(&bundle.prefix)),
            ("pooling", shown(&self.pooling), shown(&bundle.pooling)),
            ("layers", layers(self), layers(bundle)),
            ("tokens_max", self.tokens_max.to_string(), bundle.tokens_max.to_string()),
            ("output", shown(&self.output), shown(&bundle.output)),
            ("decoder", decoder(self), decoder(bundle)),
        ];
        let same = [
            self.tokenizer == bundle.tokenizer,
            self.prefix == bundle.prefix,
            self.pooling == bundle.pooling,
            self.layers == bundle.layers,
            self.tokens_max == bundle.tokens_max,
            self.output == bundle.output,
            self.decoder == bundle.decoder,
        ];
        let other = parts.into_iter().zip(same).filter(|(_, same)| !same);
        other
            .map(|((name, trained, found), _)| {
                format!("{name}: trained with {trained}, the bundle has {found}")
            })
            .collect()
    }
}

/// A text in quotes, cut to a bounded length.
fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

fn malformed(field: &str, expected: &str, found: &str) -> Error {
    let message = format!("reading.{field}: expected {expected}, found {found}");
    Error::new(Code::AdapterMalformed, message)
}
