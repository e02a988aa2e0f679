//! The loop of a generation: batches of sources, and steps of the decoder until the search ends.
//!
//! A generation always ends: at an end token, at a stop string, at the token limit, when the
//! callback breaks, or when the caller cancels.

use super::beam::Beams;
use super::generator::{Batch, Generator, Logits, StageInputs};
use super::greedy::Greedy;
use super::options::{GenerateOptions, GeneratedText};
use super::processors::LogitsProcessors;
use super::search::{Search, StoppingCriteria};
use super::text::StopStrings;
use crate::error::{Code, Error, Result};
use crate::inference::{batch, finite};
use crate::runtime::Cancel;
use std::ops::ControlFlow;

/// The largest number of rows in one run, hypotheses included.
const RUN_ROWS_MAX: usize = 64;
/// The largest number of source tokens in one run, padding and hypotheses included. It bounds the
/// cache.
const RUN_TOKENS_MAX: usize = 4_096;

impl Generator {
    /// Generates a target from each of the tokenized `sources`, in their order.
    ///
    /// `on_chunk` receives the position of a source and new text of its target, in whole
    /// characters; with several beams, the whole text at the end. If it breaks, that target ends
    /// there. After `cancel`, unfinished targets are returned as they are.
    ///
    /// # Errors
    /// [`Code::ArgumentInvalid`] for options out of range and ids that the backbone does not have,
    /// [`Code::TaskEmptyText`] for a source without tokens, [`Code::TaskTooLong`] for a source with
    /// more tokens than the bundle allows, [`Code::GraphUnsupported`] when the outputs of a graph
    /// differ from its interface.
    pub fn generate(
        &self,
        sources: &[&[u32]],
        adapter: &StageInputs,
        options: &GenerateOptions,
        cancel: Option<&Cancel>,
        on_chunk: &mut dyn FnMut(usize, &str) -> ControlFlow<()>,
    ) -> Result<Vec<GeneratedText>> {
        let decoder = self.bundle.decoder()?;
        options.validate(decoder.tokens_max, decoder.interface.vocabulary)?;
        sources.iter().try_for_each(|source| self.check_source(source))?;
        let mut generated = vec![GeneratedText::default(); sources.len()];
        let lengths: Vec<usize> = sources.iter().map(|ids| ids.len() * options.num_beams).collect();
        let together = if self.bundle.runs_alone() { 1 } else { RUN_ROWS_MAX };
        let rows_max = (together / options.num_beams).max(1);
        for rows in batch::by_length(&lengths, rows_max, RUN_TOKENS_MAX) {
            let chosen: Vec<&[u32]> = rows.iter().map(|&row| sources[row]).collect();
            let emit = &mut |row: usize, chunk: &str| on_chunk(rows[row], chunk);
            let found = self.generate_batch(&chosen, adapter, options, cancel, emit)?;
            for (row, one) in rows.iter().zip(found) {
                finite::check_number("probabilities of a text", one.log_probability.into())?;
                generated[*row] = one;
            }
        }
        Ok(generated)
    }

    fn check_source(&self, source: &[u32]) -> Result<()> {
        let (interface, manifest) = (self.bundle.interface(), self.bundle.manifest());
        if source.is_empty() {
            return Err(Error::new(Code::TaskEmptyText, "the source has no tokens"));
        }
        if source.len() > manifest.tokens_max {
            let (found, most) = (source.len(), manifest.tokens_max);
            let message = format!("the source has {found} tokens, expected at most {most}");
            return Err(Error::new(Code::TaskTooLong, message));
        }
        let embeddings = interface.embeddings.unwrap_or(usize::MAX);
        match source.iter().find(|&&id| id as usize >= embeddings) {
            Some(id) => Err(Error::new(
                Code::ArgumentInvalid,
                format!("the source has the id {id}, expected less than {embeddings}"),
            )),
            None => Ok(()),
        }
    }

    fn generate_batch(
        &self,
        sources: &[&[u32]],
        adapter: &StageInputs,
        options: &GenerateOptions,
        cancel: Option<&Cancel>,
        emit: &mut dyn FnMut(usize, &str) -> ControlFlow<()>,
    ) -> Result<Vec<GeneratedText>> {
        let decoder = self.bundle.decoder()?;
        let max_new_tokens = match options.max_new_tokens {
            0 => decoder.tokens_max,
            most => most,
        };
        let criteria = StoppingCriteria {
            eos_token_ids: &decoder.ids.eos_token_ids,
            max_new_tokens,
            stop_strings: StopStrings::new(self.bundle.tokenizer(), &options.stop_strings),
        };
        let processors = LogitsProcessors::new(&decoder.ids, options, max_new_tokens);
        let count = sources.len();
        let mut search: Box<dyn Search + '_> = match options.num_beams {
            1 => Box::new(Greedy::new(criteria, processors, count, emit)),
            num_beams => {
                let settings = (num_beams, options.length_penalty);
                Box::new(Beams::new(criteria, processors, settings, count, emit))
            }
        };
        match self.search(sources, adapter, options.use_cache, cancel, search.as_mut()) {
            Err(error) if error.code() == Code::Cancelled => {}
            outcome => outcome?,
        }
        search.finish()
    }

    /// Runs the decoder until the search has ended.
    fn search(
        &self,
        sources: &[&[u32]],
        adapter: &StageInputs,
        use_cache: bool,
        cancel: Option<&Cancel>,
        search: &mut dyn Search,
    ) -> Result<()> {
        cancel.map_or(Ok(()), Cancel::check)?;
        let (states, mask) = self.encode(sources, adapter, cancel)?;
        let use_cache = use_cache && self.with_past.is_some();
        let batch = Batch { adapter, cancel, mask, states, use_cache };
        let decoder = self.bundle.decoder()?;
        // The first step runs once per source, however many hypotheses there are.
        let mut of_source: Vec<usize> = (0..sources.len()).collect();
        let (logits, mut cache) = self.begin(decoder, &batch, sources.len())?;
        let at: Vec<usize> = search.alive().iter().map(|one| one.source).collect();
        let origins = search.step(&rows(&logits, &at)?)?;
        let mut from: Vec<usize> = origins.iter().map(|&origin| at[origin]).collect();
        while !search.alive().is_empty() {
            cancel.map_or(Ok(()), Cancel::check)?;
            let sources: Vec<usize> = search.alive().iter().map(|one| one.source).collect();
            let logits = match &mut cache {
                Some(cache) => {
                    cache.select(&decoder.interface, &from, of_source == sources)?;
                    self.go_on(decoder, &batch, search, cache)?
                }
                None => self.anew(decoder, &batch, search)?,
            };
            let at: Vec<usize> = (0..sources.len()).collect();
            from = search.step(&rows(&logits, &at)?)?;
            of_source = sources;
        }
        Ok(())
    }
}

/// The logits of the next token of the rows `at`.
fn rows<'a>(logits: &'a Logits, at: &[usize]) -> Result<Vec<&'a [f32]>> {
    let row = |&row: &usize| {
        let last = logits.last(row)?;
        finite::check_choice("logits of tokens", last).map(|()| last)
    };
    at.iter().map(row).collect()
}
