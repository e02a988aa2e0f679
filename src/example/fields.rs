//! Examples as the fields of a JSON object: one field for each part of input and answer.
//!
//! `text`, `text` with `text_pair`, or `words`; and `label`, `labels`, `number`, `tags`, `tags`
//! with `label`, or `target`. Files of examples and the rehearsal buffer use these names.

use super::{Answer, Example, Input, Number};
use crate::error::{Code, Error, Result};
use crate::language::Language;
use serde::{Deserialize, Serialize, Serializer};

/// The fields of one example, but for its language.
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
    /// A text to give.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

impl Fields {
    /// The names, in the order in which they are written.
    pub const NAMES: [&str; 8] =
        ["text", "text_pair", "words", "label", "labels", "number", "tags", "target"];

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
        match example.answer.clone() {
            Answer::Label(label) => fields.label = Some(label),
            Answer::Labels(labels) => fields.labels = Some(labels),
            Answer::Number(Number(value)) => fields.number = Some(value),
            Answer::Tags(tags) => fields.tags = Some(tags),
            Answer::LabelAndTags { label, tags } => {
                (fields.label, fields.tags) = (Some(label), Some(tags));
            }
            Answer::Text(text) => fields.target = Some(text),
        }
        fields
    }

    /// The input; its content is not checked here.
    ///
    /// # Errors
    /// [`Code::ExamplesMalformed`] naming what is missing or too much.
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

    /// The answer; its content is not checked here. Labels are sorted.
    ///
    /// # Errors
    /// [`Code::ExamplesMalformed`] naming what is missing or too much.
    pub fn answer(&mut self) -> Result<Answer> {
        let found = [
            self.label.take().map(Answer::Label),
            self.labels.take().map(Answer::label_set),
            self.number.take().map(|value| Answer::Number(Number(value))),
            self.tags.take().map(Answer::Tags),
            self.target.take().map(Answer::Text),
        ];
        let mut found = found.into_iter().flatten();
        match (found.next(), found.next(), found.next()) {
            (Some(answer), None, None) => Ok(answer),
            (Some(Answer::Label(label)), Some(Answer::Tags(tags)), None) => {
                Ok(Answer::LabelAndTags { label, tags })
            }
            (None, ..) => Err(malformed(
                "field \"label\" (or \"labels\", \"number\", \"tags\", \"target\") is missing",
            )),
            (Some(first), Some(second), _) => Err(malformed(&format!(
                "expected one answer, found the kinds {} and {}",
                first.kind(),
                second.kind()
            ))),
            (Some(_), None, Some(_)) => Err(Error::new(Code::Internal, "a gap among answers")),
        }
    }
}

/// An example in one object: its language, then its fields.
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
