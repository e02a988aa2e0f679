//! Tokenizes runs of words, which are written without anything between them, as one text.
//!
//! The library's stages do not return the position of a token in the text. It is found by length:
//! the normalised words, one after another, must equal the normalised text. If they do not, the
//! words of the run are tokenized one by one.

use super::normalize::Growth;
use super::stages::{Stages, Words, part};
use super::unigram::Scratch;
use super::vocabulary::Vocabulary;
use crate::error::Result;
use std::borrow::Cow;
use tokenizers::pipeline::{Segment, SpecialSegmentIterator};

/// The tokens of a run of words.
#[derive(Default)]
pub(super) struct RunIds {
    /// The ids, without special tokens.
    pub ids: Vec<u32>,
    /// For each word the position of the id that contains its first character; absent for a word
    /// beyond the room.
    pub first: Vec<Option<usize>>,
}

impl Stages {
    /// The ids of `words`; may stop after `room` ids. `None` where the position of a word is
    /// unknown or a part of the text is an added token.
    pub fn encode_run(
        &self,
        vocabulary: &Vocabulary,
        words: &[&str],
        room: usize,
    ) -> Result<Option<RunIds>> {
        if !self.splits_by_spans() {
            return Ok(None);
        }
        let joined = words.concat();
        let Some(text) = self.normalize_plain(&joined)? else { return Ok(None) };
        let Some(starts) = self.starts(words, &text)? else { return Ok(None) };
        let (mut ids, mut ends) = (Vec::new(), Vec::new());
        let (mut found, mut scratch) = (Words::default(), Scratch::default());
        self.split(&text, true, &mut Growth::of_text(), &mut found)?;
        for span in &found.spans {
            scratch.segment(vocabulary, part(&text, span)?, &mut ids)?;
            ends.extend(scratch.ends().iter().map(|end| span.range().start + end));
            if ids.len() > room {
                break;
            }
        }
        let holding = |start| ends.partition_point(|&end| end <= start);
        let found = |start| Some(holding(start)).filter(|&position| position < ids.len());
        let first = starts.into_iter().map(found).collect();
        Ok(Some(RunIds { ids, first }))
    }

    /// The offset of each word in the normalised text.
    fn starts(&self, words: &[&str], text: &str) -> Result<Option<Vec<usize>>> {
        let mut start = text.len() - unmarked(text).len();
        let mut starts = Vec::with_capacity(words.len());
        for word in words {
            let Some(word) = self.normalize_plain(word)? else { return Ok(None) };
            let word = unmarked(&word);
            if word.is_empty() || !text[start..].starts_with(word) {
                return Ok(None);
            }
            starts.push(start);
            start += word.len();
        }
        Ok((start == text.len()).then_some(starts))
    }

    /// The normalised text; `None` if a part of it is an added token.
    fn normalize_plain<'a>(&self, text: &'a str) -> Result<Option<Cow<'a, str>>> {
        let is_plain = |text: &str, normalized| {
            let mut segments = SpecialSegmentIterator::new(text, self.added(), normalized, false);
            let begins = matches!(segments.next(), Some(Segment::Text { .. }));
            begins && segments.next().is_none()
        };
        if !is_plain(text, false) {
            return Ok(None);
        }
        let normalized = self.normalize(text, 0, &mut Growth::of_text())?;
        Ok(is_plain(&normalized, true).then_some(normalized))
    }
}

/// The text after the mark that SentencePiece puts at its beginning.
fn unmarked(text: &str) -> &str {
    text.strip_prefix('\u{2581}').unwrap_or(text)
}
