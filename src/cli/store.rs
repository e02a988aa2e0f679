//! `polygraft store`: counts what a store contains, removes old versions, wipes remembered
//! examples, and binds the versions of an old store to the bundle that they were trained with.

use crate::model::{self, ModelArgs};
use polygraft::Result;
use polygraft::console::Global;
use polygraft::console::output::{ExitStatus, Output, size};
use polygraft::model::{StoreStatistics, TaskStatistics};
use polygraft::rehearsal::{LanguageStats, Which};
use polygraft::report::{Align, Table};
use polygraft::store::VersionInfo;
use polygraft::update::{self, Adopted, Wiped};
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[derive(clap::Subcommand)]
pub enum Command {
    /// State that the versions of a store of polygraft 0.1 were trained with exactly this bundle
    Adopt(AdoptArgs),
    /// Count the versions, updates and remembered examples of every task
    Statistics(StatisticsArgs),
    /// Remove old versions with their files; active versions stay
    Remove(RemoveArgs),
    /// Wipe remembered examples, and name or remove the versions that may have learnt from them
    Wipe(WipeArgs),
}

impl Command {
    /// The `--task` of the command.
    pub fn task(&self) -> Option<&str> {
        match self {
            Self::Remove(args) => Some(&args.task),
            Self::Wipe(args) => Some(&args.task),
            Self::Adopt(_) | Self::Statistics(_) => None,
        }
    }
}

#[derive(clap::Args)]
pub struct StatisticsArgs {
    /// The folder of the store
    #[arg(long, value_name = "DIR")]
    store: PathBuf,
}

#[derive(clap::Args)]
pub struct RemoveArgs {
    /// The folder of the store
    #[arg(long, value_name = "DIR")]
    store: PathBuf,
    /// The task
    #[arg(long, value_name = "NAME")]
    task: String,
    /// Only versions of this language, a BCP 47 tag
    #[arg(long, value_name = "TAG")]
    language: Option<String>,
    /// How many of the newest versions of each language stay, beside the active one
    #[arg(long, value_name = "N")]
    keep_last: usize,
}

#[derive(clap::Args)]
pub struct WipeArgs {
    /// The folder of the store
    #[arg(long, value_name = "DIR")]
    store: PathBuf,
    /// The task
    #[arg(long, value_name = "NAME")]
    task: String,
    /// Wipe everything that is remembered of the task
    #[arg(long, required_unless_present_any = ["language", "label", "older_than_days"],
          conflicts_with_all = ["language", "label", "older_than_days"])]
    all: bool,
    /// Only examples in this language, a BCP 47 tag
    #[arg(long, value_name = "TAG")]
    language: Option<String>,
    /// Only examples with this label, tag or kind of span
    #[arg(long, value_name = "NAME")]
    label: Option<String>,
    /// Only examples that were added at least this many days ago
    #[arg(long, value_name = "N")]
    older_than_days: Option<u32>,
    /// Also remove the versions that may have learnt from them, active ones too
    #[arg(long)]
    retire: bool,
}

#[derive(clap::Args)]
pub struct AdoptArgs {
    #[command(flatten)]
    model: ModelArgs,
}

pub fn run(command: &Command, global: &Global, output: &Output) -> Result<ExitStatus> {
    match command {
        Command::Adopt(args) => adopt(args, global, output),
        Command::Statistics(args) => statistics(args, output),
        Command::Remove(args) => remove(args, output),
        Command::Wipe(args) => wipe(args, output),
    }
}

fn statistics(args: &StatisticsArgs, output: &Output) -> Result<ExitStatus> {
    let all = StoreStatistics::of(&Arc::new(model::open_store(&args.store)?))?;
    if output.is_json() {
        let language = |one: &LanguageStats| {
            json!({
                "language": one.language, "training": one.training, "held_out": one.held_out,
                "pending": one.pending, "size_bytes": one.size_bytes,
                "oldest_day": one.oldest_day,
            })
        };
        let task = |one: &TaskStatistics| {
            json!({
                "task": one.task, "languages": one.languages_count,
                "versions": one.versions_count, "active": one.active_count,
                "pinned": one.pinned_count, "size_bytes": one.versions_size_bytes,
                "updates": one.reports_count, "checkpoint": one.has_checkpoint,
                "examples": one.examples.iter().map(language).collect::<Vec<_>>(),
            })
        };
        output.document(&json!({
            "generation": all.generation, "contents": all.contents_count,
            "size_bytes": all.contents_size_bytes,
            "tasks": all.tasks.iter().map(task).collect::<Vec<_>>(),
        }))?;
        return Ok(ExitStatus::Done);
    }
    let columns = ["languages", "versions", "active", "pinned", "size", "updates", "examples"];
    let right = columns.map(|name| (name, Align::Right));
    let mut table = Table::new(&[&[("task", Align::Left)][..], &right].concat());
    for one in &all.tasks {
        let examples: usize = one.examples.iter().map(|of| of.training + of.held_out).sum();
        let counts = [one.languages_count, one.versions_count, one.active_count, one.pinned_count];
        let counts = counts.map(|count| count.to_string()).into_iter();
        let rest =
            [size(one.versions_size_bytes), one.reports_count.to_string(), examples.to_string()];
        table.row([one.task.clone()].into_iter().chain(counts).chain(rest));
    }
    output.text(&format!("{table}\n{} on disk\n", size(all.contents_size_bytes)))?;
    Ok(ExitStatus::Done)
}

/// The language, number and size of versions, one a line.
fn lines(versions: &[VersionInfo]) -> String {
    let line = |one: &VersionInfo| {
        format!("  version {} of {}, {}\n", one.number, one.language, size(one.size_bytes))
    };
    versions.iter().map(line).collect()
}

fn remove(args: &RemoveArgs, output: &Output) -> Result<ExitStatus> {
    let store = model::open_store(&args.store)?;
    let language = args.language.as_deref();
    let language = language.map(|tag| model::language_of(&store, &args.task, tag)).transpose()?;
    let removed = store.remove_versions(&args.task, language.as_ref(), args.keep_last)?;
    if output.is_json() {
        output.document(&json!({"removed": removed}))?;
    } else {
        output.text(&format!("removed {} versions\n{}", removed.len(), lines(&removed)))?;
    }
    Ok(ExitStatus::Done)
}

fn wipe(args: &WipeArgs, output: &Output) -> Result<ExitStatus> {
    let store = Arc::new(model::open_store(&args.store)?);
    let language = args.language.as_deref();
    let language = language.map(|tag| model::language_of(&store, &args.task, tag)).transpose()?;
    let which = Which {
        language,
        label: args.label.clone(),
        added_before_unix_ms: args.older_than_days.map(days_ago_unix_ms),
    };
    let wiped = update::wipe(&store, &args.task, &which, args.retire)?;
    let Wiped { examples, learnt, retired } = &wiped;
    if output.is_json() {
        output.document(&json!({"examples": examples, "learnt": learnt, "retired": retired}))?;
        return Ok(ExitStatus::Done);
    }
    let count: usize = examples.values().sum();
    let mut text = format!("wiped {count} examples\n");
    for (language, count) in examples {
        text.push_str(&format!("  {count} in {language}\n"));
    }
    if !learnt.is_empty() {
        let done = if *retired { ", removed" } else { "; --retire removes them" };
        text.push_str(&format!("{} versions may have learnt from them{done}\n", learnt.len()));
        text.push_str(&lines(learnt));
    }
    output.text(&text)?;
    Ok(ExitStatus::Done)
}

/// The time so many days ago. Days are not divided, so 0 means everything up to today.
fn days_ago_unix_ms(days: u32) -> u64 {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let time = now.saturating_sub(DAY.saturating_mul(days));
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1)
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
