//! Models that convert words to ids: the compiled Unigram, and the library's models.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokenizers::pipeline::{Model, PipelineModel, PipelineModelScratch, PipelineToken, Span};

use super::library_error;
use super::stages::{WordModel, part};
use super::unigram::Scratch;
use super::vocabulary::Vocabulary;
use crate::error::Result;

/// The number of words that the library's models take at once; the room is checked after each
/// batch.
const WORDS_AT_ONCE: usize = 256;

/// The most buffers that are kept for later calls: one for each concurrent thread.
const SPARE_MAX: usize = 16;

pub(super) struct UnigramWords<'v> {
    vocabulary: &'v Vocabulary,
    scratch: Scratch,
}

impl<'v> UnigramWords<'v> {
    pub fn new(vocabulary: &'v Vocabulary) -> Self {
        Self { vocabulary, scratch: Scratch::default() }
    }
}

impl WordModel for UnigramWords<'_> {
    fn ids(&mut self, text: &str, spans: &[Span], room: usize, ids: &mut Vec<u32>) -> Result<()> {
        for span in spans {
            self.scratch.segment(self.vocabulary, part(text, span)?, ids)?;
            if ids.len() > room {
                break;
            }
        }
        Ok(())
    }
}

/// Buffers of the library's models; they hold its cache of words, so they are reused.
#[derive(Default)]
pub(super) struct Spare(Mutex<Vec<PipelineModelScratch>>);

/// The tokens of one-character words in a byte-pair model that marks the ends of words: version
/// 1.0.0-rc.3 of the library uses the unmarked token there, and Python the marked one.
pub(super) type MarkedCharacters = HashMap<char, u32>;

/// One of the library's models.
pub(super) struct LibraryWords<'l> {
    model: &'l PipelineModel,
    marked: &'l MarkedCharacters,
    spare: &'l Spare,
    scratch: PipelineModelScratch,
    tokens: Vec<PipelineToken>,
}

impl<'l> LibraryWords<'l> {
    pub fn new(model: &'l PipelineModel, marked: &'l MarkedCharacters, spare: &'l Spare) -> Self {
        let kept = spare.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let scratch = kept.unwrap_or_else(|| model.init_scratch());
        Self { model, marked, spare, scratch, tokens: Vec::new() }
    }

    fn marked_character(&self, text: &str, some: &[Span]) -> Option<u32> {
        let [word] = some else { return None };
        let mut characters = text.get(word.range())?.chars();
        let first = characters.next().filter(|_| characters.next().is_none())?;
        self.marked.get(&first).copied()
    }

    /// Returns the buffers. After a panic they are dropped instead, since their state is unknown.
    pub fn keep(self) {
        let mut kept = self.spare.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < SPARE_MAX {
            kept.push(self.scratch);
        }
    }
}

impl WordModel for LibraryWords<'_> {
    fn ids(&mut self, text: &str, spans: &[Span], room: usize, ids: &mut Vec<u32>) -> Result<()> {
        let lots = spans.chunks(if self.marked.is_empty() { WORDS_AT_ONCE } else { 1 });
        for some in lots {
            // The library slices without checks.
            some.iter().try_for_each(|span| part(text, span).map(drop))?;
            if let Some(id) = self.marked_character(text, some) {
                ids.push(id);
                continue;
            }
            self.tokens.clear();
            self.model
                .tokenize_spans(text, some, &mut self.scratch, &mut self.tokens)
                .map_err(library_error)?;
            ids.extend(self.tokens.iter().map(|token| token.id()));
            if ids.len() > room {
                break;
            }
        }
        Ok(())
    }
}
