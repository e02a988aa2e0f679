//! A task over its updates: all languages together, and each by itself.

use super::chart::{Line, Lines, Panel, Panels, Point, Unit};
use super::markup::Html;
use super::{name, table};
use crate::language::Language;
use crate::report::{Align, Decision, LanguageReport, Report};
use std::collections::BTreeSet;

/// The scores that users are served after one stage, or before the first.
struct Served<'a> {
    name: String,
    /// The scores by language, and whether this stage activated the version.
    scores: Vec<(&'a Language, f64, bool)>,
}

pub(super) fn pieces(reports: &[Report]) -> Vec<Html> {
    let stages = served(reports);
    vec![together(&stages), apart(&stages), sums(reports)]
}

fn served(reports: &[Report]) -> Vec<Served<'_>> {
    let start = reports.first().map(|first| Served {
        name: "start".to_owned(),
        scores: scores(first, |entry| Some((entry.before?, false))),
    });
    let stages = reports.iter().map(|report| Served {
        name: report.stage.to_string(),
        scores: scores(report, |entry| match entry.decision {
            Decision::Activate => Some((entry.after?, true)),
            Decision::Keep => Some((entry.before?, false)),
        }),
    });
    start.into_iter().filter(|start| !start.scores.is_empty()).chain(stages).collect()
}

fn scores(
    report: &Report,
    score: impl Fn(&LanguageReport) -> Option<(f64, bool)>,
) -> Vec<(&Language, f64, bool)> {
    let languages = report.languages.iter().filter(|entry| !entry.language.is_shared());
    languages
        .filter_map(|entry| score(entry).map(|(score, new)| (&entry.language, score, new)))
        .collect()
}

fn together(stages: &[Served]) -> Html {
    let mean = stages.iter().map(|stage| {
        let scores = || stage.scores.iter().map(|(_, score, _)| *score);
        let (low, high) = (scores().fold(1.0, f64::min), scores().fold(0.0, f64::max));
        let count = stage.scores.len();
        let value = scores().sum::<f64>() / count as f64;
        let tooltip = format!("mean over {}: {}", super::count(count, "language"), percent(value));
        (count > 0).then_some(Point { value, spread: Some((low, high)), hollow: false, tooltip })
    });
    let worst = stages.iter().map(|stage| {
        let worst = stage.scores.iter().min_by(|one, other| one.1.total_cmp(&other.1));
        worst.map(|(language, score, _)| Point {
            value: *score,
            tooltip: format!("worst language: {language}, {}", percent(*score)),
            ..Point::default()
        })
    });
    let caption = "Score that users are served after each stage: the mean over languages with a \
        whisker from the worst language to the best, and the worst language by itself. Each stage \
        is scored on its own report split.";
    Lines {
        caption: caption.to_owned(),
        across: "stage".to_owned(),
        columns: stages.iter().map(|stage| stage.name.clone()).collect(),
        unit: Unit::Percent,
        lines: vec![
            Line { name: "mean, worst to best".to_owned(), points: mean.collect() },
            Line { name: "worst language".to_owned(), points: worst.collect() },
        ],
    }
    .html()
}

fn apart(stages: &[Served]) -> Html {
    let languages: BTreeSet<&Language> =
        stages.iter().flat_map(|stage| &stage.scores).map(|(language, ..)| *language).collect();
    let panel = |language: &Language| {
        let point = |stage: &Served| {
            let (_, value, new) = stage.scores.iter().find(|(other, ..)| *other == language)?;
            let what = if *new { "activated" } else { "as before" };
            let tooltip = format!("stage {}: {}, {what}", stage.name, percent(*value));
            Some(Point { value: *value, spread: None, hollow: !new, tooltip })
        };
        let points = stages.iter().map(point).collect();
        Panel { label: language.to_string(), about: name(language).to_owned(), points }
    };
    let caption = "The same for each language, all on one axis. Filled marker: the stage activated \
        a new version. Hollow marker: the language kept the version that it had.";
    Panels {
        caption: caption.to_owned(),
        columns: stages.len(),
        unit: Unit::Percent,
        panels: languages.into_iter().map(panel).collect(),
    }
    .html()
}

fn percent(value: f64) -> String {
    Unit::Percent.label(value)
}

/// The sums of each stage, as served and without the gate.
fn sums(reports: &[Report]) -> Html {
    let columns = [
        ("stage", Align::Left),
        ("strategy", Align::Left),
        ("better", Align::Right),
        ("worse", Align::Right),
        ("gains", Align::Right),
        ("losses", Align::Right),
        ("better ungated", Align::Right),
        ("worse ungated", Align::Right),
        ("gains ungated", Align::Right),
        ("losses ungated", Align::Right),
    ];
    let rows: Vec<Vec<Html>> = reports
        .iter()
        .map(|report| {
            let mut row = vec![report.stage.to_string(), report.strategy.clone()];
            for summary in [&report.summary, &report.candidate_summary] {
                row.push(summary.improved.to_string());
                row.push(summary.lost.to_string());
                row.push(Unit::Points.label(summary.gain_total));
                row.push(Unit::Points.label(-summary.loss_total));
            }
            row.iter().map(|text| Html::from(text.as_str())).collect()
        })
        .collect();
    let caption = "Languages that got better or worse at each stage, with their changes summed in \
        percentage points: as served, and as it would have been without the gate.";
    table(caption, &columns, &rows)
}
