//! Examples as the fields of a JSON object.
//!
//! The input is `text`, `text` with `text_pair`, or `words`. The target is `label`, `labels`,
//! `number`, `tags` or `spans`, both optionally with `label`, or `target`. Files of examples and
//! the rehearsal buffer use these names. This module must never check their contents;
//! [`Example::check`] does.

use super::spans::{self, TextSpan, byte_of_character};
use super::{Example, Input, Number, Target};
use crate::error::{Code, Error, Result};
use crate::language::Language;
use serde::{Deserialize, Serialize, Serializer};

/// A span in a file and in a prediction as JSON: its positions are bytes or characters.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct SpanFields {
    /// The kind of the span.
    pub kind: String,
    /// The first byte.
    pub byte_start: Option<usize>,
    /// The byte after the last one.
    pub byte_end: Option<usize>,
    /// The first character, counted in Unicode scalar values; used when there are no bytes.
    pub char_start: Option<usize>,
    /// The character after the last one.
    pub char_end: Option<usize>,
}

impl SpanFields {
    /// The span in `text`, which may lie outside of the text.
    fn place(self, text: &str) -> Result<TextSpan> {
        let byte = |character| byte_of_character(text, character).unwrap_or(usize::MAX);
        let bytes = match (self.byte_start, self.byte_end, self.char_start, self.char_end) {
            (Some(start), Some(end), ..) => start..end,
            (None, None, Some(start), Some(end)) => byte(start)..byte(end),
            _ => {
                return Err(malformed(
                    "a span needs \"char_start\" and \"char_end\", or \"byte_start\" and \
                     \"byte_end\"",
                ));
            }
        };
        Ok(TextSpan { kind: self.kind, bytes })
    }
}

/// The fields of one example except its language.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fields {
    /// The text, or the first of a pair.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The second text of a pair.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_pair: Option<String>,
    /// The words, instead of a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<Vec<String>>,
    /// One label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// All labels that apply, in any order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<String>>,
    /// A number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<f64>,
    /// One tag per word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// Spans of the text, which become tags of its words; never written.
    #[serde(default, skip_serializing)]
    pub spans: Option<Vec<SpanFields>>,
    /// A text to generate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

impl Fields {
    /// The names of the fields, in the order in which they are written.
    pub const NAMES: [&str; 9] =
        ["text", "text_pair", "words", "label", "labels", "number", "tags", "spans", "target"];

    /// The fields of an example.
    pub fn of(example: &Example) -> Self {
        let mut fields = Self::default();
        match example.input.clone() {
            Input::Text(text) => fields.text = Some(text),
            Input::Pair(first, second) => {
                (fields.text, fields.text_pair) = (Some(first), Some(second));
            }
            Input::Words(words) => fields.words = Some(words),
        }
        match example.target.clone() {
            Target::Classification(label) => fields.label = Some(label),
            Target::MultiLabel(labels) => fields.labels = Some(labels),
            Target::Regression(Number(value)) => fields.number = Some(value),
            Target::TokenClassification(tags) => fields.tags = Some(tags),
            Target::IntentAndSlots { label, tags } => {
                (fields.label, fields.tags) = (Some(label), Some(tags));
            }
            Target::SequenceToSequence(text) => fields.target = Some(text),
        }
        fields
    }

    /// The input, whose content is not checked here.
    ///
    /// # Errors
    /// [`Code::ExamplesMalformed`] naming the fields that are missing or conflict.
    pub fn input(&mut self) -> Result<Input> {
        match (self.text.take(), self.text_pair.take(), self.words.take()) {
            (Some(text), None, None) => Ok(Input::Text(text)),
            (Some(first), Some(second), None) => Ok(Input::Pair(first, second)),
            (None, None, Some(words)) => Ok(Input::Words(words)),
            (None, Some(_), None) => Err(malformed("\"text_pair\" needs a \"text\" before it")),
            (None, None, None) => Err(malformed("field \"text\" (or \"words\") is missing")),
            _ => Err(malformed("expected \"text\" or \"words\", found both")),
        }
    }

    /// The target for `input`, whose content is not checked here. Labels are sorted, and spans
    /// become tags.
    ///
    /// # Errors
    /// [`Code::ExamplesMalformed`] naming the fields that are missing or conflict; as
    /// [`spans::tags`].
    pub fn target(&mut self, input: &Input) -> Result<Target> {
        self.read_spans(input)?;
        let found = [
            self.label.take().map(Target::Classification),
            self.labels.take().map(Target::label_set),
            self.number.take().map(|value| Target::Regression(Number(value))),
            self.tags.take().map(Target::TokenClassification),
            self.target.take().map(Target::SequenceToSequence),
        ];
        let mut found = found.into_iter().flatten();
        match (found.next(), found.next(), found.next()) {
            (Some(target), None, None) => Ok(target),
            (
                Some(Target::Classification(label)),
                Some(Target::TokenClassification(tags)),
                None,
            ) => Ok(Target::IntentAndSlots { label, tags }),
            (None, ..) => Err(malformed(
                "field \"label\" (or \"labels\", \"number\", \"tags\", \"spans\", \"target\") is \
                 missing",
            )),
            (Some(first), Some(second), _) => Err(malformed(&format!(
                "expected one target, found those of {} and {}",
                first.kind(),
                second.kind()
            ))),
            (Some(_), None, Some(_)) => Err(Error::new(Code::Internal, "a gap among targets")),
        }
    }

    fn read_spans(&mut self, input: &Input) -> Result<()> {
        let Some(spans) = self.spans.take() else { return Ok(()) };
        let (Input::Text(text), None) = (input, &self.tags) else {
            return Err(malformed("\"spans\" go with one \"text\" and without \"tags\""));
        };
        spans::check_sizes(text, spans.len())?;
        let spans: Result<Vec<TextSpan>> = spans.into_iter().map(|one| one.place(text)).collect();
        self.tags = Some(spans::tags(text, &spans?)?);
        Ok(())
    }
}

/// An example as one object: its language, then its fields.
#[derive(Serialize)]
struct Line<'a> {
    language: &'a Language,
    #[serde(flatten)]
    fields: Fields,
}

impl Serialize for Example {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        Line { language: &self.language, fields: Fields::of(self) }.serialize(serializer)
    }
}

fn malformed(message: &str) -> Error {
    Error::new(Code::ExamplesMalformed, message)
}
