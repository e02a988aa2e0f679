//! Makes a bundle from an ONNX model and a `tokenizer.json`.
//!
//! Everything is read and checked before anything is written. Of an encoder only one thing changes,
//! unless its weights are to be widened: where their values lie. An encoder and its decoder become
//! one graph beside the decoder that goes on from a cache; see the part `decoder`.

use std::path::{Path, PathBuf};

use super::decoder::{self, Decoder, DecoderInterface, Folder, FoundIds};
use super::manifest::{Backbone, Manifest, Pooling, TokenizerFiles};
use super::publish::{self, invalid, records, remove_empty};
use super::tokenizer::{self, Tokenizer};
use super::trial::{Created, Trial};
use super::verify::Progress;
use super::{Bundle, Interface, check_room, extents};
use crate::error::{Result, ResultExt};
use crate::files::write_synced;
use crate::graph::{self, Model, Weights};

const GRAPH_FILE: &str = "backbone.onnx";
const WITH_PAST_FILE: &str = "decoder_with_past.onnx";
const DATA_FILE: &str = "backbone.onnx.data";
const TOKENIZER_FILE: &str = "tokenizer.json";
const COMPILED_FILE: &str = "tokenizer.bin";

/// The limit of tokens for graphs without a table of positions.
const TOKENS_MAX_DEFAULT: usize = 512;

/// The longest prefix, in bytes.
const PREFIX_SIZE_BYTES_MAX: usize = 1024;

/// What a bundle is made from.
#[derive(Clone, Debug)]
pub struct CreateOptions {
    /// The ONNX model; its external data is found beside it.
    pub onnx: PathBuf,
    /// The `tokenizer.json` the model was trained with.
    pub tokenizer: PathBuf,
    /// How hidden states become one vector.
    pub pooling: Pooling,
    /// Text put before every input, such as `query: `.
    pub prefix: String,
    /// The most tokens of one text; by default the number of positions the graph has, else 512.
    pub tokens_max: Option<usize>,
    /// The output with the hidden states; by default the first float one of rank 3.
    pub output: Option<String>,
    /// Whether to keep 16-bit weights as float32.
    pub widen: bool,
    /// The folder to make.
    pub out: PathBuf,
    /// Whether to replace `out` if it is a bundle already. Other folders are never replaced.
    pub overwrite: bool,
}

/// What a bundle with a decoder is made from: a folder in the layout of Optimum, and what is to
/// hold instead of its configuration.
#[derive(Clone, Debug)]
pub struct CreateSequenceOptions {
    /// The folder with `encoder_model.onnx`, and `decoder_model.onnx` and
    /// `decoder_with_past_model.onnx` or `decoder_model_merged.onnx`.
    pub folder: PathBuf,
    /// The tokenizer; by default the folder's `tokenizer.json`, or bytes where its configuration
    /// names a byte-level tokenizer.
    pub tokenizer: Option<PathBuf>,
    /// How the encoder's states become one vector, for tasks that want one.
    pub pooling: Pooling,
    /// Text put before every source.
    pub prefix: String,
    /// The most tokens of one source; by default the number of positions, else 512.
    pub tokens_max: Option<usize>,
    /// The most tokens of one target; by default as for sources.
    pub target_tokens_max: Option<usize>,
    /// Special tokens to take instead of those that the configuration states.
    pub ids: FoundIds,
    /// Whether to keep 16-bit weights as float32.
    pub widen: bool,
    /// The folder to make.
    pub out: PathBuf,
    /// Whether to replace `out` if it is a bundle already. Other folders are never replaced.
    pub overwrite: bool,
}

/// Makes the bundle `options.out` and opens it. What the graph says is checked; that it runs is
/// not, see [`create_tried`].
///
/// # Errors
/// [`Code::ArgumentInvalid`](crate::Code::ArgumentInvalid) when `out` exists and must not be
/// replaced, or an option is out of range; [`Code::BundleTokenizer`](crate::Code::BundleTokenizer)
/// when the tokenizer is malformed or does not fit the model;
/// [`Code::BundleUnusable`](crate::Code::BundleUnusable) for inputs of fixed extents;
/// [`Code::IoWrite`](crate::Code::IoWrite) and [`Code::IoFull`](crate::Code::IoFull); and those of
/// [`Model::read`], [`Weights::map`] and [`Interface::read`]. On an error nothing is left behind
/// and an old bundle stays as it was.
pub fn create(options: &CreateOptions, progress: &mut dyn FnMut(Progress)) -> Result<Bundle> {
    create_encoder(options, None, progress).map(|created| created.bundle)
}

/// As [`create`], and tries the bundle before it is put in its place: with `task::TrialRun`, texts
/// of different lengths run together, the longest text runs, and adapters have an effect.
///
/// # Errors
/// As [`create`]; [`Code::BundleUnusable`](crate::Code::BundleUnusable) saying what does not run.
pub fn create_tried(
    options: &CreateOptions,
    trial: &dyn Trial,
    progress: &mut dyn FnMut(Progress),
) -> Result<Created> {
    create_encoder(options, Some(trial), progress)
}

/// Makes the bundle `options.out` of an encoder and its decoder, and opens it.
///
/// # Errors
/// As [`create`]; and [`Code::GraphUnsupported`](crate::Code::GraphUnsupported) when the files do
/// not belong together or the decoder has no cross-attention,
/// [`Code::BundleTokenizer`](crate::Code::BundleTokenizer) when a special token is not known or has
/// no logit.
pub fn create_sequence(
    options: &CreateSequenceOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<Bundle> {
    create_pair(options, None, progress).map(|created| created.bundle)
}

/// As [`create_sequence`], and tries the bundle as [`create_tried`] does: sources and targets of
/// different lengths, and the longest of both.
///
/// # Errors
/// As [`create_sequence`] and [`create_tried`].
pub fn create_sequence_tried(
    options: &CreateSequenceOptions,
    trial: &dyn Trial,
    progress: &mut dyn FnMut(Progress),
) -> Result<Created> {
    create_pair(options, Some(trial), progress)
}

fn create_encoder(
    options: &CreateOptions,
    trial: Option<&dyn Trial>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Created> {
    let out = &options.out;
    let read = || Source::read_encoder(options);
    publish::publish(out, options.overwrite, read, trial, progress)
        .context(|| format!("creating the bundle {}", out.display()))
}

fn create_pair(
    options: &CreateSequenceOptions,
    trial: Option<&dyn Trial>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Created> {
    let out = &options.out;
    let read = || {
        let reading = || format!("reading {}", options.folder.display());
        Source::read_folder(options).context(reading)
    };
    publish::publish(out, options.overwrite, read, trial, progress)
        .context(|| format!("creating the bundle {}", out.display()))
}

/// All that goes into a bundle, read and checked.
struct Source {
    model: Model,
    weights: Weights,
    with_past: Option<(Model, Weights)>,
    interface: Interface,
    tokenizer_text: String,
    compiled: Option<Vec<u8>>,
    pooling: Pooling,
    prefix: String,
    tokens_max: usize,
    decoder: Option<Decoder>,
    /// The limits of texts and targets that were asked for.
    asked: [Option<usize>; 2],
}

impl Source {
    fn read_encoder(options: &CreateOptions) -> Result<Self> {
        let (model, weights) = with_weights(Model::read(&options.onnx)?, options.widen)?;
        // The interface is that of the model as it will run; what is written is the file's own.
        let mut prepared = model.clone();
        graph::prepare(&mut prepared, &weights)?;
        extents::check(prepared.graph()?, &weights)?;
        let interface = Interface::read(&prepared, &weights, options.output.as_deref())?;
        let tokens_max = tokens_max(options.tokens_max, interface.positions, None)?;
        let reading = || format!("reading {}", options.tokenizer.display());
        let text = tokenizer::read_json(&options.tokenizer)?;
        let source = Self {
            model,
            weights,
            with_past: None,
            interface,
            compiled: tokenizer::compile(&text).context(reading)?,
            tokenizer_text: text,
            pooling: options.pooling,
            prefix: options.prefix.clone(),
            tokens_max,
            decoder: None,
            asked: [options.tokens_max, None],
        };
        source.check_tokenizer().context(reading)?;
        Ok(source)
    }

    fn read_folder(options: &CreateSequenceOptions) -> Result<Self> {
        let folder = Folder::read(&options.folder)?;
        let ids = folder.ids().overridden(&options.ids).complete()?;
        let decoder::Source { model, with_past } = decoder::Source::join(folder.parts()?)?;
        let (model, weights) = with_weights(model, options.widen)?;
        let with_past = with_past.map(|later| with_weights(later, options.widen)).transpose()?;
        let (interface, found) = read_interfaces(&model, &weights, with_past.as_ref())?;
        let positions = folder.positions();
        let tokens_max = self::tokens_max(options.tokens_max, interface.positions, positions)?;
        let target = self::tokens_max(options.target_tokens_max, found.positions, positions)?;
        let tokenizer = match &options.tokenizer {
            Some(path) => Some(path.clone()),
            None => folder.tokenizer()?,
        };
        let text = match tokenizer {
            Some(path) => tokenizer::read_json(&path)?,
            None => tokenizer::byte_tokenizer(),
        };
        let decoder = Decoder {
            with_past: with_past.as_ref().map(|_| WITH_PAST_FILE.to_owned()),
            interface: found.interface,
            ids,
            tokens_max: target,
        };
        let source = Self {
            model,
            weights,
            with_past,
            interface,
            compiled: tokenizer::compile(&text)?,
            tokenizer_text: text,
            pooling: options.pooling,
            prefix: options.prefix.clone(),
            tokens_max,
            decoder: Some(decoder),
            asked: [options.tokens_max, options.target_tokens_max],
        };
        source.check_tokenizer()?;
        Ok(source)
    }

    /// The tokenizer can be read, fits the graphs and leaves room for a text.
    fn check_tokenizer(&self) -> Result<()> {
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
            // A decoder that cannot be run is of no matter to tasks that make no text.
            tokenizer.decode(&[])?;
            decoder.check(&decoder.interface, &tokenizer)?;
        }
        check_room(&tokenizer, &self.prefix, self.tokens_max).map_err(invalid)
    }
}

/// The model with its weights, in float32 if they are to be widened.
fn with_weights(mut model: Model, widen: bool) -> Result<(Model, Weights)> {
    let weights = Weights::map(&model)?;
    if !widen {
        return Ok((model, weights));
    }
    graph::store_widened(&mut model, &weights)?;
    let weights = Weights::map(&model)?;
    Ok((model, weights))
}

/// What the decoder's graphs say.
struct Found {
    interface: DecoderInterface,
    positions: Option<usize>,
}

/// The interfaces of encoder and decoder, of the graphs as they will run.
fn read_interfaces(
    model: &Model,
    weights: &Weights,
    with_past: Option<&(Model, Weights)>,
) -> Result<(Interface, Found)> {
    let mut joined = model.clone();
    graph::prepare(&mut joined, weights)?;
    extents::check(joined.graph()?, weights)?;
    let (mut later, mut all) = (None, weights.clone());
    if let Some((model, own)) = with_past {
        let mut prepared = model.clone();
        decoder::prepare(&mut prepared, own)?;
        all = all.union(own)?;
        later = Some(prepared);
    }
    let (interface, _) = super::read_interfaces(&joined, later, &all, None)?;
    let Some(found) = interface.decoder.clone() else {
        return Err(invalid("the folder has no decoder".to_owned()));
    };
    let positions = decoder::positions(&joined, &all, &interface)?;
    Ok((interface, Found { interface: found, positions }))
}

impl publish::Source for Source {
    fn asked(&self) -> [Option<usize>; 2] {
        self.asked
    }

    fn weights_size_bytes(&self) -> u64 {
        self.weights.iter().map(|weight| weight.bytes.len() as u64).sum()
    }

    fn write(&self, folder: &Path) -> Result<()> {
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

    fn manifest(&self, folder: &Path, progress: &mut dyn FnMut(Progress)) -> Result<Manifest> {
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
        let mut manifest =
            Manifest::new(backbone, tokenizer, self.pooling, prefix, self.tokens_max, files);
        let mixes = |model: &Model| graph::mixes_rows(model).is_some();
        manifest.runs_alone =
            mixes(&self.model) || self.with_past.as_ref().is_some_and(|(later, _)| mixes(later));
        manifest.decoder = self.decoder.clone();
        manifest.backbone.hash = manifest.backbone_hash()?;
        Ok(manifest)
    }
}

/// The limit to record: as asked for, if the graph has that many positions.
fn tokens_max(
    wanted: Option<usize>,
    positions: Option<usize>,
    stated: Option<usize>,
) -> Result<usize> {
    match (wanted, positions) {
        (Some(wanted), Some(positions)) if wanted > positions => Err(invalid(format!(
            "tokens_max is {wanted}, expected at most {positions}, the positions of the graph"
        ))),
        _ => {
            let stated = stated.map(|stated| stated.min(positions.unwrap_or(stated)));
            Ok(wanted.or(stated).or(positions).unwrap_or(TOKENS_MAX_DEFAULT))
        }
    }
}
