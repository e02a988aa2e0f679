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
