//! `polygraft update`: the transaction from new examples to activated versions.

use crate::file::FileToWrite;
use crate::model::{self, ModelArgs};
use crate::output::{Outcome, Output};
use crate::progress::Meter;
use crate::update_args::OptionArgs;
use crate::{Global, examples};
use polygraft::error::ResultExt;
use polygraft::report::{Decision, html};
use polygraft::store::Store;
use polygraft::update::{Progress, Update};
use polygraft::{Code, Error, Result};
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// The task to update; a task that the store does not know is started
    #[arg(long, value_name = "NAME")]
    pub task: String,
    /// New labelled examples in JSON Lines; - is standard input
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    examples: Vec<PathBuf>,
    /// Train and measure, but publish and activate nothing
    #[arg(long)]
    dry_run: bool,
    /// Also write the report to this file, as JSON
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Also write the report to this file, as a page with charts
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Save where training stands after every so many steps, and go on from there when the same
    /// update is started again after a crash or Ctrl-C; 0 does not
    #[arg(long, value_name = "N", default_value_t = 0)]
    checkpoint_steps: usize,
    /// Drop what a stopped update has left and start anew
    #[arg(long)]
    discard_checkpoint: bool,
    #[command(flatten)]
    options: OptionArgs,
}

pub fn run(args: &Args, global: &Global, output: &Output) -> Result<Outcome> {
    let mut options = args.options.to_options();
    options.threads = args.model.open.threads;
    options.mode = args.model.open.mode.into();
    options.checkpoint_steps = args.checkpoint_steps;
    if let Some(targets) = &args.model.open.targets {
        options.lora.targets.clone_from(targets);
        options.ia3.targets.clone_from(targets);
    }
    options.validate()?;
    // A report that cannot be written is known before minutes of training, not after.
    let report_file = args.report.as_deref().map(FileToWrite::create).transpose()?;
    let page_file = args.html.as_deref().map(FileToWrite::create).transpose()?;
    // Examples that cannot be read must not leave a new, empty store behind.
    let examples = examples::read_all(&args.examples)?;
    let store = open_store(&args.model.store, output)?;
    if args.discard_checkpoint {
        Update::discard_checkpoint(&store, &args.task)?;
    }
    let model = model::open(&args.model, store, global)?;
    let mut update = model.begin_update(&args.task, options)?;
    for (example, place) in examples {
        update.add(example).context(|| place)?;
    }
    let mut meter = Meter::new(global.progress);
    let ran = update.run(&mut |progress| {
        let step = (progress.step, progress.steps_count);
        meter.show_of(progress.phase.name(), step, progress.fraction, &detail(progress))
    });
    drop(meter);
    let report = ran?.clone();
    let report = if args.dry_run {
        update.abort();
        report
    } else {
        update.commit()?
    };
    if let Some(file) = report_file {
        let json = serde_json::to_string_pretty(&report)
            .map_err(|cause| Error::new(Code::Internal, format!("writing JSON: {cause}")))?;
        file.write(format!("{json}\n").as_bytes())?;
    }
    if let Some(file) = page_file {
        file.write(html::updates(std::slice::from_ref(&report)).as_bytes())?;
    }
    if output.is_json() {
        output.document(&report)?;
    } else {
        output.report(&report)?;
        if args.dry_run {
            output.note("dry run: nothing was published or activated");
        }
    }
    let kept = report.languages.iter().all(|entry| entry.decision == Decision::Keep);
    Ok(match (kept, report.lacks_examples()) {
        (false, _) => Outcome::Done,
        (true, false) => Outcome::GateKeptEverything,
        (true, true) => Outcome::MoreExamplesNeeded,
    })
}

fn open_store(folder: &Path, output: &Output) -> Result<Store> {
    let vacant = model::is_vacant(folder);
    let store = Store::open(folder)?;
    if vacant {
        output.note(format!("started a new store in {}", folder.display()));
    }
    Ok(store)
}

fn detail(progress: &Progress) -> String {
    progress.loss.map_or_else(String::new, |loss| format!("loss {loss:.3}"))
}
