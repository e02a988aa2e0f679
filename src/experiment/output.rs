//! The output of the experiment: the table on the terminal, `cml.json`, `details.json` and
//! `cml.html`.
//!
//! Input: finished results. Output: files, written completely or not at all, and text. This module
//! must never print a number that the runs or `metrics` did not compute.

use crate::details::Details;
use crate::metrics::Row;
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
