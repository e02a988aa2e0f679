//! Everything in a report, as tables.

use super::chart::Unit;
use super::markup::Html;
use super::{about, better_worse, count, definitions, table, totals};
use crate::report::text::decision;
use crate::report::{Align, CandidateReport, LanguageReport, Report};

const COLUMNS: [(&str, Align); 7] = [
    ("language", Align::Left),
    ("before", Align::Right),
    ("candidate", Align::Right),
    ("its change", Align::Right),
    ("examples", Align::Right),
    ("decision and reason", Align::Left),
    ("candidates by the selection split", Align::Left),
];

/// Every language with its scores, its candidates and the reason for the gate's decision.
pub(super) fn listing(report: &Report) -> Html {
    let caption = "The gate chooses and decides by the selection split. Before, candidate and \
        its change are measured on the report split, which decides nothing; a candidate that \
        was not activated is not served. Gained and lost count the selection examples that the \
        candidate or the active version answers better. Examples are those of the selection split \
        + those of the report split; shares are language × weight at distance.";
    let rows: Vec<Vec<Html>> = report.languages.iter().map(row).collect();
    table(caption, &COLUMNS, &rows)
}

fn row(entry: &LanguageReport) -> Vec<Html> {
    let mut label = Html::default();
    label.isolated(entry.language.as_str());
    label.leaf("small", &[], &about(entry));
    let value = |unit: Unit, value: Option<f64>| {
        Html::from(value.map_or_else(|| "–".to_owned(), |value| unit.label(value)).as_str())
    };
    let mut decided = Html::of("b", &[], |name| name.text(&decision(entry)));
    decided.leaf("p", &[("dir", &"auto")], &entry.reason);
    vec![
        label,
        value(Unit::Percent, entry.before),
        value(Unit::Percent, entry.after),
        value(Unit::Points, entry.candidate_change()),
        Html::from(format!("{}+{}", entry.selection_examples, entry.report_examples).as_str()),
        decided,
        candidates(entry),
    ]
}

fn candidates(entry: &LanguageReport) -> Html {
    if entry.candidates.is_empty() {
        return Html::from("none");
    }
    Html::of("ul", &[("class", &"candidates")], |list| {
        for candidate in &entry.candidates {
            let chosen = entry.is_chosen(candidate);
            list.element("li", &[], |item| {
                let name = if chosen { "b" } else { "span" };
                item.leaf(name, &[], &candidate.name());
                item.text(if chosen { ", chosen: " } else { ": " });
                item.text(&sentence(candidate));
            });
        }
    })
}

fn sentence(candidate: &CandidateReport) -> String {
    let mut text = format!("gained {}, lost {}", candidate.gained, candidate.lost);
    if let (Some(low), Some(high)) = (candidate.lower_bound, candidate.upper_bound) {
        let (low, high) = (Unit::Points.label(low), Unit::Points.label(high));
        text.push_str(&format!(", change {low} to {high}"));
    } else if let Some(bound) = candidate.lower_bound {
        text.push_str(&format!(", lower bound {}", Unit::Points.label(bound)));
    }
    if let Some(chance) = candidate.loss_chance {
        text.push_str(&format!(", chance of a loss {}", Unit::Percent.label(chance)));
    }
    if let Some(borrowed) = candidate.examples_borrowed.filter(|borrowed| *borrowed > 0) {
        text.push_str(&format!(", other languages worth {borrowed} more examples"));
    }
    let shares: Vec<String> = candidate
        .shares
        .iter()
        .map(|share| {
            let weight = Unit::Number.label(share.weight);
            let language = &share.language;
            match share.distance {
                Some(distance) => {
                    format!("{language} × {weight} at {}", Unit::Number.label(distance))
                }
                None => format!("{language} × {weight}"),
            }
        })
        .collect();
    if !shares.is_empty() {
        text.push_str(&format!("; from {}", shares.join(", ")));
    }
    text
}

pub(super) fn examples(report: &Report) -> String {
    let training = &report.training;
    format!("{} new, {} rehearsed per epoch", training.examples_new, training.examples_rehearsed)
}

pub(super) fn time(report: &Report) -> String {
    format!("{:.1} s with measuring", report.training.elapsed_ms as f64 / 1000.0)
}

pub(super) fn training(report: &Report) -> Html {
    let training = &report.training;
    let (examples, time) = (examples(report), time(report));
    let ended = if training.cut_short { ", ended by the time budget" } else { "" };
    let steps = format!(
        "{} in {}{ended}",
        count(training.steps, "step"),
        count(training.training_runs, "training")
    );
    let loss = format!("{:.3} at first, {:.3} at last", training.loss_first, training.loss_last);
    definitions(&[("Examples", &examples), ("Steps", &steps), ("Loss", &loss), ("Time", &time)])
}

/// A stage before the last one, collapsed until it is opened.
pub(super) fn earlier_stage(report: &Report) -> Html {
    Html::of("details", &[], |details| {
        let summary = &report.summary;
        let sums = format!("{}; {}", better_worse(summary), totals(summary));
        let line = format!("Stage {}, strategy {}: {sums}", report.stage, report.strategy);
        details.leaf("summary", &[], &line);
        details.push(&listing(report));
        details.push(&training(report));
    })
}
