//! Answers as text: over several lines for one question, on one line each for many.

use super::{Query, generated, is_expected, marks, piece};
use polygraft::example::{Input, Target, TaskKind};
use polygraft::model::{Given, LabelScore, Prediction};
use polygraft::report::{Align, Table, percent};

/// Width of the column of languages, and of that of labels.
const LANGUAGE_WIDTH: usize = 8;
const LABEL_WIDTH: usize = 32;

/// The answer to one question over several lines; at most `top_k` labels, or all for 0.
pub fn sheet(input: &Input, given: &Given, top_k: usize) -> String {
    match given.kind {
        TaskKind::Classification => labels(given, top_k),
        TaskKind::MultiLabel => labels(given, top_k.max(given.applying().len())),
        TaskKind::Regression => format!("{}\n", number(given)),
        TaskKind::TokenClassification => tagged(&input.text(), given),
        TaskKind::IntentAndSlots => {
            format!("{}\n{}", labels(given, top_k), tagged(&input.text(), given))
        }
        TaskKind::SequenceToSequence => format!("{}\n", visible(generated(given))),
    }
}

/// A line per label. Where any number of labels may apply, those that do are marked.
fn labels(given: &Given, top_k: usize) -> String {
    let count = if top_k == 0 { given.labels.len() } else { top_k };
    let shown = || given.labels.iter().take(count);
    let width = shown().map(|score| score.label.chars().count()).max().unwrap_or(0);
    let applying = given.applying().len();
    let line = |(position, score): (usize, &LabelScore)| {
        let applies = given.kind == TaskKind::MultiLabel && position < applying;
        let mark = if applies { "  applies" } else { "" };
        format!("{:<width$}  {:>7}{mark}\n", score.label, probability(score.probability))
    };
    shown().enumerate().map(line).collect()
}

/// A table of the spans, or of the words where the tags mark no spans.
fn tagged(text: &str, given: &Given) -> String {
    let is_plain = marks::is_plain(given.words.iter().map(|word| word.tag.as_str()));
    if !is_plain && given.spans.is_empty() {
        return "no spans\n".to_owned();
    }
    let mut table = Table::new(&[
        (if is_plain { "tag" } else { "span" }, Align::Left),
        ("text", Align::Left),
        ("probability", Align::Right),
        ("characters", Align::Left),
    ]);
    let mut row = |name: &str, bytes, sure: f32, start: usize, end: usize| {
        let place = format!("{start}..{end}");
        table.row([name.to_owned(), piece(text, bytes).to_owned(), probability(sure), place]);
    };
    if is_plain {
        for word in &given.words {
            let bytes = word.byte_start..word.byte_end;
            row(&word.tag, bytes, word.probability, word.char_start, word.char_end);
        }
    } else {
        for span in &given.spans {
            let bytes = span.byte_start..span.byte_end;
            row(&span.kind, bytes, span.probability, span.char_start, span.char_end);
        }
    }
    table.to_string()
}

/// One question on one line: the language, the answer, the text; what was expected instead follows
/// in brackets, or on a line of its own where it is about words.
pub fn line(query: &Query, prediction: &Prediction) -> String {
    let given = &prediction.given;
    let text = query.input.text();
    let expected = query.expected.as_ref().filter(|expected| !is_expected(expected, given));
    let answer = match given.kind {
        TaskKind::Classification => format!("{}  {text}", best(given)),
        TaskKind::MultiLabel => format!("{:<LABEL_WIDTH$}  {text}", listed(&given.applying())),
        TaskKind::Regression => format!("{:>9}  {text}", number(given)),
        TaskKind::TokenClassification => marks::given(&text, given),
        TaskKind::IntentAndSlots => format!("{}  {}", best(given), marks::given(&text, given)),
        TaskKind::SequenceToSequence => format!("{text}  ->  {}", generated(given)),
    };
    let language = query.language.as_str();
    let wanted = expected.map_or_else(String::new, |expected| instead(query, given, expected));
    format!("{language:<LANGUAGE_WIDTH$}  {}{wanted}\n", visible(&answer))
}

/// The most probable label with its probability.
fn best(given: &Given) -> String {
    let best = given.labels.first();
    let label = best.map_or("", |score| score.label.as_str());
    let sure = best.map_or_else(String::new, |score| probability(score.probability));
    format!("{label:<LABEL_WIDTH$}  {sure:>7}")
}

/// What should have been answered.
fn instead(query: &Query, given: &Given, expected: &Target) -> String {
    let short = match expected {
        Target::Regression(number) => format!("  (expected {})", number.0),
        Target::SequenceToSequence(text) => format!("  (expected {text})"),
        Target::TokenClassification(_) => String::new(),
        other => {
            let labels: Vec<&str> = other.labels().iter().map(String::as_str).collect();
            let is_right = given.applying() == labels;
            if is_right { String::new() } else { format!("  (labelled {})", listed(&labels)) }
        }
    };
    let tags = expected.tags();
    let same = given.words.iter().map(|word| &word.tag).eq(tags);
    let long = match same || tags.is_empty() {
        true => String::new(),
        false => {
            let marked = visible(&marks::expected(&query.input, tags));
            format!("\n{:<LANGUAGE_WIDTH$}  {marked}", "expected")
        }
    };
    format!("{}{long}", visible(&short))
}

/// What is to be known about an answer beside it: who gave it, whether the text was cut, how a
/// generated text ended.
pub fn notes(prediction: &Prediction) -> String {
    let given = &prediction.given;
    let mut notes = format!("answered by {} version {}", prediction.language, prediction.version);
    if let Some(generated) = &given.text {
        let (tokens, log) = (generated.tokens, generated.log_probability);
        let how = generated.finish.name();
        notes.push_str(&format!("; {tokens} tokens, log probability {log:.3}, finish {how}"));
    }
    if given.truncated {
        notes.push_str("; the text was cut to what the model reads");
    }
    notes
}

fn number(given: &Given) -> String {
    given.number.map_or_else(|| "-".to_owned(), |number| format!("{number:.3}"))
}

fn probability(value: f32) -> String {
    percent(Some(f64::from(value)))
}

/// Names separated by commas; a dash for none.
fn listed(names: &[&str]) -> String {
    if names.is_empty() { "-".to_owned() } else { names.join(", ") }
}

fn visible(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}
