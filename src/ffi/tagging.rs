//! Words and spans of a prediction, with their places in the caller's text.

use super::gate::{gate_value, object};
use super::prediction::PredictionObject;
use super::text::StringView;

/// A word and its tag. Places count from the start of the text that was asked about; of words,
/// joined by single spaces.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WordEntry {
    /// The tag; empty for a word behind what the model reads.
    pub tag: StringView,
    /// Where the word begins, in bytes: at `text + byte_start`.
    pub byte_start: usize,
    /// Where it ends, in bytes: the first one behind it.
    pub byte_end: usize,
    /// Where it begins, in characters (Unicode code points).
    pub char_start: usize,
    /// Where it ends, in characters.
    pub char_end: usize,
    /// The probability of the tag, 0 to 1; 0 for a word behind what the model reads.
    pub probability: f32,
    /// 0.
    pub reserved: u32,
}

/// Neighbouring words that the tags mark as one thing. Places count as those of a word.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct SpanEntry {
    /// What it is: the tags without `B-` and `I-`.
    pub kind: StringView,
    /// The position of its first word, from 0.
    pub word_first: usize,
    /// The position of its last word, which is part of it.
    pub word_last: usize,
    /// Where it begins, in bytes: at `text + byte_start`.
    pub byte_start: usize,
    /// Where it ends, in bytes: the first one behind it.
    pub byte_end: usize,
    /// Where it begins, in characters (Unicode code points).
    pub char_start: usize,
    /// Where it ends, in characters.
    pub char_end: usize,
    /// The probability of its least certain word, 0 to 1.
    pub probability: f32,
    /// 0.
    pub reserved: u32,
}

const NO_WORD: WordEntry = WordEntry {
    tag: StringView::EMPTY,
    byte_start: 0,
    byte_end: 0,
    char_start: 0,
    char_end: 0,
    probability: 0.0,
    reserved: 0,
};

const NO_SPAN: SpanEntry = SpanEntry {
    kind: StringView::EMPTY,
    word_first: 0,
    word_last: 0,
    byte_start: 0,
    byte_end: 0,
    char_start: 0,
    char_end: 0,
    probability: 0.0,
    reserved: 0,
};

/// How many words a prediction has tags for: all of the input, in its order; 0 for NULL and for
/// kinds of answers without tags.
///
/// Ownership: borrows `prediction`.
/// Threads: may be called concurrently on one prediction.
/// Errors: none.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_prediction_words_count(
    prediction: *const PredictionObject,
) -> usize {
    // SAFETY: the caller passes NULL or a prediction of this library that is not freed.
    gate_value(0, || unsafe { object(prediction) }.map_or(0, |object| object.words.len()))
}

/// One word with its tag; an empty tag and zeros for NULL and past the end.
///
/// Ownership: the view is valid until `prediction` is freed.
/// Threads: may be called concurrently on one prediction.
/// Errors: none.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_prediction_word(
    prediction: *const PredictionObject,
    index: usize,
) -> WordEntry {
    gate_value(NO_WORD, || {
        // SAFETY: the caller passes NULL or a prediction of this library that is not freed.
        let entry = unsafe { object(prediction) }.and_then(|object| object.words.get(index));
        entry.map_or(NO_WORD, |(tag, word)| WordEntry {
            tag: tag.view(),
            byte_start: word.byte_start,
            byte_end: word.byte_end,
            char_start: word.char_start,
            char_end: word.char_end,
            probability: word.probability,
            reserved: 0,
        })
    })
}

/// How many spans the tags of a prediction mark; 0 for NULL, and where tags are not of the scheme
/// BIO.
///
/// Ownership: borrows `prediction`.
/// Threads: may be called concurrently on one prediction.
/// Errors: none.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_prediction_spans_count(
    prediction: *const PredictionObject,
) -> usize {
    // SAFETY: the caller passes NULL or a prediction of this library that is not freed.
    gate_value(0, || unsafe { object(prediction) }.map_or(0, |object| object.spans.len()))
}

/// One span, in the order of the text; an empty kind and zeros for NULL and past the end.
///
/// Ownership: the view is valid until `prediction` is freed.
/// Threads: may be called concurrently on one prediction.
/// Errors: none.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_prediction_span(
    prediction: *const PredictionObject,
    index: usize,
) -> SpanEntry {
    gate_value(NO_SPAN, || {
        // SAFETY: the caller passes NULL or a prediction of this library that is not freed.
        let entry = unsafe { object(prediction) }.and_then(|object| object.spans.get(index));
        entry.map_or(NO_SPAN, |(kind, span)| SpanEntry {
            kind: kind.view(),
            word_first: span.first_word,
            word_last: span.last_word,
            byte_start: span.byte_start,
            byte_end: span.byte_end,
            char_start: span.char_start,
            char_end: span.char_end,
            probability: span.probability,
            reserved: 0,
        })
    })
}
