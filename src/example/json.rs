//! Examples from JSON Lines: one object per line, with `lang`, the fields of an input and those of
//! a target.
//!
//! Lines are bounded, and the first error is reported with file, line and field, what was expected
//! and what was found. This module must never accept targets of several kinds; the first example
//! decides the kind.

use super::lines::{Line, Lines};
use super::{Example, Fields, Input, SpanFields, TaskKind};
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
    paths.iter().try_for_each(|path| read_lines(Lines::open(path)?, &mut kinds, take))
}

fn read_lines(
    mut lines: Lines,
    kinds: &mut OneKind,
    take: &mut dyn FnMut(Example, &str) -> Result<()>,
) -> Result<()> {
    while let Some(line) = lines.next_line()? {
        let example = parse(&line)?;
        kinds.check(&example, &line.place)?;
        take(example, &line.place)?;
    }
    Ok(())
}

/// Reads the examples of a text in JSON Lines; `source` names it in messages.
///
/// # Errors
/// [`Code::ExamplesMalformed`] with line and field, also if there are no examples.
pub fn parse_all(text: &str, source: &str) -> Result<Vec<Example>> {
    let mut examples = Vec::new();
    read_lines(Lines::of_text(text, source), &mut OneKind::default(), &mut |example, _| {
        examples.push(example);
        Ok(())
    })?;
    match examples.is_empty() {
        true => Err(no_examples(source)),
        false => Ok(examples),
    }
}

fn no_examples(source: &str) -> Error {
    let message = format!("{source}: expected examples, found none");
    Error::new(Code::ExamplesMalformed, message)
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
        return Err(no_examples(&names.join(", ")));
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

/// The input of a line and its language. A target is not needed, and not read.
pub fn parse_input(line: &Line) -> Result<(Language, Input)> {
    let object = parse_object(line)?;
    let language = language(&object, line)?;
    let mut fields = input_fields(&object, line)?;
    Ok((language, input(&object, &mut fields, line)?))
}

fn example(object: &Map<String, Value>, line: &Line) -> Result<Example> {
    let language = language(object, line)?;
    let mut fields = fields(object, line)?;
    let input = input(object, &mut fields, line)?;
    if object.keys().all(|name| !TARGETS.contains(&name.as_str())) {
        return Err(missing("label", object, line));
    }
    let target = fields.target(&input).map_err(|error| malformed(line, error.message()))?;
    let example = Example { language, input, target };
    example.check().context(|| line.place.clone())?;
    Ok(example)
}

fn language(object: &Map<String, Value>, line: &Line) -> Result<Language> {
    let tag = match object.get("lang") {
        Some(value) => string(value).map_err(|what| in_field(line, "lang", &what))?,
        None => return Err(missing("lang", object, line)),
    };
    Language::parse(&tag).map_err(|error| match error.code() {
        Code::LanguageUnknown => error.context(format!("{}: field \"lang\"", line.place)),
        _ => in_field(line, "lang", error.message()),
    })
}

fn input(object: &Map<String, Value>, fields: &mut Fields, line: &Line) -> Result<Input> {
    if object.keys().all(|name| !INPUTS.contains(&name.as_str())) {
        return Err(missing("text", object, line));
    }
    fields.input().map_err(|error| malformed(line, error.message()))
}

/// The fields of an input.
const INPUTS: [&str; 2] = ["text", "words"];
/// The fields of a target.
const TARGETS: [&str; 6] = ["label", "labels", "number", "tags", "spans", "target"];

/// An example of a span for error messages.
const SPAN_SHAPE: &str = r#"{"kind": "area", "char_start": 0, "char_end": 4}"#;

/// The fields of an input alone.
fn input_fields(object: &Map<String, Value>, line: &Line) -> Result<Fields> {
    Ok(Fields {
        text: field(object, "text", line, string)?,
        text_pair: field(object, "text_pair", line, string)?,
        words: field(object, "words", line, strings)?,
        ..Fields::default()
    })
}

fn fields(object: &Map<String, Value>, line: &Line) -> Result<Fields> {
    let text = |name: &str| field(object, name, line, string);
    let texts = |name: &str| field(object, name, line, strings);
    Ok(Fields {
        label: text("label")?,
        labels: texts("labels")?,
        number: field(object, "number", line, number)?,
        tags: texts("tags")?,
        spans: field(object, "spans", line, spans)?,
        target: text("target")?,
        ..input_fields(object, line)?
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
        "lang" => "expected the language of the input".to_owned(),
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
