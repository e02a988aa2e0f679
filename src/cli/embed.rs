//! `polygraft embed`: texts as vectors, one JSON object per line.
//!
//! Without a task the bare backbone is used and no store is needed; with a task, the version that
//! serves the language. The vectors are the library's, unrounded.

use crate::model::{self, OpenArgs};
use polygraft::console::output::{ExitStatus, Output};
use polygraft::console::{Global, signal};
use polygraft::error::ResultExt;
use polygraft::example::Input;
use polygraft::example::lines::Lines;
use polygraft::language::Language;
use polygraft::model::Model;
use polygraft::store::Store;
use polygraft::{Code, Error, Result};
use serde_json::json;
use std::path::{Path, PathBuf};

/// The number of texts in one run of the model.
const BATCH_SIZE: usize = 16;

#[derive(clap::Args)]
pub struct Args {
    /// The folder of the bundle
    #[arg(long, value_name = "DIR")]
    bundle: PathBuf,
    #[command(flatten)]
    open: OpenArgs,
    /// The folder of the store; if left out, the bare backbone is used
    #[arg(long, value_name = "DIR", requires = "task")]
    store: Option<PathBuf>,
    /// The task whose version is used
    #[arg(long, value_name = "NAME", requires = "store")]
    pub task: Option<String>,
    /// The language of the text, a BCP 47 tag such as de or zh-Hant-TW
    #[arg(long, value_name = "TAG")]
    language: String,
    /// Do not normalise the vectors to length 1
    #[arg(long)]
    no_normalise: bool,
    /// The text; - reads one text per line from standard input
    text: String,
}

pub fn run(args: &Args, global: &Global, output: &Output) -> Result<ExitStatus> {
    // A model needs a store, so the bare backbone gets an empty, temporary one.
    let nowhere = tempfile::tempdir()
        .map_err(|cause| Error::new(Code::IoWrite, format!("creating a folder: {cause}")))?;
    let store = match &args.store {
        Some(folder) => model::open_store(folder)?,
        None => Store::open(&nowhere.path().join("store"))?,
    };
    let task = args.task.as_deref().unwrap_or_default();
    let language = model::language_of(&store, task, &args.language)?;
    let model = model::open_in(&args.bundle, &args.open, store, global)?;
    let embed = |texts: &[String]| embed(args, &model, &language, texts, output);
    if args.text != "-" {
        Input::Text(args.text.clone()).check()?;
        embed(std::slice::from_ref(&args.text))?;
        return Ok(ExitStatus::Done);
    }
    let mut lines = Lines::open(Path::new("-"))?;
    let mut pending = Vec::new();
    while let Some(line) = lines.next_line()? {
        signal::check("embedding")?;
        Input::Text(line.text.clone()).check().context(|| line.place.clone())?;
        pending.push(line.text);
        if pending.len() == BATCH_SIZE {
            embed(&std::mem::take(&mut pending))?;
        }
    }
    embed(&pending)?;
    Ok(ExitStatus::Done)
}

fn embed(
    args: &Args,
    model: &Model,
    language: &Language,
    texts: &[String],
    output: &Output,
) -> Result<()> {
    if texts.is_empty() {
        return Ok(());
    }
    let inputs: Vec<Input> = texts.iter().map(|text| Input::Text(text.clone())).collect();
    let vectors = model.embed(language, args.task.as_deref(), &inputs, !args.no_normalise)?;
    for (text, vector) in texts.iter().zip(vectors) {
        output.json_line(&json!({"lang": language, "text": text, "vector": vector}))?;
    }
    Ok(())
}
