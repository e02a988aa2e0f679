//! A report as text for people: the table of languages and the sums below it.

use super::{Align, CandidateKind, Decision, LanguageReport, Report, Summary, Table};
use crate::language::Language;
use std::fmt;

/// Columns of the table of languages.
///
/// The scores are those of the reporting examples; `examples` gives both sets, the choosing ones
/// first (`60+20`).
const COLUMNS: [(&str, Align); 9] = [
    ("language", Align::Left),
    ("new data", Align::Left),
    ("before", Align::Right),
    ("after", Align::Right),
    ("change", Align::Right),
    ("examples", Align::Right),
    ("candidate", Align::Left),
    ("decision", Align::Left),
    ("reason", Align::Left),
];

/// A share as per cent with one decimal; `-` when there is none.
pub fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |value| format!("{:.1} %", 100.0 * value))
}

/// A change of a share as signed percentage points; `-` when there is none.
pub fn points(change: Option<f64>) -> String {
    let Some(change) = change else { return "-".to_owned() };
    let points = 100.0 * change;
    // Rounding must not leave a sign on nothing.
    if points.abs() < 0.05 { "0.0".to_owned() } else { format!("{points:+.1}") }
}

/// What was decided and, once committed, the number of the new version: `activate v3`.
pub(super) fn decision(entry: &LanguageReport) -> String {
    match (entry.decision, entry.version) {
        (Decision::Activate, Some(version)) => format!("activate v{version}"),
        (Decision::Activate, None) => "activate".to_owned(),
        (Decision::Keep, _) => "keep".to_owned(),
    }
}

fn row(entry: &LanguageReport) -> [String; 9] {
    [
        entry.language.to_string(),
        if entry.updated { "yes".to_owned() } else { String::new() },
        percent(entry.before),
        percent(entry.after),
        points(entry.candidate_change()),
        format!("{}+{}", entry.choosing, entry.reporting),
        entry.chosen.map_or("-", CandidateKind::name).to_owned(),
        decision(entry),
        entry.reason.clone(),
    ]
}

/// Breaks text between words into lines of at most 80 characters; `indent` begins all but the
/// first.
fn wrap(text: &str, indent: &str) -> String {
    const LINE_CHARS_MAX: usize = 80;
    let mut wrapped = String::new();
    let mut used = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if used > 0 && used + 1 + length > LINE_CHARS_MAX {
            wrapped.push('\n');
            wrapped.push_str(indent);
            used = 0;
        } else if used > 0 {
            wrapped.push(' ');
            used += 1;
        }
        wrapped.push_str(word);
        used += length;
    }
    wrapped
}

/// One line such as `9 languages better (+23.1 points), 0 worse (0.0 points)`.
fn sums(summary: &Summary) -> String {
    let languages = if summary.improved == 1 { "language" } else { "languages" };
    format!(
        "{} {languages} better ({} points in all), {} worse ({} points in all)",
        summary.improved,
        points(Some(summary.gain_total)),
        summary.lost,
        points(Some(-summary.loss_total)),
    )
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(&COLUMNS);
        for entry in &self.languages {
            table.row(row(entry));
        }
        write!(f, "{table}")?;
        let training = &self.training;
        writeln!(f)?;
        if self.languages.iter().any(|entry| entry.candidate_change().is_some()) {
            writeln!(f, "served     {}", sums(&self.summary))?;
            writeln!(f, "ungated    {}", sums(&self.candidate_summary))?;
        } else {
            writeln!(f, "served     first versions: there is nothing to compare them with")?;
        }
        writeln!(f, "gate       {}", wrap(&self.gate, "           "))?;
        let lacking = self.languages.iter().map(|entry| &entry.language);
        let lacking: Vec<&str> =
            lacking.filter(|one| one.lacks_typology()).map(Language::as_str).collect();
        if !lacking.is_empty() {
            let none = format!("none for {}: no near language stands in", lacking.join(", "));
            writeln!(f, "typology   {}", wrap(&none, "           "))?;
        }
        writeln!(
            f,
            "training   task {}, stage {}, strategy {}, seed {}",
            self.task, self.stage, self.strategy, self.seed,
        )?;
        writeln!(
            f,
            "           {} new and {} rehearsed examples, {} steps{}",
            training.examples_new,
            training.examples_rehearsed,
            training.steps,
            if training.cut_short { ", ended by the time budget" } else { "" },
        )?;
        writeln!(
            f,
            "           loss {:.3} -> {:.3}, {:.1} s with measuring",
            training.loss_first,
            training.loss_last,
            training.elapsed_ms as f64 / 1000.0,
        )?;
        if training.still_falling {
            writeln!(f, "           the loss was still falling: more epochs may help")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ReasonKind, Training};
    use super::*;

    fn entry(tag: &str, before: Option<f64>, after: f64, decision: Decision) -> LanguageReport {
        LanguageReport {
            language: Language::parse(tag).expect("a tag"),
            updated: tag == "de",
            choosing: 60,
            reporting: 20,
            before,
            after: Some(after),
            candidates: Vec::new(),
            chosen: Some(CandidateKind::Shared),
            decision,
            reason_kind: ReasonKind::NoWorse,
            reason: "no worse".to_owned(),
            examples_needed: None,
            version: (decision == Decision::Activate).then_some(2),
        }
    }

    fn report() -> Report {
        let mut report = Report {
            task: "intent".to_owned(),
            stage: 3,
            strategy: "replay".to_owned(),
            seed: 7,
            gate: "no worse than 2 points".to_owned(),
            languages: vec![
                entry("de", Some(0.5), 0.75, Decision::Activate),
                entry("fi", Some(0.8), 0.7, Decision::Keep),
                entry("mul", Some(0.1), 0.9, Decision::Activate),
            ],
            summary: Summary::default(),
            candidate_summary: Summary::default(),
            training: Training::default(),
        };
        report.summarise();
        report
    }

    #[test]
    fn the_table_has_a_line_per_language_and_both_sums() {
        let text = report().to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].starts_with("de        yes       50.0 %  75.0 %   +25.0"), "{text}");
        assert!(lines[1].contains("   60+20  shared     activate v2  no worse"), "{text}");
        assert!(lines[2].contains("-10.0") && lines[2].contains("keep"), "{text}");
        assert!(text.contains("task intent, stage 3, strategy replay, seed 7\n"), "{text}");
        assert!(text.contains("served     1 language better (+25.0 points in all), 0 worse"));
        assert!(
            text.contains("ungated    1 language better (+25.0 points in all), 1 worse (-10.0")
        );
    }

    #[test]
    fn json_has_what_the_demo_promises() {
        let json = serde_json::to_value(report()).expect("a report is JSON");
        let german = &json["languages"][0];
        for field in ["language", "updated", "before", "after", "choosing", "reporting", "decision"]
        {
            assert!(!german[field].is_null(), "{field} in {german}");
        }
        assert_eq!(german["decision"], "activate");
        let fields: Vec<&String> = json["summary"].as_object().expect("an object").keys().collect();
        assert_eq!(fields, ["gain_total", "improved", "loss_total", "lost"]);
    }

    #[test]
    fn first_versions_are_not_compared_with_nothing() {
        let mut report = report();
        report.languages.iter_mut().for_each(|entry| entry.before = None);
        report.summarise();
        assert!(report.to_string().contains("served     first versions:"), "{report}");
    }

    #[test]
    fn training_that_ran_out_of_time_says_so() {
        let mut report = report();
        assert!(!report.to_string().contains("time budget"), "{report}");
        report.training.cut_short = true;
        assert!(report.to_string().contains("0 steps, ended by the time budget\n"), "{report}");
    }

    #[test]
    fn a_language_without_a_candidate_shows_a_dash() {
        let mut report = report();
        let finnish = &mut report.languages[1];
        (finnish.chosen, finnish.after) = (None, None);
        let text = report.to_string();
        let line = text.lines().find(|line| line.starts_with("fi")).expect("a line");
        assert!(line.contains("60+20  -          keep"), "{text}");
    }

    #[test]
    fn long_rules_are_wrapped_between_words() {
        let text = "word ".repeat(20);
        assert_eq!(
            wrap(&text, "  "),
            format!("{}\n  word word word word", "word ".repeat(16).trim())
        );
    }

    #[test]
    fn a_change_too_small_to_show_has_no_sign() {
        assert_eq!(points(Some(-0.0001)), "0.0");
        assert_eq!(points(Some(0.004)), "+0.4");
        assert_eq!(points(None), "-");
        assert_eq!(percent(Some(1.0)), "100.0 %");
    }
}
