//! Spans: labelled parts of a text, as positions in the caller's own string.
//!
//! Callers with raw texts mark spans; models are trained on tags of words. A span that begins or
//! ends within a word covers the whole word, because a word has one tag. This module must never
//! give a word two spans.

use super::tags::{Bio, OUTSIDE};
use super::words::{self, Word};
use super::{LABEL_SIZE_BYTES_MAX, check_count, check_text};
use crate::error::{Code, Error, Result};
use std::ops::Range;

/// A labelled part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextSpan {
    /// The kind of the span, without `B-` or `I-`.
    pub kind: String,
    /// Its position in the text.
    pub bytes: Range<usize>,
}

/// The byte at which a character begins, counted in Unicode scalar values; the length of the text
/// for the character after the last one.
pub fn byte_of_character(text: &str, character: usize) -> Option<usize> {
    let ends = std::iter::once(text.len());
    text.char_indices().map(|(byte, _)| byte).chain(ends).nth(character)
}

/// Refuses too large a text or too many spans before any work that grows with them.
///
/// # Errors
/// [`Code::TaskEmptyText`], [`Code::TaskTooLong`].
pub(super) fn check_sizes(text: &str, spans_count: usize) -> Result<()> {
    check_text("text", text)?;
    check_count("spans", spans_count)
}

/// The BIO tags of the words of a raw text ([`words::split`]).
///
/// # Errors
/// [`Code::TaskEmptyText`], [`Code::TaskTooLong`]; [`Code::ArgumentInvalid`] naming a span by its
/// position from 1 when it is empty, lies outside of the text, splits a character, covers no word,
/// has no kind, or shares a word with another one.
pub fn tags(text: &str, spans: &[TextSpan]) -> Result<Vec<String>> {
    check_sizes(text, spans.len())?;
    let words = words::split(text);
    let mut tags = vec![OUTSIDE.to_owned(); words.len()];
    // The span of each word, counted from 1; 0 for none.
    let mut taken = vec![0; words.len()];
    for (position, span) in (1..).zip(spans) {
        let found = check(text, span).and_then(|()| covered(&words, &span.bytes));
        let covered = found.map_err(|what| invalid(&format!("span {position} {what}")))?;
        for word in covered.clone() {
            if taken[word] != 0 {
                let (other, shared) = (taken[word], words[word].text);
                let what = format!("spans {other} and {position} share the word {shared:?}");
                return Err(invalid(&what));
            }
            taken[word] = position;
            let begins = if word == covered.start { 'B' } else { 'I' };
            tags[word] = format!("{begins}-{}", span.kind);
        }
    }
    Ok(tags)
}

fn check(text: &str, span: &TextSpan) -> std::result::Result<(), String> {
    let Range { start, end } = span.bytes;
    if start >= end || end > text.len() {
        let size = text.len();
        return Err(format!(
            "covers the bytes {start} to {end}, expected some of the {size} of the text"
        ));
    }
    if let Some(torn) = [start, end].into_iter().find(|&place| !text.is_char_boundary(place)) {
        return Err(format!("cuts a character at byte {torn}"));
    }
    // Every word of the span gets a tag with the kind, so its size is bounded first.
    if span.kind.len() > LABEL_SIZE_BYTES_MAX {
        let found = span.kind.len();
        return Err(format!("has a kind of {found} bytes, expected {LABEL_SIZE_BYTES_MAX}"));
    }
    // It must be possible to parse the kind from the tag.
    match Bio::parse(&format!("B-{}", span.kind)) {
        Some(Bio::Begin(_)) if !span.kind.trim().is_empty() => Ok(()),
        _ => Err("has no kind".to_owned()),
    }
}

/// The positions of the words that overlap the bytes.
fn covered(words: &[Word<'_>], bytes: &Range<usize>) -> std::result::Result<Range<usize>, String> {
    let first = words.partition_point(|word| word.bytes().end <= bytes.start);
    let end = words.partition_point(|word| word.byte < bytes.end);
    match first < end {
        true => Ok(first..end),
        false => Err("covers white space only".to_owned()),
    }
}

fn invalid(message: &str) -> Error {
    Error::new(Code::ArgumentInvalid, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example::tags as bio;
    use proptest::prelude::*;

    fn span(kind: &str, bytes: Range<usize>) -> TextSpan {
        TextSpan { kind: kind.to_owned(), bytes }
    }

    #[test]
    fn spans_become_the_tags_of_the_words_they_touch() {
        let text = "Mach das Badlicht, 5 an!";
        let spans = [span("area", 9..12), span("number", 19..20)];
        let expected = ["O", "O", "B-area", "O", "B-number", "O", "O"];
        assert_eq!(tags(text, &spans).unwrap(), expected);
        assert_eq!(
            tags("打开客厅灯", &[span("area", 6..12)]).unwrap()[1..4],
            ["O", "B-area", "I-area"]
        );
        assert_eq!(byte_of_character("打开", 1), Some(3));
        assert_eq!((byte_of_character("打开", 2), byte_of_character("打开", 3)), (Some(6), None));
    }

    #[test]
    fn a_span_that_is_none_is_named() {
        for (spans, expected) in [
            (vec![span("a", 0..2), span("b", 2..2)], "span 2 covers the bytes 2 to 2"),
            (vec![span("a", 0..99)], "expected some of the 9 of the text"),
            (vec![span("a", 1..3)], "span 1 cuts a character at byte 1"),
            (vec![span("a", 4..5)], "span 1 covers white space only"),
            (vec![span(" ", 0..4)], "span 1 has no kind"),
            (vec![span(&"k".repeat(2_000), 0..4)], "span 1 has a kind of 2000 bytes"),
            (vec![span("a", 0..2), span("b", 2..4)], "spans 1 and 2 share the word \"él3\""),
        ] {
            let error = tags("él3  abc", &spans).unwrap_err();
            assert!(error.message().contains(expected), "{error}");
        }
    }

    #[test]
    fn more_spans_than_words_are_allowed_are_refused_at_once() {
        let many = vec![span("a", 0..1); crate::example::WORDS_COUNT_MAX + 1];
        assert_eq!(tags("a", &many).unwrap_err().code(), Code::TaskTooLong);
        let long = "a".repeat(crate::example::TEXT_SIZE_BYTES_MAX + 1);
        assert_eq!(tags(&long, &[]).unwrap_err().code(), Code::TaskTooLong);
    }

    proptest! {
        #[test]
        fn tags_of_spans_mark_the_same_words_again(
            text in "[a-z打开 ,.]{1,30}",
            places in prop::collection::vec((0usize..30, 1usize..6), 0..4),
        ) {
            let spans: Vec<TextSpan> = places
                .iter()
                .filter_map(|&(start, length)| {
                    let start = byte_of_character(&text, start)?;
                    let end = byte_of_character(&text[start..], length)? + start;
                    Some(span("x", start..end))
                })
                .collect();
            if let Ok(tags) = tags(&text, &spans) {
                prop_assert!(bio::check(&tags).is_ok());
                let words = words::split(&text);
                let found = bio::spans(tags.iter().map(String::as_str));
                prop_assert_eq!(found.len(), spans.len());
                for span in &spans {
                    let first = words.iter().position(|word| word.bytes().end > span.bytes.start);
                    prop_assert!(found.iter().any(|one| Some(one.first) == first));
                }
            }
        }
    }
}
