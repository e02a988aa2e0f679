//! Labelled examples from JSON Lines: one object `{"lang", "text", "label"}` per line.
//!
//! Every byte is hostile: lines are bounded, and the first thing that is wrong is named with its
//! file, line and field, what was expected and what was found.

use crate::lines::{Line, Lines};
use crate::signal;
use polygraft::error::ResultExt;
use polygraft::language::Language;
use polygraft::rehearsal::Example;
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
        polygraft::task::check_text(&example.text).context(|| place)?;
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
    let language = Language::parse(field(fields, "lang", line)?)
        .map_err(|error| malformed(line, &format!("field \"lang\": {}", error.message())))?;
    let text = field(fields, "text", line)?.to_owned();
    let label = field(fields, "label", line)?.to_owned();
    Ok(Example { language, text, label })
}

fn field<'a>(fields: &'a Map<String, Value>, name: &str, line: &Line) -> Result<&'a str> {
    match fields.get(name) {
        Some(Value::String(text)) => Ok(text),
        Some(other) => {
            let found = describe(other);
            Err(malformed(line, &format!("field \"{name}\": expected a string, found {found}")))
        }
        None => {
            let mut names: Vec<String> =
                fields.keys().take(5).map(|name| format!("{:?}", shorten(name))).collect();
            if fields.len() > names.len() {
                names.push("...".to_owned());
            }
            let found = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            let expected = "expected the fields \"lang\", \"text\" and \"label\"";
            Err(malformed(line, &format!("field \"{name}\" is missing: {expected}, found {found}")))
        }
    }
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
        assert_eq!((example.text.as_str(), example.label.as_str()), ("開燈", "on"));
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
                "new.jsonl, line 7: field \"label\" is missing: expected the fields",
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
