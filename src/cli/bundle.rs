//! `polygraft bundle create` and `polygraft bundle verify`.

use crate::Global;
use crate::output::{Outcome, Output, size};
use crate::progress::Meter;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use polygraft::Result;
use polygraft::bundle::{self, Bundle, CreateOptions, Phase, Pooling, Progress, Verify};
use serde_json::json;
use std::path::{Path, PathBuf};

#[derive(clap::Subcommand)]
pub enum Command {
    /// Make a bundle of an ONNX encoder and its tokenizer
    Create(CreateArgs),
    /// Check every file of a bundle against its hash
    Verify(VerifyArgs),
}

#[derive(clap::Args)]
pub struct CreateArgs {
    /// The encoder, with its external data beside it if it has any
    #[arg(long, value_name = "FILE")]
    onnx: PathBuf,
    /// The tokenizer.json that the encoder was trained with
    #[arg(long, value_name = "FILE")]
    tokenizer: PathBuf,
    /// How the hidden states of a text become one vector
    #[arg(long, value_name = "NAME", value_parser = pooling_parser())]
    pooling: Pooling,
    /// Text put before every input, as the encoder was trained with, for example 'query: '
    #[arg(long, default_value = "", value_name = "TEXT")]
    prefix: String,
    /// The most tokens of one text; what the encoder can read if left out
    #[arg(long, value_name = "N")]
    tokens_max: Option<usize>,
    /// The output with the hidden states; the first float one of rank 3 if left out
    #[arg(long, value_name = "NAME")]
    output: Option<String>,
    /// The folder to make
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Replace the folder if it is a bundle already
    #[arg(long)]
    overwrite: bool,
}

#[derive(clap::Args)]
pub struct VerifyArgs {
    /// The folder of the bundle
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

fn pooling_parser() -> impl TypedValueParser<Value = Pooling> {
    PossibleValuesParser::new(["mean", "cls"]).try_map(|name| name.parse::<Pooling>())
}

pub fn run(command: &Command, global: &Global, output: &Output) -> Result<Outcome> {
    match command {
        Command::Create(args) => create(args, global, output),
        Command::Verify(args) => verify(args, global, output),
    }
}

fn create(args: &CreateArgs, global: &Global, output: &Output) -> Result<Outcome> {
    let options = CreateOptions {
        onnx: args.onnx.clone(),
        tokenizer: args.tokenizer.clone(),
        pooling: args.pooling,
        prefix: args.prefix.clone(),
        tokens_max: args.tokens_max,
        output: args.output.clone(),
        out: args.out.clone(),
        overwrite: args.overwrite,
    };
    let mut meter = Meter::new(global.progress);
    let bundle = bundle::create(&options, &mut |progress| show(&mut meter, progress))?;
    drop(meter);
    describe(&bundle, &args.out, "made", output)
}

fn verify(args: &VerifyArgs, global: &Global, output: &Output) -> Result<Outcome> {
    let mut meter = Meter::new(global.progress);
    let bundle = Bundle::open_with_progress(&args.folder, Verify::Full, &mut |progress| {
        show(&mut meter, progress);
    })?;
    drop(meter);
    describe(&bundle, &args.folder, "as its manifest states", output)
}

/// Shows bytes in megabytes: finer steps tell nobody anything.
fn show(meter: &mut Meter, progress: Progress) {
    const MEGABYTE: u64 = 1_000_000;
    let phase = match progress.phase {
        Phase::Read => "read",
        Phase::Write => "write",
        Phase::Hash => "hash",
    };
    let megabytes = |bytes: u64| usize::try_from(bytes.div_ceil(MEGABYTE)).unwrap_or(usize::MAX);
    let (done, total) = (megabytes(progress.done_bytes), megabytes(progress.total_bytes));
    // Ctrl-C during these seconds is answered after them.
    let _ = meter.show(phase, done, total, "MB");
}

fn describe(bundle: &Bundle, folder: &Path, what: &str, output: &Output) -> Result<Outcome> {
    let manifest = bundle.manifest();
    let size_bytes: u64 = manifest.files.iter().map(|file| file.size_bytes).sum();
    let backbone = bundle.backbone_hash();
    if output.is_json() {
        output.document(&json!({
            "bundle": folder,
            "backbone": backbone,
            "files": manifest.files,
            "size_bytes": size_bytes,
        }))?;
        return Ok(Outcome::Done);
    }
    let files = manifest.files.len();
    output.text(&format!(
        "{}: {what}\n{files} files, {}, backbone {backbone}\n",
        folder.display(),
        size(size_bytes)
    ))?;
    Ok(Outcome::Done)
}
