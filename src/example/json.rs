//! Examples from JSON Lines: one object per line, with `lang`, the fields of an input and those of
//! a target.
//!
//! Lines are bounded, and the first error is reported with file, line and field, what was expected
//! and what was found. This module must never accept targets of several kinds; the first example
//! decides the kind.

use super::lines::{Line, Lines};
use super::{Example, Fields, SpanFields, TaskKind};
use crate::error::ResultExt;
use crate::language::Language;
use crate::{Code, Error, Result};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::path::PathBuf;

/// Reads the examples of all files in order and calls `take` with each and its place. Unknown
/// fields are ignored.
///
/// # Errors
/// [`Code::IoRead`], [`Code::ExamplesMalformed`] with file, line and field; those of `take`.
pub fn read(paths: &[PathBuf], take: &mut dyn FnMut(Example, &str) -> Result<()>) -> Result<()> {
    let mut kinds = OneKind::default();
    for path in paths {
        let mut lines = Lines::open(path)?;
        while let Some(line) = lines.next_line()? {
            let example = parse(&line)?;
            kinds.check(&example, &line.place)?;
            take(example, &line.place)?;
        }
    }
    Ok(())
}

/// Reads the examples of all files into memory, each with its place. `check` is called for each and
/// can stop the reading.
///
/// # Errors
/// Those of [`read`] and of `check`; [`Code::ExamplesMalformed`] if there are no examples.
pub fn read_all(
    paths: &[PathBuf],
    check: &dyn Fn() -> Result<()>,
) -> Result<Vec<(Example, String)>> {
    let mut examples = Vec::new();
    read(paths, &mut |example, place| {
        check()?;
        examples.push((example, place.to_owned()));
        Ok(())
    })?;
    if examples.is_empty() {
        let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        let message = format!("{}: expected examples, found none", names.join(", "));
        return Err(Error::new(Code::ExamplesMalformed, message));
    }
    Ok(examples)
}

/// Checks that all examples are of the kind of the first one.
#[derive(Default)]
pub struct OneKind {
    first: Option<(TaskKind, String)>,
}

impl OneKind {
    /// Refuses an example of another kind than the earlier ones.
    pub fn check(&mut self, example: &Example, place: &str) -> Result<()> {
        let found = example.target.kind();
        match &self.first {
            None => self.first = Some((found, place.to_owned())),
            Some((expected, first)) if *expected != found => {
                let message = format!(
                    "{place}: expected a target of {expected}, as in {first}, found one \
                     of {found}"
                );
                return Err(Error::new(Code::ExamplesMalformed, message));
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// The kind; `None` before the first example.
    pub fn kind(&self) -> Option<TaskKind> {
        self.first.as_ref().map(|(kind, _)| *kind)
    }
}

fn parse(line: &Line) -> Result<Example> {
    example(&parse_object(line)?, line)
}

/// The example of a line and its `id`, if any; a sentence and its translations have the same `id`.
pub fn parse_with_id(line: &Line) -> Result<(Example, Option<String>)> {
    let fields = parse_object(line)?;
    let id = match fields.get("id") {
        None => None,
        Some(Value::String(id)) => Some(id.clone()),
        Some(Value::Number(id)) => Some(id.to_string()),
        Some(other) => {
            let found = describe(other);
            let what = format!("field \"id\": expected a string or a number, found {found}");
            return Err(malformed(line, &what));
        }
    };
    Ok((example(&fields, line)?, id))
}

fn parse_object(line: &Line) -> Result<Map<String, Value>> {
    match parse_value(line, "a JSON object")? {
        Value::Object(fields) => Ok(fields),
        other => {
            let found = describe(&other);
            Err(malformed(line, &format!("expected a JSON object, found {found}")))
        }
    }
}

/// The words of a line that is an array of strings.
pub fn parse_words(line: &Line) -> Result<Vec<String>> {
    let value = parse_value(line, "a JSON array of words")?;
    strings(&value).map_err(|what| malformed(line, &what))
}

fn parse_value(line: &Line, expected: &str) -> Result<Value> {
    serde_json::from_str(&line.text).map_err(|cause| {
        // The line number is known here; the parser adds the column.
        let column = cause.column();
        let cause = cause.to_string();
        let cause = cause.split(" at line ").next().unwrap_or_default();
        malformed(line, &format!("expected {expected}, found {cause} at column {column}"))
    })
}

fn example(object: &Map<String, Value>, line: &Line) -> Result<Example> {
    let tag = match object.get("lang") {
        Some(value) => string(value).map_err(|what| in_field(line, "lang", &what))?,
        None => return Err(missing("lang", object, line)),
    };
    let language = Language::parse(&tag).map_err(|error| match error.code() {
        Code::LanguageUnknown => error.context(format!("{}: field \"lang\"", line.place)),
        _ => in_field(line, "lang", error.message()),
    })?;
    let mut fields = fields(object, line)?;
    if object.keys().all(|name| !INPUTS.contains(&name.as_str())) {
        return Err(missing("text", object, line));
    }
    if object.keys().all(|name| !TARGETS.contains(&name.as_str())) {
        return Err(missing("label", object, line));
    }
    let input = fields.input().map_err(|error| malformed(line, error.message()))?;
    let target = fields.target(&input).map_err(|error| malformed(line, error.message()))?;
    let example = Example { language, input, target };
    example.check().context(|| line.place.clone())?;
    Ok(example)
}

/// The fields of an input.
const INPUTS: [&str; 2] = ["text", "words"];
/// The fields of a target.
const TARGETS: [&str; 6] = ["label", "labels", "number", "tags", "spans", "target"];

/// An example of a span for error messages.
const SPAN_SHAPE: &str = r#"{"kind": "area", "char_start": 0, "char_end": 4}"#;

fn fields(object: &Map<String, Value>, line: &Line) -> Result<Fields> {
    let text = |name: &str| field(object, name, line, string);
    let texts = |name: &str| field(object, name, line, strings);
    Ok(Fields {
        text: text("text")?,
        text_pair: text("text_pair")?,
        words: texts("words")?,
        label: text("label")?,
        labels: texts("labels")?,
        number: field(object, "number", line, number)?,
        tags: texts("tags")?,
        spans: field(object, "spans", line, spans)?,
        target: text("target")?,
    })
}

/// The value of an optional field.
fn field<T>(
    object: &Map<String, Value>,
    name: &str,
    line: &Line,
    read: fn(&Value) -> std::result::Result<T, String>,
) -> Result<Option<T>> {
    let value = object.get(name).map(read).transpose();
    value.map_err(|what| in_field(line, name, &what))
}

fn string(value: &Value) -> std::result::Result<String, String> {
    let text = value.as_str().map(str::to_owned);
    text.ok_or_else(|| format!("expected a string, found {}", describe(value)))
}

fn strings(value: &Value) -> std::result::Result<Vec<String>, String> {
    let expected = |found: String| format!("expected an array of strings, found {found}");
    let items = value.as_array().ok_or_else(|| expected(describe(value)))?;
    let one = |(index, item): (usize, &Value)| {
        let text = item.as_str().map(str::to_owned);
        text.ok_or_else(|| expected(format!("{} at position {}", describe(item), index + 1)))
    };
    items.iter().enumerate().map(one).collect()
}

fn spans(value: &Value) -> std::result::Result<Vec<SpanFields>, String> {
    Vec::deserialize(value).map_err(|cause| {
        format!("expected an array of spans such as {SPAN_SHAPE}: {}", shorten(&cause.to_string()))
    })
}

fn number(value: &Value) -> std::result::Result<f64, String> {
    value.as_f64().ok_or_else(|| format!("expected a number, found {}", describe(value)))
}

fn missing(name: &str, object: &Map<String, Value>, line: &Line) -> Error {
    let mut names: Vec<String> =
        object.keys().take(5).map(|name| format!("{:?}", shorten(name))).collect();
    if object.len() > names.len() {
        names.push("...".to_owned());
    }
    let found = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let expected = match name {
        "lang" => "expected the language of the example".to_owned(),
        "text" => "expected \"text\", \"text\" and \"text_pair\", or \"words\"".to_owned(),
        _ => format!("expected a target: one of {}, or \"tags\" and \"label\"", quoted(&TARGETS)),
    };
    malformed(line, &format!("field \"{name}\" is missing: {expected}, found {found}"))
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
}

fn in_field(line: &Line, name: &str, what: &str) -> Error {
    malformed(line, &format!("field \"{name}\": {what}"))
}

fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => format!("the number {}", shorten(&number.to_string())),
        Value::String(_) => "a string".to_owned(),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

fn shorten(text: &str) -> String {
    const SHOWN_MAX: usize = 40;
    let mut shown: String = text.chars().take(SHOWN_MAX).collect();
    if shown.len() < text.len() {
        shown.push('\u{2026}');
    }
    shown
}

fn malformed(line: &Line, what: &str) -> Error {
    Error::new(Code::ExamplesMalformed, format!("{}: {what}", line.place))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_text(text: &str) -> Result<Example> {
        parse(&Line { text: text.to_owned(), place: "new.jsonl, line 7".to_owned() })
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
        let mut kinds = OneKind::default();
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
}
