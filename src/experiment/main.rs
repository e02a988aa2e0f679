//! `polygraft-experiment`: measures continual multilingual learning.
//!
//! A base is trained on all languages. Then updates bring new examples in a few of them, with every
//! strategy, with the gate off and on, and with several seeds. Each language is scored on a test
//! split that is used for nothing else. Input: settings and data. Output: tables and files.
//! Everything finished is cached, so an interrupted experiment continues where it stopped. This
//! program must never be installed with what serves models.

mod base;
mod cache;
mod calibration;
mod data;
mod details;
mod evidence;
mod experiment;
mod html;
mod metrics;
mod output;
mod own_data;
mod run;
mod settings;
mod test_set;
mod timing;

use base::Base;
use clap::Parser;
use data::Data;
use details::{Details, SeedDetails};
use experiment::Experiment;
use polygraft::console::output::{ExitStatus, Output, usage};
use polygraft::console::progress::Meter;
use polygraft::console::{Global, VerifyArgs, by_name, signal};
use polygraft::error::ResultExt;
use polygraft::inference::{Predictor, PredictorOptions};
use polygraft::language::Language;
use polygraft::runtime::{Engine, Mode};
use polygraft::task::Task;
use polygraft::update::StrategyKind;
use polygraft::{Code, Error, Result};
use run::Run;
use settings::Setting;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use test_set::TestSet;

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
    #[arg(long, value_name = "FILE", num_args = 1.., required_unless_present = "update")]
    setting: Vec<PathBuf>,
    /// Without a setting: update these languages of the data set in the folder of --data
    #[arg(long, value_name = "LANG", value_delimiter = ',', conflicts_with = "setting")]
    update: Vec<Language>,
    /// Folders with data sets, each a folder with train/LANG.jsonl and test/LANG.jsonl; with
    /// --update, the folder of one data set
    #[arg(long, value_name = "DIR", num_args = 1.., default_value = ".cache/data")]
    data: Vec<PathBuf>,
    /// The folder that caches trained bases and finished runs
    #[arg(long, value_name = "DIR", default_value = ".cache/bench")]
    cache: PathBuf,
    /// Write cml.json, details.json and cml.html into this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Run everything anew and write the scores of single examples by every candidate into this
    /// folder, for tools/evidence.py
    #[arg(long, value_name = "DIR")]
    evidence: Option<PathBuf>,
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

fn main() -> ExitCode {
    signal::install();
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let args = match Args::try_parse_from(&arguments) {
        Ok(args) => args,
        Err(error) => return usage(&error, &arguments),
    };
    let output = Output::new(args.global.json);
    match run(&args, &output) {
        Ok(status) => status.into(),
        Err(error) => output.error(&error),
    }
}

fn run(args: &Args, output: &Output) -> Result<ExitStatus> {
    let planned = planned(args)?;
    for folder in args.out.iter().chain(&args.evidence) {
        cache::create_folder(folder)?;
    }
    let predictor = open_predictor(args)?;
    let program = cache::program_hash()?;
    let mut meter = Meter::new(args.global.progress);
    let (mut rows, mut details) = (Vec::new(), Vec::new());
    for (setting, data) in &planned {
        let experiment = Experiment {
            setting,
            predictor: predictor.clone(),
            task: Task::of(data.kind),
            cache: &args.cache,
            program,
            fresh: args.fresh,
            evidence: args.evidence.as_deref(),
            threads: args.threads,
            mode: args.mode,
        };
        let measured = measure(&experiment, data, &mut meter)
            .context(|| format!("the setting {}", setting.name))?;
        rows.extend(details::rows(setting, data.kind, &measured.runs));
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
        if !args.update.is_empty() {
            output.text(&output::summary(&rows))?;
        }
    }
    Ok(ExitStatus::Done)
}

/// The settings with their data, all of which are checked before hours of training, not after them.
fn planned(args: &Args) -> Result<Vec<(Setting, Data)>> {
    let mut planned = Vec::new();
    for (setting, folders, path) in settings(args)? {
        let setting = adjusted(setting, args)?;
        let has_its_name = |(other, _): &(Setting, Data)| other.name == setting.name;
        if planned.iter().any(has_its_name) {
            let what = format!("--setting: two settings have the name {:?}", setting.name);
            return Err(Error::new(Code::ArgumentInvalid, what));
        }
        let data = Data::read(&folders, &setting).context(|| path.display().to_string())?;
        for seed in &setting.seeds {
            data.select(&setting, *seed).context(|| path.display().to_string())?;
        }
        planned.push((setting, data));
    }
    Ok(planned)
}

/// The settings with the folders of their data and where they come from.
fn settings(args: &Args) -> Result<Vec<(Setting, Vec<PathBuf>, PathBuf)>> {
    if args.update.is_empty() {
        let read = |path: &PathBuf| Ok((Setting::read(path)?, args.data.clone(), path.clone()));
        return args.setting.iter().map(read).collect();
    }
    let [folder] = &args.data[..] else {
        let what = format!("--data: expected one folder with --update, found {}", args.data.len());
        return Err(Error::new(Code::ArgumentInvalid, what));
    };
    let (setting, parent) = own_data::setting(folder, &args.update)?;
    Ok(vec![(setting, vec![parent], folder.clone())])
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
fn measure(experiment: &Experiment<'_>, data: &Data, meter: &mut Meter) -> Result<Details> {
    let setting = experiment.setting;
    let mut test_set = TestSet::new(experiment, &data.test(setting)?)?;
    let (mut seeds, mut runs) = (Vec::new(), Vec::new());
    for seed in &setting.seeds {
        let selection = data.select(setting, *seed)?;
        let base = Base::open(experiment, &selection.base, *seed, meter)
            .context(|| format!("training the base with seed {seed}"))?;
        let store = base.store()?;
        run::check_base(experiment, &store)?;
        let title = format!("{} seed {seed} base", setting.name);
        let serving = run::serving(experiment, &store)?;
        let base_evaluations = test_set.score(experiment, &serving, &title, meter)?;
        for strategy in setting.strategies()? {
            let run = Run {
                experiment,
                base: &base,
                base_evaluations: &base_evaluations,
                stages: &selection.stages,
                strategy,
                seed: *seed,
            };
            runs.extend(run.records(&mut test_set, meter)?);
        }
        seeds.push(SeedDetails { seed: *seed, base: base.training, ids: selection.ids });
    }
    Ok(Details {
        setting: setting.clone(),
        kind: data.kind,
        data: data.hash.to_hex().to_string(),
        threads: experiment.threads,
        seeds,
        drift: details::drift(&runs),
        runs,
    })
}
