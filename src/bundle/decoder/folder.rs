//! Reads a folder in the layout of Optimum: its graphs and its configuration.
//!
//! This module must never invent a special token.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::merged;
use super::section::SpecialIds;
use crate::error::{Code, Error, Result, ResultExt, listed};
use crate::files::read_within;
use crate::graph::{Model, inline_functions, raise_ir_version};

const ENCODER: &str = "encoder_model.onnx";
const DECODER: &str = "decoder_model.onnx";
const WITH_PAST: &str = "decoder_with_past_model.onnx";
const MERGED: &str = "decoder_model_merged.onnx";
const CONFIG: &str = "config.json";
const GENERATION: &str = "generation_config.json";
const TOKENIZER: &str = "tokenizer.json";
const TOKENIZER_CONFIG: &str = "tokenizer_config.json";

/// The largest configuration that is read, in bytes.
const JSON_SIZE_BYTES_MAX: u64 = 4 << 20;

/// The classes of tokenizers whose tokens are the bytes of a text.
const BYTE_CLASSES: &[&str] = &["ByT5Tokenizer"];

pub(in crate::bundle) struct Folder {
    path: PathBuf,
    config: Value,
    generation: Value,
}

/// The graphs as exported.
pub(in crate::bundle) struct Parts {
    pub encoder: Model,
    pub decoder: Model,
    pub with_past: Option<Model>,
}

impl Folder {
    /// Reads the configuration; a folder without one gives no defaults.
    pub fn read(path: &Path) -> Result<Self> {
        let read = |name: &str| read_json(&path.join(name));
        Ok(Self { path: path.to_owned(), config: read(CONFIG)?, generation: read(GENERATION)? })
    }

    /// Reads the graphs. Two decoder files take precedence over a merged one.
    pub fn parts(&self) -> Result<Parts> {
        let has = |name: &str| self.path.join(name).is_file();
        let read = |name: &str| {
            let mut model = Model::read(&self.path.join(name))?;
            // Constants of one file are constants of the joined graph.
            raise_ir_version(&mut model)?;
            inline_functions(&mut model)?;
            Ok(model)
        };
        if !has(DECODER) && !has(MERGED) {
            return Err(Error::new(
                Code::NotFound,
                format!("{} has neither {DECODER:?} nor {MERGED:?}", self.path.display()),
            ));
        }
        let encoder = read(ENCODER)?;
        if has(MERGED) && !(has(DECODER) && has(WITH_PAST)) {
            let path = self.path.join(MERGED);
            let (decoder, later) = merged::take_apart(&read(MERGED)?)
                .context(|| format!("reading {}", path.display()))?;
            return Ok(Parts { encoder, decoder, with_past: Some(later) });
        }
        let with_past = if has(WITH_PAST) { Some(read(WITH_PAST)?) } else { None };
        Ok(Parts { encoder, decoder: read(DECODER)?, with_past })
    }

    /// The `tokenizer.json` of the folder; `None` where its tokens are bytes.
    ///
    /// # Errors
    /// [`Code::NotFound`] when the folder has no supported tokenizer.
    pub fn tokenizer(&self) -> Result<Option<PathBuf>> {
        let path = self.path.join(TOKENIZER);
        if path.is_file() {
            return Ok(Some(path));
        }
        let config = read_json(&self.path.join(TOKENIZER_CONFIG))?;
        let class = |value: &Value| value["tokenizer_class"].as_str().map(str::to_owned);
        let found = class(&config).or_else(|| class(&self.config));
        let shown = found.as_ref().map_or("not stated".to_owned(), |found| format!("{found:?}"));
        match &found {
            Some(class) if BYTE_CLASSES.contains(&class.as_str()) => Ok(None),
            _ => Err(Error::new(
                Code::NotFound,
                format!(
                    "{} has no {TOKENIZER:?}, and its tokenizer class is {shown}, expected one \
                     of {}; name the tokenizer's file",
                    self.path.display(),
                    listed(BYTE_CLASSES)
                ),
            )),
        }
    }

    /// The number of positions that the configuration states.
    pub fn positions(&self) -> Option<usize> {
        let names = ["max_position_embeddings", "n_positions", "max_length"];
        let number = |name: &&str| usize::try_from(self.config[*name].as_u64()?).ok();
        // `max_length` has a default that says nothing about the model.
        names[..2].iter().find_map(number).filter(|&positions| positions > 0)
    }

    /// The special tokens of the configuration.
    pub fn ids(&self) -> FoundIds {
        read_ids(&self.generation, &self.config)
    }
}

/// Special tokens as far as they are known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundIds {
    /// The token that every target begins with.
    pub decoder_start_token_id: Option<u32>,
    /// The tokens that end a target.
    pub eos_token_ids: Vec<u32>,
    /// The token that pads short rows.
    pub pad_token_id: Option<u32>,
    /// The first token of every target.
    pub forced_bos_token_id: Option<u32>,
    /// The last token of a target that is cut off.
    pub forced_eos_token_id: Option<u32>,
}

/// Reads the special tokens of a generation configuration; those it does not state come from the
/// model's configuration.
pub fn read_ids(generation: &Value, config: &Value) -> FoundIds {
    let value = |name: &str| match &generation[name] {
        Value::Null => &config[name],
        found => found,
    };
    let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
    let eos_token_ids = match value("eos_token_id") {
        Value::Array(ids) => ids.iter().filter_map(id).collect(),
        single => id(single).into_iter().collect(),
    };
    FoundIds {
        decoder_start_token_id: id(value("decoder_start_token_id")),
        eos_token_ids,
        pad_token_id: id(value("pad_token_id")),
        forced_bos_token_id: id(value("forced_bos_token_id")),
        forced_eos_token_id: id(value("forced_eos_token_id")),
    }
}

impl FoundIds {
    /// These tokens, overridden by those of `over`.
    pub fn overridden(self, over: &Self) -> Self {
        Self {
            decoder_start_token_id: over.decoder_start_token_id.or(self.decoder_start_token_id),
            eos_token_ids: if over.eos_token_ids.is_empty() {
                self.eos_token_ids
            } else {
                over.eos_token_ids.clone()
            },
            pad_token_id: over.pad_token_id.or(self.pad_token_id),
            forced_bos_token_id: over.forced_bos_token_id.or(self.forced_bos_token_id),
            forced_eos_token_id: over.forced_eos_token_id.or(self.forced_eos_token_id),
        }
    }

    /// The special tokens, if none is missing. Models that pad with their end token do not state
    /// it.
    ///
    /// # Errors
    /// [`Code::BundleTokenizer`] naming the missing token.
    pub fn complete(self) -> Result<SpecialIds> {
        let missing = |name: &str, option: &str| {
            Error::new(
                Code::BundleTokenizer,
                format!(
                    "the decoder's {name} token is not known: neither {GENERATION:?} nor \
                     {CONFIG:?} states it, and {option} was not given"
                ),
            )
        };
        let decoder_start_token_id =
            self.decoder_start_token_id.ok_or_else(|| missing("start", "--start-id"))?;
        let first = *self.eos_token_ids.first().ok_or_else(|| missing("end", "--end-id"))?;
        Ok(SpecialIds {
            decoder_start_token_id,
            eos_token_ids: self.eos_token_ids,
            pad_token_id: self.pad_token_id.unwrap_or(first),
            forced_bos_token_id: self.forced_bos_token_id,
            forced_eos_token_id: self.forced_eos_token_id,
        })
    }
}

/// Reads a small JSON file; null if it does not exist.
fn read_json(path: &Path) -> Result<Value> {
    if !path.is_file() {
        return Ok(Value::Null);
    }
    let bytes = read_within(path, JSON_SIZE_BYTES_MAX)?;
    let malformed = |message: String| {
        Error::new(Code::ArgumentInvalid, format!("{}: {message}", path.display()))
    };
    if bytes.len() as u64 > JSON_SIZE_BYTES_MAX {
        return Err(malformed(format!("more than {JSON_SIZE_BYTES_MAX} bytes")));
    }
    serde_json::from_slice(&bytes).map_err(|cause| malformed(cause.to_string()))
}
