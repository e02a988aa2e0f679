//! Runs: words with nothing between them, tokenized as the one text that they are.
//!
//! The library's stages do not say where in the text a token stands. It is found out by length:
//! what normalising makes of the words, one after another, has to be what it makes of the text.
//! Where it is not, a run is not for this module, and its words are tokenized one by one.

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
    /// The ids, without special ones.
    pub ids: Vec<u32>,
    /// For each word the position of the id that its first character is in; absent for a word
    /// behind the room that there was.
    pub first: Vec<Option<usize>>,
}

impl Stages {
    /// The ids of `words`; stops behind the `room` that it needs. `None` where the place of a word
    /// cannot be known or a part of the text is an added token.
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

    /// Where each word begins in the normalised text of all.
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

/// The text behind the mark that SentencePiece puts before the beginning.
fn unmarked(text: &str) -> &str {
    text.strip_prefix('\u{2581}').unwrap_or(text)
}
