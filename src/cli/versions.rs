//! `polygraft versions`: the versions of a store, and which of them are active.

use crate::model;
use polygraft::Result;
use polygraft::console::output::{ExitStatus, Output, size};
use polygraft::report::{Align, Table, utc};
use polygraft::store::VersionInfo;
use serde_json::json;
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Args {
    /// The folder of the store
    #[arg(long, value_name = "DIR")]
    store: PathBuf,
    /// Only this task
    #[arg(long, value_name = "NAME")]
    pub task: Option<String>,
}

pub fn run(args: &Args, output: &Output) -> Result<ExitStatus> {
    let store = model::open_store(&args.store)?;
    let versions = store.versions(args.task.as_deref())?;
    if store.snapshot()?.is_of_first_format() {
        output.note(
            "the store was written by polygraft 0.1: the next change writes its records anew, and \
             0.1 cannot read them any more",
        );
    }
    if output.is_json() {
        output.document(&json!({"versions": versions}))?;
        return Ok(ExitStatus::Done);
    }
    if versions.is_empty() {
        output.note("the store has no versions yet");
        return Ok(ExitStatus::Done);
    }
    output.text(&table(&versions).to_string())?;
    Ok(ExitStatus::Done)
}

fn table(versions: &[VersionInfo]) -> Table {
    let mut table = Table::new(&[
        ("task", Align::Left),
        ("language", Align::Left),
        ("version", Align::Right),
        ("state", Align::Left),
        ("size", Align::Right),
        ("published (UTC)", Align::Left),
        ("content", Align::Left),
    ]);
    for version in versions {
        let state = match (version.active, version.pinned) {
            (true, true) => "pinned",
            (true, false) => "active",
            _ => "",
        };
        table.row([
            version.task.clone(),
            version.language.to_string(),
            version.number.to_string(),
            state.to_owned(),
            size(version.size_bytes),
            utc(version.created_unix_ms),
            version.hash.to_string().chars().take(12).collect(),
        ]);
    }
    table
}
