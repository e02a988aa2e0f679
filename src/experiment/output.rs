//! The output of the experiment: the table on the terminal, `cml.json`, `details.json` and
//! `cml.html`.
//!
//! Input: finished results. Output: files, written completely or not at all, and text. This module
//! must never print a number that the runs or `metrics` did not compute.

use crate::details::Details;
use crate::metrics::{Figures, Row};
use crate::{cache, html};
use polygraft::Result;
use polygraft::report::{Align, Table, metric, percent, points};
use std::collections::BTreeSet;
use std::path::Path;

/// Writes the files into `folder`.
pub fn write(folder: &Path, rows: &[Row], details: &[Details]) -> Result<()> {
    cache::create_folder(folder)?;
    cache::save(&folder.join("cml.json"), &rows)?;
    cache::save(&folder.join("details.json"), &details)?;
    cache::write(&folder.join("cml.html"), html::page(rows, details).as_bytes())
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

/// The summary in four lines: the score before, and after plain finetuning, the default strategy,
/// and the default strategy with the gate.
pub fn summary(rows: &[Row]) -> String {
    let Some(first) = rows.first() else { return String::new() };
    let base = percent(Some(first.mean.base_mean));
    let mut text = format!("{:<24}{base} in {} languages\n", "before the update", first.languages);
    let lines = [("naive", false, "plain finetuning"), ("uriel", false, "polygraft, gate off")];
    for (strategy, gate, name) in lines.into_iter().chain([("uriel", true, "polygraft, served")]) {
        let is_it = |row: &&Row| row.strategy == strategy && row.gate == gate;
        let Some(Figures { improved_share, lost_share, loss_total, gain_updated_mean, .. }) =
            rows.iter().find(is_it).map(|row| row.mean)
        else {
            continue;
        };
        text.push_str(&format!(
            "{name:<24}{} of the languages better, {} worse; {} points lost in all, {} where the \
             data is new\n",
            percent(Some(improved_share)),
            percent(Some(lost_share)),
            points(Some(-loss_total)),
            points(Some(gain_updated_mean))
        ));
    }
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
        let deviation = row.deviations.map(|one| format!("{:.1}", 100.0 * one.mean_sd));
        let mut cells = vec![
            row.strategy.clone(),
            if row.gate { "on" } else { "off" }.to_owned(),
            percent(Some(figures.mean)),
            deviation.unwrap_or_default(),
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
