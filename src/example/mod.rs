//! Examples: what is asked, what is answered, and in which language.
//!
//! An [`Input`] is a text, a pair of texts or words; an [`Answer`] is what is expected of a model
//! or given by it. The kind of answer decides which task learns from an example. Examples come from
//! files, from C and from the rehearsal buffer; each is checked here before anything is done with
//! it. This part must never tokenize a text and never know about models.

mod fields;
pub mod spans;
pub mod tags;
pub mod words;

pub use fields::{Fields, SpanFields};
pub use spans::TextSpan;

use crate::error::{Code, Error, Result};
use crate::language::Language;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

/// The longest text of an example, in bytes; of words all together.
pub const TEXT_SIZE_BYTES_MAX: usize = 64 << 10;

/// The longest label or tag of an example, in bytes.
pub const LABEL_SIZE_BYTES_MAX: usize = 1 << 10;

/// The most words of an input, and the most labels of an answer.
pub const WORDS_COUNT_MAX: usize = 8 << 10;

/// A labelled example: what an input in a language should be answered with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Example {
    /// The language of the input.
    pub language: Language,
    /// What is asked.
    pub input: Input,
    /// The right answer.
    pub answer: Answer,
}

/// What a model is asked about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Input {
    /// A text.
    Text(String),
    /// Two texts that are judged together: paraphrases, premise and hypothesis.
    Pair(String, String),
    /// A text that the caller has split into words.
    Words(Vec<String>),
}

/// What an input is answered with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Answer {
    /// One of several labels.
    Label(String),
    /// All labels that apply, sorted; there may be none.
    Labels(Vec<String>),
    /// A number.
    Number(Number),
    /// One tag per word: of the caller's words, or of a text's as [`words::split`] finds them.
    Tags(Vec<String>),
    /// A label of the whole and one tag per word.
    LabelAndTags {
        /// Of the whole.
        label: String,
        /// Of the words.
        tags: Vec<String>,
    },
    /// A text.
    Text(String),
}

/// The kinds of answers; each is learnt by a task of its own.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum AnswerKind {
    /// [`Answer::Label`].
    #[default]
    #[serde(rename = "label")]
    Label,
    /// [`Answer::Labels`].
    #[serde(rename = "labels")]
    Labels,
    /// [`Answer::Number`].
    #[serde(rename = "number")]
    Number,
    /// [`Answer::Tags`].
    #[serde(rename = "tags")]
    Tags,
    /// [`Answer::LabelAndTags`].
    #[serde(rename = "label+tags")]
    LabelAndTags,
    /// [`Answer::Text`].
    #[serde(rename = "text")]
    Text,
}

/// A number that can be compared and hashed by its bits.
#[derive(Clone, Copy, Debug)]
pub struct Number(pub f64);

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Number {}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl Hash for Number {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

impl Example {
    /// A text with one label.
    pub fn labelled(language: Language, text: &str, label: &str) -> Self {
        let (input, answer) = (Input::Text(text.to_owned()), Answer::Label(label.to_owned()));
        Self { language, input, answer }
    }

    /// A raw text in which parts are something, with a label of the whole or without.
    ///
    /// # Errors
    /// As [`spans::tags`].
    pub fn with_spans(
        language: Language,
        text: &str,
        spans: &[TextSpan],
        label: Option<&str>,
    ) -> Result<Self> {
        let tags = spans::tags(text, spans)?;
        let answer = match label {
            Some(label) => Answer::LabelAndTags { label: label.to_owned(), tags },
            None => Answer::Tags(tags),
        };
        Ok(Self { language, input: Input::Text(text.to_owned()), answer })
    }

    /// Whether a raw text with tags has as many of them as [`words::split`] finds words in it; true
    /// for every other example.
    pub fn has_a_tag_for_each_word(&self) -> bool {
        match (&self.input, &self.answer) {
            (Input::Text(text), Answer::Tags(tags) | Answer::LabelAndTags { tags, .. }) => {
                words::split(text).len() == tags.len()
            }
            _ => true,
        }
    }

    /// Checks the sizes of input and answer, and that the answer fits the input: tags need words,
    /// one tag for each, valid where they are of the scheme BIO; a text is answered with a text.
    ///
    /// # Errors
    /// [`Code::TaskEmptyText`] for an empty input, [`Code::TaskTooLong`], and
    /// [`Code::ArgumentInvalid`] for an answer that is empty or does not fit.
    pub fn check(&self) -> Result<()> {
        self.input.check()?;
        self.answer.check()?;
        let unfit = |expected: &str| {
            let kind = self.answer.kind();
            let message = format!(
                "its answer is of the kind {kind}, which goes with {expected}, found {}",
                self.input.describe()
            );
            Err(Error::new(Code::ArgumentInvalid, message))
        };
        match (&self.input, &self.answer) {
            (Input::Pair(..), Answer::Tags(_) | Answer::LabelAndTags { .. }) => {
                unfit("words or one text")
            }
            (input, Answer::Tags(tags) | Answer::LabelAndTags { tags, .. }) => {
                let words = match input {
                    Input::Words(words) => words.len(),
                    _ => words::split(&input.text()).len(),
                };
                if words != tags.len() {
                    let message = format!("it has {words} words and {} tags", tags.len());
                    return Err(Error::new(Code::ArgumentInvalid, message));
                }
                tags::check(tags)
            }
            (Input::Words(_), _) => unfit("a text"),
            (Input::Pair(..), Answer::Text(_)) => unfit("one text"),
            _ => Ok(()),
        }
    }
}

impl From<&str> for Input {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl Input {
    /// The input as one text: words joined by single spaces, the texts of a pair by a line end.
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Pair(first, second) => Cow::Owned(format!("{first}\n{second}")),
            Self::Words(words) => Cow::Owned(words.join(" ")),
        }
    }

    /// Refuses what has no content or is too long.
    ///
    /// # Errors
    /// [`Code::TaskEmptyText`], [`Code::TaskTooLong`]; a word is named by its position from 1.
    pub fn check(&self) -> Result<()> {
        match self {
            Self::Text(text) => check_text("text", text),
            Self::Pair(first, second) => {
                check_text("text", first).and_then(|()| check_text("second text", second))
            }
            Self::Words(words) => check_words(words),
        }
    }

    fn describe(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Pair(..) => "a pair of texts",
            Self::Words(_) => "words",
        }
    }
}

impl Answer {
    /// The labels that apply, in any order and however often each is named.
    pub fn label_set(mut labels: Vec<String>) -> Self {
        labels.sort();
        labels.dedup();
        Self::Labels(labels)
    }

    /// The kind.
    pub fn kind(&self) -> AnswerKind {
        match self {
            Self::Label(_) => AnswerKind::Label,
            Self::Labels(_) => AnswerKind::Labels,
            Self::Number(_) => AnswerKind::Number,
            Self::Tags(_) => AnswerKind::Tags,
            Self::LabelAndTags { .. } => AnswerKind::LabelAndTags,
            Self::Text(_) => AnswerKind::Text,
        }
    }

    /// The labels in it.
    pub fn labels(&self) -> &[String] {
        match self {
            Self::Label(label) | Self::LabelAndTags { label, .. } => std::slice::from_ref(label),
            Self::Labels(labels) => labels,
            _ => &[],
        }
    }

    /// The tags in it.
    pub fn tags(&self) -> &[String] {
        match self {
            Self::Tags(tags) | Self::LabelAndTags { tags, .. } => tags,
            _ => &[],
        }
    }

    fn check(&self) -> Result<()> {
        let invalid = |message: &str| Err(Error::new(Code::ArgumentInvalid, message));
        let names = self.labels().iter().map(|name| ("label", name));
        for (what, name) in names.chain(self.tags().iter().map(|name| ("tag", name))) {
            if name.trim().is_empty() {
                return Err(Error::new(Code::ArgumentInvalid, format!("its {what} is empty")));
            }
            check_size(what, name.len(), LABEL_SIZE_BYTES_MAX)?;
        }
        check_count("labels", self.labels().len())?;
        match self {
            Self::Labels(labels) if !labels.is_sorted_by(|a, b| a < b) => {
                invalid("its labels are not sorted or repeat themselves")
            }
            Self::Number(Number(value)) if !value.is_finite() => {
                invalid("its number is not finite")
            }
            Self::Text(text) if text.trim().is_empty() => invalid("its target text is empty"),
            Self::Text(text) => check_size("target text", text.len(), TEXT_SIZE_BYTES_MAX),
            _ => Ok(()),
        }
    }
}

impl AnswerKind {
    /// All kinds.
    pub const ALL: [Self; 6] =
        [Self::Label, Self::Labels, Self::Number, Self::Tags, Self::LabelAndTags, Self::Text];

    /// The name in files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Label => "label",
            Self::Labels => "labels",
            Self::Number => "number",
            Self::Tags => "tags",
            Self::LabelAndTags => "label+tags",
            Self::Text => "text",
        }
    }
}

impl fmt::Display for AnswerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for AnswerKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == text);
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            let message = format!("expected a kind of answer ({names}), found {text:?}");
            Error::new(Code::ArgumentInvalid, message)
        })
    }
}

fn check_text(what: &str, text: &str) -> Result<()> {
    if text.trim().is_empty() {
        let found = if text.is_empty() { "no characters" } else { "white space only" };
        let message = format!("the {what} is empty: found {found}");
        return Err(Error::new(Code::TaskEmptyText, message));
    }
    check_size(what, text.len(), TEXT_SIZE_BYTES_MAX)
}

fn check_words(words: &[String]) -> Result<()> {
    if words.is_empty() {
        return Err(Error::new(Code::TaskEmptyText, "there are no words"));
    }
    check_count("words", words.len())?;
    if let Some(empty) = words.iter().position(|word| word.trim().is_empty()) {
        let message = format!("word {} of {} is empty", empty + 1, words.len());
        return Err(Error::new(Code::TaskEmptyText, message));
    }
    check_size("words", words.iter().map(|word| word.len() + 1).sum(), TEXT_SIZE_BYTES_MAX)
}

fn check_count(what: &str, count: usize) -> Result<()> {
    if count > WORDS_COUNT_MAX {
        let message = format!("expected at most {WORDS_COUNT_MAX} {what}, found {count}");
        return Err(Error::new(Code::TaskTooLong, message));
    }
    Ok(())
}

fn check_size(what: &str, size_bytes: usize, size_bytes_max: usize) -> Result<()> {
    if size_bytes > size_bytes_max {
        let message =
            format!("the {what} is too long: expected {size_bytes_max} bytes, found {size_bytes}");
        return Err(Error::new(Code::TaskTooLong, message));
    }
    Ok(())
}
