//! `polygraft report`: the results of past updates of a task, stage by stage.

use crate::model;
use polygraft::console::file::FileToWrite;
use polygraft::console::output::{ExitStatus, Output};
use polygraft::report::{Align, Report, Table, html, points};
use polygraft::update::history;
use polygraft::{Code, Error, Result};
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Args {
    /// The folder of the store
    #[arg(long, value_name = "DIR")]
    store: PathBuf,
    /// The task whose updates are reported
    #[arg(long, value_name = "NAME")]
    pub task: String,
    /// Only this update, counted from 1
    #[arg(long, value_name = "N")]
    stage: Option<u32>,
    /// Also write a page with charts to this file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

pub fn run(args: &Args, output: &Output) -> Result<ExitStatus> {
    let mut reports = history(&model::open_store(&args.store)?, &args.task)?;
    if let Some(stage) = args.stage {
        reports.retain(|report| report.stage == stage);
    }
    if reports.is_empty() {
        let which = args.stage.map_or_else(String::new, |stage| format!(" at stage {stage}"));
        let (store, task) = (args.store.display(), &args.task);
        let message = format!("{store} has no report of an update of the task {task:?}{which}");
        return Err(Error::new(Code::NotFound, message));
    }
    if let Some(path) = &args.html {
        FileToWrite::create(path)?.write(html::updates(&reports).as_bytes())?;
    }
    match reports.as_slice() {
        all if output.is_json() => output.document(&all)?,
        [only] => output.report(only)?,
        all => output.text(&stages(all).to_string())?,
    }
    Ok(ExitStatus::Done)
}

/// One line per update.
fn stages(reports: &[Report]) -> Table {
    let mut table = Table::new(&[
        ("stage", Align::Right),
        ("strategy", Align::Left),
        ("new data", Align::Left),
        ("activated", Align::Right),
        ("better", Align::Right),
        ("points", Align::Right),
        ("worse", Align::Right),
        ("points", Align::Right),
    ]);
    for report in reports {
        let updated = report.languages.iter().filter(|entry| entry.updated);
        let updated: Vec<&str> = updated.map(|entry| entry.language.as_str()).collect();
        let summary = &report.summary;
        table.row([
            report.stage.to_string(),
            report.strategy.clone(),
            updated.join(" "),
            report.languages.iter().filter(|entry| entry.version.is_some()).count().to_string(),
            summary.improved.to_string(),
            points(Some(summary.gain_total)),
            summary.lost.to_string(),
            points(Some(-summary.loss_total)),
        ]);
    }
    table
}
