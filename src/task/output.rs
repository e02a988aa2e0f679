//! The output of a model for an input: one variant for each kind of task.

use crate::example::{Target, TaskKind};
use crate::inference::GeneratedText;

/// A label and its probability.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelScore {
    /// The label, as in the training examples.
    pub label: String,
    /// Its probability, 0 to 1.
    pub probability: f32,
}

/// A word and its tag.
#[derive(Clone, Debug, PartialEq)]
pub struct TaggedWord {
    /// The tag; empty for a word beyond the length that the model reads.
    pub tag: String,
    /// The probability of the tag, 0 to 1; 0 for a word beyond the length that the model reads.
    pub probability: f32,
    /// The first byte of the word in the text. Words of the caller count as joined by spaces.
    pub byte_start: usize,
    /// The byte after its last one.
    pub byte_end: usize,
    /// The first character (Unicode scalar value) of the word in the text.
    pub char_start: usize,
    /// The character after its last one.
    pub char_end: usize,
}

/// Consecutive words that the tags mark as one span.
#[derive(Clone, Debug, PartialEq)]
pub struct TaggedSpan {
    /// The kind of the span: the tag without `B-` and `I-`.
    pub kind: String,
    /// The probability of its least certain word.
    pub probability: f32,
    /// The position of its first word.
    pub first_word: usize,
    /// The position of its last word.
    pub last_word: usize,
    /// The first byte of the span in the text.
    pub byte_start: usize,
    /// The byte after its last one.
    pub byte_end: usize,
    /// The first character (Unicode scalar value) of the span in the text.
    pub char_start: usize,
    /// The character after its last one.
    pub char_end: usize,
}

/// The words of an input with their tags.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tagging {
    /// Every word with its tag.
    pub words: Vec<TaggedWord>,
    /// The spans, for BIO tags.
    pub spans: Vec<TaggedSpan>,
}

impl Tagging {
    /// The tag of each word.
    pub fn tags(&self) -> impl Iterator<Item = &str> + Clone {
        self.words.iter().map(|word| word.tag.as_str())
    }
}

/// The output for one input. Labels are sorted by probability, highest first.
#[derive(Clone, Debug, PartialEq)]
pub enum TaskOutput {
    /// All labels; the probabilities add up to 1, and the first label applies.
    Classification(Vec<LabelScore>),
    /// All labels with independent probabilities; those of at least 0.5 apply.
    MultiLabel(Vec<LabelScore>),
    /// A number.
    Regression(f64),
    /// A tag for each word.
    TokenClassification(Tagging),
    /// Labels of the whole input, as for classification, and a tag for each word.
    IntentAndSlots(Vec<LabelScore>, Tagging),
    /// A text.
    SequenceToSequence(GeneratedText),
}

impl TaskOutput {
    /// The kind of the task.
    pub fn kind(&self) -> TaskKind {
        match self {
            Self::Classification(_) => TaskKind::Classification,
            Self::MultiLabel(_) => TaskKind::MultiLabel,
            Self::Regression(_) => TaskKind::Regression,
            Self::TokenClassification(_) => TaskKind::TokenClassification,
            Self::IntentAndSlots(..) => TaskKind::IntentAndSlots,
            Self::SequenceToSequence(_) => TaskKind::SequenceToSequence,
        }
    }

    /// The labels, if the task has labels.
    pub fn labels(&self) -> Option<&[LabelScore]> {
        match self {
            Self::Classification(labels)
            | Self::MultiLabel(labels)
            | Self::IntentAndSlots(labels, _) => Some(labels),
            _ => None,
        }
    }

    /// The words and spans, if the task has tags.
    pub fn tagging(&self) -> Option<&Tagging> {
        match self {
            Self::TokenClassification(tagging) | Self::IntentAndSlots(_, tagging) => Some(tagging),
            _ => None,
        }
    }

    /// The labels that apply.
    pub fn applying(&self) -> Vec<&str> {
        let labels = self.labels().unwrap_or_default();
        let count = match self {
            Self::MultiLabel(_) => count_applying(labels),
            _ => 1,
        };
        labels.iter().take(count).map(|score| score.label.as_str()).collect()
    }

    /// Whether it is exactly the target: its labels, tags, text or number.
    pub fn matches(&self, target: &Target) -> bool {
        let mut applying = self.applying();
        applying.sort_unstable();
        let tagging = self.tagging();
        let is_same = match (self, target) {
            (Self::Regression(given), Target::Regression(number)) => *given == number.0,
            (Self::SequenceToSequence(given), Target::SequenceToSequence(text)) => {
                given.text == *text
            }
            _ => self.kind() == target.kind(),
        };
        is_same
            && applying.iter().eq(target.labels())
            && tagging.is_none_or(|given| given.tags().eq(target.tags()))
    }

    /// Keeps the `count` most probable labels.
    pub fn truncate_labels(&mut self, count: usize) {
        if let Self::Classification(labels)
        | Self::MultiLabel(labels)
        | Self::IntentAndSlots(labels, _) = self
        {
            labels.truncate(count);
        }
    }
}

/// How many of the labels of multi-label classification apply: those of at least 0.5.
pub(super) fn count_applying(labels: &[LabelScore]) -> usize {
    labels.iter().take_while(|score| score.probability >= 0.5).count()
}
