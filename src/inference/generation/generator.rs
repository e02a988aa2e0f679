//! The sessions that generate text, and the loop that runs them.
//!
//! The encoder reads the sources once. The decoder's first step returns the logits and the keys and
//! values of source and target; the later steps use a smaller graph that takes one token and the
//! cache. A generation always ends: at an end token, at a stop string, at the token limit, when the
//! callback breaks, or when the caller cancels.

use super::beam::Beams;
use super::cache::{Cache, select_rows};
use super::greedy::Greedy;
use super::options::{GenerateOptions, GeneratedText};
use super::processors::LogitsProcessors;
use super::search::{Search, StoppingCriteria};
use super::text::StopStrings;
use crate::adapter::{Adapter, Component};
use crate::bundle::{Bundle, Decoder, Encoding};
use crate::error::{Code, Error, Result};
use crate::inference::session::{AdapterSession, Stage};
use crate::inference::{batch, finite};
use crate::runtime::{Cancel, Engine, SessionOptions, Value};
use crate::sites::Site;
use std::ops::ControlFlow;
use std::sync::Arc;

/// The largest number of rows in one run, hypotheses included.
const RUN_ROWS_MAX: usize = 64;
/// The largest number of source tokens in one run, padding and hypotheses included. It bounds the
/// cache.
const RUN_TOKENS_MAX: usize = 4_096;

/// The sessions of encoder and decoder. Threads can share it.
pub struct Generator {
    pub(super) bundle: Arc<Bundle>,
    pub(super) encoder: AdapterSession,
    pub(super) decoder: AdapterSession,
    pub(super) with_past: Option<AdapterSession>,
}

/// An adapter's tensors as inputs of each session; empty for the bare backbone.
#[derive(Default)]
pub struct StageInputs {
    encoder: Vec<(String, Value)>,
    decoder: Vec<(String, Value)>,
    with_past: Vec<(String, Value)>,
}

/// One batch of sources that runs together.
pub(super) struct Batch<'a> {
    pub adapter: &'a StageInputs,
    pub cancel: Option<&'a Cancel>,
    /// The mask of the sources, `[sources, length]`.
    pub mask: Value,
    /// The hidden states of the sources, `[sources, length, hidden]`.
    pub states: Value,
    pub use_cache: bool,
}

impl Generator {
    /// Opens the sessions with the inputs of `components`.
    ///
    /// # Errors
    /// As [`AdapterSession::open_stage`]; [`Code::GraphUnsupported`] for a bundle without a
    /// decoder.
    pub fn open(
        engine: &Arc<Engine>,
        bundle: &Arc<Bundle>,
        options: &SessionOptions,
        components: &[Component],
    ) -> Result<Self> {
        let decoder = bundle.decoder()?;
        let open =
            |stage| AdapterSession::open_stage(engine, bundle, stage, options.clone(), components);
        Ok(Self {
            bundle: bundle.clone(),
            encoder: open(Stage::Encoder)?,
            decoder: open(Stage::Decoder)?,
            with_past: match decoder.with_past {
                Some(_) => Some(open(Stage::DecoderWithPast)?),
                None => None,
            },
        })
    }

    /// All sites of encoder and decoder.
    pub fn sites(&self) -> &[Site] {
        self.decoder.sites()
    }

    /// Checks an adapter against the backbone and makes its tensors inputs of every session.
    ///
    /// # Errors
    /// As [`AdapterSession::load`].
    pub fn load(&self, adapter: &Adapter) -> Result<StageInputs> {
        Ok(StageInputs {
            encoder: self.encoder.load(adapter)?,
            decoder: self.decoder.load(adapter)?,
            with_past: match &self.with_past {
                Some(later) => later.load(adapter)?,
                None => Vec::new(),
            },
        })
    }

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
        let origins = search.step(&rows(&logits, &at, decoder.interface.vocabulary)?)?;
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
            from = search.step(&rows(&logits, &at, decoder.interface.vocabulary)?)?;
            of_source = sources;
        }
        Ok(())
    }

    /// Hidden states and mask of the sources.
    pub(super) fn encode(
        &self,
        sources: &[&[u32]],
        adapter: &StageInputs,
        cancel: Option<&Cancel>,
    ) -> Result<(Value, Value)> {
        let encoding =
            |ids: &&[u32]| Encoding { ids: ids.to_vec(), truncated: false, type_ids: Vec::new() };
        let encodings: Vec<Encoding> = sources.iter().map(encoding).collect();
        let encodings: Vec<&Encoding> = encodings.iter().collect();
        let mut inputs = batch::encode(&self.bundle, &encodings)?;
        let interface = self.bundle.interface();
        let given: Vec<(&str, &Value)> =
            inputs.iter().map(|(name, value)| (*name, value)).collect();
        let mut found =
            self.encoder.run(&with(given, &adapter.encoder), &[&interface.output], cancel)?;
        let mask = inputs.iter().position(|(name, _)| *name == interface.inputs.attention_mask);
        match (found.pop(), mask) {
            (Some(states), Some(mask)) => Ok((states, inputs.swap_remove(mask).1)),
            _ => Err(Error::new(Code::Internal, "the encoder gave no hidden states")),
        }
    }

    /// The first step: logits of the first token for each source, and the cache.
    fn begin(
        &self,
        decoder: &Decoder,
        batch: &Batch<'_>,
        sources: usize,
    ) -> Result<(Vec<f32>, Option<Cache>)> {
        let interface = &decoder.interface;
        let ids = Value::i64(
            &[sources, 1],
            vec![i64::from(decoder.ids.decoder_start_token_id); sources],
        )?;
        let mut outputs = vec![interface.logits.as_str()];
        if batch.use_cache {
            outputs.extend(interface.cache.iter().map(|tensor| tensor.present.as_str()));
        }
        let mut found = self.decode(decoder, batch, &ids, &batch.states, &batch.mask, &outputs)?;
        let values = found.split_off(1.min(found.len()));
        let cache = match batch.use_cache {
            true => Some(Cache::begin(interface, values, sources)?),
            false => None,
        };
        Ok((last_logits(found.first(), sources, 1, interface.vocabulary)?, cache))
    }

    /// A step over complete targets, without a cache.
    fn anew(&self, decoder: &Decoder, batch: &Batch<'_>, search: &dyn Search) -> Result<Vec<f32>> {
        let alive = search.alive();
        let length = alive.first().map_or(0, |one| one.ids.len()) + 1;
        let mut ids = Vec::with_capacity(alive.len() * length);
        for one in alive {
            ids.push(i64::from(decoder.ids.decoder_start_token_id));
            ids.extend(one.ids.iter().map(|&id| i64::from(id)));
        }
        let ids = Value::i64(&[alive.len(), length], ids)?;
        let sources: Vec<usize> = alive.iter().map(|one| one.source).collect();
        let states = select_rows(&batch.states, &sources)?;
        let mask = select_mask(&batch.mask, &sources)?;
        let logits = [decoder.interface.logits.as_str()];
        let found = self.decode(decoder, batch, &ids, &states, &mask, &logits)?;
        last_logits(found.first(), alive.len(), length, decoder.interface.vocabulary)
    }

    /// A run of the decoder over complete targets.
    pub(super) fn decode(
        &self,
        decoder: &Decoder,
        batch: &Batch<'_>,
        ids: &Value,
        states: &Value,
        mask: &Value,
        outputs: &[&str],
    ) -> Result<Vec<Value>> {
        let interface = self.bundle.interface();
        let all = [
            (decoder.interface.input_ids.as_str(), ids),
            (interface.output.as_str(), states),
            (interface.inputs.attention_mask.as_str(), mask),
        ];
        let given = all.into_iter().filter(|(name, _)| self.decoder.takes(name)).collect();
        self.decoder.run(&with(given, &batch.adapter.decoder), outputs, batch.cancel)
    }

    /// A step over the last tokens and the cache, which grows by them.
    fn go_on(
        &self,
        decoder: &Decoder,
        batch: &Batch<'_>,
        search: &dyn Search,
        cache: &mut Cache,
    ) -> Result<Vec<f32>> {
        let session = self.with_past.as_ref();
        let session =
            session.ok_or_else(|| Error::new(Code::Internal, "no session for a cache"))?;
        let (interface, alive) = (&decoder.interface, search.alive());
        let last = |ids: &[u32]| {
            i64::from(ids.last().copied().unwrap_or(decoder.ids.decoder_start_token_id))
        };
        let ids = alive.iter().map(|one| last(&one.ids)).collect();
        let ids = Value::i64(&[alive.len(), 1], ids)?;
        let sources: Vec<usize> = alive.iter().map(|one| one.source).collect();
        let mask = select_mask(&batch.mask, &sources)?;
        let mask_name = self.bundle.interface().inputs.attention_mask.as_str();
        let mut given: Vec<(&str, &Value)> = vec![(&interface.input_ids, &ids), (mask_name, &mask)];
        given.extend(cache.inputs(interface));
        given.retain(|(name, _)| session.takes(name));
        let of_target = interface.cache.iter().filter(|tensor| !tensor.cross);
        let mut outputs = vec![interface.logits.as_str()];
        outputs.extend(of_target.map(|tensor| tensor.present.as_str()));
        let given = with(given, &batch.adapter.with_past);
        let mut found = session.run(&given, &outputs, batch.cancel)?;
        let values = found.split_off(1.min(found.len()));
        cache.grow(interface, values)?;
        last_logits(found.first(), alive.len(), 1, interface.vocabulary)
    }
}

/// Run inputs, followed by the tensors of an adapter.
fn with<'a>(
    mut given: Vec<(&'a str, &'a Value)>,
    tensors: &'a [(String, Value)],
) -> Vec<(&'a str, &'a Value)> {
    given.extend(tensors.iter().map(|(name, value)| (name.as_str(), value)));
    given
}

/// The mask of these sources, `[sources, length]`.
fn select_mask(mask: &Value, sources: &[usize]) -> Result<Value> {
    let length = mask.shape().last().map_or(0, |&length| usize::try_from(length).unwrap_or(0));
    let values = mask.as_i64()?;
    let mut selected = Vec::with_capacity(sources.len() * length);
    for &source in sources {
        let begin = source * length;
        selected.extend_from_slice(values.get(begin..begin + length).unwrap_or_default());
    }
    Value::i64(&[sources.len(), length], selected)
}

/// The logits of the last of `length` tokens, for each row.
pub(super) fn last_logits(
    value: Option<&Value>,
    rows: usize,
    length: usize,
    vocabulary: usize,
) -> Result<Vec<f32>> {
    let found = value.map(|value| value.shape().to_vec()).unwrap_or_default();
    if found != [rows, length, vocabulary].map(|size| size as i64) {
        let message =
            format!("the logits have shape {found:?}, expected [{rows}, {length}, {vocabulary}]");
        return Err(Error::new(Code::GraphUnsupported, message));
    }
    let all = value.map(Value::as_f32).transpose()?.unwrap_or_default();
    let step = length * vocabulary;
    let last = |row: &[f32]| row[step - vocabulary..].to_vec();
    Ok(all.chunks_exact(step.max(1)).flat_map(last).collect())
}

/// The rows `at` of logits.
fn rows<'a>(logits: &'a [f32], at: &[usize], vocabulary: usize) -> Result<Vec<&'a [f32]>> {
    let row = |&row: &usize| {
        let begin = row * vocabulary;
        logits
            .get(begin..begin + vocabulary)
            .ok_or_else(|| Error::new(Code::Internal, format!("there are no logits of row {row}")))
            .and_then(|row| finite::check_choice("logits of tokens", row).map(|()| row))
    };
    at.iter().map(row).collect()
}
