//! Answers as text: several lines for one query, one line each for many.

use super::{Query, marks, piece};
use polygraft::example::{Input, Target};
use polygraft::model::{LabelScore, Prediction, Tagging, TaskOutput};
use polygraft::report::{Align, Table, percent};

/// The widths of the columns of languages and labels.
const LANGUAGE_WIDTH: usize = 8;
const LABEL_WIDTH: usize = 32;

/// The output for one input on several lines; at most `top_k` labels, or all for 0.
pub fn sheet(input: &Input, output: &TaskOutput, top_k: usize) -> String {
    match output {
        TaskOutput::Classification(all) => labels(all, top_k, 0),
        TaskOutput::MultiLabel(all) => {
            let applying = output.applying().len();
            labels(all, top_k.max(applying), applying)
        }
        TaskOutput::Regression(number) => format!("{number:.3}\n"),
        TaskOutput::TokenClassification(tagging) => tagged(&input.text(), tagging),
        TaskOutput::IntentAndSlots(all, tagging) => {
            format!("{}\n{}", labels(all, top_k, 0), tagged(&input.text(), tagging))
        }
        TaskOutput::SequenceToSequence(generated) => format!("{}\n", visible(&generated.text)),
    }
}

/// One line per label, at most `top_k`; the first `applying` are marked.
fn labels(all: &[LabelScore], top_k: usize, applying: usize) -> String {
    let count = if top_k == 0 { all.len() } else { top_k };
    let shown = || all.iter().take(count);
    let width = shown().map(|score| score.label.chars().count()).max().unwrap_or(0);
    let line = |(position, score): (usize, &LabelScore)| {
        let mark = if position < applying { "  applies" } else { "" };
        format!("{:<width$}  {:>7}{mark}\n", score.label, probability(score.probability))
    };
    shown().enumerate().map(line).collect()
}

/// A table of the spans, or of the words when the tags mark no spans.
fn tagged(text: &str, given: &Tagging) -> String {
    let is_plain = marks::is_plain(given.tags());
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

/// One query on one line: language, answer and text. If another target was expected, it follows in
/// brackets, or on a line of its own for tags.
pub fn line(query: &Query, prediction: &Prediction) -> String {
    let output = &prediction.output;
    let text = query.input.text();
    let expected = query.expected.as_ref().filter(|expected| !output.matches(expected));
    let shown = match output {
        TaskOutput::Classification(labels) => format!("{}  {text}", first(labels)),
        TaskOutput::MultiLabel(_) => {
            format!("{:<LABEL_WIDTH$}  {text}", listed(&output.applying()))
        }
        TaskOutput::Regression(number) => format!("{:>9}  {text}", format!("{number:.3}")),
        TaskOutput::TokenClassification(tagging) => marks::given(&text, tagging),
        TaskOutput::IntentAndSlots(labels, tagging) => {
            format!("{}  {}", first(labels), marks::given(&text, tagging))
        }
        TaskOutput::SequenceToSequence(generated) => format!("{text}  ->  {}", generated.text),
    };
    let language = query.language.as_str();
    let wanted = expected.map_or_else(String::new, |expected| instead(query, output, expected));
    format!("{language:<LANGUAGE_WIDTH$}  {}{wanted}\n", visible(&shown))
}

/// The most probable label with its probability.
fn first(labels: &[LabelScore]) -> String {
    let (label, sure) = labels.first().map_or(("", String::new()), |score| {
        (score.label.as_str(), probability(score.probability))
    });
    format!("{label:<LABEL_WIDTH$}  {sure:>7}")
}

/// The expected target.
fn instead(query: &Query, output: &TaskOutput, expected: &Target) -> String {
    let short = match expected {
        Target::Regression(number) => format!("  (expected {})", number.0),
        Target::SequenceToSequence(text) => format!("  (expected {text})"),
        Target::TokenClassification(_) => String::new(),
        other => {
            let labels: Vec<&str> = other.labels().iter().map(String::as_str).collect();
            let is_right = output.applying() == labels;
            if is_right { String::new() } else { format!("  (labelled {})", listed(&labels)) }
        }
    };
    let tags = expected.tags();
    let is_same = output.tagging().is_some_and(|given| given.tags().eq(tags));
    let long = match is_same || tags.is_empty() {
        true => String::new(),
        false => {
            let marked = visible(&marks::expected(&query.input, tags));
            format!("\n{:<LANGUAGE_WIDTH$}  {marked}", "expected")
        }
    };
    format!("{}{long}", visible(&short))
}

/// Notes on an answer: the version that served it, whether the text was cut, how a generated text
/// ended.
pub fn notes(prediction: &Prediction) -> String {
    let mut notes = format!("answered by {} version {}", prediction.language, prediction.version);
    if let TaskOutput::SequenceToSequence(generated) = &prediction.output {
        let (tokens, log) = (generated.ids.len(), generated.log_probability);
        let how = generated.finish_reason.name();
        notes.push_str(&format!("; {tokens} tokens, log probability {log:.3}, finish {how}"));
    }
    if prediction.truncated {
        notes.push_str("; the text was cut to what the model reads");
    }
    notes
}

fn probability(value: f32) -> String {
    percent(Some(f64::from(value)))
}

/// Names separated by commas; `-` for none.
fn listed(names: &[&str]) -> String {
    if names.is_empty() { "-".to_owned() } else { names.join(", ") }
}

fn visible(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}
