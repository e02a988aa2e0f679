//! The contents of a new bundle: checked, then written.

use std::fs;
use std::path::Path;

use super::decoder::Decoder;
use super::layers::Layer;
use super::manifest::{Backbone, FileRecord, Manifest, Pooling, TokenizerFiles};
use super::tokenizer::Tokenizer;
use super::verify::{BundleProgress, Meter, hash_file};
use super::{Interface, check_room};
use crate::error::{Code, Error, Result};
use crate::files::write_synced;
use crate::graph::{self, Model, Weights};

const GRAPH_FILE: &str = "backbone.onnx";
pub(super) const WITH_PAST_FILE: &str = "decoder_with_past.onnx";
const DATA_FILE: &str = "backbone.onnx.data";
const TOKENIZER_FILE: &str = "tokenizer.json";
const COMPILED_FILE: &str = "tokenizer.bin";

const PREFIX_SIZE_BYTES_MAX: usize = 1024;

/// The contents of a bundle, read and checked.
pub(super) struct Contents {
    pub model: Model,
    pub weights: Weights,
    pub with_past: Option<(Model, Weights)>,
    pub interface: Interface,
    pub tokenizer_text: String,
    pub compiled: Option<Vec<u8>>,
    pub pooling: Pooling,
    pub layers: Vec<Layer>,
    pub prefix: String,
    pub tokens_max: usize,
    pub decoder: Option<Decoder>,
    /// The requested limits of texts and targets.
    pub asked: [Option<usize>; 2],
}

impl Contents {
    /// Checks that the tokenizer can be read, fits the graphs and leaves room for a text.
    pub fn check_tokenizer(&self) -> Result<()> {
        if self.prefix.len() > PREFIX_SIZE_BYTES_MAX {
            return Err(invalid(format!(
                "the prefix has {} bytes, expected at most {PREFIX_SIZE_BYTES_MAX}",
                self.prefix.len()
            )));
        }
        let tokenizer = match &self.compiled {
            Some(bytes) => Tokenizer::from_compiled(bytes.clone())?,
            None => Tokenizer::from_json(&self.tokenizer_text)?,
        };
        tokenizer.check_probes()?;
        self.interface.check_tokenizer(&tokenizer)?;
        if let Some(decoder) = &self.decoder {
            // Tasks without text output do not need the decoder, so it may be unusable.
            tokenizer.decode(&[])?;
            decoder.check(&decoder.interface, &tokenizer)?;
        }
        check_room(&tokenizer, &self.prefix, self.tokens_max).map_err(invalid)
    }
    /// The size of the weights in bytes, for reports.
    pub fn weights_size_bytes(&self) -> u64 {
        self.weights.iter().map(|weight| weight.bytes.len() as u64).sum()
    }

    /// Writes all files but the manifest into a folder.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let Self { model, weights, .. } = self;
        match &self.with_past {
            None => graph::write_with_external_data(model, weights, folder, GRAPH_FILE, DATA_FILE)?,
            Some((later, own)) => graph::write_sharing_external_data(
                &[(model, weights, GRAPH_FILE), (later, own, WITH_PAST_FILE)],
                folder,
                DATA_FILE,
            )?,
        }
        remove_empty(&folder.join(DATA_FILE))?;
        write_synced(&folder.join(TOKENIZER_FILE), self.tokenizer_text.as_bytes())?;
        match &self.compiled {
            Some(bytes) => write_synced(&folder.join(COMPILED_FILE), bytes),
            None => Ok(()),
        }
    }

    /// The manifest of the written files.
    pub fn manifest(
        &self,
        folder: &Path,
        progress: &mut dyn FnMut(BundleProgress),
    ) -> Result<Manifest> {
        let exists = |name: &&str| folder.join(name).exists();
        let names: Vec<&str> =
            [GRAPH_FILE, WITH_PAST_FILE, DATA_FILE, TOKENIZER_FILE, COMPILED_FILE]
                .into_iter()
                .filter(exists)
                .collect();
        let has = |name: &str| names.contains(&name).then(|| name.to_owned());
        let backbone = Backbone {
            graph: GRAPH_FILE.to_owned(),
            data: has(DATA_FILE).into_iter().collect(),
            hash: String::new(),
            inputs: self.interface.inputs.clone(),
            output: self.interface.output.clone(),
            hidden: self.interface.hidden,
            opset: self.interface.opset,
        };
        let tokenizer =
            TokenizerFiles { file: TOKENIZER_FILE.to_owned(), compiled: has(COMPILED_FILE) };
        let (prefix, files) = (self.prefix.clone(), records(folder, &names, progress)?);
        let layers = self.layers.clone();
        let (pooling, tokens_max) = (self.pooling, self.tokens_max);
        let mut manifest =
            Manifest::new(backbone, tokenizer, pooling, layers, prefix, tokens_max, files);
        let mixes = |model: &Model| graph::mixes_rows(model).is_some();
        manifest.runs_alone =
            mixes(&self.model) || self.with_past.as_ref().is_some_and(|(later, _)| mixes(later));
        manifest.decoder = self.decoder.clone();
        manifest.backbone.hash = manifest.backbone_hash()?;
        Ok(manifest)
    }
}

/// Removes a data file that is empty.
fn remove_empty(path: &Path) -> Result<()> {
    let read_error = |cause| Error::io(Code::IoRead, "reading", path, &cause);
    if path.metadata().map_err(read_error)?.len() == 0 {
        fs::remove_file(path).map_err(read_error)?;
    }
    Ok(())
}

pub(super) fn invalid(message: String) -> Error {
    Error::new(Code::ArgumentInvalid, message)
}

/// Hashes the files as read back from the disk.
fn records(
    folder: &Path,
    names: &[&str],
    progress: &mut dyn FnMut(BundleProgress),
) -> Result<Vec<FileRecord>> {
    let size = |name: &&str| {
        let path = folder.join(name);
        let metadata = path.metadata();
        metadata
            .map(|metadata| metadata.len())
            .map_err(|cause| Error::io(Code::IoRead, "reading", &path, &cause))
    };
    let total_bytes = names.iter().map(size).sum::<Result<u64>>()?;
    let mut meter = Meter::new(total_bytes, progress);
    names
        .iter()
        .map(|name| {
            let (size_bytes, blake3) = hash_file(&folder.join(name), &mut meter)?;
            Ok(FileRecord { path: (*name).to_owned(), size_bytes, blake3 })
        })
        .collect()
}
