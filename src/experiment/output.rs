//! The output of the experiment: the table on the terminal, `cml.json`, `details.json` and
//! `cml.html`.
//!
//! Input: finished results. Output: files, written completely or not at all, and text. This module
//! must never print a number that the runs or `metrics` did not compute.

use crate::base::BaseTraining;
use crate::cache;
use crate::metrics::{self, Drift, Row};
use crate::run::Record;
use crate::settings::Setting;
use polygraft::Result;
use polygraft::example::TaskKind;
use polygraft::report::{Align, Table, metric, percent, points};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// All results of one setting.
#[derive(Serialize)]
pub struct Details {
    /// The setting as it was run, with the changes of the command line.
    pub setting: Setting,
    /// The kind of targets, if it is not one label.
    #[serde(skip_serializing_if = "metrics::is_label")]
    pub kind: TaskKind,
    /// The hash of the data files.
    pub data: String,
    /// Threads of a run of the model; 0 takes all cores.
    pub threads: usize,
    /// The base and the examples of every seed.
    pub seeds: Vec<SeedDetails>,
    /// Every run, language by language.
    pub runs: Vec<Record>,
    /// The figures after each stage, means over seeds.
    pub drift: Vec<DriftDetails>,
}

/// The starting point of the runs of one seed.
#[derive(Serialize)]
pub struct SeedDetails {
    /// The seed.
    pub seed: u64,
    /// How the base was trained.
    pub base: BaseTraining,
    /// The ids by purpose, for data sets that have ids.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub ids: BTreeMap<String, BTreeSet<String>>,
}

/// The figures of a strategy over the stages.
#[derive(Serialize)]
pub struct DriftDetails {
    /// The name of the strategy.
    pub strategy: String,
    /// Whether the gate was on.
    pub gate: bool,
    /// One entry per stage.
    pub stages: Vec<Drift>,
}

/// The runs of one setting by strategy and gate, in the order in which they ran.
pub fn groups(runs: &[Record]) -> Vec<Vec<&Record>> {
    let mut groups: Vec<Vec<&Record>> = Vec::new();
    for run in runs {
        let same = |other: &&Record| other.strategy == run.strategy && other.gate == run.gate;
        match groups.iter_mut().find(|group| group.first().is_some_and(same)) {
            Some(group) => group.push(run),
            None => groups.push(vec![run]),
        }
    }
    groups
}

/// The rows of one setting.
pub fn rows(setting: &Setting, kind: TaskKind, runs: &[Record]) -> Vec<Row> {
    groups(runs).iter().filter_map(|group| metrics::row(&setting.dataset, kind, group)).collect()
}

/// The drift of one setting.
pub fn drift(runs: &[Record]) -> Vec<DriftDetails> {
    let details = |group: &Vec<&Record>| {
        let first = group.first()?;
        let (strategy, gate) = (first.strategy.clone(), first.gate);
        Some(DriftDetails { strategy, gate, stages: metrics::drift(group) })
    };
    groups(runs).iter().filter_map(details).collect()
}

/// Writes the files into `folder`.
pub fn write(folder: &Path, rows: &[Row], details: &[Details]) -> Result<()> {
    cache::create_folder(folder)?;
    cache::save(&folder.join("cml.json"), &rows)?;
    cache::save(&folder.join("details.json"), &details)?;
    cache::write(&folder.join("cml.html"), crate::html::page(rows, details).as_bytes())
}

/// The rows as a table for people, one block per setting.
pub fn table(rows: &[Row]) -> String {
    let mut text = String::new();
    let mut settings: Vec<&str> = rows.iter().map(|row| row.setting.as_str()).collect();
    settings.dedup();
    for setting in settings {
        let own: Vec<&Row> = rows.iter().filter(|row| row.setting == setting).collect();
        let Some(first) = own.first() else { continue };
        let seeds = if first.seeds.len() == 1 { "seed" } else { "seeds" };
        let stages = if first.stages == 1 { "stage" } else { "stages" };
        text.push_str(&format!(
            "{setting}: {}, {} languages, {} {stages}, {} {seeds}, base {}{}\n\n{}\n",
            first.dataset,
            first.languages,
            first.stages,
            first.seeds.len(),
            percent(Some(first.mean.base_mean)),
            base_metrics(first),
            block(&own)
        ));
    }
    text.push_str(
        "mean score, share of languages better and worse than the base, sum of the losses over \
         languages,\nchange in the languages with new data, largest loss of one language\n",
    );
    text
}

/// The metrics of the base, if there are more than the score.
fn base_metrics(row: &Row) -> String {
    let shown = row.metrics.iter().map(|(name, change)| {
        format!("{} {}", metric::heading(name), metric::show(name, Some(change.base_mean)))
    });
    let shown: Vec<String> = shown.collect();
    if shown.is_empty() { String::new() } else { format!(" ({})", shown.join(", ")) }
}

fn block(rows: &[&Row]) -> Table {
    let names: BTreeSet<&String> = rows.iter().flat_map(|row| row.metrics.keys()).collect();
    let headings: Vec<String> = names.iter().map(|name| metric::heading(name)).collect();
    let mut columns = vec![
        ("strategy", Align::Left),
        ("gate", Align::Left),
        ("mean", Align::Right),
        ("\u{b1}", Align::Right),
        ("better", Align::Right),
        ("worse", Align::Right),
        ("losses", Align::Right),
        ("updated", Align::Right),
        ("worst", Align::Right),
    ];
    columns.extend(headings.iter().map(|heading| (heading.as_str(), Align::Right)));
    let mut table = Table::new(&columns);
    for row in rows {
        let figures = &row.mean;
        let spread = row.spread.map(|spread| format!("{:.1}", 100.0 * spread.mean_sd));
        let mut cells = vec![
            row.strategy.clone(),
            if row.gate { "on" } else { "off" }.to_owned(),
            percent(Some(figures.mean)),
            spread.unwrap_or_default(),
            percent(Some(figures.improved_share)),
            percent(Some(figures.lost_share)),
            points(Some(-figures.loss_total)),
            points(Some(figures.gain_updated_mean)),
            points(Some(-figures.worst)),
        ];
        let mean = |name: &&String| row.metrics.get(*name).map(|change| change.mean);
        cells.extend(names.iter().map(|name| metric::show(name, mean(name))));
        table.row(cells);
    }
    table
}
