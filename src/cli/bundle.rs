//! `polygraft bundle create` and `polygraft bundle verify`.

use polygraft::bundle::{
    self, Bundle, CreateOptions, CreateSequenceOptions, Created, FoundIds, Modules, NewLayer,
    Pooling, Verify,
};
use polygraft::console::open::show;
use polygraft::console::output::{ExitStatus, Output, path_text, size};
use polygraft::console::progress::Meter;
use polygraft::console::{Global, by_name};
use polygraft::diagnosis::UNSEALED;
use polygraft::inference::TrialRun;
use polygraft::runtime::Engine;
use polygraft::{Code, Error, Result};
use serde_json::json;
use std::path::{Path, PathBuf};

#[derive(clap::Subcommand)]
pub enum Command {
    /// Create a bundle from an ONNX model and its tokenizer
    Create(Box<CreateArgs>),
    /// Check every file of a bundle against its hash
    Verify(VerifyArgs),
}

#[derive(clap::Args)]
pub struct CreateArgs {
    /// The encoder's file, with its external data beside it; a folder of sentence-transformers
    /// that has such a file; or the folder of an encoder and a decoder as Optimum exports them
    #[arg(long, value_name = "FILE|FOLDER")]
    onnx: PathBuf,
    /// The tokenizer.json of the model; the folder's own if left out
    #[arg(long, value_name = "FILE")]
    tokenizer: Option<PathBuf>,
    /// The folder of sentence-transformers that says how the hidden states become a vector
    /// (pooling, layers, limit, prompts); --onnx itself if it is one
    #[arg(long, value_name = "FOLDER")]
    modules: Option<PathBuf>,
    /// How the hidden states of a text become one vector; if left out, as the modules say, or mean
    /// for an encoder and a decoder
    #[arg(long, value_name = "NAME", value_parser = by_name(Pooling::ALL, Pooling::name))]
    pooling: Option<Pooling>,
    /// Divide the vector of a text by its length
    #[arg(long)]
    normalise: bool,
    /// Text before every input, as in the encoder's training, for example 'query: '; the default
    /// prompt of the modules, if they have one, if left out
    #[arg(long, value_name = "TEXT")]
    prefix: Option<String>,
    /// The largest number of tokens of a text; what the encoder can read if left out
    #[arg(long, value_name = "N")]
    tokens_max: Option<usize>,
    #[command(flatten)]
    decoder: DecoderArgs,
    /// The output with the hidden states; the first float output of rank 3 if left out
    #[arg(long, value_name = "NAME")]
    output: Option<String>,
    /// Store 16-bit weights as float32: twice the size on disk, but no conversion while running,
    /// which helps generation most
    #[arg(long)]
    upcast: bool,
    /// The folder to create
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Replace the folder if it is already a bundle
    #[arg(long)]
    overwrite: bool,
    /// Do not run the model to test whether it works
    #[arg(long)]
    untried: bool,
}

/// Options that replace the configuration of a folder with a decoder.
#[derive(clap::Args)]
pub struct DecoderArgs {
    /// The largest number of tokens of a target, the end token included
    #[arg(long, value_name = "N")]
    target_tokens_max: Option<usize>,
    /// The token before the first one of every target, as input only
    #[arg(long, value_name = "ID")]
    start_id: Option<u32>,
    /// A token that ends a target; may be given several times
    #[arg(long, value_name = "ID")]
    end_id: Vec<u32>,
    /// The token that pads short rows
    #[arg(long, value_name = "ID")]
    pad_id: Option<u32>,
    /// The first token of every target, often its language
    #[arg(long, value_name = "ID")]
    forced_begin_id: Option<u32>,
    /// The last token of a target that reaches the limit
    #[arg(long, value_name = "ID")]
    forced_end_id: Option<u32>,
}

impl DecoderArgs {
    /// The names of the options that were given.
    fn given(&self) -> Vec<&'static str> {
        let flags = [
            ("--target-tokens-max", self.target_tokens_max.is_some()),
            ("--start-id", self.start_id.is_some()),
            ("--end-id", !self.end_id.is_empty()),
            ("--pad-id", self.pad_id.is_some()),
            ("--forced-begin-id", self.forced_begin_id.is_some()),
            ("--forced-end-id", self.forced_end_id.is_some()),
        ];
        flags.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect()
    }
}

#[derive(clap::Args)]
pub struct VerifyArgs {
    /// The folder of the bundle
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

pub fn run(command: &Command, global: &Global, output: &Output) -> Result<ExitStatus> {
    match command {
        Command::Create(args) => create(args, global, output),
        Command::Verify(args) => verify(args, global, output),
    }
}

fn create(args: &CreateArgs, global: &Global, output: &Output) -> Result<ExitStatus> {
    let trial = if args.untried { None } else { trial(global, output) };
    let mut meter = Meter::new(global.progress);
    let report = &mut |progress| show(&mut meter, progress);
    let untried = |bundle| Created { bundle, notes: Vec::new() };
    let is_sequence = args.onnx.is_dir() && !Modules::is_in(&args.onnx);
    let Created { bundle, notes } = match (is_sequence, &trial) {
        (true, Some(trial)) => {
            bundle::create_sequence_tried(&sequence_options(args)?, trial, report)?
        }
        (true, None) => untried(bundle::create_sequence(&sequence_options(args)?, report)?),
        (false, Some(trial)) => {
            bundle::create_tried(&encoder_options(args, output)?, trial, report)?
        }
        (false, None) => untried(bundle::create(&encoder_options(args, output)?, report)?),
    };
    drop(meter);
    notes.iter().for_each(|note| output.note(format_args!("note: {note}")));
    describe(&bundle, &args.out, "made", output)
}

/// The trial of the bundle; without an ONNX Runtime only the graph is checked.
fn trial(global: &Global, output: &Output) -> Option<TrialRun> {
    match Engine::open(global.onnxruntime.as_deref()) {
        Ok(engine) => Some(TrialRun::new(&engine)),
        Err(error) => {
            output.note(format_args!("note: the model is not tried before it is used: {error}"));
            None
        }
    }
}

fn encoder_options(args: &CreateArgs, output: &Output) -> Result<CreateOptions> {
    let needed = |name: &str| {
        Error::new(Code::ArgumentInvalid, format!("{name} is needed for an encoder's file"))
    };
    if let Some(name) = args.decoder.given().first() {
        let message = format!("{name} is for a folder with a decoder, --onnx names an encoder");
        return Err(Error::new(Code::ArgumentInvalid, message));
    }
    let own = args.onnx.is_dir().then_some(&args.onnx);
    let modules = args.modules.as_ref().or(own).map(|folder| Modules::read(folder)).transpose()?;
    let tokenizer = || own.map(|folder| folder.join("tokenizer.json"));
    let pooling = args.pooling.or(modules.as_ref().map(|modules| modules.pooling));
    let prefix = prefix(args, modules.as_ref(), output);
    if modules.as_ref().is_some_and(|modules| !modules.include_prompt) && !prefix.is_empty() {
        let message = format!(
            "the prefix is {prefix:?}, but the modules leave prompts out of the pooling \
             (include_prompt), which a bundle cannot; --prefix '' makes one without a prefix"
        );
        return Err(Error::new(Code::ArgumentInvalid, message));
    }
    let tokens_stated = modules.as_ref().and_then(|modules| modules.tokens_max);
    let mut layers = modules.map(|modules| modules.layers).unwrap_or_default();
    if args.normalise && layers.last() != Some(&NewLayer::Normalise) {
        layers.push(NewLayer::Normalise);
    }
    Ok(CreateOptions {
        onnx: own.map_or_else(|| Ok(args.onnx.clone()), |folder| graph_in(folder))?,
        tokenizer: args
            .tokenizer
            .clone()
            .or_else(tokenizer)
            .ok_or_else(|| needed("--tokenizer"))?,
        pooling: pooling.ok_or_else(|| needed("--pooling"))?,
        layers,
        prefix,
        tokens_max: args.tokens_max,
        tokens_stated,
        output: args.output.clone(),
        upcast: args.upcast,
        out: args.out.clone(),
        overwrite: args.overwrite,
    })
}

/// The encoder's file in a folder of sentence-transformers.
fn graph_in(folder: &Path) -> Result<PathBuf> {
    const PLACES: [&str; 2] = ["onnx/model.onnx", "model.onnx"];
    let places = PLACES.iter().map(|place| folder.join(place));
    places.into_iter().find(|place| place.is_file()).ok_or_else(|| {
        let message = format!(
            "{} has neither {:?} nor {:?}; name the encoder's file by --onnx and this folder by \
             --modules",
            folder.display(),
            PLACES[0],
            PLACES[1]
        );
        Error::new(Code::NotFound, message)
    })
}

/// The text before every input. The prompts of the modules are printed, because nobody would notice
/// them otherwise.
fn prefix(args: &CreateArgs, modules: Option<&Modules>, output: &Output) -> String {
    let found = modules.and_then(Modules::default_prefix);
    let has_text = |modules: &&Modules| modules.prompts.iter().any(|(_, text)| !text.is_empty());
    if let Some(modules) = modules.filter(has_text) {
        let shown = |(name, text): &(String, String)| format!("{name} {text:?}");
        let all: Vec<String> = modules.prompts.iter().map(shown).collect();
        let taken = match (&args.prefix, found) {
            (Some(prefix), _) => format!("the prefix is {prefix:?}, as --prefix says"),
            (None, Some(_)) => {
                let name = modules.default_prompt.as_deref().unwrap_or_default();
                format!("the prefix is that of {name}, their default; --prefix gives another one")
            }
            (None, None) => "none of them is the prefix unless --prefix says so".to_owned(),
        };
        output.note(format_args!("note: the modules have prompts: {}; {taken}", all.join(", ")));
    }
    args.prefix.clone().or_else(|| found.map(str::to_owned)).unwrap_or_default()
}

fn sequence_options(args: &CreateArgs) -> Result<CreateSequenceOptions> {
    if args.output.is_some() {
        let message = "--output is for an encoder's file, --onnx names a folder";
        return Err(Error::new(Code::ArgumentInvalid, message));
    }
    if args.normalise || args.modules.is_some() {
        let message = "--normalise and --modules are for an encoder, --onnx names a folder without \
                       modules.json";
        return Err(Error::new(Code::ArgumentInvalid, message));
    }
    let decoder = &args.decoder;
    Ok(CreateSequenceOptions {
        folder: args.onnx.clone(),
        tokenizer: args.tokenizer.clone(),
        pooling: args.pooling.unwrap_or(Pooling::Mean),
        prefix: args.prefix.clone().unwrap_or_default(),
        tokens_max: args.tokens_max,
        target_tokens_max: decoder.target_tokens_max,
        ids: FoundIds {
            decoder_start_token_id: decoder.start_id,
            eos_token_ids: decoder.end_id.clone(),
            pad_token_id: decoder.pad_id,
            forced_bos_token_id: decoder.forced_begin_id,
            forced_eos_token_id: decoder.forced_end_id,
        },
        upcast: args.upcast,
        out: args.out.clone(),
        overwrite: args.overwrite,
    })
}

fn verify(args: &VerifyArgs, global: &Global, output: &Output) -> Result<ExitStatus> {
    let mut meter = Meter::new(global.progress);
    let bundle = Bundle::open_with_progress(&args.folder, Verify::Full, &mut |progress| {
        show(&mut meter, progress);
    })?;
    drop(meter);
    describe(&bundle, &args.folder, "as its manifest states", output)
}

fn describe(bundle: &Bundle, folder: &Path, what: &str, output: &Output) -> Result<ExitStatus> {
    let manifest = bundle.manifest();
    let size_bytes: u64 = manifest.files.iter().map(|file| file.size_bytes).sum();
    let (backbone, identity) = (bundle.backbone_hash(), bundle.identity());
    let is_sealed = manifest.blake3.is_some();
    if output.is_json() {
        output.document(&json!({
            "bundle": path_text(folder),
            "backbone": backbone,
            "identity": identity,
            "sealed": is_sealed,
            "files": manifest.files,
            "size_bytes": size_bytes,
        }))?;
        return Ok(ExitStatus::Done);
    }
    let files = manifest.files.len();
    output.text(&format!(
        "{}: {what}\n{files} files, {}, backbone {backbone}\nidentity {identity}\n",
        folder.display(),
        size(size_bytes)
    ))?;
    if !is_sealed {
        output.text(&format!("note: {UNSEALED}\n"))?;
    }
    Ok(ExitStatus::Done)
}
