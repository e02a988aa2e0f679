//! Examples: an input, the target that a model should predict for it, and the language of the
//! input.
//!
//! An [`Input`] is a text, a pair of texts or words; a [`Target`] is a label, a number, tags or a
//! text. The kind of its target decides which task an example belongs to. Examples come from files,
//! from C and from the rehearsal buffer; each is checked here before it is used. This module must
//! never tokenize a text and never know about models.
//!
//! Input: the fields of an example. Output: checked examples.

mod fields;
pub mod json;
pub mod lines;
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
use std::hash::{Hash, Hasher};

/// The longest text of an example, in bytes; for words, all of them together.
pub const TEXT_SIZE_BYTES_MAX: usize = 64 << 10;

/// The longest label or tag of an example, in bytes.
pub const LABEL_SIZE_BYTES_MAX: usize = 1 << 10;

/// The largest number of words of an input, and of labels of a target.
pub const WORDS_COUNT_MAX: usize = 8 << 10;

/// A labelled example.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Example {
    /// The language of the input.
    pub language: Language,
    /// The input.
    pub input: Input,
    /// The expected output.
    pub target: Target,
}

/// The input of a model.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Input {
    /// A text.
    Text(String),
    /// Two texts that are judged together, such as paraphrases, or premise and hypothesis.
    Pair(String, String),
    /// Words as the caller has split them.
    Words(Vec<String>),
}

/// The expected output for an input: one variant for each kind of task.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// One of several labels.
    Classification(String),
    /// All labels that apply, sorted; there may be none.
    MultiLabel(Vec<String>),
    /// A number.
    Regression(Number),
    /// One tag per word: of the caller's words, or of the words that [`words::split`] finds in a
    /// text.
    TokenClassification(Vec<String>),
    /// A label of the whole input and one tag per word.
    IntentAndSlots {
        /// The label of the whole input.
        label: String,
        /// The tags of the words.
        tags: Vec<String>,
    },
    /// A text.
    SequenceToSequence(String),
}

named! {
    /// The closed set of tasks. The kind of its targets decides which task an example belongs to.
    ///
    /// In files, a kind is named by what its examples hold: `label`, `labels`, `number` and so on.
    #[derive(
        Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
    )]
    pub enum TaskKind {
        /// One label out of several.
        #[default]
        #[serde(rename = "label")]
        Classification = "classification",
        /// All labels that apply, each independent of the others.
        #[serde(rename = "labels")]
        MultiLabel = "multi-label classification",
        /// A number.
        #[serde(rename = "number")]
        Regression = "regression",
        /// One tag per word.
        #[serde(rename = "tags")]
        TokenClassification = "token classification",
        /// A label of the whole input and one tag per word.
        #[serde(rename = "label+tags")]
        IntentAndSlots = "intent and slots",
        /// A text for a text.
        #[serde(rename = "text")]
        SequenceToSequence = "sequence to sequence",
    }
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
        let target = Target::Classification(label.to_owned());
        Self { language, input: Input::Text(text.to_owned()), target }
    }

    /// A raw text with spans, with or without a label of the whole text.
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
        let target = match label {
            Some(label) => Target::IntentAndSlots { label: label.to_owned(), tags },
            None => Target::TokenClassification(tags),
        };
        Ok(Self { language, input: Input::Text(text.to_owned()), target })
    }

    /// Whether a raw text with tags has one tag for each word that [`words::split`] finds; true for
    /// every other example.
    pub fn has_a_tag_for_each_word(&self) -> bool {
        match (&self.input, &self.target) {
            (
                Input::Text(text),
                Target::TokenClassification(tags) | Target::IntentAndSlots { tags, .. },
            ) => words::split(text).len() == tags.len(),
            _ => true,
        }
    }

    /// Checks the sizes of input and target, and that the target fits the input: tags need words,
    /// one tag for each, and a valid order if they are BIO tags; a target text needs one input
    /// text.
    ///
    /// # Errors
    /// [`Code::TaskEmptyText`] for an empty input, [`Code::TaskTooLong`], and
    /// [`Code::ArgumentInvalid`] for a target that is empty or does not fit.
    pub fn check(&self) -> Result<()> {
        self.input.check()?;
        self.target.check()?;
        let unfit = |expected: &str| {
            let kind = self.target.kind();
            let message = format!(
                "its target is one of {kind}, which goes with {expected}, found {}",
                self.input.describe()
            );
            Err(Error::new(Code::ArgumentInvalid, message))
        };
        match (&self.input, &self.target) {
            (Input::Pair(..), Target::TokenClassification(_) | Target::IntentAndSlots { .. }) => {
                unfit("words or one text")
            }
            (input, Target::TokenClassification(tags) | Target::IntentAndSlots { tags, .. }) => {
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
            (Input::Pair(..), Target::SequenceToSequence(_)) => unfit("one text"),
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
    /// The input as one text: words are joined by single spaces, the texts of a pair by a line
    /// feed.
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Pair(first, second) => Cow::Owned(format!("{first}\n{second}")),
            Self::Words(words) => Cow::Owned(words.join(" ")),
        }
    }

    /// Refuses an input that is empty or too long.
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

impl Target {
    /// A set of labels from any order, repeated or not.
    pub fn label_set(mut labels: Vec<String>) -> Self {
        labels.sort();
        labels.dedup();
        Self::MultiLabel(labels)
    }

    /// The kind.
    pub fn kind(&self) -> TaskKind {
        match self {
            Self::Classification(_) => TaskKind::Classification,
            Self::MultiLabel(_) => TaskKind::MultiLabel,
            Self::Regression(_) => TaskKind::Regression,
            Self::TokenClassification(_) => TaskKind::TokenClassification,
            Self::IntentAndSlots { .. } => TaskKind::IntentAndSlots,
            Self::SequenceToSequence(_) => TaskKind::SequenceToSequence,
        }
    }

    /// The labels of the target.
    pub fn labels(&self) -> &[String] {
        match self {
            Self::Classification(label) | Self::IntentAndSlots { label, .. } => {
                std::slice::from_ref(label)
            }
            Self::MultiLabel(labels) => labels,
            _ => &[],
        }
    }

    /// The tags of the target.
    pub fn tags(&self) -> &[String] {
        match self {
            Self::TokenClassification(tags) | Self::IntentAndSlots { tags, .. } => tags,
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
            Self::MultiLabel(labels) if !labels.is_sorted_by(|a, b| a < b) => {
                invalid("its labels are not sorted or repeat themselves")
            }
            Self::Regression(Number(value)) if !value.is_finite() => {
                invalid("its number is not finite")
            }
            Self::SequenceToSequence(text) if text.trim().is_empty() => {
                invalid("its target text is empty")
            }
            Self::SequenceToSequence(text) => {
                check_size("target text", text.len(), TEXT_SIZE_BYTES_MAX)
            }
            _ => Ok(()),
        }
    }
}

impl TaskKind {
    /// Whether a decoder generates the output.
    pub fn generates_text(self) -> bool {
        self == Self::SequenceToSequence
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
