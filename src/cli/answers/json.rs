//! Answers as JSON: one object with what was asked, what was given and who gave it.

use super::{Query, piece};
use polygraft::example::{Input, Target, TaskKind};
use polygraft::model::{Given, LabelScore, Prediction, TaggedSpan, TaggedWord};
use serde_json::{Value, json};

/// The answer with what was asked; at most `top_k` labels, or all for 0.
pub fn to_json(query: &Query, prediction: &Prediction, top_k: usize) -> Value {
    let given = &prediction.given;
    let mut value = json!({
        "lang": query.language,
        "kind": given.kind,
        "answered_by": {"language": prediction.language, "version": prediction.version},
        "truncated": given.truncated,
    });
    match &query.input {
        Input::Text(text) => value["text"] = json!(text),
        Input::Pair(first, second) => {
            value["text"] = json!(first);
            value["text_pair"] = json!(second);
        }
        Input::Words(words) => value["words"] = json!(words),
    }
    if let Some(expected) = &query.expected {
        value["expected"] = expected_json(expected);
    }
    if has_labels(given.kind) {
        let count = if top_k == 0 { given.labels.len() } else { top_k };
        let one =
            |score: &LabelScore| json!({"label": score.label, "probability": score.probability});
        value["labels"] = given.labels.iter().take(count).map(one).collect();
    }
    add_parts(&query.input.text(), given, &mut value);
    value
}

fn has_labels(kind: TaskKind) -> bool {
    matches!(kind, TaskKind::Classification | TaskKind::MultiLabel | TaskKind::IntentAndSlots)
}

/// What is no label: a number, tags and spans, a text.
fn add_parts(text: &str, given: &Given, value: &mut Value) {
    if let Some(number) = given.number {
        value["number"] = json!(number);
    }
    if matches!(given.kind, TaskKind::TokenClassification | TaskKind::IntentAndSlots) {
        value["tagged"] = given.words.iter().map(|word| word_json(text, word)).collect();
        value["spans"] = given.spans.iter().map(|span| span_json(text, span)).collect();
    }
    if let Some(generated) = &given.text {
        value["target"] = json!(generated.text);
        value["log_probability"] = json!(generated.log_probability);
        value["finish"] = json!(generated.finish.name());
        value["tokens"] = json!(generated.tokens);
    }
}

fn word_json(text: &str, word: &TaggedWord) -> Value {
    json!({
        "tag": word.tag,
        "text": piece(text, word.byte_start..word.byte_end),
        "probability": word.probability,
        "byte_start": word.byte_start,
        "byte_end": word.byte_end,
        "char_start": word.char_start,
        "char_end": word.char_end,
    })
}

fn span_json(text: &str, span: &TaggedSpan) -> Value {
    json!({
        "kind": span.kind,
        "text": piece(text, span.byte_start..span.byte_end),
        "probability": span.probability,
        "first_word": span.first_word,
        "last_word": span.last_word,
        "byte_start": span.byte_start,
        "byte_end": span.byte_end,
        "char_start": span.char_start,
        "char_end": span.char_end,
    })
}

/// One part as itself; several as an object.
fn expected_json(expected: &Target) -> Value {
    match expected {
        Target::Classification(label) => json!(label),
        Target::MultiLabel(labels) => json!(labels),
        Target::Regression(number) => json!(number.0),
        Target::TokenClassification(tags) => json!(tags),
        Target::IntentAndSlots { label, tags } => json!({"label": label, "tags": tags}),
        Target::SequenceToSequence(text) => json!(text),
    }
}
