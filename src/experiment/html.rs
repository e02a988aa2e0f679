//! The results as one page: strategies side by side, languages and stages, per setting.
//!
//! Input: rows and details. Output: the text of a self-contained page. The charts are the
//! library's; this module selects the numbers and must never compute one that `metrics` does not.

use crate::calibration;
use crate::details::{Details, DriftDetails, groups};
use crate::metrics::{Figures, Row};
use crate::run::Record;
use polygraft::language::Language;
use polygraft::report::html::chart::{
    Bar, BarGroup, Bars, Cell, Heat, HeatGroup, HeatRow, Line, Lines, Point, Unit,
};
use polygraft::report::html::{Html, Page};
use polygraft::report::metric;
use polygraft::task::mean;
use std::collections::{BTreeMap, BTreeSet};

/// The page of all settings.
pub fn page(rows: &[Row], details: &[Details]) -> String {
    let mut page = Page::new("Continual multilingual learning");
    page.push(&Html::paragraph(
        "Each setting trains a base on all languages and updates it in a few. Every language is \
         scored on test examples that were never trained on, held out or rehearsed. Changes are \
         relative to the base, means over seeds; whiskers span one standard deviation.",
    ));
    for details in details {
        let own: Vec<&Row> =
            rows.iter().filter(|row| row.setting == details.setting.name).collect();
        let mut pieces = vec![introduction(details, &own), means(&own)];
        pieces.push(compared(
            "Share of languages that are better and worse",
            Unit::Percent,
            &own,
            &[
                ("better", |row| {
                    (row.mean.improved_share, row.deviations.map(|s| s.improved_share_sd))
                }),
                ("worse", |row| (row.mean.lost_share, row.deviations.map(|s| s.lost_share_sd))),
            ],
        ));
        pieces.push(compared(
            "Losses over all languages, and the largest one",
            Unit::Points,
            &own,
            &[
                ("sum of losses", |row| {
                    (-row.mean.loss_total, row.deviations.map(|s| s.loss_total_sd))
                }),
                ("largest loss", |row| (-row.mean.worst, row.deviations.map(|s| s.worst_sd))),
            ],
        ));
        pieces.push(languages(details, "the score", &score_change));
        let names = details.runs.iter().flat_map(|run| run.base_metrics.values());
        let names: BTreeSet<&String> = names.flat_map(BTreeMap::keys).collect();
        for name in names.into_iter().filter(|name| metric::is_share_of_right(name)) {
            let change = |run: &Record, language: &Language| metric_change(run, language, name);
            pieces.push(languages(details, &metric::heading(name), &change));
        }
        if details.setting.stages.len() > 1 {
            pieces.push(stages(details, "Mean over languages", Unit::Percent, |f| f.mean));
            pieces
                .push(stages(details, "Largest loss of one language", Unit::Points, |f| -f.worst));
        }
        page.section(&details.setting.name, &pieces);
    }
    let records: Vec<&Record> = details.iter().flat_map(|one| &one.runs).collect();
    if let Some(chart) = calibration::chart(&records) {
        page.section("The gate's chances", &[chart]);
    }
    page.finish()
}

fn introduction(details: &Details, rows: &[&Row]) -> Html {
    let setting = &details.setting;
    let updated: BTreeSet<&str> =
        setting.stages.iter().flat_map(|stage| &stage.languages).map(Language::as_str).collect();
    let base = rows.first().map_or(0.0, |row| row.mean.base_mean);
    Html::paragraph(&format!(
        "{}: {} languages, {} test examples in each; a base of {} training examples per language \
         reaches {}. New examples come in {}, in {}. Seeds: {}.",
        setting.dataset,
        setting.languages.len(),
        setting.test_examples_per_language,
        setting.base.examples_per_language,
        Unit::Percent.label(base),
        match setting.stages.len() {
            1 => "one stage".to_owned(),
            count => format!("{count} stages"),
        },
        updated.into_iter().collect::<Vec<_>>().join(", "),
        setting.seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(", "),
    ))
}

/// The name of a strategy with its gate.
fn name(strategy: &str, gate: bool) -> String {
    format!("{strategy}, gate {}", if gate { "on" } else { "off" })
}

fn whisker(value: f64, deviation: Option<f64>) -> Option<(f64, f64)> {
    deviation.map(|deviation| (value - deviation, value + deviation))
}

/// The change of the mean over all languages, and over the updated ones.
fn means(rows: &[&Row]) -> Html {
    compared(
        "Change of the mean score",
        Unit::Points,
        rows,
        &[
            ("all languages", |row| {
                (row.mean.mean - row.mean.base_mean, row.deviations.map(|s| s.mean_sd))
            }),
            ("languages with new data", |row| {
                (row.mean.gain_updated_mean, row.deviations.map(|s| s.gain_updated_mean_sd))
            }),
        ],
    )
}

/// A number of a row for a chart: a value and its standard deviation.
type ValueOf = fn(&Row) -> (f64, Option<f64>);

/// Strategies side by side, one group of bars per figure.
fn compared(caption: &str, unit: Unit, rows: &[&Row], figures: &[(&str, ValueOf)]) -> Html {
    let group = |(heading, figure): &(&str, ValueOf)| {
        let bar = |row: &&Row| {
            let (value, deviation) = figure(row);
            Bar {
                label: name(&row.strategy, row.gate),
                value: Some(value),
                spread: whisker(value, deviation),
                ..Bar::default()
            }
        };
        BarGroup { heading: (*heading).to_owned(), bars: rows.iter().map(bar).collect() }
    };
    let chart = Bars {
        caption: caption.to_owned(),
        labels: "strategy".to_owned(),
        values: "value".to_owned(),
        notes: String::new(),
        unit,
        groups: figures.iter().map(group).collect(),
    };
    chart.html()
}

/// The change in a language in one run.
type ChangeOf<'a> = dyn Fn(&Record, &Language) -> Option<f64> + 'a;

/// The change of every language with every strategy, by language family.
fn languages(details: &Details, what: &str, change_of: &ChangeOf<'_>) -> Html {
    let groups = groups(&details.runs);
    let updated: BTreeSet<&Language> =
        details.setting.stages.iter().flat_map(|stage| &stage.languages).collect();
    let mut families = BTreeMap::<&str, Vec<HeatRow>>::new();
    for language in &details.setting.languages {
        let known = language.typology();
        let mut about = known.as_ref().map(|known| known.name.to_owned()).unwrap_or_default();
        if updated.contains(language) {
            about.push_str(" (new data)");
        }
        let cells = groups
            .iter()
            .map(|group| Cell { value: change(group, language, change_of), ..Cell::default() });
        let row = HeatRow { label: language.to_string(), about, cells: cells.collect() };
        families.entry(known.map_or("Unknown family", |known| known.family)).or_default().push(row);
    }
    let columns = groups.iter().filter_map(|group| group.first());
    let heat = Heat {
        caption: format!(
            "Change of {what} in each language after the last stage, in points, by family"
        ),
        labels: "language".to_owned(),
        columns: columns.map(|run| name(&run.strategy, run.gate)).collect(),
        unit: Unit::Points,
        groups: families
            .into_iter()
            .map(|(family, rows)| HeatGroup { heading: family.to_owned(), rows })
            .collect(),
    };
    heat.html()
}

/// The change of one language, averaged over seeds.
fn change(group: &[&Record], language: &Language, change_of: &ChangeOf<'_>) -> Option<f64> {
    let changes = group.iter().map(|record| change_of(record, language));
    mean(changes.collect::<Option<Vec<f64>>>()?)
}

fn score_change(record: &Record, language: &Language) -> Option<f64> {
    let after = record.stages.last()?.scores.get(language)?;
    Some(after - record.base.get(language)?)
}

fn metric_change(record: &Record, language: &Language, name: &str) -> Option<f64> {
    let after = record.stages.last()?.metrics.get(language)?.get(name)?;
    Some(after - record.base_metrics.get(language)?.get(name)?)
}

/// One figure over the stages, one line per strategy and gate.
fn stages(details: &Details, caption: &str, unit: Unit, figure: fn(&Figures) -> f64) -> Html {
    let line = |drift: &DriftDetails| {
        let point = |figures: &Figures| Some(Point { value: figure(figures), ..Point::default() });
        let points = drift.stages.iter().map(|stage| point(&stage.mean)).collect();
        Line { name: name(&drift.strategy, drift.gate), points }
    };
    let chart = Lines {
        caption: format!("{caption} after each stage"),
        across: "stage".to_owned(),
        columns: (1..=details.setting.stages.len()).map(|stage| stage.to_string()).collect(),
        unit,
        lines: details.drift.iter().map(line).collect(),
    };
    chart.html()
}
