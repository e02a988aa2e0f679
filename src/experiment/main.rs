//! `polygraft-experiment`: measures continual multilingual learning.
//!
//! A base is trained on all languages. Then updates bring new examples in a few of them, with every
//! strategy, with the gate off and on, and with several seeds. Each language is scored on a test
//! split that is used for nothing else. Input: settings and data. Output: tables and files.
//! Everything finished is cached, so an interrupted experiment continues where it stopped. This
//! program must never be installed with what serves models.

mod base;
mod cache;
mod data;
mod html;
mod metrics;
mod output;
mod run;
mod score;
mod settings;

use base::Base;
use clap::Parser;
use data::Data;
use output::{Details, SeedDetails};
use polygraft::console::output::{Outcome, Output, usage};
use polygraft::console::progress::Meter;
use polygraft::console::{Global, VerifyArgs, by_name, signal};
use polygraft::error::ResultExt;
use polygraft::inference::{Predictor, PredictorOptions};
use polygraft::runtime::{Engine, Mode};
use polygraft::task::Task;
use polygraft::update::{StrategyKind, UpdateOptions};
use polygraft::{Code, Error, Result};
use run::Run;
use score::Exam;
use settings::Setting;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// The task in the stores of an experiment.
const TASK: &str = "bench";

/// Update a trained base in a few languages and score all languages on unseen examples
#[derive(Parser)]
#[command(name = "polygraft-experiment", version, max_term_width = 100)]
struct Args {
    #[command(flatten)]
    global: Global,
    /// The folder of the bundle
    #[arg(long, value_name = "DIR")]
    bundle: PathBuf,
    /// The settings of the experiments, such as benches/cml/intents-harm.json
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    setting: Vec<PathBuf>,
    /// Folders with data sets as train/LANG.jsonl and test/LANG.jsonl
    #[arg(long, value_name = "DIR", num_args = 1.., default_value = ".cache/data")]
    data: Vec<PathBuf>,
    /// The folder that caches trained bases and finished runs
    #[arg(long, value_name = "DIR", default_value = ".cache/bench")]
    cache: PathBuf,
    /// Write cml.json, details.json and cml.html into this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Only these strategies
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    strategies: Vec<StrategyKind>,
    /// Only with the gate on or off
    #[arg(long, value_enum, value_name = "STATE")]
    gate: Option<GateState>,
    /// These seeds instead of those of the settings
    #[arg(long, value_name = "N", value_delimiter = ',')]
    seeds: Vec<u64>,
    /// Use nothing from the cache
    #[arg(long)]
    fresh: bool,
    /// How weights are held: lean as shared file pages, fast packed in private memory
    #[arg(long, default_value_t, value_name = "MODE")]
    #[arg(value_parser = by_name(Mode::ALL, Mode::name))]
    mode: Mode,
    /// Threads of one run of the model; 0 takes all cores
    #[arg(long, default_value_t = 0, value_name = "N")]
    threads: usize,
    #[command(flatten)]
    verify: VerifyArgs,
}

/// The state of the gate on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum GateState {
    On,
    Off,
}

/// What all runs of one setting share.
pub struct Bench<'a> {
    setting: &'a Setting,
    predictor: Arc<Predictor>,
    /// The task of the data.
    task: Task,
    cache: &'a Path,
    /// The hash of this program.
    program: blake3::Hash,
    fresh: bool,
    threads: usize,
    mode: Mode,
}

impl Bench<'_> {
    /// Adds the options that depend on this machine.
    fn equip(&self, options: UpdateOptions) -> UpdateOptions {
        UpdateOptions { threads: self.threads, mode: self.mode, ..options }
    }
}

fn main() -> ExitCode {
    signal::install();
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let args = match Args::try_parse_from(&arguments) {
        Ok(args) => args,
        Err(error) => return usage(&error, &arguments),
    };
    let output = Output::new(args.global.json);
    match run(&args, &output) {
        Ok(outcome) => outcome.into(),
        Err(error) => output.error(&error),
    }
}

fn run(args: &Args, output: &Output) -> Result<Outcome> {
    // All settings and data are checked before hours of training, not after them.
    let mut experiments = Vec::new();
    for path in &args.setting {
        let setting = adjusted(Setting::read(path)?, args)?;
        let name = |(other, _): &(Setting, Data)| other.name == setting.name;
        if experiments.iter().any(name) {
            let what = format!("--setting: two settings have the name {:?}", setting.name);
            return Err(Error::new(Code::ArgumentInvalid, what));
        }
        let data = Data::read(&args.data, &setting).context(|| path.display().to_string())?;
        for seed in &setting.seeds {
            data.select(&setting, *seed).context(|| path.display().to_string())?;
        }
        experiments.push((setting, data));
    }
    if let Some(folder) = &args.out {
        cache::create_folder(folder)?;
    }
    let predictor = open_predictor(args)?;
    let program = cache::program_hash()?;
    let mut meter = Meter::new(args.global.progress);
    let (mut rows, mut details) = (Vec::new(), Vec::new());
    for (setting, data) in &experiments {
        let bench = Bench {
            setting,
            predictor: predictor.clone(),
            task: Task::of(data.kind),
            cache: &args.cache,
            program,
            fresh: args.fresh,
            threads: args.threads,
            mode: args.mode,
        };
        let measured = measure(&bench, data, &mut meter)
            .context(|| format!("the setting {}", setting.name))?;
        rows.extend(output::rows(setting, data.kind, &measured.runs));
        details.push(measured);
        if let Some(folder) = &args.out {
            output::write(folder, &rows, &details)?;
        }
    }
    drop(meter);
    if output.is_json() {
        output.document(&rows)?;
    } else {
        output.text(&output::table(&rows))?;
    }
    Ok(Outcome::Done)
}

/// The setting with the restrictions and replacements of the command line.
fn adjusted(mut setting: Setting, args: &Args) -> Result<Setting> {
    if !args.strategies.is_empty() {
        let names = args.strategies.iter().map(|kind| kind.name().to_owned());
        setting.strategies = Some(names.collect());
    }
    if let Some(state) = args.gate {
        setting.gates = vec![state == GateState::On];
    }
    if !args.seeds.is_empty() {
        setting.seeds.clone_from(&args.seeds);
    }
    setting.check().context(|| "on the command line")?;
    Ok(setting)
}

fn open_predictor(args: &Args) -> Result<Arc<Predictor>> {
    let engine = Engine::open(args.global.onnxruntime.as_deref())?;
    let bundle = Arc::new(args.verify.open(&args.bundle, args.global.progress)?);
    let options =
        PredictorOptions { mode: args.mode, threads: args.threads, ..PredictorOptions::default() };
    Ok(Arc::new(Predictor::open(&engine, &bundle, &options)?))
}

/// All runs of one setting.
fn measure(bench: &Bench<'_>, data: &Data, meter: &mut Meter) -> Result<Details> {
    let setting = bench.setting;
    let mut exam = Exam::new(bench, &data.test(setting)?)?;
    let (mut seeds, mut runs) = (Vec::new(), Vec::new());
    for seed in &setting.seeds {
        let selection = data.select(setting, *seed)?;
        let base = Base::open(bench, &selection.base, *seed, meter)
            .context(|| format!("training the base with seed {seed}"))?;
        let store = base.store()?;
        run::check_base(bench, &store)?;
        let title = format!("{} seed {seed} base", setting.name);
        let serving = run::serving(bench, &store)?;
        let base_outcomes = exam.score(bench, &serving, &title, meter)?;
        for strategy in setting.strategies()? {
            let run = Run {
                bench,
                base: &base,
                base_outcomes: &base_outcomes,
                stages: &selection.stages,
                strategy,
                seed: *seed,
            };
            runs.extend(run.records(&mut exam, meter)?);
        }
        seeds.push(SeedDetails { seed: *seed, base: base.training, ids: selection.ids });
    }
    Ok(Details {
        setting: setting.clone(),
        kind: data.kind,
        data: data.hash.to_hex().to_string(),
        threads: bench.threads,
        seeds,
        drift: output::drift(&runs),
        runs,
    })
}

/// The error for a file of the cache that could not be written.
fn io_write(action: &str, path: &Path, cause: &std::io::Error) -> Error {
    Error::io(Code::IoWrite, action, path, cause)
}
