//! The files of a bundle: manifest, hashes, mapping, tokenizer.
//!
//! A bundle is a self-contained folder: the frozen backbone as ONNX with its weights beside it, the
//! tokenizer, and a manifest that states the size and hash of every file. `docs/formats.md`
//! describes the format.
//!
//! Input: a folder (or, to create one, an ONNX model and a `tokenizer.json`). Output: the checked
//! model, its mapped weights and the tokenizer. This part must never write into an existing bundle,
//! never read a file that the manifest does not list or that lies outside the folder, and never run
//! a model.

mod contents;
mod create;
mod decoder;
mod extents;
mod inputs;
mod inspect;
mod interface;
mod layers;
mod manifest;
mod memory;
mod modules;
mod outputs;
mod place;
mod publish;
mod tables;
pub mod tokenizer;
mod trial;
mod verify;

use std::path::{Path, PathBuf};

pub use create::{
    CreateOptions, CreateSequenceOptions, create, create_sequence, create_sequence_tried,
    create_tried,
};
pub use decoder::{
    CacheTensor, Decoder, DecoderInterface, FoundIds, Graphs, INPUT_DECODER_IDS, SpecialIds,
};
pub use extents::EXPORT_ADVICE;
pub use inputs::{INPUT_ATTENTION_MASK, INPUT_IDS, INPUT_TOKEN_TYPE_IDS, Inputs};
pub use inspect::{Inspection, inspect};
pub use interface::Interface;
pub use layers::{Layer, LayerActivation, NewLayer};
pub use manifest::{Backbone, FileRecord, MANIFEST_FILE, Manifest, Pooling, TokenizerFiles};
pub use modules::Modules;
pub use tokenizer::{Encoding, Tokenizer, WordsEncoding};
pub use trial::{Created, Findings, Trial};
pub use verify::{BundlePhase, BundleProgress, Verify};

use crate::error::{Code, Error, Result, ResultExt};
use crate::graph::{Location, Model, Weights, mixes_rows, prepare};
use crate::reading::Reading;

/// How often opening is repeated because the bundle was replaced meanwhile.
const OPENINGS_MAX: usize = 8;

/// An opened bundle. Its files are mapped, so it is cheap to hold and shared between processes.
#[derive(Debug)]
pub struct Bundle {
    folder: PathBuf,
    manifest: Manifest,
    reading: Reading,
    interface: Interface,
    model: Model,
    graphs: Option<Graphs>,
    weights: Weights,
    tokenizer: Tokenizer,
    runs_alone: bool,
    /// The size of the vector of a text.
    pooled: usize,
}

/// How hidden states become the vector of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pooler<'a> {
    /// How the states of all tokens become one vector.
    pub pooling: Pooling,
    /// What that vector passes, in order.
    pub layers: &'a [Layer],
    /// The size of the result.
    pub size: usize,
}

impl Bundle {
    /// Opens the bundle in `folder`.
    ///
    /// # Errors
    /// [`Code::NotFound`] for a folder or listed file that does not exist; [`Code::BundleManifest`]
    /// for a manifest that is missing, malformed, of an unknown version, or that contradicts the
    /// graph; [`Code::BundleMismatch`] for a file whose size or hash is not as stated;
    /// [`Code::BundleTokenizer`] for a tokenizer that is damaged or does not fit the backbone; and
    /// those of [`Model::read`] and [`Weights::map`].
    pub fn open(folder: &Path, verify: Verify) -> Result<Self> {
        Self::open_with_progress(folder, verify, &mut |_| {})
    }

    /// Like [`Bundle::open`], and reports the progress of hashing.
    pub fn open_with_progress(
        folder: &Path,
        verify: Verify,
        progress: &mut dyn FnMut(BundleProgress),
    ) -> Result<Self> {
        let context = || format!("opening the bundle {}", folder.display());
        for _ in 0..OPENINGS_MAX {
            let before = place::identity(folder);
            let opened = Self::open_checked(folder, verify, progress);
            // The files of a bundle that was replaced meanwhile may be a mixture of both.
            if place::identity(folder) == before {
                return opened.context(context);
            }
        }
        let message = format!("it was replaced {OPENINGS_MAX} times while it was opened");
        Err(Error::new(Code::BundleMismatch, message)).context(context)
    }

    fn open_checked(
        folder: &Path,
        verify: Verify,
        progress: &mut dyn FnMut(BundleProgress),
    ) -> Result<Self> {
        let folder = folder
            .canonicalize()
            .map_err(|cause| Error::io(Code::IoRead, "opening", folder, &cause))?;
        let mut manifest = Manifest::read(&folder)?;
        let files = verify::check_files(&folder, &manifest, verify, progress)?;
        let OpenedGraphs { model, graphs, weights, interface } =
            OpenedGraphs::open(&manifest, &files)?;
        manifest.check_interface(&interface)?;
        let pooled = manifest.pooled(&interface, &weights)?;
        // Older versions counted some rows that are not positions.
        manifest.tokens_max = manifest.tokens_max.min(interface.positions.unwrap_or(usize::MAX));
        let tokenizer = open_tokenizer(&manifest, &files, &interface)?;
        files.check_unchanged()?;
        let reading = manifest.reading()?;
        let mixes = |model: &Model| mixes_rows(model).is_some();
        let later = graphs.as_ref().and_then(|graphs| graphs.with_past.as_ref());
        let runs_alone = manifest.runs_alone || mixes(&model) || later.is_some_and(mixes);
        Ok(Self {
            folder,
            manifest,
            reading,
            interface,
            model,
            graphs,
            weights,
            tokenizer,
            runs_alone,
            pooled,
        })
    }

    /// The canonical path of the folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The inputs and outputs of the graph.
    pub fn interface(&self) -> &Interface {
        &self.interface
    }

    /// How hidden states become the vector of a text.
    pub fn pooler(&self) -> Pooler<'_> {
        let Manifest { pooling, layers, .. } = &self.manifest;
        Pooler { pooling: *pooling, layers, size: self.pooled }
    }

    /// The backbone's graph; with a decoder, the joined graph from source and target to logits.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The graph from texts to hidden states: the backbone's, or its encoder.
    pub fn encoder(&self) -> &Model {
        self.graphs.as_ref().map_or(&self.model, |graphs| &graphs.encoder)
    }

    /// The graphs that generation runs; absent for a backbone without a decoder.
    pub fn graphs(&self) -> Option<&Graphs> {
        self.graphs.as_ref()
    }

    /// The manifest's section about the decoder.
    ///
    /// # Errors
    /// [`Code::GraphUnsupported`] for a backbone without one.
    pub fn decoder(&self) -> Result<&Decoder> {
        self.manifest.decoder.as_ref().ok_or_else(|| {
            Error::new(
                Code::GraphUnsupported,
                format!("the bundle {} has no decoder, so it makes no text", self.folder.display()),
            )
        })
    }

    /// The mapped weights of all graphs.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// Whether each text runs alone, because its result would depend on its neighbours: where a run
    /// computes one scale for all texts, or where padding changes the result.
    pub fn runs_alone(&self) -> bool {
        self.runs_alone
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The hash of the backbone, BLAKE3 as 64 hexadecimal digits. It covers the graph and its data.
    /// An adapter records it and is refused on any other backbone.
    pub fn backbone_hash(&self) -> &str {
        &self.manifest.backbone.hash
    }

    /// How texts are read; an adapter records it beside the backbone's hash.
    pub fn reading(&self) -> &Reading {
        &self.reading
    }

    /// The identity of the bundle, BLAKE3 as 64 hexadecimal digits, over everything but the adapter
    /// that determines a result: the backbone and the [`Reading`].
    pub fn identity(&self) -> String {
        self.reading.identity(self.backbone_hash())
    }
}

/// The graphs that a manifest states, ready to be used.
struct OpenedGraphs {
    model: Model,
    graphs: Option<Graphs>,
    weights: Weights,
    interface: Interface,
}

impl OpenedGraphs {
    fn open(manifest: &Manifest, files: &verify::CheckedFiles) -> Result<Self> {
        let mut model = Model::read(files.path(&manifest.backbone.graph)?)?;
        let mut weights = map(&model, manifest, files)?;
        prepare(&mut model, &weights)?;
        let with_past = match manifest.with_past() {
            Some(path) => {
                let mut later = Model::read(files.path(path)?)?;
                let own = map(&later, manifest, files)?;
                decoder::prepare(&mut later, &own)?;
                weights = weights.union(&own)?;
                Some(later)
            }
            None => None,
        };
        let output = Some(manifest.backbone.output.as_str());
        let (interface, graphs) = match &manifest.decoder {
            Some(_) => read_interfaces(&model, with_past, &weights, output)?,
            None => (Interface::read(&model, &weights, output)?, None),
        };
        Ok(Self { model, graphs, weights, interface })
    }
}

/// Opens the tokenizer and checks that it goes with the manifest and with the graphs.
fn open_tokenizer(
    manifest: &Manifest,
    files: &verify::CheckedFiles,
    interface: &Interface,
) -> Result<Tokenizer> {
    let tokenizer = Tokenizer::open(files.path(manifest.tokenizer.opened())?)?;
    check_tokenizer_source(&tokenizer, manifest)?;
    interface.check_tokenizer(&tokenizer)?;
    if let (Some(stated), Some(found)) = (&manifest.decoder, &interface.decoder) {
        stated.check(found, &tokenizer)?;
    }
    check_room(&tokenizer, &manifest.prefix, manifest.tokens_max)
        .map_err(|message| Error::new(Code::BundleManifest, format!("the manifest: {message}")))?;
    Ok(tokenizer)
}

/// Maps the weights of a graph and checks that they lie where the manifest states.
fn map(model: &Model, manifest: &Manifest, files: &verify::CheckedFiles) -> Result<Weights> {
    check_external_locations(model, manifest)?;
    let weights = Weights::map(model)?;
    check_mapped_files(&weights, manifest, files)?;
    Ok(weights)
}

/// The interface of a joined graph and the graphs that generation runs.
fn read_interfaces(
    joined: &Model,
    with_past: Option<Model>,
    weights: &Weights,
    output: Option<&str>,
) -> Result<(Interface, Option<Graphs>)> {
    let found = DecoderInterface::read(joined, with_past.as_ref(), weights)?;
    let hidden = output.or_else(|| {
        let outputs = &joined.proto.graph.as_ref()?.output;
        let mut names = outputs.iter().map(|info| info.name());
        names.find(|name| *name != found.logits && !decoder::is_present(name))
    });
    let encoder = decoder::encoder_of(joined, hidden.unwrap_or_default())?;
    let mut interface = Interface::read(&encoder, weights, hidden)?;
    let graphs = Graphs::of(joined, with_past, &found, &interface.output)?;
    interface.decoder = Some(found);
    Ok((interface, Some(graphs)))
}

/// Checks that the manifest lists all data that the graph and its subgraphs refer to.
fn check_external_locations(model: &Model, manifest: &Manifest) -> Result<()> {
    let listed = |location: &&str| manifest.backbone.data.iter().any(|path| path == location);
    match inspect::external_locations(&model.proto).into_iter().find(|path| !listed(path)) {
        None => Ok(()),
        Some(location) => Err(Error::new(
            Code::BundleManifest,
            format!(
                "the graph {:?} keeps weights in {location:?}, which is not among the data files \
                 {}",
                manifest.backbone.graph,
                crate::error::listed(&manifest.backbone.data)
            ),
        )),
    }
}

fn check_mapped_files(
    weights: &Weights,
    manifest: &Manifest,
    files: &verify::CheckedFiles,
) -> Result<()> {
    let data: Vec<&Path> =
        manifest.backbone.data.iter().map(|path| files.path(path)).collect::<Result<_>>()?;
    for weight in weights.iter() {
        if let Location::External { path, .. } = weight.location
            && !data.contains(&path)
        {
            return Err(Error::new(
                Code::BundleManifest,
                format!(
                    "weight {:?} lies in {}, which is not listed as data of the backbone",
                    weight.name,
                    path.display()
                ),
            ));
        }
    }
    Ok(())
}

/// Checks that after the prefix there is room for at least one token of a text.
fn check_room(
    tokenizer: &Tokenizer,
    prefix: &str,
    tokens_max: usize,
) -> std::result::Result<(), String> {
    let encoding = tokenizer.encode(prefix, tokens_max).map_err(|error| error.to_string())?;
    if encoding.truncated || encoding.ids.len() == tokens_max {
        return Err(format!(
            "tokens_max is {tokens_max}, which leaves no room for a text behind the prefix \
             {prefix:?}"
        ));
    }
    Ok(())
}

/// Checks that a compiled tokenizer was made from the `tokenizer.json` beside it.
fn check_tokenizer_source(tokenizer: &Tokenizer, manifest: &Manifest) -> Result<()> {
    let Some(source) = tokenizer.source_hash() else { return Ok(()) };
    let stated = &manifest.file(&manifest.tokenizer.file)?.blake3;
    if &source == stated {
        return Ok(());
    }
    Err(Error::new(
        Code::BundleTokenizer,
        format!(
            "the compiled tokenizer was made from a file of hash {source}, expected {stated}, the \
             hash of {:?}",
            manifest.tokenizer.file
        ),
    ))
}
