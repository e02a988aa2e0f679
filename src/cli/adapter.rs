//! `polygraft adapter`: imports and exports adapters of other libraries.

use crate::compose::{self, CombineArgs, StackArgs};
use crate::model;
use polygraft::adapter::{self, Adapter, HeadName, InputSignature};
use polygraft::bundle::Bundle;
use polygraft::console::output::{ExitStatus, Output, path_text, size};
use polygraft::console::{Global, VerifyArgs, by_name};
use polygraft::error::ResultExt;
use polygraft::exchange::{self, Backbone, Format, Imported, ReadOptions, WriteOptions};
use polygraft::graph::write_with_external_data;
use polygraft::inference::heads;
use polygraft::model::ExchangeSites;
use polygraft::report::{Align, Table};
use polygraft::store::{NewVersion, Store, VersionId};
use polygraft::{Code, Error, Result};
use serde_json::json;
use std::path::{Path, PathBuf};

#[derive(clap::Subcommand)]
pub enum Command {
    /// Show what an adapter file or folder of any format contains
    Show(ShowArgs),
    /// Convert an adapter of PEFT, AdapterHub or ONNX Runtime to a polygraft adapter
    Import(ImportArgs),
    /// Write an adapter for PEFT, AdapterHub or ONNX Runtime
    Export(ExportArgs),
    /// Combine polygraft adapters side by side, each with a weight
    Combine(CombineArgs),
    /// Stack a polygraft adapter on another one, for example a task's on a language's
    Stack(StackArgs),
    /// Write a bundle's model with the inputs of an adapter, for use with ONNX Runtime alone
    Graph(GraphArgs),
}

impl Command {
    /// The `--task` of the command.
    pub fn task(&self) -> Option<&str> {
        match self {
            Self::Import(args) => args.task.as_deref(),
            Self::Export(ExportArgs { source, .. }) | Self::Graph(GraphArgs { source, .. }) => {
                source.task.as_deref()
            }
            Self::Show(_) | Self::Combine(_) | Self::Stack(_) => None,
        }
    }
}

#[derive(clap::Args)]
pub struct ShowArgs {
    /// A file or a folder
    #[arg(value_name = "PATH")]
    path: PathBuf,
}

#[derive(clap::Args)]
pub struct ImportArgs {
    /// The folder of the bundle that the adapter is for
    #[arg(long, value_name = "DIR")]
    bundle: PathBuf,
    #[command(flatten)]
    verify: VerifyArgs,
    /// The adapter, a file or a folder of any format
    #[arg(long, value_name = "PATH")]
    from: PathBuf,
    /// The labels of the head in the order of its outputs, if the adapter does not state them
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    labels: Option<Vec<String>>,
    /// The head reads the pooled hidden states of the bundle, whatever the name of its class is
    #[arg(long)]
    head_on_pooled: bool,
    /// The prefix of the layers in the other library's model, for example bert, or ""; found from
    /// the names if left out
    #[arg(long, value_name = "NAME")]
    encoder: Option<String>,
    /// The prefix of the same layers in the bundle, if several fit
    #[arg(long, value_name = "NAME")]
    within: Option<String>,
    /// The file to write
    #[arg(long, value_name = "FILE", required_unless_present = "store")]
    out: Option<PathBuf>,
    /// Also publish it in this store, which is created if it does not exist
    #[arg(long, value_name = "DIR", requires_all = ["task", "language"])]
    store: Option<PathBuf>,
    /// The task of the version
    #[arg(long, value_name = "NAME", requires = "store")]
    task: Option<String>,
    /// The language of the version, a BCP 47 tag
    #[arg(long, value_name = "TAG", requires = "store")]
    language: Option<String>,
    /// Activate the version immediately, without a gate
    #[arg(long, requires = "store")]
    activate: bool,
}

#[derive(clap::Args)]
pub struct ExportArgs {
    /// The folder of the bundle that the adapter is for
    #[arg(long, value_name = "DIR")]
    bundle: PathBuf,
    #[command(flatten)]
    verify: VerifyArgs,
    #[command(flatten)]
    source: Source,
    /// The format to write
    #[arg(long, value_name = "FORMAT", value_parser = by_name(Format::ALL, Format::name))]
    to: Format,
    /// The file or folder to create
    #[arg(long, value_name = "PATH")]
    out: PathBuf,
    /// The name of the encoder in the other library's model, for example bert
    #[arg(long, value_name = "NAME", default_value = "")]
    encoder: String,
    /// The prefix of the layers in the bundle that is not written; if left out, the one that a
    /// wrapper added to the layers of a known architecture
    #[arg(long, value_name = "NAME")]
    within: Option<String>,
    /// The module of the head in PEFT's model; classifier if left out
    #[arg(long, value_name = "NAME")]
    head_module: Option<String>,
    /// Do not export the head
    #[arg(long)]
    without_head: bool,
    /// The adapter's name in AdapterHub; polygraft if left out
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The architecture's name in AdapterHub, for example xlm-roberta; as --encoder if left out
    #[arg(long, value_name = "NAME")]
    model_type: Option<String>,
}

#[derive(clap::Args)]
pub struct GraphArgs {
    /// The folder of the bundle
    #[arg(long, value_name = "DIR")]
    bundle: PathBuf,
    #[command(flatten)]
    verify: VerifyArgs,
    #[command(flatten)]
    source: Source,
    /// The folder to create, with model.onnx and its data
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Where an adapter is read from.
#[derive(clap::Args)]
struct Source {
    /// A file or a folder of any format, instead of the active version of a store
    #[arg(long, value_name = "PATH", required_unless_present = "store", conflicts_with = "store")]
    from: Option<PathBuf>,
    /// The folder of a store
    #[arg(long, value_name = "DIR", requires_all = ["task", "language"])]
    store: Option<PathBuf>,
    /// The task
    #[arg(long, value_name = "NAME", requires = "store")]
    task: Option<String>,
    /// The language, a BCP 47 tag
    #[arg(long, value_name = "TAG", requires = "store")]
    language: Option<String>,
}

pub fn run(command: &Command, global: &Global, output: &Output) -> Result<ExitStatus> {
    match command {
        Command::Show(args) => show(args, output),
        Command::Import(args) => import(args, global, output),
        Command::Export(args) => export(args, global, output),
        Command::Combine(args) => compose::combine(args, output),
        Command::Stack(args) => compose::stack(args, output),
        Command::Graph(args) => graph(args, global, output),
    }
}

fn show(args: &ShowArgs, output: &Output) -> Result<ExitStatus> {
    let described = exchange::describe(&args.path)?;
    if output.is_json() {
        output.document(&described)?;
        return Ok(ExitStatus::Done);
    }
    let mut lines = vec![("format".to_owned(), described.format.to_string())];
    let settings = described.settings.iter();
    lines.extend(settings.map(|(name, value)| (name.clone(), value.clone())));
    lines.extend(described.task.iter().map(|kind| ("task".to_owned(), kind.to_string())));
    for (what, names) in [("labels", &described.labels), ("tags", &described.tags)] {
        let names = names.iter().filter(|names| !names.is_empty());
        lines.extend(names.map(|names| (what.to_owned(), names.join(", "))));
    }
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut text = format!("{}\n", args.path.display());
    for (name, value) in lines {
        text.push_str(&format!("  {name:<width$}  {value}\n"));
    }
    let mut table = Table::new(&[("tensor", Align::Left), ("shape", Align::Left)]);
    for tensor in &described.tensors {
        table.row([tensor.name.clone(), format!("{:?}", tensor.shape)]);
    }
    let (count, parameters) = (described.tensors.len(), described.parameters);
    text.push_str(&format!("\n{table}\n{count} tensors, {parameters} parameters\n"));
    output.text(&text)?;
    Ok(ExitStatus::Done)
}

/// A bundle and its sites.
struct Opened {
    bundle: Bundle,
    sites: ExchangeSites,
}

impl Opened {
    fn new(folder: &Path, verify: &VerifyArgs, global: &Global) -> Result<Self> {
        let bundle = verify.open(folder, global.progress)?;
        let sites = ExchangeSites::of(&bundle)?;
        Ok(Self { bundle, sites })
    }

    fn backbone(&self) -> Backbone<'_> {
        self.sites.backbone(&self.bundle)
    }
}

impl Source {
    /// Reads the adapter from a file, or the active version from a store.
    fn read(&self, backbone: &Backbone<'_>) -> Result<Adapter> {
        let (Some(folder), Some(task), Some(tag)) = (&self.store, &self.task, &self.language)
        else {
            let path = self.from.as_deref().unwrap_or(Path::new(""));
            return exchange::read(path, backbone, &ReadOptions::default());
        };
        let store = model::open_store(folder)?;
        let language = model::language_of(&store, task, tag)?;
        let active = store.snapshot()?.active(task, &language).ok_or_else(|| {
            let message = format!("task {task}, language {language}: no version is active");
            Error::new(Code::StoreNoVersion, message)
        })?;
        let adapter = Adapter::from_bytes(&store.read_object(&active.hash)?)
            .context(|| format!("reading version {} of {language}", active.number))?;
        adapter.check(backbone.hash, backbone.sites, backbone.head_inputs())?;
        backbone.reading.map_or(Ok(()), |reading| adapter.check_reading(reading))?;
        Ok(adapter)
    }
}

fn import(args: &ImportArgs, global: &Global, output: &Output) -> Result<ExitStatus> {
    let opened = Opened::new(&args.bundle, &args.verify, global)?;
    let backbone = opened.backbone();
    let options = ReadOptions {
        labels: args.labels.clone(),
        head_on_pooled: args.head_on_pooled,
        encoder: args.encoder.clone(),
        within: args.within.clone(),
    };
    let Imported { adapter, notes } = exchange::import(&args.from, &backbone, &options)?;
    for note in &notes {
        output.note(format!("note: {note}"));
    }
    let bytes = adapter.to_bytes()?;
    if let Some(out) = &args.out {
        exchange::write(&adapter, Format::Own, out, &backbone, &WriteOptions::default())?;
    }
    let version = publish(args, &adapter, &bytes)?;
    let kinds: Vec<&str> = adapter.components.iter().map(|part| part.kind().name()).collect();
    if output.is_json() {
        output.document(&json!({
            "kinds": kinds,
            "labels": adapter.labels,
            "tensors": adapter.tensors.len(),
            "size_bytes": bytes.len(),
            "out": args.out.as_deref().map(path_text),
            "version": version.as_ref().map(|version| version.number),
            "activated": version.as_ref().map(|version| version.activated),
            "notes": notes,
        }))?;
        return Ok(ExitStatus::Done);
    }
    let (count, size) = (adapter.tensors.len(), size(bytes.len() as u64));
    let mut text = format!("{}: {count} tensors, {size}\n", kinds.join(", "));
    if let Some(out) = &args.out {
        text.push_str(&format!("written to {}\n", out.display()));
    }
    if let Some(version) = version {
        let state = if version.activated { "active now" } else { "not active" };
        text.push_str(&format!("version {} of {}, {state}\n", version.number, version.language));
    }
    output.text(&text)?;
    Ok(ExitStatus::Done)
}

/// Publishes the adapter as a version when a store is given.
fn publish(args: &ImportArgs, adapter: &Adapter, bytes: &[u8]) -> Result<Option<VersionId>> {
    let (Some(folder), Some(task), Some(tag)) = (&args.store, &args.task, &args.language) else {
        return Ok(None);
    };
    if adapter.labels.is_empty() {
        let message = "a version predicts labels, but the adapter has no head; --labels gives it \
                       a new one";
        return Err(Error::new(Code::ArgumentInvalid, message));
    }
    let candidate = NewVersion {
        language: model::language("--language", tag)?,
        bytes: bytes.into(),
        activate: args.activate,
        evidence: json!({"imported_from": Format::detect(&args.from)?.name()}),
    };
    Ok(Store::open(folder)?.publish(task, &[candidate])?.into_iter().next())
}

fn export(args: &ExportArgs, global: &Global, output: &Output) -> Result<ExitStatus> {
    let opened = Opened::new(&args.bundle, &args.verify, global)?;
    let backbone = opened.backbone();
    let adapter = args.source.read(&backbone)?;
    let options = WriteOptions {
        encoder: args.encoder.clone(),
        within: args.within.clone(),
        head_module: args.head_module.clone(),
        without_head: args.without_head,
        name: args.name.clone(),
        model_type: args.model_type.clone(),
    };
    exchange::write(&adapter, args.to, &args.out, &backbone, &options)?;
    let (format, out) = (args.to.name(), &args.out);
    if output.is_json() {
        output.document(&json!({"format": format, "out": path_text(out)}))?;
    } else {
        output.text(&format!("{}: written for {format}\n", out.display()))?;
    }
    Ok(ExitStatus::Done)
}

fn graph(args: &GraphArgs, global: &Global, output: &Output) -> Result<ExitStatus> {
    const GRAPH_NAME: &str = "model.onnx";
    let opened = Opened::new(&args.bundle, &args.verify, global)?;
    let adapter = args.source.read(&opened.backbone())?;
    let mut model = opened.bundle.model().clone();
    let signature = InputSignature::of(&adapter.components, &opened.sites.sites)?;
    adapter::attach(model.graph_mut()?, &opened.sites.sites, &signature, true)?;
    let has = |head: &HeadName| !adapter.outputs_of(*head).is_empty();
    let own: Vec<HeadName> = HeadName::ALL.into_iter().filter(has).collect();
    let (interface, pooler) = (opened.bundle.interface(), opened.bundle.pooler());
    heads::add(model.graph_mut()?, interface, &pooler, &own, true);
    let out = &args.out;
    std::fs::create_dir(out).map_err(|cause| Error::io(Code::IoWrite, "making", out, &cause))?;
    let weights = opened.bundle.weights();
    write_with_external_data(&model, weights, out, GRAPH_NAME, "model.onnx.data")?;
    let graph = model.graph()?;
    if output.is_json() {
        let inputs: Vec<&str> = graph.input.iter().map(|input| input.name()).collect();
        let outputs: Vec<&str> = graph.output.iter().map(|output| output.name()).collect();
        output.document(&json!({
            "out": path_text(out), "inputs": inputs, "outputs": outputs,
        }))?;
    } else {
        let (path, count) = (out.join(GRAPH_NAME), graph.input.len());
        output.text(&format!("{}: {count} inputs\n", path.display()))?;
    }
    Ok(ExitStatus::Done)
}
