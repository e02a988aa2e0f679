//! The `polygraft` command: everything the library does, for people and for scripts.
//!
//! Input: arguments and files. Output: data on standard output; progress, notes and errors on
//! standard error. Each command is one file that uses only the public Rust API. This program must
//! contain no logic about models, versions or updates, and must never print a number that the
//! library did not return.

mod activate;
mod adapter;
mod answers;
mod bundle;
mod compose;
mod doctor;
mod embed;
mod eval;
mod generate_args;
mod gradients;
mod inspect;
mod inspect_adapters;
mod languages;
mod model;
mod predict;
mod report;
mod shell;
mod store;
mod update;
mod update_args;
mod versions;

use clap::{CommandFactory, Parser, Subcommand};
use polygraft::Result;
use polygraft::console::output::{self, ExitStatus, Output};
use polygraft::console::{Global, signal};
use polygraft::error::ResultExt;
use polygraft::store::check_task_name;
use std::ffi::OsString;
use std::process::ExitCode;

const EXIT_CODES: &str = "Exit codes:
  0    done
  1    failure; the error says what, where, expected and found
  2    usage: an argument is missing, unknown or outside its range
  3    verification refused: a file is not what its hash or record states
  4    the gate kept every language: nothing was activated
  5    as 4, and a language with new examples needs more held-out ones
  130  cancelled by Ctrl-C: nothing was changed";

/// Multilingual prediction with adapters that keep learning on this machine
#[derive(Parser)]
#[command(name = "polygraft", version, after_help = EXIT_CODES, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Create or check a bundle: a backbone, its tokenizer and a manifest with hashes
    #[command(subcommand)]
    Bundle(bundle::Command),
    /// Show what a .onnx file or a bundle contains
    Inspect(inspect::Args),
    /// Compute the gradients of an output of any .onnx file by the tensors of an adapter
    Gradients(Box<gradients::Args>),
    /// Predict the output for one text or for many
    Predict(predict::Args),
    /// Print texts as vectors, one JSON object per line
    Embed(embed::Args),
    /// Train on new examples, measure every language, activate what is not worse
    Update(Box<update::Args>),
    /// Show what past updates of a task did, language by language
    Report(report::Args),
    /// Measure the active versions on labelled examples
    Eval(eval::Args),
    /// List the versions of a store
    Versions(versions::Args),
    /// Activate a version of a language
    Activate(activate::ActivateArgs),
    /// Return to the version that was active before
    Rollback(activate::TargetArgs),
    /// Keep a language on its active version until it is unpinned
    Pin(activate::TargetArgs),
    /// Let updates change the language again
    Unpin(activate::TargetArgs),
    /// Maintain a store as a whole
    #[command(subcommand)]
    Store(store::Command),
    /// List the known languages, or explain how polygraft interprets one tag
    Languages(languages::Args),
    /// Check this machine: ONNX Runtime, a bundle, a store
    Doctor(doctor::Args),
    /// Import and export adapters of other libraries
    #[command(subcommand)]
    Adapter(adapter::Command),
    /// Print what a shell needs to complete commands and flags
    Completions(shell::CompletionsArgs),
    /// Write the manual pages of all commands into a folder
    Manual(shell::ManualArgs),
}

impl Command {
    /// The `--task` of the command, if it has one.
    fn task(&self) -> Option<&str> {
        match self {
            Self::Predict(args) => Some(&args.task),
            Self::Embed(args) => args.task.as_deref(),
            Self::Update(args) => Some(&args.task),
            Self::Report(args) => Some(&args.task),
            Self::Eval(args) => Some(&args.task),
            Self::Versions(args) => args.task.as_deref(),
            Self::Activate(args) => Some(&args.target.task),
            Self::Rollback(args) | Self::Pin(args) | Self::Unpin(args) => Some(&args.task),
            Self::Languages(args) => args.task.as_deref(),
            Self::Adapter(command) => command.task(),
            Self::Store(command) => command.task(),
            Self::Bundle(_)
            | Self::Inspect(_)
            | Self::Gradients(_)
            | Self::Doctor(_)
            | Self::Completions(_)
            | Self::Manual(_) => None,
        }
    }
}

fn main() -> ExitCode {
    signal::install();
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return output::usage(&error, &arguments),
    };
    let output = Output::new(cli.global.json);
    match run(&cli, &output) {
        Ok(outcome) => outcome.into(),
        Err(error) => output.error(&error),
    }
}

fn run(cli: &Cli, output: &Output) -> Result<ExitStatus> {
    let global = &cli.global;
    // An invalid task name is refused before anything is opened or created, rather than treated as
    // a task without versions.
    if let Some(task) = cli.command.task() {
        check_task_name(task).context(|| "--task".to_owned())?;
    }
    match &cli.command {
        Command::Bundle(command) => bundle::run(command, global, output),
        Command::Inspect(args) => inspect::run(args, global, output),
        Command::Gradients(args) => gradients::run(args, global, output),
        Command::Predict(args) => predict::run(args, global, output),
        Command::Embed(args) => embed::run(args, global, output),
        Command::Update(args) => update::run(args, global, output),
        Command::Report(args) => report::run(args, output),
        Command::Eval(args) => eval::run(args, global, output),
        Command::Versions(args) => versions::run(args, output),
        Command::Activate(args) => activate::activate(args, output),
        Command::Rollback(args) => activate::rollback(args, output),
        Command::Pin(args) => activate::pin(args, true, output),
        Command::Unpin(args) => activate::pin(args, false, output),
        Command::Store(command) => store::run(command, global, output),
        Command::Languages(args) => languages::run(args, output),
        Command::Doctor(args) => doctor::run(args, global, output),
        Command::Adapter(command) => adapter::run(command, global, output),
        Command::Completions(args) => shell::completions(args, Cli::command(), output),
        Command::Manual(args) => shell::manual(args, Cli::command(), output),
    }
}
