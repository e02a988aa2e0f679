//! Examples as lines of JSON: their fields, and what is said about a line that is wrong.

use polygraft::example::lines::Line;
use polygraft::example::{Example, TaskKind, json};
use polygraft::language::Language;
use polygraft::{Code, Result};

fn parse_text(text: &str) -> Result<Example> {
    let line = Line { text: text.to_owned(), place: "new.jsonl, line 7".to_owned() };
    Ok(json::parse_with_id(&line)?.0)
}

fn message(text: &str) -> String {
    let error = parse_text(text).expect_err("an error");
    assert_eq!(error.code(), Code::ExamplesMalformed, "{error}");
    error.message().to_owned()
}

#[test]
fn an_example_may_have_fields_of_its_owner() {
    let text = r#"{"lang": "ZH-hant-tw", "text": "開燈", "label": "on", "id": 5}"#;
    let example = parse_text(text).expect("an example");
    let language = Language::parse("zh-Hant-TW").expect("a tag");
    assert_eq!(example, Example::labelled(language, "開燈", "on"));
}

#[test]
fn what_is_wrong_is_named_with_line_and_field() {
    let cases = [
        ("[1]", "new.jsonl, line 7: expected a JSON object, found an array"),
        ("{\"lang\": ", "new.jsonl, line 7: expected a JSON object, found EOF while parsing"),
        (
            r#"{"lang": "de", "text": 5, "label": "a"}"#,
            "new.jsonl, line 7: field \"text\": expected a string, found the number 5",
        ),
        (
            r#"{"lang": "de", "text": "x"}"#,
            "new.jsonl, line 7: field \"label\" is missing: expected a target: one",
        ),
        (
            r#"{"lang": "de", "label": "a", "extra": 1}"#,
            "new.jsonl, line 7: field \"text\" is missing: expected \"text\", \"text\" and",
        ),
        (
            r#"{"lang": "de", "words": ["a", 5], "tags": ["X", "X"]}"#,
            "new.jsonl, line 7: field \"words\": expected an array of strings, found the \
             number 5 at position 2",
        ),
        (
            r#"{"lang": "de", "text": "x", "number": "5"}"#,
            "new.jsonl, line 7: field \"number\": expected a number, found a string",
        ),
        (
            r#"{"lang": "de", "text": "x", "label": "a", "target": "b"}"#,
            "new.jsonl, line 7: expected one target, found those of classification and \
             sequence to sequence",
        ),
        (
            r#"{"lang": "de_DE", "text": "x", "label": "a"}"#,
            "new.jsonl, line 7: field \"lang\": \"de_DE\" is not a language",
        ),
    ];
    for (text, expected) in cases {
        assert!(message(text).starts_with(expected), "{}", message(text));
    }
}

#[test]
fn every_kind_of_answer_has_its_fields() {
    let cases = [
        (r#""text": "x", "label": "a""#, TaskKind::Classification),
        (r#""text": "x", "text_pair": "y", "label": "a""#, TaskKind::Classification),
        (r#""text": "x", "labels": []"#, TaskKind::MultiLabel),
        (r#""text": "x", "number": -1.5"#, TaskKind::Regression),
        (r#""words": ["x", "y"], "tags": ["B-a", "I-a"]"#, TaskKind::TokenClassification),
        (r#""words": ["x"], "tags": ["O"], "label": "a""#, TaskKind::IntentAndSlots),
        (r#""text": "x", "target": "y""#, TaskKind::SequenceToSequence),
    ];
    for (fields, kind) in cases {
        let example = parse_text(&format!(r#"{{"lang": "de", {fields}}}"#)).expect(fields);
        assert_eq!(example.target.kind(), kind, "{fields}");
    }
}

#[test]
fn what_does_not_fit_together_is_named_with_its_line() {
    let cases = [
        (r#""words": ["a", "b"], "tags": ["O"]"#, "2 words and 1 tags"),
        (r#""words": ["a", "b"], "tags": ["O", "I-x"]"#, "tag 2 is \"I-x\" after \"O\""),
        (r#""words": ["a", " "], "tags": ["O", "O"]"#, "word 2 of 2 is empty"),
        (r#""text": "a", "target": " ""#, "its target text is empty"),
        (r#""text": "a b", "tags": ["O"]"#, "2 words and 1 tags"),
        (
            r#""text": "a", "text_pair": "b", "tags": ["O"]"#,
            "goes with words or one text, found a pair of texts",
        ),
    ];
    for (fields, expected) in cases {
        let error = parse_text(&format!(r#"{{"lang": "de", {fields}}}"#)).expect_err(fields);
        let text = error.to_string();
        assert!(text.contains(expected) && text.contains("new.jsonl, line 7"), "{text}");
    }
}

#[test]
fn examples_of_two_kinds_do_not_mix() {
    let mut kinds = json::OneKind::default();
    let example = |fields: &str| parse_text(&format!(r#"{{"lang": "de", {fields}}}"#));
    let labelled = example(r#""text": "x", "label": "a""#).expect("an example");
    let number = example(r#""text": "x", "number": 1"#).expect("an example");
    assert!(kinds.check(&labelled, "f, line 1").is_ok());
    assert!(kinds.check(&labelled, "f, line 2").is_ok());
    let error = kinds.check(&number, "f, line 3").expect_err("another kind");
    let expected = "f, line 3: expected a target of classification, as in f, line 1, \
                    found one of regression";
    assert_eq!(error.message(), expected);
}

#[test]
fn a_message_stays_short_whatever_the_line_holds() {
    let long = "k".repeat(100_000);
    assert!(message(&format!("{{{long:?}: 1}}")).len() < 300);
    assert!(message(&format!(r#"{{"lang": {}}}"#, "9".repeat(10_000))).len() < 300);
}
