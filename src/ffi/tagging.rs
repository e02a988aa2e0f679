//! Words and spans of a prediction, with their offsets in the caller's text.

use super::object::{find, read};
use super::prediction::PredictionObject;
use super::text::{StringView, Text};
use crate::model::{TaggedSpan, TaggedWord};

/// A word and its tag. Offsets count from the start of the input text; for an input of words, from
/// the start of its words joined by single spaces.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct WordEntry {
    /// The tag; an empty text for a word beyond what the model reads.
    pub tag: StringView,
    /// The offset of the word's first byte: the word begins at `text + byte_start`.
    pub byte_start: usize,
    /// The offset of the first byte after the word.
    pub byte_end: usize,
    /// The offset of the word's first character, in Unicode code points.
    pub char_start: usize,
    /// The offset of the first character after the word, in Unicode code points.
    pub char_end: usize,
    /// The probability of the tag, from 0 to 1; 0 for a word beyond what the model reads.
    pub probability: f32,
    /// 0.
    pub reserved: u32,
}

/// Consecutive words that the tags mark as one thing. Offsets count as those of a word do.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct SpanEntry {
    /// The kind of the span: its tags without `B-` and `I-`.
    pub kind: StringView,
    /// The position of the first word, from 0.
    pub word_first: usize,
    /// The position of the last word, which belongs to the span.
    pub word_last: usize,
    /// The offset of the span's first byte: the span begins at `text + byte_start`.
    pub byte_start: usize,
    /// The offset of the first byte after the span.
    pub byte_end: usize,
    /// The offset of the span's first character, in Unicode code points.
    pub char_start: usize,
    /// The offset of the first character after the span, in Unicode code points.
    pub char_end: usize,
    /// The probability of the least certain word, from 0 to 1.
    pub probability: f32,
    /// 0.
    pub reserved: u32,
}

impl From<&(Text, TaggedWord)> for WordEntry {
    fn from((tag, word): &(Text, TaggedWord)) -> Self {
        let &TaggedWord { byte_start, byte_end, char_start, char_end, probability, .. } = word;
        let (tag, reserved) = (tag.view(), 0);
        Self { tag, byte_start, byte_end, char_start, char_end, probability, reserved }
    }
}

impl From<&(Text, TaggedSpan)> for SpanEntry {
    fn from((kind, span): &(Text, TaggedSpan)) -> Self {
        Self {
            kind: kind.view(),
            word_first: span.first_word,
            word_last: span.last_word,
            byte_start: span.byte_start,
            byte_end: span.byte_end,
            char_start: span.char_start,
            char_end: span.char_end,
            probability: span.probability,
            reserved: 0,
        }
    }
}

/// Returns the number of words that a prediction has tags for: all words of the input, in its
/// order. NULL and kinds of tasks that do not tag words give 0.
///
/// Ownership: the caller keeps `prediction`.
/// Threads: may be called concurrently on one prediction.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_prediction_words_count(
    prediction: *const PredictionObject,
) -> usize {
    // SAFETY: the caller passes NULL or a prediction of this library that is not freed.
    unsafe { read(prediction, 0, |object| object.words.len()) }
}

/// Returns one word with its tag. NULL and an `index` past the end give an empty tag and zeros.
///
/// Ownership: the view is valid until `prediction` is freed.
/// Threads: may be called concurrently on one prediction.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_prediction_word(
    prediction: *const PredictionObject,
    index: usize,
) -> WordEntry {
    // SAFETY: the caller passes NULL or a prediction of this library that is not freed.
    unsafe {
        find(prediction, WordEntry::default(), |object| Some(object.words.get(index)?.into()))
    }
}

/// Returns the number of spans that the tags of a prediction mark. NULL and tags that do not follow
/// the scheme BIO give 0.
///
/// Ownership: the caller keeps `prediction`.
/// Threads: may be called concurrently on one prediction.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_prediction_spans_count(
    prediction: *const PredictionObject,
) -> usize {
    // SAFETY: the caller passes NULL or a prediction of this library that is not freed.
    unsafe { read(prediction, 0, |object| object.spans.len()) }
}

/// Returns one span, in the order of the text. NULL and an `index` past the end give an empty kind
/// and zeros.
///
/// Ownership: the view is valid until `prediction` is freed.
/// Threads: may be called concurrently on one prediction.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_prediction_span(
    prediction: *const PredictionObject,
    index: usize,
) -> SpanEntry {
    // SAFETY: the caller passes NULL or a prediction of this library that is not freed.
    unsafe {
        find(prediction, SpanEntry::default(), |object| Some(object.spans.get(index)?.into()))
    }
}
