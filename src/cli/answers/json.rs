//! Answers as JSON: one object with the input, the output and the version that served it.

use super::{Query, piece};
use polygraft::example::{Input, Target};
use polygraft::model::{LabelScore, Prediction, TaggedSpan, TaggedWord, TaskOutput};
use serde_json::{Value, json};

/// The answer with its input; at most `top_k` labels, or all for 0.
pub fn to_json(query: &Query, prediction: &Prediction, top_k: usize) -> Value {
    let output = &prediction.output;
    let mut value = json!({
        "lang": query.language,
        "kind": output.kind(),
        "answered_by": {"language": prediction.language, "version": prediction.version},
        "truncated": prediction.truncated,
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
    if let Some(labels) = output.labels() {
        let count = if top_k == 0 { labels.len() } else { top_k };
        let one =
            |score: &LabelScore| json!({"label": score.label, "probability": score.probability});
        value["labels"] = labels.iter().take(count).map(one).collect();
    }
    if let Some(tagging) = output.tagging() {
        let text = &query.input.text();
        value["tagged"] = tagging.words.iter().map(|word| word_json(text, word)).collect();
        value["spans"] = tagging.spans.iter().map(|span| span_json(text, span)).collect();
    }
    match output {
        TaskOutput::Regression(number) => value["number"] = json!(number),
        TaskOutput::SequenceToSequence(generated) => {
            value["target"] = json!(generated.text);
            value["log_probability"] = json!(generated.log_probability);
            value["finish_reason"] = json!(generated.finish_reason.name());
            value["tokens"] = json!(generated.ids.len());
        }
        _ => {}
    }
    value
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

/// A target with one field as its value; with several fields, as an object.
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
