//! Makes a bundle from an ONNX model and a `tokenizer.json`.
//!
//! Everything is read and checked before anything is written. Unless the weights of an encoder are
//! upcast, only the place of their values changes. An encoder and its decoder become one graph,
//! beside the decoder with a cache; see `decoder`.

use std::path::PathBuf;

use super::contents::{Contents, WITH_PAST_FILE, invalid};
use super::decoder::{self, Decoder, DecoderInterface, Folder, FoundIds, Joined};
use super::layers::{self, NewLayer};
use super::manifest::Pooling;
use super::trial::{Created, Trial};
use super::verify::BundleProgress;
use super::{Bundle, Interface, extents, publish, tokenizer};
use crate::error::{Result, ResultExt};
use crate::graph::{self, Model, Weights};

/// The token limit for graphs without a table of positions.
const TOKENS_MAX_DEFAULT: usize = 512;

/// The options of a bundle with an encoder.
#[derive(Clone, Debug)]
pub struct CreateOptions {
    /// The ONNX model; its external data is found beside it.
    pub onnx: PathBuf,
    /// The `tokenizer.json` the model was trained with.
    pub tokenizer: PathBuf,
    /// How hidden states are pooled into one vector.
    pub pooling: Pooling,
    /// What the pooled vector passes, in order.
    pub layers: Vec<NewLayer>,
    /// Text that precedes every input, such as `query: `.
    pub prefix: String,
    /// The most tokens of one text; by default the number of positions of the graph, else 512.
    pub tokens_max: Option<usize>,
    /// The limit that the model's configuration states, taken as far as the graph allows it where
    /// `tokens_max` says nothing.
    pub tokens_stated: Option<usize>,
    /// The output with the hidden states; by default the first float one of rank 3.
    pub output: Option<String>,
    /// Whether to store 16-bit weights as float32.
    pub upcast: bool,
    /// The folder to create.
    pub out: PathBuf,
    /// Whether to replace `out` if it is a bundle already. Other folders are never replaced.
    pub overwrite: bool,
}

/// The options of a bundle with a decoder: a folder in the layout of Optimum, and settings that
/// override its configuration.
#[derive(Clone, Debug)]
pub struct CreateSequenceOptions {
    /// The folder with `encoder_model.onnx`, and `decoder_model.onnx` and
    /// `decoder_with_past_model.onnx` or `decoder_model_merged.onnx`.
    pub folder: PathBuf,
    /// The tokenizer; by default the folder's `tokenizer.json`, or bytes where its configuration
    /// names a byte-level tokenizer.
    pub tokenizer: Option<PathBuf>,
    /// How the encoder's states are pooled into one vector, for tasks that need one.
    pub pooling: Pooling,
    /// Text that precedes every source.
    pub prefix: String,
    /// The most tokens of one source; by default the number of positions, else 512.
    pub tokens_max: Option<usize>,
    /// The most tokens of one target; by default the same as for sources.
    pub target_tokens_max: Option<usize>,
    /// Special tokens that override the configuration's.
    pub ids: FoundIds,
    /// Whether to store 16-bit weights as float32.
    pub upcast: bool,
    /// The folder to create.
    pub out: PathBuf,
    /// Whether to replace `out` if it is a bundle already. Other folders are never replaced.
    pub overwrite: bool,
}

/// Makes the bundle `options.out` and opens it. The graph is checked but not run; see
/// [`create_tried`].
///
/// # Errors
/// [`Code::ArgumentInvalid`](crate::Code::ArgumentInvalid) when `out` exists and must not be
/// replaced, or an option is out of range; [`Code::BundleTokenizer`](crate::Code::BundleTokenizer)
/// when the tokenizer is malformed or does not fit the model;
/// [`Code::BundleUnusable`](crate::Code::BundleUnusable) for inputs of fixed extents;
/// [`Code::IoWrite`](crate::Code::IoWrite) and [`Code::IoFull`](crate::Code::IoFull); and those of
/// [`Model::read`], [`Weights::map`] and [`Interface::read`]. After an error nothing is left behind
/// and an old bundle is unchanged.
pub fn create(options: &CreateOptions, progress: &mut dyn FnMut(BundleProgress)) -> Result<Bundle> {
    create_encoder(options, None, progress).map(|created| created.bundle)
}

/// Like [`create`], but runs `trial` before the bundle is put in its place. `inference::TrialRun`
/// checks that texts of different lengths run together, that the longest text runs, and that
/// adapters have an effect.
///
/// # Errors
/// As [`create`]; [`Code::BundleUnusable`](crate::Code::BundleUnusable) saying what does not run.
pub fn create_tried(
    options: &CreateOptions,
    trial: &dyn Trial,
    progress: &mut dyn FnMut(BundleProgress),
) -> Result<Created> {
    create_encoder(options, Some(trial), progress)
}

/// Makes the bundle `options.out` of an encoder and its decoder, and opens it.
///
/// # Errors
/// As [`create`]; and [`Code::GraphUnsupported`](crate::Code::GraphUnsupported) when the files are
/// not of one model or the decoder has no cross-attention,
/// [`Code::BundleTokenizer`](crate::Code::BundleTokenizer) when a special token is unknown or has
/// no logit.
pub fn create_sequence(
    options: &CreateSequenceOptions,
    progress: &mut dyn FnMut(BundleProgress),
) -> Result<Bundle> {
    create_pair(options, None, progress).map(|created| created.bundle)
}

/// Like [`create_sequence`], but runs a trial as [`create_tried`] does: sources and targets of
/// different lengths, and the longest of both.
///
/// # Errors
/// As [`create_sequence`] and [`create_tried`].
pub fn create_sequence_tried(
    options: &CreateSequenceOptions,
    trial: &dyn Trial,
    progress: &mut dyn FnMut(BundleProgress),
) -> Result<Created> {
    create_pair(options, Some(trial), progress)
}

fn create_encoder(
    options: &CreateOptions,
    trial: Option<&dyn Trial>,
    progress: &mut dyn FnMut(BundleProgress),
) -> Result<Created> {
    let out = &options.out;
    let read = || Contents::read_encoder(options);
    publish::publish(out, options.overwrite, read, trial, progress)
        .context(|| format!("creating the bundle {}", out.display()))
}

fn create_pair(
    options: &CreateSequenceOptions,
    trial: Option<&dyn Trial>,
    progress: &mut dyn FnMut(BundleProgress),
) -> Result<Created> {
    let out = &options.out;
    let read = || {
        let reading = || format!("reading {}", options.folder.display());
        Contents::read_folder(options).context(reading)
    };
    publish::publish(out, options.overwrite, read, trial, progress)
        .context(|| format!("creating the bundle {}", out.display()))
}

impl Contents {
    fn read_encoder(options: &CreateOptions) -> Result<Self> {
        let mut model = Model::read(&options.onnx)?;
        let new = options.layers.clone();
        let layers = layers::store(new, model.graph_mut()?).map_err(invalid)?;
        let (model, weights) = with_weights(model, options.upcast)?;
        // The interface is that of the prepared model; the file's own graph is written.
        let mut prepared = model.clone();
        graph::prepare(&mut prepared, &weights)?;
        extents::check(prepared.graph()?, &weights)?;
        let interface = Interface::read(&prepared, &weights, options.output.as_deref())?;
        layers::size(&layers, &weights, interface.hidden).map_err(invalid)?;
        let stated = options.tokens_stated;
        let tokens_max = tokens_max(options.tokens_max, interface.positions, stated)?;
        let reading = || format!("reading {}", options.tokenizer.display());
        let text = tokenizer::read_json(&options.tokenizer)?;
        let contents = Self {
            model,
            weights,
            with_past: None,
            interface,
            compiled: tokenizer::compile(&text).context(reading)?,
            tokenizer_text: text,
            pooling: options.pooling,
            layers,
            prefix: options.prefix.clone(),
            tokens_max,
            decoder: None,
            asked: [options.tokens_max, None],
        };
        contents.check_tokenizer().context(reading)?;
        Ok(contents)
    }

    fn read_folder(options: &CreateSequenceOptions) -> Result<Self> {
        let folder = Folder::read(&options.folder)?;
        let ids = folder.ids().overridden(&options.ids).complete()?;
        let Joined { model, with_past } = decoder::join(folder.parts()?)?;
        let (model, weights) = with_weights(model, options.upcast)?;
        let with_past = with_past.map(|later| with_weights(later, options.upcast)).transpose()?;
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
        let contents = Self {
            model,
            weights,
            with_past,
            interface,
            compiled: tokenizer::compile(&text)?,
            tokenizer_text: text,
            pooling: options.pooling,
            layers: Vec::new(),
            prefix: options.prefix.clone(),
            tokens_max,
            decoder: Some(decoder),
            asked: [options.tokens_max, options.target_tokens_max],
        };
        contents.check_tokenizer()?;
        Ok(contents)
    }
}

/// The model with its weights, upcast to float32 if requested.
fn with_weights(mut model: Model, upcast: bool) -> Result<(Model, Weights)> {
    let weights = Weights::map(&model)?;
    if !upcast {
        return Ok((model, weights));
    }
    graph::store_upcast(&mut model, &weights)?;
    let weights = Weights::map(&model)?;
    Ok((model, weights))
}

/// The interfaces and limits that the graphs state.
struct Found {
    interface: DecoderInterface,
    positions: Option<usize>,
}

/// The interfaces of encoder and decoder, read from the prepared graphs.
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

/// The limit to record: the requested one, if the graph has that many positions.
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
