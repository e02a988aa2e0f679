//! `polygraft update`: the transaction from new examples to activated versions.

use crate::model::{self, ModelArgs};
use crate::update_args::OptionArgs;
use polygraft::console::file::FileToWrite;
use polygraft::console::output::{ExitStatus, Output};
use polygraft::console::progress::Meter;
use polygraft::console::{Global, signal};
use polygraft::error::ResultExt;
use polygraft::example::json;
use polygraft::report::{Decision, Report, html};
use polygraft::store::Store;
use polygraft::update::{Progress, Update, UpdateOptions};
use polygraft::{Code, Error, Result};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// The total number of attempts to commit.
const COMMIT_ATTEMPTS_COUNT: usize = 4;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// The task to update; a new task is started
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
    /// Save the state of training every N steps, and continue from it when the same update is
    /// started again after a crash or Ctrl-C; 0 saves nothing
    #[arg(long, value_name = "N", default_value_t = 0)]
    checkpoint_steps: usize,
    /// Discard the checkpoint of a stopped update and start again
    #[arg(long)]
    discard_checkpoint: bool,
    #[command(flatten)]
    options: OptionArgs,
}

pub fn run(args: &Args, global: &Global, output: &Output) -> Result<ExitStatus> {
    let options = options(args)?;
    // A report file that cannot be written is reported before minutes of training, not after them.
    let files = ReportFiles::create(args)?;
    // Unreadable examples must not leave a new, empty store behind.
    let examples = json::read_all(&args.examples, &|| signal::check("reading examples"))?;
    let nowhere = tempfile::tempdir()
        .map_err(|cause| Error::io(Code::IoWrite, "making", &std::env::temp_dir(), &cause))?;
    let store = if args.dry_run {
        open_for_trial(&args.model.store, nowhere.path())?
    } else {
        open_store(&args.model.store, output)?
    };
    if args.discard_checkpoint {
        Update::discard_checkpoint(&store, &args.task)?;
    }
    let model = model::open(&args.model, store, global)?;
    let mut update = model.begin_update(&args.task, options)?;
    for (example, place) in examples {
        update.add(example).context(|| place)?;
    }
    let mut meter = Meter::new(global.progress);
    let ran = update.run(&mut |progress| show(&mut meter, progress));
    drop(meter);
    let report = ran?.clone();
    let report = if args.dry_run {
        update.abort();
        report
    } else {
        commit(&mut update, global)?
    };
    files.write(&report)?;
    if output.is_json() {
        output.document(&report)?;
    } else {
        output.report(&report)?;
        if args.dry_run {
            output.note("dry run: nothing was published or activated");
        }
    }
    Ok(status(&report))
}

/// The options of the update, with those of the model that hold for it too.
fn options(args: &Args) -> Result<UpdateOptions> {
    let mut options = args.options.to_options();
    options.threads = args.model.open.threads;
    options.mode = args.model.open.mode;
    options.checkpoint_steps = args.checkpoint_steps;
    if let Some(targets) = &args.model.open.targets {
        options.lora.targets.clone_from(targets);
        options.ia3.targets.clone_from(targets);
    }
    options.validate()?;
    Ok(options)
}

/// The files that the report is also written to.
struct ReportFiles {
    json: Option<FileToWrite>,
    page: Option<FileToWrite>,
}

impl ReportFiles {
    fn create(args: &Args) -> Result<Self> {
        let create = |path: &Option<PathBuf>| path.as_deref().map(FileToWrite::create).transpose();
        Ok(Self { json: create(&args.report)?, page: create(&args.html)? })
    }

    fn write(self, report: &Report) -> Result<()> {
        if let Some(file) = self.json {
            let json = serde_json::to_string_pretty(report)
                .map_err(|cause| Error::new(Code::Internal, format!("writing JSON: {cause}")))?;
            file.write(format!("{json}\n").as_bytes())?;
        }
        if let Some(file) = self.page {
            file.write(html::updates(std::slice::from_ref(report)).as_bytes())?;
        }
        Ok(())
    }
}

fn status(report: &Report) -> ExitStatus {
    let kept = report.languages.iter().all(|entry| entry.decision == Decision::Keep);
    match (kept, report.lacks_examples()) {
        (false, _) => ExitStatus::Done,
        (true, false) => ExitStatus::GateKeptEverything,
        (true, true) => ExitStatus::MoreExamplesNeeded,
    }
}

/// Commits. If the task was changed meanwhile (activate, rollback or pin), the candidates are
/// measured again first. After several attempts the last refusal is returned.
fn commit(update: &mut Update, global: &Global) -> Result<Report> {
    for _ in 1..COMMIT_ATTEMPTS_COUNT {
        match update.commit() {
            Err(error) if error.code() == Code::StoreChanged => {
                let mut meter = Meter::new(global.progress);
                update.measure_again(&mut |progress| show(&mut meter, progress))?;
            }
            committed => return committed,
        }
    }
    update.commit()
}

fn show(meter: &mut Meter, progress: &Progress) -> ControlFlow<()> {
    let step = (progress.step, progress.steps_count);
    meter.show_of(progress.phase.name(), step, progress.fraction, &detail(progress))
}

fn open_store(folder: &Path, output: &Output) -> Result<Store> {
    let vacant = model::is_vacant(folder);
    let store = Store::open(folder)?;
    if vacant {
        output.note(format!("started a new store in {}", folder.display()));
    }
    Ok(store)
}

/// Opens the store of a dry run, which writes nothing: if there is none, an empty one `elsewhere`.
fn open_for_trial(folder: &Path, elsewhere: &Path) -> Result<Store> {
    match Store::open_existing(folder) {
        Err(error) if error.code() == Code::NotFound => Store::open(&elsewhere.join("store")),
        opened => opened,
    }
}

fn detail(progress: &Progress) -> String {
    progress.loss.map_or_else(String::new, |loss| format!("loss {loss:.3}"))
}
