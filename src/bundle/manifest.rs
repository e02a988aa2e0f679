//! The manifest of a bundle: its files and how its backbone is used.
//!
//! This module must never trust a statement: paths are confined to the folder, hashes are compared
//! with files, and the interface is compared with the graph.

mod checks;

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::decoder::Decoder;
use super::inputs::Inputs;
use super::interface::Interface;
use super::layers::{self, Layer};
use crate::error::{Code, Error, Result};
use crate::graph::Weights;
use crate::reading::Reading;

/// The name of the manifest inside a bundle.
pub const MANIFEST_FILE: &str = "manifest.json";

/// The format this version of polygraft reads and writes. A bundle with layers has a version of its
/// own, so that a reader that does not know them does not leave them out.
const FORMAT: &str = "polygraft-bundle";
const VERSION: u64 = 1;
const VERSION_WITH_LAYERS: u64 = 2;

/// The key of the manifest's own hash.
const SEAL: &str = "blake3";

/// A limit that no real bundle reaches.
const MANIFEST_SIZE_BYTES_MAX: u64 = 1 << 20;

/// The content of `manifest.json`. Unknown fields are ignored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Always `polygraft-bundle`.
    pub format: String,
    /// The version of the format: 2 for a bundle with layers, 1 for others; other versions are
    /// refused.
    pub version: u64,
    /// The frozen graph and its weights.
    pub backbone: Backbone,
    /// The tokenizer.
    pub tokenizer: TokenizerFiles,
    /// How hidden states are pooled into one vector.
    pub pooling: Pooling,
    /// What the pooled vector passes, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<Layer>,
    /// Text that precedes every input, as in the backbone's training.
    pub prefix: String,
    /// The most tokens of one text, including special ones.
    pub tokens_max: usize,
    /// Whether each text runs alone, because its result would depend on other texts of the batch or
    /// on padding.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub runs_alone: bool,
    /// The decoder, if the backbone has one: `backbone.graph` then is encoder and decoder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decoder: Option<Decoder>,
    /// Every file of the bundle except the manifest.
    pub files: Vec<FileRecord>,
    /// BLAKE3 over the rest of the manifest, 64 hexadecimal digits, which reveals edits; absent in
    /// bundles of polygraft 0.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blake3: Option<String>,
}

/// The backbone's section of a [`Manifest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backbone {
    /// The ONNX file.
    pub graph: String,
    /// The files with its external data.
    pub data: Vec<String>,
    /// BLAKE3 identity over the graph and its data, 64 hexadecimal digits.
    pub hash: String,
    /// The graph's inputs by role.
    pub inputs: Inputs,
    /// The output with the hidden states, `[batch, sequence, hidden]`.
    pub output: String,
    /// The size of a hidden state.
    pub hidden: usize,
    /// The version of the standard operator set.
    pub opset: i64,
}

/// The tokenizer's section of a [`Manifest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenizerFiles {
    /// The `tokenizer.json`.
    pub file: String,
    /// Its compiled form, if its model has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compiled: Option<String>,
}

impl TokenizerFiles {
    /// The file that a bundle opens.
    pub fn opened(&self) -> &str {
        self.compiled.as_ref().unwrap_or(&self.file)
    }
}

named! {
    /// How the hidden states of a text are pooled into one vector.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    pub enum Pooling: "pooling" {
        /// The mean over all tokens that are not padding.
        Mean = "mean",
        /// The first token.
        Cls = "cls",
        /// The last token that is not padding, on whichever side the padding is.
        Last = "last",
        /// The largest value of each dimension over all tokens that are not padding.
        Max = "max",
        /// The mean over all tokens that are not padding, the first with the weight 1, the second
        /// with 2 and so on.
        WeightedMean = "weighted-mean",
    }
}

/// One file of a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// The path relative to the folder, with `/` between components.
    pub path: String,
    /// The size in bytes.
    pub size_bytes: u64,
    /// The BLAKE3 hash, 64 hexadecimal digits in lower case.
    pub blake3: String,
}

impl Manifest {
    /// A manifest of the current version.
    pub(super) fn new(
        backbone: Backbone,
        tokenizer: TokenizerFiles,
        pooling: Pooling,
        layers: Vec<Layer>,
        prefix: String,
        tokens_max: usize,
        files: Vec<FileRecord>,
    ) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: version(&layers),
            backbone,
            tokenizer,
            pooling,
            layers,
            prefix,
            tokens_max,
            runs_alone: false,
            decoder: None,
            files,
            blake3: None,
        }
    }

    /// Reads and checks the manifest in `folder`.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(MANIFEST_FILE);
        let read_error = |cause: std::io::Error| match cause.kind() {
            std::io::ErrorKind::NotFound => {
                malformed(format!("there is no {MANIFEST_FILE}; is this the folder of a bundle?"))
            }
            _ => Error::io(Code::IoRead, "reading", &path, &cause),
        };
        // Checked before opening: opening a pipe would wait for its writer.
        if !std::fs::metadata(&path).map_err(read_error)?.is_file() {
            return Err(malformed(format!("{MANIFEST_FILE} is not a regular file")));
        }
        let mut text = Vec::new();
        let file = File::open(&path).map_err(read_error)?;
        file.take(MANIFEST_SIZE_BYTES_MAX + 1).read_to_end(&mut text).map_err(read_error)?;
        if text.len() as u64 > MANIFEST_SIZE_BYTES_MAX {
            return Err(malformed(format!("it has more than {MANIFEST_SIZE_BYTES_MAX} bytes")));
        }
        Self::from_json(&text)
    }

    fn from_json(text: &[u8]) -> Result<Self> {
        let value: Value =
            serde_json::from_slice(text).map_err(|cause| malformed(cause.to_string()))?;
        if value["format"] != FORMAT {
            let found = &value["format"];
            return Err(malformed(format!("its format is {found}, expected {FORMAT:?}")));
        }
        if ![VERSION, VERSION_WITH_LAYERS].iter().any(|known| value["version"] == *known) {
            let found = &value["version"];
            return Err(malformed(format!(
                "its version is {found}, expected {VERSION} or {VERSION_WITH_LAYERS}"
            )));
        }
        checks::seal(&value)?;
        let manifest: Self =
            serde_json::from_value(value).map_err(|cause| malformed(cause.to_string()))?;
        manifest.check()?;
        Ok(manifest)
    }

    /// The text of the file, with its own hash.
    pub(super) fn to_json(&self) -> Result<String> {
        let internal = |cause| Error::new(Code::Internal, format!("writing the manifest: {cause}"));
        let value = serde_json::to_value(self).map_err(internal)?;
        let sealed = Self { blake3: Some(seal(value)), ..self.clone() };
        serde_json::to_string_pretty(&sealed).map(|text| text + "\n").map_err(internal)
    }

    /// The [`Reading`] of the bundle, which determines results as much as the weights do.
    pub fn reading(&self) -> Result<Reading> {
        let files = std::iter::once(&self.tokenizer.file).chain(&self.tokenizer.compiled);
        let decoder = self.decoder.as_ref().map(canonical_hash).transpose()?;
        Ok(Reading {
            tokenizer: self.hash_of("polygraft-tokenizer 1", files)?,
            prefix: self.prefix.clone(),
            pooling: self.pooling.to_string(),
            layers: layers::described(&self.layers),
            tokens_max: self.tokens_max,
            output: self.backbone.output.clone(),
            decoder,
        })
    }

    /// The graph of the decoder with a cache, if there is one.
    pub(super) fn with_past(&self) -> Option<&String> {
        self.decoder.as_ref().and_then(|decoder| decoder.with_past.as_ref())
    }

    /// The record of a file that the manifest refers to.
    pub fn file(&self, path: &str) -> Result<&FileRecord> {
        self.files
            .iter()
            .find(|file| file.path == path)
            .ok_or_else(|| malformed(format!("it uses {path:?} but does not list it as a file")))
    }

    /// The hash of the backbone: BLAKE3 over the sizes and hashes of its graphs and data.
    pub(super) fn backbone_hash(&self) -> Result<String> {
        let graph = std::iter::once(&self.backbone.graph);
        let files = graph.chain(&self.backbone.data).chain(self.with_past());
        self.hash_of("polygraft-backbone 1", files)
    }

    /// BLAKE3 over a heading and the sizes and hashes of files.
    fn hash_of<'a>(
        &self,
        heading: &str,
        paths: impl Iterator<Item = &'a String>,
    ) -> Result<String> {
        let mut text = format!("{heading}\n");
        for path in paths {
            let file = self.file(path)?;
            text += &format!("{} {}\n", file.blake3, file.size_bytes);
        }
        Ok(blake3::hash(text.as_bytes()).to_hex().to_string())
    }

    /// The size of the vector of a text, by layers that fit the graph and its weights.
    pub(super) fn pooled(&self, interface: &Interface, weights: &Weights) -> Result<usize> {
        if self.decoder.is_some() && !self.layers.is_empty() {
            return Err(malformed("it has layers, which a backbone with a decoder cannot have"));
        }
        layers::size(&self.layers, weights, interface.hidden).map_err(malformed)
    }
}

/// The version of a manifest with these layers.
fn version(layers: &[Layer]) -> u64 {
    if layers.is_empty() { VERSION } else { VERSION_WITH_LAYERS }
}

/// The hash of a manifest without its own hash: over its JSON without white space, the keys of
/// every object in byte order.
fn seal(mut value: Value) -> String {
    if let Some(object) = value.as_object_mut() {
        object.remove(SEAL);
    }
    // They are sorted already unless another crate enables serde_json's `preserve_order`.
    value.sort_all_objects();
    blake3::hash(value.to_string().as_bytes()).to_hex().to_string()
}

/// The hash of a setting in the same canonical form.
fn canonical_hash(setting: &impl Serialize) -> Result<String> {
    let value = serde_json::to_value(setting)
        .map_err(|cause| Error::new(Code::Internal, format!("writing a setting: {cause}")))?;
    Ok(seal(value))
}

/// The error for an unusable manifest.
fn malformed(message: impl fmt::Display) -> Error {
    Error::new(Code::BundleManifest, format!("the manifest: {message}"))
}
