//! Labelled examples from JSON Lines: one object such as `{"lang", "text", "label"}` per line.
//!
//! Every byte is hostile: lines are bounded, and the first thing that is wrong is named with its
//! file, line and field, what was expected and what was found.

use crate::lines::{Line, Lines};
use crate::signal;
use polygraft::error::ResultExt;
use polygraft::example::{Example, Fields};
use polygraft::language::Language;
use polygraft::{Code, Error, Result};
use serde_json::{Map, Value};
use std::path::PathBuf;

/// Reads the examples of all files in order and hands each to `take` with its place. Fields that
/// polygraft does not know are left alone.
pub fn read(paths: &[PathBuf], take: &mut dyn FnMut(Example, &str) -> Result<()>) -> Result<()> {
    for path in paths {
        let mut lines = Lines::open(path)?;
        while let Some(line) = lines.next_line()? {
            if signal::interrupted() {
                return Err(Error::new(Code::Cancelled, "cancelled while reading examples"));
            }
            take(parse(&line)?, &line.place)?;
        }
    }
    Ok(())
}

/// Reads the examples of all files into memory, each with its place.
pub fn read_all(paths: &[PathBuf]) -> Result<Vec<(Example, String)>> {
    let mut examples = Vec::new();
    read(paths, &mut |example, place| {
        example.check().context(|| place)?;
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

fn parse(line: &Line) -> Result<Example> {
    example(&parse_object(line)?, line)
}

/// The example of a line, and its `id` where it has one: equal for a sentence and its translations.
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
    let value: Value = serde_json::from_str(&line.text).map_err(|cause| {
        // The number of the line is ours; the column is what the parser can add.
        let column = cause.column();
        let cause = cause.to_string();
        let cause = cause.split(" at line ").next().unwrap_or_default();
        malformed(line, &format!("expected a JSON object, found {cause} at column {column}"))
    })?;
    match value {
        Value::Object(fields) => Ok(fields),
        other => {
            let found = describe(&other);
            Err(malformed(line, &format!("expected a JSON object, found {found}")))
        }
    }
}

fn example(fields: &Map<String, Value>, line: &Line) -> Result<Example> {
    let language = match text(fields, "lang", line)? {
        Some(tag) => Language::parse(&tag)
            .map_err(|error| malformed(line, &format!("field \"lang\": {}", error.message())))?,
        None => return Err(missing(fields, "field \"lang\" is missing", line)),
    };
    let mut found = Fields {
        text: text(fields, "text", line)?,
        text_pair: text(fields, "text_pair", line)?,
        words: texts(fields, "words", line)?,
        label: text(fields, "label", line)?,
        labels: texts(fields, "labels", line)?,
        number: number(fields, "number", line)?,
        tags: texts(fields, "tags", line)?,
        target: text(fields, "target", line)?,
    };
    let input = found.input().map_err(|error| missing(fields, error.message(), line))?;
    let answer = found.answer().map_err(|error| missing(fields, error.message(), line))?;
    Ok(Example { language, input, answer })
}

fn text(fields: &Map<String, Value>, name: &str, line: &Line) -> Result<Option<String>> {
    match fields.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(other) => Err(mistyped(name, "a string", other, line)),
    }
}

fn texts(fields: &Map<String, Value>, name: &str, line: &Line) -> Result<Option<Vec<String>>> {
    let list = match fields.get(name) {
        None => return Ok(None),
        Some(Value::Array(list)) => list,
        Some(other) => return Err(mistyped(name, "an array of strings", other, line)),
    };
    let text = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        other => Err(mistyped(name, "an array of strings", other, line)),
    };
    list.iter().map(text).collect::<Result<Vec<_>>>().map(Some)
}

fn number(fields: &Map<String, Value>, name: &str, line: &Line) -> Result<Option<f64>> {
    match fields.get(name) {
        None => Ok(None),
        Some(value) => match value.as_f64() {
            Some(number) => Ok(Some(number)),
            None => Err(mistyped(name, "a number", value, line)),
        },
    }
}

fn mistyped(name: &str, expected: &str, found: &Value, line: &Line) -> Error {
    let found = describe(found);
    malformed(line, &format!("field \"{name}\": expected {expected}, found {found}"))
}

/// What is wrong with the fields of a line, and which fields there are.
fn missing(fields: &Map<String, Value>, what: &str, line: &Line) -> Error {
    let mut names: Vec<String> =
        fields.keys().take(5).map(|name| format!("{:?}", shorten(name))).collect();
    if fields.len() > names.len() {
        names.push("...".to_owned());
    }
    let found = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    malformed(line, &format!("{what}; the fields are {found}"))
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
        assert_eq!(example.language.as_str(), "zh-Hant-TW");
        assert_eq!(example, Example::labelled(example.language.clone(), "開燈", "on"));
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
                "new.jsonl, line 7: field \"label\" (or \"labels\", \"number\", \"tags\", \"target\") is",
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
    fn a_message_stays_short_whatever_the_line_holds() {
        let long = "k".repeat(100_000);
        assert!(message(&format!("{{{long:?}: 1}}")).len() < 300);
        assert!(message(&format!(r#"{{"lang": {}}}"#, "9".repeat(10_000))).len() < 300);
    }
}
