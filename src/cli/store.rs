//! `polygraft store adopt`: binds the versions of an old store to the bundle that they were trained
//! with.

use crate::model::{self, ModelArgs};
use polygraft::Result;
use polygraft::console::Global;
use polygraft::console::output::{ExitStatus, Output};
use polygraft::update::Adopted;
use serde_json::json;

#[derive(clap::Subcommand)]
pub enum Command {
    /// State that the versions of a store of polygraft 0.1 were trained with exactly this bundle
    Adopt(AdoptArgs),
}

#[derive(clap::Args)]
pub struct AdoptArgs {
    #[command(flatten)]
    model: ModelArgs,
}

pub fn run(command: &Command, global: &Global, output: &Output) -> Result<ExitStatus> {
    match command {
        Command::Adopt(args) => adopt(args, global, output),
    }
}

fn adopt(args: &AdoptArgs, global: &Global, output: &Output) -> Result<ExitStatus> {
    let store = model::open_store(&args.model.store)?;
    let model = model::open(&args.model, store, global)?;
    let identity = model.predictor().bundle().identity();
    let adopted = model.adopt()?;
    if output.is_json() {
        output.document(&json!({"identity": identity, "adopted": adopted}))?;
        return Ok(ExitStatus::Done);
    }
    let mut text: String = adopted.iter().map(line).collect();
    if adopted.is_empty() {
        text.push_str("Nothing to adopt: every active version says how texts are read.\n");
    } else {
        text.push_str(&format!("identity {identity}\n"));
    }
    output.text(&text)?;
    Ok(ExitStatus::Done)
}

fn line(adopted: &Adopted) -> String {
    let Adopted { task, language, from, to } = adopted;
    match to {
        Some(to) => format!("{task}, {language}: version {to}, which is version {from} bound\n"),
        None => format!("{task}, {language}: version {from} stays, it is pinned; unpin it first\n"),
    }
}
