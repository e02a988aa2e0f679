//! Opens what the commands use: the engine, a bundle, a store.

use polygraft::console::{Global, VerifyArgs, Waiting, by_name};
use polygraft::error::ResultExt;
use polygraft::language::Language;
use polygraft::model::{Model, ModelOptions};
use polygraft::runtime::{Engine, Mode};
use polygraft::store::Store;
use polygraft::{Code, Result};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The paths of a model and its store, and how the model is opened.
#[derive(clap::Args)]
pub struct ModelArgs {
    /// The folder of the bundle
    #[arg(long, value_name = "DIR")]
    pub bundle: PathBuf,
    /// The folder of the store
    #[arg(long, value_name = "DIR")]
    pub store: PathBuf,
    #[command(flatten)]
    pub open: OpenArgs,
}

/// How a model is opened.
#[derive(clap::Args)]
pub struct OpenArgs {
    /// How weights are held: lean as shared file pages, fast packed in private memory
    #[arg(long, default_value_t, value_name = "MODE")]
    #[arg(value_parser = by_name(Mode::ALL, Mode::name))]
    pub mode: Mode,
    /// Threads of one run of the model; 0 takes all cores
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub threads: usize,
    /// Module names that adapters may attach to, such as query or attention.self.query
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub targets: Option<Vec<String>>,
    #[command(flatten)]
    pub verify: VerifyArgs,
}

/// Opens the engine, the store and the model.
pub fn open(args: &ModelArgs, store: Store, global: &Global) -> Result<Model> {
    open_in(&args.bundle, &args.open, store, global)
}

/// Opens the engine and the model of a bundle.
pub fn open_in(bundle: &Path, args: &OpenArgs, store: Store, global: &Global) -> Result<Model> {
    let engine = Engine::open(global.onnxruntime.as_deref())?;
    let mut options = ModelOptions {
        mode: args.mode,
        threads: args.threads,
        verify: args.verify.verify,
        ..ModelOptions::default()
    };
    if let Some(targets) = &args.targets {
        options.targets.clone_from(targets);
    }
    let mut waiting = Waiting::new(global.progress);
    let progress = &mut |done| waiting.show(done);
    Model::open_with_progress(&engine, bundle, &Arc::new(store), &options, progress)
}

/// Opens a store that must exist: only an update creates one.
pub fn open_store(folder: &Path) -> Result<Store> {
    Store::open_existing(folder).map_err(|error| match error.code() {
        Code::NotFound => error.context("an update creates the store; the other commands need one"),
        _ => error,
    })
}

/// Whether a folder is absent or empty, so that opening a store there would create it.
pub fn is_vacant(folder: &Path) -> bool {
    std::fs::read_dir(folder).map_or(!folder.exists(), |mut entries| entries.next().is_none())
}

/// Reads a language tag given as an argument.
pub fn language(argument: &str, tag: &str) -> Result<Language> {
    Language::parse(tag).context(|| argument.to_owned())
}

/// Reads the `--language` of a command that looks it up in a store, see [`Store::language`].
pub fn language_of(store: &Store, task: &str, tag: &str) -> Result<Language> {
    store.language(task, tag).context(|| "--language".to_owned())
}
