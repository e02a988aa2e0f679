//! A report as text for people, and as JSON: the lines that a terminal shows.

use polygraft::language::Language;
use polygraft::report::{
    CandidateKind, Decision, LanguageReport, Origin, ReasonKind, Report, Summary, Training,
    percent, points,
};

fn entry(tag: &str, before: Option<f64>, after: f64, decision: Decision) -> LanguageReport {
    LanguageReport {
        language: Language::parse(tag).expect("a tag"),
        updated: tag == "de",
        selection_examples: 60,
        report_examples: 20,
        before,
        after: Some(after),
        candidates: Vec::new(),
        chosen: Some(CandidateKind::Shared),
        chosen_strength: 1.0,
        decision,
        reason_kind: ReasonKind::NoWorse,
        reason: "no worse".to_owned(),
        examples_needed: None,
        serving: None,
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
        origin: None,
        warnings: Vec::new(),
    };
    report.summarise();
    report
}

#[test]
fn the_table_has_a_line_per_language_and_both_sums() {
    let text = report().to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[1].starts_with("de    yes  50.0 %  75.0 %   +25.0"), "{text}");
    assert!(lines[1].ends_with("   60+20  activate v2, shared: no worse"), "{text}");
    // A language that keeps its version does not change, whatever the candidate would have
    // done.
    assert!(lines[2].starts_with("fi         80.0 %  80.0 %     0.0"), "{text}");
    assert!(lines[2].ends_with("   60+20  keep: no worse"), "{text}");
    assert!(text.contains("examples   selection + report: "), "{text}");
    assert!(text.contains("task intent, stage 3, strategy replay, seed 7\n"), "{text}");
    assert!(text.contains("served     1 language better (+25.0 points in all), 0 worse"));
    assert!(
        text.contains("ungated    1 language better (+25.0 points in all), 1 worse (\u{2212}10.0")
    );
    assert!(!text.contains("typology") && !text.contains("measured   "), "{text}");
}

#[test]
fn lines_fit_a_terminal_and_no_word_is_broken() {
    let mut report = report();
    let reason = "9 selection examples, at least 10 needed: about 7 more examples in zh-Hant-TW";
    report.languages[0].language = Language::parse("zh-Hant-TW").expect("a tag");
    report.languages[1].reason = reason.to_owned();
    report.gate = "word ".repeat(40);
    let text = report.to_string();
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    let words: Vec<&str> = text.split_whitespace().collect();
    for word in reason.split(' ') {
        assert!(words.contains(&word), "{word} in {text}");
    }
}

#[test]
fn where_it_comes_from_and_what_has_no_typology_is_said() {
    let mut report = report();
    report.languages[0].language = Language::parse("aaa").expect("a tag");
    report.languages[1].language = Language::parse("x-own").expect("a tag");
    report.origin = Some(Origin {
        polygraft: "0.2.0".to_owned(),
        measured_unix_ms: 951_782_400_000,
        bundle: "e5-small".to_owned(),
        backbone: "0123456789abcdef".to_owned(),
    });
    let text = report.to_string();
    let lacking = "typology   none for aaa, x-own: no near language stands in\n";
    assert!(text.contains(lacking), "{text}");
    let from = "measured   2000-02-29 00:00 UTC by polygraft 0.2.0, bundle e5-small, backbone\n\
                \x20          0123456789ab\n";
    assert!(text.ends_with(from), "{text}");
}

#[test]
fn json_has_what_the_demo_promises() {
    let json = serde_json::to_value(report()).expect("a report is JSON");
    let german = &json["languages"][0];
    for field in ["language", "updated", "before", "after", "choosing", "reporting", "decision"] {
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
fn a_language_without_a_candidate_names_none() {
    let mut report = report();
    let finnish = &mut report.languages[1];
    (finnish.chosen, finnish.after) = (None, None);
    let text = report.to_string();
    let line = text.lines().find(|line| line.starts_with("fi")).expect("a line");
    assert!(line.contains("60+20  keep: no worse"), "{text}");
}

#[test]
fn a_change_too_small_to_show_has_no_sign() {
    assert_eq!(points(Some(-0.0001)), "0.0");
    assert_eq!(points(Some(0.004)), "+0.4");
    assert_eq!(points(Some(-0.032)), "\u{2212}3.2");
    assert_eq!(points(None), "-");
    assert_eq!(percent(Some(1.0)), "100.0 %");
}
