//! `polygraft activate`, `rollback`, `pin` and `unpin`: change which version serves a language.

use crate::model;
use polygraft::Result;
use polygraft::console::output::{ExitStatus, Output};
use polygraft::language::Language;
use polygraft::store::Store;
use serde_json::json;
use std::path::PathBuf;

/// A language of a task in a store.
#[derive(clap::Args)]
pub struct TargetArgs {
    /// The folder of the store
    #[arg(long, value_name = "DIR")]
    store: PathBuf,
    /// The task
    #[arg(long, value_name = "NAME")]
    pub task: String,
    /// The language, a BCP 47 tag; mul is the shared adapter for languages without a version
    #[arg(long, value_name = "TAG")]
    language: String,
}

#[derive(clap::Args)]
pub struct ActivateArgs {
    #[command(flatten)]
    pub target: TargetArgs,
    /// The number of the version
    #[arg(long, value_name = "N")]
    version: u32,
}

impl TargetArgs {
    fn open(&self) -> Result<(Store, Language)> {
        let store = model::open_store(&self.store)?;
        let language = model::language_of(&store, &self.task, &self.language)?;
        Ok((store, language))
    }

    fn report(
        &self,
        language: &Language,
        active: Option<u32>,
        pinned: bool,
        output: &Output,
    ) -> Result<ExitStatus> {
        if output.is_json() {
            let (task, pinned) = (&self.task, pinned);
            output.document(&json!({
                "task": task, "language": language, "active": active, "pinned": pinned,
            }))?;
        } else {
            let state = match active {
                Some(version) if pinned => format!("pinned to version {version}"),
                Some(version) => format!("version {version} is active"),
                None => "no version of its own is active".to_owned(),
            };
            output.text(&format!("{}, {language}: {state}\n", self.task))?;
        }
        Ok(ExitStatus::Done)
    }
}

pub fn activate(args: &ActivateArgs, output: &Output) -> Result<ExitStatus> {
    let target = &args.target;
    let (store, language) = target.open()?;
    store.activate(&target.task, &[(language.clone(), args.version)])?;
    target.report(&language, Some(args.version), false, output)
}

pub fn rollback(target: &TargetArgs, output: &Output) -> Result<ExitStatus> {
    let (store, language) = target.open()?;
    let active = store.roll_back(&target.task, &language)?;
    target.report(&language, active, false, output)
}

pub fn pin(target: &TargetArgs, pinned: bool, output: &Output) -> Result<ExitStatus> {
    let (store, language) = target.open()?;
    if pinned {
        let active = store.pin(&target.task, &language)?;
        return target.report(&language, Some(active), true, output);
    }
    store.unpin(&target.task, &language)?;
    let active = store.snapshot()?.active(&target.task, &language).map(|version| version.number);
    target.report(&language, active, false, output)
}
