//! A report as text for people: the table of languages and the sums below it.

use super::table::words_in_lines;
use super::{Align, Decision, LanguageReport, Origin, Report, Summary, Table, Training, utc};
use crate::language::Language;
use std::fmt;

/// Columns of the table of languages: what users are served. The effects of candidates that were
/// not activated are in the sums below the table, in JSON and on the page.
const COLUMNS: [(&str, Align); 7] = [
    ("lang", Align::Left),
    ("new", Align::Left),
    ("before", Align::Right),
    ("after", Align::Right),
    ("change", Align::Right),
    ("examples", Align::Right),
    ("decision", Align::Left),
];
/// The default width of a terminal.
const WIDTH: usize = 80;
/// The width of the names of the facts below the table.
const INDENT: usize = 11;

/// Formats a share as per cent with one decimal; `-` for `None`.
pub fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |value| format!("{:.1} %", 100.0 * value))
}

/// Formats a change of a share as signed percentage points; `-` for `None`.
pub fn points(change: Option<f64>) -> String {
    let Some(change) = change else { return "-".to_owned() };
    let points = 100.0 * change;
    // A value that is rounded to zero must have no sign.
    if points.abs() < 0.05 { "0.0".to_owned() } else { minus(&format!("{points:+.1}")) }
}

/// Replaces the hyphen of a number by the minus sign that charts and pages use: the hyphen is
/// narrower than a plus, and lines may break after it.
pub fn minus(number: &str) -> String {
    number.replace('-', "\u{2212}")
}

/// The decision and, after the commit, the number of the new version: `activate v3`.
pub(super) fn decision(entry: &LanguageReport) -> String {
    match (entry.decision, entry.version) {
        (Decision::Activate, Some(version)) => format!("activate v{version}"),
        (Decision::Activate, None) => "activate".to_owned(),
        (Decision::Keep, _) => "keep".to_owned(),
    }
}

fn row(entry: &LanguageReport) -> [String; 7] {
    let after = match entry.decision {
        Decision::Activate => entry.after,
        Decision::Keep => entry.before,
    };
    let of = entry.chosen_name().filter(|_| entry.decision == Decision::Activate);
    let of = of.map_or_else(String::new, |name| format!(", {name}"));
    [
        entry.language.to_string(),
        if entry.updated { "yes".to_owned() } else { String::new() },
        percent(entry.before),
        percent(after),
        points(entry.served_change()),
        format!("{}+{}", entry.selection_examples, entry.report_examples),
        format!("{}{of}: {}", decision(entry), entry.reason),
    ]
}

/// Writes a fact below the table, wrapped between words.
fn fact(f: &mut fmt::Formatter<'_>, name: &str, text: &str) -> fmt::Result {
    for (index, line) in words_in_lines(text, WIDTH - INDENT).iter().enumerate() {
        let name = if index == 0 { name } else { "" };
        writeln!(f, "{name:<INDENT$}{line}")?;
    }
    Ok(())
}

/// Explains `60+20`.
const EXAMPLES: &str = "selection + report: the gate decides by the first, before and after are \
    measured on the others";

/// One line such as `9 languages better (+23.1 points), 0 worse (0.0 points)`.
fn sums(summary: &Summary) -> String {
    let Summary { improved, lost, gain_total, loss_total } = *summary;
    let languages = if improved == 1 { "language" } else { "languages" };
    let (gain, loss) = (points(Some(gain_total)), points(Some(-loss_total)));
    format!(
        "{improved} {languages} better ({gain} points in all), {lost} worse ({loss} points in all)"
    )
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(&COLUMNS).wrapped(WIDTH);
        for entry in &self.languages {
            table.row(row(entry));
        }
        writeln!(f, "{table}")?;
        if self.languages.iter().any(|entry| entry.candidate_change().is_some()) {
            fact(f, "served", &sums(&self.summary))?;
            fact(f, "ungated", &sums(&self.candidate_summary))?;
        } else {
            fact(f, "served", "first versions: there is nothing to compare them with")?;
        }
        fact(f, "examples", EXAMPLES)?;
        fact(f, "gate", &self.gate)?;
        let lacking = self.languages.iter().map(|entry| &entry.language);
        let lacking: Vec<&str> =
            lacking.filter(|one| one.lacks_typology()).map(Language::as_str).collect();
        if !lacking.is_empty() {
            let none = format!("none for {}: no near language stands in", lacking.join(", "));
            fact(f, "typology", &none)?;
        }
        self.write_training(f)?;
        if let Some(origin) = &self.origin {
            fact(f, "measured", &origin.to_string())?;
        }
        Ok(())
    }
}

impl Report {
    fn write_training(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { task, stage, strategy, seed, .. } = self;
        writeln!(f, "training   task {task}, stage {stage}, strategy {strategy}, seed {seed}")?;
        let Training { examples_new, examples_rehearsed, steps, .. } = &self.training;
        let ended = if self.training.cut_short { ", ended by the time budget" } else { "" };
        let examples = format!("{examples_new} new and {examples_rehearsed} rehearsed examples");
        writeln!(f, "           {examples}, {steps} steps{ended}")?;
        let Training { loss_first, loss_last, elapsed_ms, still_falling, .. } = self.training;
        let seconds = elapsed_ms as f64 / 1000.0;
        let loss = format!("loss {loss_first:.3} -> {loss_last:.3}");
        writeln!(f, "           {loss}, {seconds:.1} s with measuring")?;
        if still_falling {
            writeln!(f, "           the loss was still falling: more epochs may help")?;
        }
        Ok(())
    }
}

/// `2026-03-01 12:30 UTC by polygraft 0.1.0, bundle e5-small, backbone 3f2a9c11d0b4`.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { polygraft, measured_unix_ms, bundle, backbone } = self;
        let hash: String = backbone.chars().take(12).collect();
        let when = utc(*measured_unix_ms);
        write!(f, "{when} UTC by polygraft {polygraft}, bundle {bundle}, backbone {hash}")
    }
}
